"""The laws of tokenizers that pass gradients on and are moved, and who breaks them."""

from __future__ import annotations

import copy

import pytest
import torch
from slmkit_encodec.encodec import Encodec
from slmkit_encodec.plugin import EncodecOptions
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, MisfitError, Tokenizer
from slmkit.codecs.linear import FrozenLinear
from slmkit.testing.tally import Tally
from slmkit.testing.training import device_laws, gradient_laws

WAV = torch.cos(torch.arange(640) / 200.0).expand(2, -1) * torch.tensor([[0.3], [0.7]])


class Rounds(nn.Module, Tokenizer):
    """The mean of each frame, scaled and rounded to a tenth."""

    spec = CodeSpec(16000, 320, (21,))

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.9))

    def latents(self, wav: Tensor) -> Tensor:
        return wav.view(len(wav), -1, 320).mean(dim=2) * self.gain

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        values = (self.latents(wav) * 10).round().long()[:, None] + 10
        return Codes(values, lengths // 320, self.spec)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        wav = ((codes.values[:, 0] - 10) / 10 / self.gain).repeat_interleave(320, dim=1)
        return wav, codes.lengths * 320

    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        latents = self.latents(wav)
        rounded = (latents * 10).round() / 10
        through = latents + (rounded - latents).detach()
        commitment = (latents - rounded).square().mean()
        return (through / self.gain).repeat_interleave(320, dim=1), commitment


class HoldsBack(Rounds):
    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        copied, commitment = super().reconstruct(wav.detach())
        return copied, commitment


class LearnsAnother(Rounds):
    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        copied, commitment = super().reconstruct(wav)
        return copied * 1.1, commitment


class Idle(Rounds):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3))


class LeavesBehind(Rounds):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.ones(3)


@pytest.mark.parametrize("variant", ["24khz", "48khz"])
def test_encodec_passes_gradients_on(variant: str) -> None:
    rate = 48000 if variant == "48khz" else 24000
    wav = torch.sin(torch.arange(rate // 4 + 13) / 9.0).expand(2, -1)
    gradient_laws(
        lambda: Encodec(EncodecOptions(variant=variant)), wav * torch.tensor([[0.3], [0.7]])
    )


def test_a_whole_second_is_what_48_khz_trains_on() -> None:
    with pytest.raises(MisfitError, match="48000 samples or less"):
        Encodec(EncodecOptions(variant="48khz")).reconstruct(torch.zeros(1, 48001))


def test_a_sound_one_passes() -> None:
    gradient_laws(Rounds, WAV)
    device_laws(Rounds, WAV, torch.tensor([640, 640]), Tally())


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (HoldsBack, "no gradient reaches the wave"),
        (LearnsAnother, "away from the decoded one"),
        (Idle, "no gradient reaches unused"),
    ],
)
def test_lost_gradients_are_found(broken: type[Rounds], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        gradient_laws(broken, WAV)


def test_what_stays_behind_is_found() -> None:
    with pytest.raises(AssertionError, match="not moved with the tokenizer: table"):
        device_laws(LeavesBehind, WAV, torch.tensor([640, 640]), Tally())


def test_frozen_maps_can_be_copied() -> None:
    layer = FrozenLinear.of(nn.Linear(8, 4))
    x = torch.randn(3, 8)
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
