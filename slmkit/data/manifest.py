"""Manifests: files that list utterances.

Two formats are read. *Cuts* are lhotse's CutSet as JSONL, what slmkit writes (see
`slmkit.data.cuts`). *Rows* are plain JSONL: `id`, and where known `audio` (relative to the
manifest), `text`, `speaker`, `split`, `start`, `duration`, `role`, `reply_to`, `topic`, `words`,
`phones`; any other key (`duration_s`, `sample_rate`, `gender` ...) lands in `Utterance.extra`.

A cut must have sound, so text that is only read stands as rows in a second file beside the cuts:
`name.texts.jsonl` beside `name.jsonl`. Any of the files may be gzipped (`.jsonl.gz`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Interval, Utterance
from slmkit.data.atomic import write_atomically
from slmkit.data.audio import Probe, probe
from slmkit.data.cuts import OWN_FIELDS, cut_of, is_cut, utterances_of

SUFFIXES = (".jsonl.gz", ".jsonl")
_STRINGS = ("text", "speaker", *OWN_FIELDS)
_ROW_KEYS = {"id", "audio", "start", "duration", "words", "phones", *_STRINGS}


def write_manifest(path: Path | str, utterances: Iterable[Utterance]) -> None:
    """Write utterances as cuts, and those without sound to `texts_beside(path)`.

    Files below the manifest's folder are named relative to it, so that the folder can be moved.
    Both files are replaced whole, the cuts last. Raises AudioError for a file that is missing or
    broken, DataError for an id given twice, StageError where the disk is full.
    """
    path = Path(path)
    beside = texts_beside(path)
    folder = path.parent.absolute()
    probes: dict[Path, Probe] = {}
    seen: set[str] = set()
    cuts: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for utterance in utterances:
        if utterance.id in seen:
            raise DataError(f"{path}: the id '{utterance.id}' is given twice")
        seen.add(utterance.id)
        _check_extra(path, utterance)
        if utterance.audio is None:
            texts.append(_row_of(utterance))
            continue
        audio = utterance.audio.absolute()
        if audio not in probes:
            probes[audio] = probe(audio)
        source = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
        cuts.append(cut_of(utterance, probes[audio], str(source)))
    if texts:
        _write_lines(beside, texts)
    else:
        beside.unlink(missing_ok=True)
    _write_lines(path, cuts)


def load_manifest(path: Path | str, check_files: bool = True) -> list[Utterance]:
    """Read a manifest of either format; the first line tells which it is.

    Raises DataError: missing or empty manifest, malformed line (with its number), id given twice,
    and, with `check_files`, rows whose file is missing (the first is named, all are counted).
    """
    path = Path(path)
    if texts_beside(path).exists():
        return read_manifest(path, check_files)
    first = next(_lines(path), None)
    if first is None:
        raise DataError(f"{path}: the manifest is empty")
    reader = read_manifest if is_cut(first[1]) else read_jsonl_manifest
    return reader(path, check_files)


def stream_manifest(path: Path | str) -> Iterator[Utterance]:
    """The utterances of a manifest of either format one by one, however long it is.

    Nothing is remembered of them: an id given twice is not found, nor a file that is missing.
    Raises DataError: missing or empty manifest, malformed line (with its number).
    """
    path, number = Path(path), 0
    for number, row in _lines(path):
        where = f"{path}:{number}"
        if not is_cut(row):
            yield _utterance_of_row(where, row, path.parent)
            continue
        yield from _utterances_of_cut(where, row, path.parent)
    if not number:
        raise DataError(f"{path}: the manifest is empty")


def read_manifest(path: Path | str, check_files: bool = True) -> list[Utterance]:
    """Read lhotse cuts, then the texts beside them if there are any. Errors as `load_manifest`."""
    path = Path(path)
    beside = texts_beside(path)
    entries = _Entries(path)
    for number, row in _lines(path):
        where = f"{path}:{number}"
        if not is_cut(row):
            raise DataError(f"{where}: not a lhotse cut{_what_it_is(row)}")
        for utterance in _utterances_of_cut(where, row, path.parent):
            entries.add(where, utterance)
    if beside.exists():
        for number, row in _lines(beside):
            where = f"{beside}:{number}"
            entries.add(where, _utterance_of_row(where, row, beside.parent))
    return entries.checked(check_files)


def read_jsonl_manifest(path: Path | str, check_files: bool = True) -> list[Utterance]:
    """Read plain rows. Errors as `load_manifest`."""
    path = Path(path)
    entries = _Entries(path)
    for number, row in _lines(path):
        where = f"{path}:{number}"
        entries.add(where, _utterance_of_row(where, row, path.parent))
    return entries.checked(check_files)


def texts_beside(path: Path | str) -> Path:
    """Where the utterances without sound of a manifest stand: `a.jsonl` -> `a.texts.jsonl`."""
    path = Path(path)
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix) + ".texts" + suffix)
    raise DataError(f"{path}: a manifest's name ends in {' or '.join(SUFFIXES)}")


class _Entries:
    """Utterances read so far, and where they stand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where: dict[str, str] = {}
        self.utterances: list[Utterance] = []

    def add(self, where: str, utterance: Utterance) -> None:
        if utterance.id in self.where:
            raise DataError(
                f"{where}: the id '{utterance.id}' was already given at {self.where[utterance.id]}"
            )
        self.where[utterance.id] = where
        self.utterances.append(utterance)

    def checked(self, check_files: bool) -> list[Utterance]:
        if not self.utterances:
            raise DataError(f"{self.path}: the manifest is empty")
        if check_files:
            files = {u.audio for u in self.utterances if u.audio is not None}
            gone = {file for file in files if not file.is_file()}
            lost = [u for u in self.utterances if u.audio in gone]
            if lost:
                raise DataError(
                    f"{self.where[lost[0].id]}: the file of utterance '{lost[0].id}' is missing: "
                    f"{lost[0].audio} ({len(lost)} of {len(self.utterances)} rows miss their file)"
                )
        return self.utterances


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, JSON object) of each line that is not blank."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such manifest")
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{number}: not a JSON object but {line.strip()[:40]!r}")
                yield number, row
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{number}: not JSON: {error.msg}, column {error.colno}") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read after line {number}: {error}") from error


def _utterances_of_cut(where: str, row: dict[str, Any], folder: Path) -> list[Utterance]:
    try:
        return list(utterances_of(row, folder))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: not a complete lhotse cut: {error!r}") from error


def _utterance_of_row(where: str, row: dict[str, Any], folder: Path) -> Utterance:
    for key in ("id", "audio", *_STRINGS):
        if not isinstance(row.get(key), str | None):
            raise DataError(f"{where}: '{key}' is not a string but {row[key]!r}")
    if not row.get("id"):
        raise DataError(f"{where}: the row has no 'id'{_what_it_is(row)}")
    for key in ("start", "duration"):
        if not isinstance(row.get(key), int | float | None) or isinstance(row.get(key), bool):
            raise DataError(f"{where}: '{key}' is not a number of seconds but {row[key]!r}")
    if not row.get("audio") and row.get("text") is None:
        raise DataError(f"{where}: '{row['id']}' has neither 'audio' nor 'text'{_what_it_is(row)}")
    return Utterance(
        id=row["id"],
        audio=folder / row["audio"] if row.get("audio") else None,
        text=row.get("text"),
        speaker=row.get("speaker"),
        split=row.get("split") or "train",
        start=float(row.get("start") or 0.0),
        duration=row.get("duration"),
        role=row.get("role"),
        reply_to=row.get("reply_to"),
        topic=row.get("topic"),
        words=_intervals(where, row, "words"),
        phones=_intervals(where, row, "phones"),
        extra={key: value for key, value in row.items() if key not in _ROW_KEYS},
    )


def _intervals(where: str, row: dict[str, Any], key: str) -> tuple[Interval, ...]:
    try:
        return tuple(Interval(str(label), float(a), float(b)) for label, a, b in row.get(key) or ())
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: '{key}' is not a list of [label, start, end]") from error


def _row_of(utterance: Utterance) -> dict[str, Any]:
    values = {"id": utterance.id, **{key: getattr(utterance, key) for key in _STRINGS}}
    known = {key: value for key, value in values.items() if value is not None}
    return {**known, **utterance.extra}


def _what_it_is(row: dict[str, Any]) -> str:
    if "sources" in row:
        return "; it is a lhotse recording: make cuts with CutSet.from_manifests"
    if "recording_id" in row:
        return "; it is a lhotse supervision: make cuts with CutSet.from_manifests"
    return f"; its keys are {', '.join(list(row)[:8]) or 'none'}"


def _check_extra(path: Path, utterance: Utterance) -> None:
    taken = _ROW_KEYS & set(utterance.extra)
    if taken:
        raise DataError(
            f"{path}: utterance '{utterance.id}': '{min(taken)}' is a field of its own and cannot "
            f"stand in extra"
        )


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        try:
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: utterance '{row['id']}' cannot be JSON: {error}") from error
    data = "".join(lines).encode()
    # A fixed time stamp: the same utterances give the same bytes.
    write_atomically(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
