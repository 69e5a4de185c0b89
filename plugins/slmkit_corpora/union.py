"""The corpus `union`: the utterances of one corpus, then those of another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slmkit.api import Corpus, DataError, Progress, Utterance

if TYPE_CHECKING:
    from slmkit_corpora.plugin import UnionOptions


class Union(Corpus):
    """Two corpora as one; either may be a union itself. Each makes its sound in its own folder."""

    def __init__(self, options: UnionOptions, one: Corpus, other: Corpus) -> None:
        self.corpora = {"one": one, "other": other}

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        whose: dict[str, str] = {}
        for name, corpus in self.corpora.items():
            for utterance in corpus.utterances(folder / name, progress):
                if whose.setdefault(utterance.id, name) != name:
                    raise DataError(
                        f"corpus 'union': both corpora have an utterance '{utterance.id}'; rename "
                        f"it in one manifest"
                    )
                yield utterance

    def texts(self) -> Iterator[str]:
        for corpus in self.corpora.values():
            yield from corpus.texts()
