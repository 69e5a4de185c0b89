"""What a person names on the command line, as utterances: files, folders, globs, manifests."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from slmkit.api import AudioError, DataError, Utterance
from slmkit.data.manifest import SUFFIXES, load_manifest

SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd",
          ".sph", ".nist", ".caf", ".w64", ".rf64")  # fmt: skip
"""Endings of files that are taken for sound in a folder; of one that is named any will do."""


def find_utterances(inputs: Iterable[str | Path]) -> list[Utterance]:
    """The utterances with sound that files, folders, globs and manifests name, each id once.

    A file's id is its name without the ending, in a folder or glob its path below that folder, and
    a manifest gives its own. Files are not opened. Raises AudioError for what is not there,
    DataError for a folder without sound, a broken manifest, or an id that two sounds would have.
    """
    found: dict[str, Utterance] = {}
    for each in inputs:
        for utterance in _utterances(str(each)):
            known = found.setdefault(utterance.id, utterance)
            if _place(known) != _place(utterance):
                raise DataError(
                    f"{known.audio} and {utterance.audio} would both be '{utterance.id}': encode "
                    f"them apart, name the folder above them, or list them in a manifest"
                )
    return list(found.values())


def _utterances(given: str) -> Iterator[Utterance]:
    path = Path(given)
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SOUNDS and f.is_file())
        if not files:
            raise DataError(f"{path}: no sound in this folder (files that end in .wav, .flac, ...)")
        yield from (_of(file, path) for file in files)
    elif given.endswith(SUFFIXES):
        heard = [u for u in load_manifest(path, check_files=False) if u.audio is not None]
        if not heard:
            raise DataError(f"{path}: no utterance of this manifest has sound")
        yield from heard
    elif path.exists():
        yield _of(path, path.parent)
    elif glob.has_magic(given):
        files = sorted(f for f in map(Path, glob.glob(given, recursive=True)) if f.is_file())
        if not files:
            raise AudioError(f"{given}: nothing has such a name")
        above = _above(path)
        yield from (_of(file, above) for file in files)
    else:
        raise AudioError(f"{path}: no such file, folder or manifest")


def _of(file: Path, folder: Path) -> Utterance:
    return Utterance(file.relative_to(folder).with_suffix("").as_posix(), file)


def _above(pattern: Path) -> Path:
    """The folder above the first part of a pattern that stands for several names."""
    plain: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        plain.append(part)
    return Path(*plain)


def _place(utterance: Utterance) -> tuple[object, ...]:
    audio = None if utterance.audio is None else utterance.audio.absolute()
    return (audio, utterance.start, utterance.duration, utterance.extra.get("channel"))
