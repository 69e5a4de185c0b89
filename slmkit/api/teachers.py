"""What a codec's first codebook can learn from, beside what the part is otherwise.

Letters: b (batch), n (sample), t (frame), d (width).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FeatureSpec:
    """Of what a teacher gives: samples a second, samples a frame, numbers in a frame."""

    sample_rate: int
    hop_length: int
    width: int

    @property
    def frame_rate(self) -> float:
        """Frames a second, Hz."""
        return self.sample_rate / self.hop_length


class Teacher(ABC):
    """Speech to features that say what is said. A transcriber or a tokenizer may be one besides;
    its declaration then says `Can(teaches=True)`.
    """

    feature_spec: FeatureSpec

    @abstractmethod
    def represent(
        self, wav: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [b, t, d], frames [b]) of waves at the spec's rate, without gradients; those of
        a row are the same alone and in any batch."""
