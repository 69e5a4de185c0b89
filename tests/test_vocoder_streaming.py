"""Vocoders that stream: unit-hifigan in chunks, and strangers that stream wrongly."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from lively import lively
from torch import Tensor

from slmkit.api import Codes, CodeSpec, MisfitError, State, UnknownNameError, Vocoder
from slmkit.codecs import hifigan_stream
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit.host import build
from slmkit.testing import check_part, vocoder_laws, vocoder_streaming_laws

SPEC = CodeSpec(16000, 320, (20,))
SMALL = {
    "embedding_dim": 16,
    "upsample_rates": [8, 5, 8],
    "upsample_kernel_sizes": [16, 11, 16],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilations": [1, 3],
}
SHAPES = {
    "published": HifiGanSizes(20, upsample_initial_channel=64),
    "embedded": HifiGanSizes(
        20,
        upsample_rates=(5, 4, 4, 4),
        upsample_kernel_sizes=(11, 8, 8, 8),
        upsample_initial_channel=48,
        resblock_kernel_sizes=(3, 7),
        resblock_dilation_sizes=((1, 3), (1, 3)),
    ),
    "kernels as wide as their rates, and far wider": HifiGanSizes(
        20, 8, (1, 4, 3), (1, 16, 3), 32, (3, 5), ((1, 3), (2,)), num_speakers=3
    ),
}


@pytest.mark.parametrize("options", [{}, {"speakers": 3, "voice": "1"}])
def test_unit_hifigan_keeps_the_laws(options: dict[str, object], tmp_path: Path) -> None:
    def make() -> Vocoder:
        vocoder = build("vocoder", "unit-hifigan", {**SMALL, **options}, spec=SPEC)
        lively(vocoder.generator)
        return vocoder

    vocoder_laws(make, SPEC, tmp_path / "lively")
    check_part("vocoder", "unit-hifigan", tmp_path / "new", {**SMALL, **options})


def test_a_lively_generator_hears_a_unit() -> None:
    for sizes in SHAPES.values():
        generator = lively(UnitHifiGan(sizes))
        speaker = torch.tensor([1]) if sizes.num_speakers else None
        with torch.inference_mode():
            first, second = (
                generator(torch.tensor([[1, 2, unit, 4, 5]]), speaker) for unit in (3, 9)
            )
        assert float((first - second).abs().max()) > 0.02
        assert float(first.abs().max()) < 0.999


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_any_chunks_are_the_whole(shape: str, frames: int) -> None:
    generator, draw = lively(UnitHifiGan(SHAPES[shape])), random.Random(frames)
    units = torch.randint(0, 20, (2, frames))
    speaker = torch.tensor([2, 0]) if generator.sizes.num_speakers else None
    late, hop = hifigan_stream.look_ahead(generator.sizes), generator.sizes.hop_length
    with torch.inference_mode():
        whole = generator(units, speaker)
        for _ in range(4):
            state, waves, at = hifigan_stream.empty_state(generator, 2, speaker), [], 0
            while at < frames:
                size = draw.choice([0, 1, 1, 2, 5, frames])
                wav, state = hifigan_stream.step(generator, units[:, at : at + size], state)
                waves.append(wav)
                at = min(frames, at + size)
                made = sum(each.shape[1] for each in waves)
                assert made == max(0, at * hop - late), "all that is certain comes at once"
            waves.append(hifigan_stream.step(generator, units[:, :0], state, last=True)[0])
            joined = torch.cat(waves, dim=1)
            assert joined.shape == whole.shape
            assert float((joined - whole).abs().max()) <= 1e-5


def test_the_state_does_not_grow() -> None:
    torch.manual_seed(0)
    generator = UnitHifiGan(SHAPES["embedded"]).eval()
    state, sizes = hifigan_stream.empty_state(generator, 1), []
    with torch.inference_mode():
        for _ in range(60):
            _, state = hifigan_stream.step(generator, torch.randint(0, 20, (1, 3)), state)
            sizes.append(_elements(state))
    assert len(set(sizes[30:])) == 1


def _elements(state: State) -> int:
    return sum(v.numel() if isinstance(v, Tensor) else _elements(v) for v in state.values())


def test_merged_units_of_several_utterances_are_refused() -> None:
    vocoder = build("vocoder", "unit-hifigan", SMALL, spec=SPEC)
    merged = Codes.pad([torch.tensor([[1, 2]]), torch.tensor([[1, 3]])], SPEC).deduplicate()
    with pytest.raises(MisfitError, match="one by one"):
        vocoder.step(merged, vocoder.empty_state(2))


def test_a_stream_speaks_in_the_voice_that_it_was_begun_in() -> None:
    torch.manual_seed(0)
    vocoder = build("vocoder", "unit-hifigan", {**SMALL, "speaker_width": 8}, spec=SPEC)
    codes = Codes.pad([torch.randint(0, 20, (1, 12))] * 2, SPEC)
    voices = torch.randn(2, 8)
    lively(vocoder.generator)
    whole, _ = vocoder.synthesize(codes, voices)
    wav, state = vocoder.step(codes, vocoder.empty_state(2, voices))
    joined = torch.cat([wav, vocoder.finish(state)], dim=1)
    torch.testing.assert_close(joined, whole, atol=1e-5, rtol=0)
    assert float((joined[0] - joined[1]).abs().max()) > 0.01
    with pytest.raises(MisfitError, match="a speaker"):
        vocoder.empty_state(2)
    with pytest.raises(UnknownNameError, match="voice"):
        build("vocoder", "unit-hifigan", {**SMALL, "speakers": 2}, spec=SPEC).voice("anna")


class Smooth(Vocoder):
    """A sound toy: each sample is the mean of its frame's level and the next one's."""

    sample_rate, hop = 16000, 320

    def synthesize(self, codes: Codes, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        codes = self._lasting(codes).expand()
        real = torch.arange(codes.values.shape[2]) < codes.lengths[:, None]
        level = codes.values[:, 0].float() / 40 * real
        return self._wave(level, torch.zeros(len(level), 1)), codes.lengths * self.hop

    def empty_state(self, batch: int, speaker: Tensor | None = None) -> State:
        return {"held": torch.zeros(batch, 0)}

    def step(self, codes: Codes, state: State) -> tuple[Tensor, State]:
        level = self._lasting(codes).expand().values[:, 0].float() / 40
        level = torch.cat([state["held"], level], dim=1)
        return self._wave(level[:, :-1], level[:, -1:]), {"held": level[:, -1:]}

    def finish(self, state: State) -> Tensor:
        return self._wave(state["held"], torch.zeros(len(state["held"]), 1))

    def _wave(self, level: Tensor, after: Tensor) -> Tensor:
        following = torch.cat([level[:, 1:], after], dim=1)[:, : level.shape[1]]
        return ((level + following) / 2).repeat_interleave(self.hop, dim=1)

    def _lasting(self, codes: Codes) -> Codes:
        if codes.spec.deduplicated and codes.durations is None:
            real = torch.arange(codes.values.shape[2]) < codes.lengths[:, None]
            codes = Codes(codes.values, codes.lengths, codes.spec, 2 * real.long())
        return codes

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, folder: Path) -> None:
        pass


class ForgetsTheSeam(Smooth):
    """Each chunk ends as if nothing followed."""

    def step(self, codes: Codes, state: State) -> tuple[Tensor, State]:
        return self.synthesize(codes)[0], state

    def finish(self, state: State) -> Tensor:
        return torch.zeros(len(state["held"]), 0)


class LosesTheEnd(Smooth):
    def finish(self, state: State) -> Tensor:
        return super().finish(state)[:, :0]


class Hoards(Smooth):
    """Says all at the end."""

    def step(self, codes: Codes, state: State) -> tuple[Tensor, State]:
        level = self._lasting(codes).expand().values[:, 0].float() / 40
        held = torch.cat([state["held"], level], dim=1)
        return torch.zeros(len(held), 0), {"held": held}


class HidesItsState(Smooth):
    def empty_state(self, batch: int, speaker: Tensor | None = None) -> State:
        self.hidden = torch.zeros(batch, 0)
        return {"held": self.hidden}

    def step(self, codes: Codes, state: State) -> tuple[Tensor, State]:
        wav, new = super().step(codes, {"held": self.hidden})
        self.hidden = new["held"]
        return wav, new


class SaysNothingOfIt(Smooth):
    """Has no `step`, and answers `empty_state` all the same."""

    step = Vocoder.step


def test_a_vocoder_that_streams_rightly_passes(tmp_path: Path) -> None:
    vocoder_laws(Smooth, SPEC, tmp_path)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (ForgetsTheSeam, "in chunks it differs"),
        (LosesTheEnd, "the whole has"),
        (Hoards, "nothing is heard before"),
        (HidesItsState, "same state again"),
        (SaysNothingOfIt, "must raise MisfitError"),
    ],
)
def test_a_vocoder_that_streams_wrongly_is_found(broken: type[Vocoder], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        vocoder_streaming_laws(broken(), SPEC)


def test_griffin_lim_says_that_it_does_not_stream() -> None:
    part = build("vocoder", "griffin-lim", spec=SPEC)
    assert not part.streams
    with pytest.raises(MisfitError, match="does not stream"):
        part.empty_state(1)
