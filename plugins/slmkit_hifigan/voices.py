"""The voices of a vocoder by name: rows of its table, or embeddings.

Letters: d (width of an embedding), v (voice).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from slmkit.api import UnknownNameError

NAMES, EMBEDDINGS = "voices.json", "voices.safetensors"


@dataclass(frozen=True, eq=False)
class Voices:
    """Who speaks.

    Attributes:
        names: of the speakers; a speaker's number is its place here.
        embeddings: [v, d], the mean of each speaker's, where voices are embeddings.
        encoder: the part that made those, as a slot of a recipe says it.
    """

    names: Sequence[str] = ()
    embeddings: Tensor | None = None
    encoder: Mapping[str, Any] | None = None

    def find(self, asked: str, count: int) -> Tensor:
        """A voice by name, or by its number below `count`: its embedding [d], else its number [].

        Raises UnknownNameError.
        """
        count = count if self.embeddings is None else len(self.embeddings)
        if asked in self.names:
            number = list(self.names).index(asked)
        elif asked.isdecimal() and int(asked) < count:
            number = int(asked)
        else:
            known = self.names or ([f"0 to {count - 1}"] if count else [])
            raise UnknownNameError("voice", asked, known, "this vocoder")
        return torch.tensor(number) if self.embeddings is None else self.embeddings[number]

    def save(self, folder: Path) -> None:
        """Write what is known, nothing where nothing is."""
        if not self.names and self.encoder is None:
            return
        record = {"names": list(self.names), "encoder": self.encoder}
        (folder / NAMES).write_text(json.dumps(record, indent=1) + "\n")
        if self.embeddings is not None:
            save_file({"embeddings": self.embeddings.contiguous()}, folder / EMBEDDINGS)

    @classmethod
    def restore(cls, folder: Path) -> Voices:
        """The inverse of `save`."""
        if not (folder / NAMES).exists():
            return cls()
        record = json.loads((folder / NAMES).read_text())
        file = folder / EMBEDDINGS
        embeddings = load_file(file)["embeddings"] if file.exists() else None
        return cls(tuple(record["names"]), embeddings, record["encoder"])
