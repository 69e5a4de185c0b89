"""`Codes`: what every tokenizer gives and everything downstream reads.

Integers of shape [batch, codebooks, frames], the coarse codebook first, with lengths and a
`CodeSpec` that says how they relate to the wave. Written with the letters b (batch),
k (codebook) and t (frame).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CodeSpec:
    """How codes relate to the wave they stand for.

    Attributes:
        sample_rate: of the wave that goes in, Hz.
        hop_length: samples of that wave for a frame.
        codebook_sizes: number of codes of each codebook, coarse first.
        output_sample_rate: of the decoded wave, Hz; None: the same as `sample_rate`.
        output_hop_length: samples of the decoded wave for a frame; None: as `hop_length`.
        deduplicated: whether neighbours are merged: equal ones into one unit, or several units
            into one token; frames then vary in duration.
    """

    sample_rate: int
    hop_length: int
    codebook_sizes: tuple[int, ...]
    output_sample_rate: int | None = None
    output_hop_length: int | None = None
    deduplicated: bool = False
    segment: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "codebook_sizes", tuple(int(n) for n in self.codebook_sizes))
        if self.segment is not None:
            length, stride = self.segment
            object.__setattr__(self, "segment", (int(length), int(stride)))
        if self.sample_rate <= 0 or self.hop_length <= 0 or not self.codebook_sizes:
            raise ValueError(f"not a code specification: {self}")

    @property
    def codebooks(self) -> int:
        """Number of codebooks."""
        return len(self.codebook_sizes)

    @property
    def frame_rate(self) -> float:
        """Frames a second, Hz (of deduplicated codes: before merging; what overlaps counts)."""
        if self.segment is None:
            return self.sample_rate / self.hop_length
        return self._frames_of_segment * self.sample_rate / self.segment[1]

    def samples(self, frames: int) -> int:
        """Samples of the decoded wave that so many frames of one utterance stand for."""
        hop = self.output_hop_length or self.hop_length
        if self.segment is None:
            return frames * hop
        before = max(0, math.ceil(frames / self._frames_of_segment) - 1)
        return before * self.segment[1] + (frames - before * self._frames_of_segment) * hop

    @property
    def _frames_of_segment(self) -> int:
        return math.ceil(self.segment[0] / self.hop_length) if self.segment else 0

    @property
    def bits_per_second(self) -> float:
        """Bit rate of codes sent as they are, before any entropy coding or merging."""
        return self.frame_rate * sum(math.log2(n) for n in self.codebook_sizes)

    def unlike(self, other: CodeSpec) -> str:
        """Where another spec differs from this, in words; nothing where they are equal."""
        own, others = self.to_dict(), other.to_dict()
        return ", ".join(f"{k} {own[k]}, wanted {others[k]}" for k in own if own[k] != others[k])

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        segment = None if self.segment is None else list(self.segment)
        return {**asdict(self), "codebook_sizes": list(self.codebook_sizes), "segment": segment}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CodeSpec:
        """The inverse of `to_dict`."""
        return cls(**values)


@dataclass
class Codes:
    """A batch of coded utterances.

    Attributes:
        values: int64 [b, k, t]; what lies beyond a row's length is 0 and means nothing.
        lengths: int64 [b], frames that are real.
        spec: how the codes relate to the wave.
        durations: int64 [b, t], frames merged into each deduplicated unit or token, or None.
        side: named tensors that a decoder needs beside the codes (EnCodec 48 kHz's scales).
    """

    values: torch.Tensor
    lengths: torch.Tensor
    spec: CodeSpec
    durations: torch.Tensor | None = None
    side: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.dim() != 3 or self.values.shape[1] != self.spec.codebooks:
            raise ValueError(
                f"codes of shape {tuple(self.values.shape)} do not fit "
                f"[batch, {self.spec.codebooks}, frames]"
            )

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def _repr_html_(self) -> str:
        from slmkit.drawing.codes import codes_html

        return codes_html(self)

    def row(self, index: int) -> Codes:
        """One utterance alone, its padding cut off: values [1, k, length]."""
        length = int(self.lengths[index])
        durations = self.durations
        return replace(
            self,
            values=self.values[index : index + 1, :, :length],
            lengths=self.lengths[index : index + 1],
            durations=None if durations is None else durations[index : index + 1, :length],
            side={name: tensor[index : index + 1] for name, tensor in self.side.items()},
        )

    def to(self, device: torch.device | str) -> Codes:
        """The same codes on another device."""
        return replace(
            self,
            values=self.values.to(device),
            lengths=self.lengths.to(device),
            durations=None if self.durations is None else self.durations.to(device),
            side={name: tensor.to(device) for name, tensor in self.side.items()},
        )

    def deduplicate(self) -> Codes:
        """Merge equal neighbours of one-codebook codes, keeping how long each lasted."""
        if self.spec.codebooks != 1:
            raise ValueError("only codes of one codebook can be deduplicated")
        if self.spec.deduplicated:
            return self
        import torch

        rows, durations = [], []
        for units, length in zip(self.values[:, 0], self.lengths.tolist(), strict=True):
            merged, counts = torch.unique_consecutive(units[:length], return_counts=True)
            rows.append(merged[None])
            durations.append(counts)
        return Codes.pad(rows, replace(self.spec, deduplicated=True), durations)

    def expand(self) -> Codes:
        """Repeat each deduplicated unit for its duration: the inverse of `deduplicate`."""
        if not self.spec.deduplicated:
            return self
        if self.durations is None:
            raise ValueError("these units carry no durations; a vocoder has to predict them")
        import torch

        rows = [
            torch.repeat_interleave(units[:, :length], counts[:length], dim=1)
            for units, counts, length in zip(
                self.values, self.durations, self.lengths.tolist(), strict=True
            )
        ]
        return Codes.pad(rows, replace(self.spec, deduplicated=False))

    @staticmethod
    def join(parts: Sequence[Codes]) -> Codes:
        """Parts of one utterance, each [1, k, t], one after the other.

        Side tensors [1, m, ...] are joined along m, as many as there are.
        """
        import torch

        parts = [part.row(0) for part in parts]
        if not parts:
            raise ValueError("there are no codes to join")
        values = torch.cat([part.values for part in parts], dim=2)
        durations = [part.durations for part in parts if part.durations is not None]
        return Codes(
            values,
            torch.tensor([values.shape[2]]),
            parts[0].spec,
            torch.cat(durations, dim=1) if durations else None,
            {name: torch.cat([part.side[name] for part in parts], dim=1) for name in parts[0].side},
        )

    @staticmethod
    def pad(
        rows: Sequence[torch.Tensor],
        spec: CodeSpec,
        durations: Sequence[torch.Tensor] | None = None,
    ) -> Codes:
        """Stack utterances [k, t] of different lengths into one batch, zeros at the end."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        lengths = torch.tensor([row.shape[-1] for row in rows], dtype=torch.int64)
        values = pad_sequence([row.T for row in rows], batch_first=True).transpose(1, 2)
        times = pad_sequence(list(durations), batch_first=True) if durations is not None else None
        return Codes(values.long().contiguous(), lengths, spec, times)
