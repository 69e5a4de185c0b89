"""Random crops of recordings, read from their files as they are needed.

Letters: b (batch), n (sample), m (sample at the teacher's rate).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import soxr  # type: ignore[import-untyped]
import torch
from torch import Tensor
from torch.utils.data import Dataset

from slmkit.api import DataError, Utterance
from slmkit.data.audio import Wave, probe, read_utterance
from slmkit.training.wave_augment import respeed, speed_of, worsen

SHORTEST = 1e-3
"""Seconds of speech that every speaker counts for at least."""


@dataclass(frozen=True, eq=False)
class Crops:
    """A batch.

    Attributes:
        wav: the crops [b, n], which the codec is to give back.
        heard: what it hears [b, n]: the same, or made worse.
        taught: what a teacher hears [b, m], at its own rate; None where there is none.
        ids: of the utterances.
    """

    wav: Tensor
    heard: Tensor
    taught: Tensor | None
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Cutting:
    """How crops are cut.

    Attributes:
        steps, batch: how many batches of how many crops.
        samples, sample_rate: of a crop.
        teacher_rate: Hz; None: no teacher.
        augment: the share of the crops that each augmentation changes.
        seed: of the run.
    """

    steps: int
    batch: int
    samples: int
    sample_rate: int
    teacher_rate: int | None
    augment: Mapping[str, float]
    seed: int


class CropsOfSteps(Dataset[Crops]):
    """Item n is the batch of step n: a pure function of the utterances, the seed and n.

    A batch takes each speaker once, as long as there are as many, and those of more speech more
    often, as the square root of its length: every voice is heard, and none that fills a corpus is
    a rare guest beside hundreds of others. An utterance whose speaker is not known counts as one of
    its own. What is shorter than a crop is filled with zeros.
    """

    def __init__(self, utterances: Sequence[Utterance], cutting: Cutting) -> None:
        if not utterances:
            raise DataError("there is nothing to train a codec on: no utterance has sound")
        self.cutting = cutting
        by_speaker: dict[str, list[Utterance]] = {}
        for utterance in utterances:
            name = f"speaker {utterance.speaker}" if utterance.speaker else utterance.id
            by_speaker.setdefault(name, []).append(_measured(utterance))
        self.speakers = [by_speaker[name] for name in sorted(by_speaker)]
        seconds = [sum(u.duration or 0.0 for u in some) for some in self.speakers]
        share = np.sqrt(np.maximum(seconds, SHORTEST))
        self.shares = share / share.sum()

    def __len__(self) -> int:
        return self.cutting.steps

    def __getitem__(self, step: int) -> Crops:
        cutting = self.cutting
        rng = np.random.default_rng((cutting.seed, step))
        chosen = [self.speakers[index] for index in self._order(rng)]
        drawn = [speaker[int(rng.integers(len(speaker)))] for speaker in chosen]
        waves = [self._crop(utterance, rng) for utterance in drawn]
        heard = [worsen(wav, cutting.augment, cutting.sample_rate, rng) for wav in waves]
        return Crops(
            torch.from_numpy(np.stack(waves)),
            torch.from_numpy(np.stack(heard)),
            self._taught(waves),
            tuple(utterance.id for utterance in drawn),
        )

    def _order(self, rng: np.random.Generator) -> list[int]:
        """Which speakers a batch takes: none a second time before all were taken."""
        among = len(self.speakers)
        whole, rest = divmod(self.cutting.batch, among)
        rounds = [rng.choice(among, among, replace=False, p=self.shares) for _ in range(whole)]
        last = rng.choice(among, rest, replace=False, p=self.shares)
        return [int(index) for index in np.concatenate([*rounds, last])]

    def _crop(self, utterance: Utterance, rng: np.random.Generator) -> Wave:
        """A crop [n] of an utterance, from anywhere in it."""
        cutting, rate = self.cutting, self.cutting.sample_rate
        speed = speed_of(cutting.augment["speed"], rng)
        assert utterance.duration is not None, "durations were measured"
        length = cutting.samples * speed / rate
        # at a whole sample, so that a file at the codec's rate is not resampled
        late = int(rng.integers(max(0, int((utterance.duration - length) * rate)) + 1)) / rate
        part = replace(
            utterance,
            start=utterance.start + late,
            duration=min(length + 1 / rate, utterance.duration - late),
        )
        return respeed(read_utterance(part, rate), speed, cutting.samples)

    def _taught(self, waves: Sequence[Wave]) -> Tensor | None:
        """The crops [b, m] at the teacher's rate."""
        rate, teacher = self.cutting.sample_rate, self.cutting.teacher_rate
        if teacher is None:
            return None
        if teacher != rate:
            waves = [soxr.resample(wav, rate, teacher, quality="HQ") for wav in waves]
        return torch.from_numpy(np.stack(waves).astype(np.float32))


def _measured(utterance: Utterance) -> Utterance:
    """The utterance with its duration, which a manifest may leave out."""
    if utterance.duration is not None or utterance.audio is None:
        return utterance
    return replace(utterance, duration=probe(utterance.audio).duration - utterance.start)
