"""The tokenizer of `toy_codec`: it has frames, codebooks, a stream and a decoder."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor
from toy_codec import StairsOptions

from slmkit.api import Codes, CodeSpec, DataError, MisfitError, State, Tokenizer, WeightsError
from slmkit.codecs.waves import check_waves


class Stairs(Tokenizer):
    """Means in -1..1 in 16 steps; the next codebook holds the rest in steps a 16th as high."""

    def __init__(self, options: StairsOptions) -> None:
        if options.weights is not None and not Path(options.weights).exists():
            raise WeightsError(f"{options.weights}: no such weights")
        self.options = options
        self.spec = CodeSpec(8000, options.hop_length, (16,) * options.codebooks)

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        if self.options.pause < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.options.pause)
        check_waves(wav, lengths)
        wav = torch.where(torch.arange(wav.shape[1]) < lengths[:, None], wav, 0.0)
        frames = -(-lengths // self.spec.hop_length)
        values = self._round(wav)
        rows = [row[:, :length] for row, length in zip(values, frames.tolist(), strict=True)]
        return Codes.pad(rows, self.spec)

    def _round(self, wav: Tensor) -> Tensor:
        """[b, n] -> [b, k, t]; the last frame is filled up with zeros."""
        hop = self.spec.hop_length
        wav = torch.nn.functional.pad(wav, (0, -wav.shape[1] % hop))
        rest = (wav.unflatten(1, (-1, hop)).double().mean(dim=2) + 1) / 2
        books = []
        for _ in range(self.options.codebooks):
            books.append((rest * 16).floor().clamp(0, 15))
            rest = rest * 16 - books[-1]
        return torch.stack(books, dim=1).long()

    def empty_state(self, batch: int) -> State:
        return {"rest": torch.zeros(batch, 0)}

    def step(self, chunk: Tensor, state: State) -> tuple[Codes, State]:
        heard = torch.cat([state["rest"], chunk], dim=1)
        whole = heard.shape[1] // self.spec.hop_length * self.spec.hop_length
        return self._all(self._round(heard[:, :whole])), {"rest": heard[:, whole:]}

    def finish(self, state: State) -> Codes:
        return self._all(self._round(state["rest"]))

    def _all(self, values: Tensor) -> Codes:
        return Codes(values, torch.full((len(values),), values.shape[2]), self.spec)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        if codes.values.numel() and int(codes.values.max()) > 15:
            raise DataError("stairs: codes out of range")
        if codes.spec != self.spec:
            raise MisfitError(f"stairs: codes of another kind: {codes.spec.unlike(self.spec)}")
        places = 16.0 ** -torch.arange(1, self.options.codebooks + 1)
        means = (codes.values * places[:, None]).sum(dim=1) + places[-1] / 2
        lengths = codes.lengths * self.spec.hop_length
        wav = (2 * means - 1).repeat_interleave(self.spec.hop_length, dim=1)
        return wav * (torch.arange(wav.shape[1]) < lengths[:, None]), lengths

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stairs.json").write_text(json.dumps({}))

    def restore(self, folder: Path) -> None:
        (folder / "stairs.json").read_text()
