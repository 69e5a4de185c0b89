"""The corpus `folder`: audio files with their texts beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slmkit.api import Corpus, DataError, Progress, Utterance
from slmkit.data.audio import probe

if TYPE_CHECKING:
    from slmkit_corpora.plugin import FolderOptions

AUDIO = ("wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "au", "caf", "sph")
SPLITS = ("train", "dev", "test")


class Folder(Corpus):
    """Every audio file below a folder, by name; `x.txt` beside `x.wav` is its text.

    Where the first folder on the way is called train, dev or test, it is the split (else: train);
    the last of the others is the speaker. Ids are the paths without suffix. Raises DataError
    where nothing is found, two files share a name, or a text is not UTF-8; AudioError where a
    file's header cannot be read.
    """

    def __init__(self, options: FolderOptions) -> None:
        self.path = Path(options.path).expanduser()

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        if not self.path.is_dir():
            raise DataError(f"{self.path}: no such folder")
        files = sorted(p for p in self.path.rglob("*") if p.suffix[1:].lower() in AUDIO)
        if not files:
            raise DataError(f"{self.path}: no audio file in it ({', '.join(AUDIO)})")
        seen: dict[str, Path] = {}
        for done, file in enumerate(files, start=1):
            name = file.relative_to(self.path).with_suffix("").as_posix()
            if name in seen:
                raise DataError(f"{file}: has the same name as {seen[name].name}: rename one")
            seen[name] = file
            probe(file)
            places = file.relative_to(self.path).parts[:-1]
            split = places[0] if places and places[0] in SPLITS else None
            speakers = places if split is None else places[1:]
            yield Utterance(
                id=name,
                audio=file,
                text=_text_of(file.with_suffix(".txt")),
                speaker=speakers[-1] if speakers else None,
                split=split or "train",
            )
            progress(done, len(files), "checking audio")


def _text_of(path: Path) -> str | None:
    """The text of a file as one line, or None where there is none."""
    try:
        return " ".join(path.read_text(encoding="utf-8").split()) or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error
