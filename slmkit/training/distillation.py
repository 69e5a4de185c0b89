"""What the first codebook learns of a teacher (SpeechTokenizer, Zhang et al. 2023, section 3.2).

Its features, compared over time for each of their dimensions, or its units as pseudo-labels. Where
the frame rates differ, the teacher's frames are brought to the codec's. Letters: b (batch),
d (width), t (frame), m (sample), u (unit).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import MisfitError, Teacher, Tokenizer


def over_time(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over rows and dimensions of -log sigmoid(cosine over time) of [b, t, d] and [b, t, d],
    the longer cut to the shorter."""
    frames = min(student.shape[1], teacher.shape[1])
    alike = F.cosine_similarity(student[:, :frames], teacher[:, :frames], dim=1)
    return -F.logsigmoid(alike).mean()


def in_step(features: Tensor, ratio: float) -> Tensor:
    """Features [b, t, d] as [b, t * ratio, d], read between the frames around each new one."""
    if ratio == 1.0:
        return features
    frames = max(1, round(features.shape[1] * ratio))
    read = F.interpolate(features.transpose(1, 2), frames, mode="linear", align_corners=False)
    return read.transpose(1, 2)


class Lesson(nn.Module, ABC):
    """A loss of the first codebook's latents against what a teacher makes of the same sound.

    The teacher is no part of the module: it does not learn, and no checkpoint holds it.
    """

    sample_rate: int

    def __init__(self, teacher: Any, frame_rate: float) -> None:
        super().__init__()
        self._teacher, self.frame_rate = [teacher], frame_rate
        if isinstance(teacher, nn.Module):
            teacher.requires_grad_(False).eval()

    @property
    def teacher(self) -> Any:
        """Whose lesson it is."""
        return self._teacher[0]

    @abstractmethod
    def forward(self, latents: Tensor, wav: Tensor) -> Tensor:
        """The loss of latents [b, d, t] of the first codebook; waves [b, m] at the teacher's rate,
        each of them whole."""


class FeatureLesson(Lesson):
    """Its features: `transform` maps latents to the teacher's width (the identity where equal)."""

    def __init__(self, teacher: Teacher, width: int, frame_rate: float) -> None:
        super().__init__(teacher, frame_rate)
        spec = teacher.feature_spec
        self.sample_rate = spec.sample_rate
        self.ratio = frame_rate / spec.frame_rate
        self.transform = nn.Identity() if width == spec.width else nn.Linear(width, spec.width)

    def forward(self, latents: Tensor, wav: Tensor) -> Tensor:
        with torch.no_grad():
            features, _ = self.teacher.represent(wav, _whole(wav))
        # a teacher may work in inference mode, of which autograd takes nothing
        features = in_step(features.clone(), self.ratio)
        return over_time(self.transform(latents.transpose(1, 2)), features)


class UnitLesson(Lesson):
    """Its units, as pseudo-labels: cross-entropy of a projection of the latents."""

    def __init__(self, teacher: Tokenizer, width: int, frame_rate: float) -> None:
        super().__init__(teacher, frame_rate)
        spec = teacher.spec
        if spec.codebooks != 1 or spec.deduplicated:
            raise MisfitError(
                f"units to learn from come one a frame: {type(teacher).__name__} gives "
                f"{spec.codebooks} codebooks{', merged' if spec.deduplicated else ''}"
            )
        self.sample_rate = spec.sample_rate
        self.ratio = spec.frame_rate / frame_rate
        self.project = nn.Linear(width, spec.codebook_sizes[0])

    def forward(self, latents: Tensor, wav: Tensor) -> Tensor:
        units = self.teacher.encode(wav, _whole(wav)).values[:, 0].clone()
        # the unit that sounds in the middle of each frame
        middles = (torch.arange(latents.shape[-1], device=units.device) + 0.5) * self.ratio
        middles = middles[middles < units.shape[1]].long()
        scores = self.project(latents.transpose(1, 2))[:, : len(middles)]
        return F.cross_entropy(scores.flatten(0, 1), units[:, middles].flatten())


def lesson_of(teacher: Any, kind: str, width: int, frame_rate: float) -> Lesson:
    """A teacher's lesson, "features" or "units". Raises MisfitError where it gives no such."""
    name = type(teacher).__name__
    if kind == "units":
        if not isinstance(teacher, Tokenizer):
            raise MisfitError(f"{name} gives no units: only tokenizers do, or take its features")
        return UnitLesson(teacher, width, frame_rate)
    if not isinstance(teacher, Teacher):
        raise MisfitError(f"{name} gives no features to learn from: it has no `represent`")
    return FeatureLesson(teacher, width, frame_rate)


def _whole(wav: Tensor) -> Tensor:
    return torch.full((len(wav),), wav.shape[1], device=wav.device)
