"""SEANet's blocks: in chunks as whole, in a batch as alone, no ear for the future, trainable."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from slmkit.codecs.cache import clone
from slmkit.codecs.convolution import Convolution, flat_image
from slmkit.codecs.seanet import Decoder, Encoder, SeanetSizes
from slmkit.codecs.weight_norm import add_weight_norm, remove_weight_norm

TINY = SeanetSizes(width=6, filters=4, ratios=(3, 2), lstm_layers=2, blocks=2)
KINDS = {
    "causal": TINY,
    "snake": SeanetSizes(width=6, filters=4, ratios=(3, 2), blocks=2, snake=True),
    "both sides": SeanetSizes(
        width=6, filters=4, ratios=(3, 2), causal=False, from_both_sides=True, snake=True
    ),
    "one side": SeanetSizes(width=6, filters=4, ratios=(2, 5), causal=False, channels=2),
}


def lively(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.mul_(1.5) if "weight" in name else weight.add_(0.1 * torch.randn_like(weight))
    return module


def near(found: Tensor, due: Tensor) -> bool:
    """Equal but for the rounding of sums, for the size of what is summed."""
    return float((found - due).detach().abs().max()) <= 1e-5 * max(
        1.0, float(due.detach().abs().max())
    )


def pair(sizes: SeanetSizes) -> tuple[Encoder, Decoder]:
    torch.manual_seed(0)
    return lively(Encoder(sizes)), lively(Decoder(sizes))


def chunked(part: Encoder | Decoder, whole: Tensor, cuts: list[int]) -> Tensor:
    state, parts, at = part.empty_state(len(whole)), [], 0
    for cut in [*cuts, None]:
        end = whole.shape[-1] if cut is None else min(at + cut, whole.shape[-1])
        before = clone(state)
        part.step(torch.randn_like(whole[..., at:end]), before, last=cut is None)
        out, state = part.step(whole[..., at:end], state, last=cut is None)
        parts.append(out)
        at = end
    return torch.cat(parts, dim=-1)


@pytest.mark.parametrize("kind", ["causal", "snake"])
@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(1, 90),
    frames=st.integers(1, 20),
    cuts=st.lists(st.integers(0, 30), max_size=8),
)
def test_any_chunking_is_the_whole(kind: str, samples: int, frames: int, cuts: list[int]) -> None:
    encoder, decoder = pair(KINDS[kind])
    wav = torch.randn(2, 1, samples)
    latents = torch.randn(2, 6, frames)
    with torch.no_grad():
        for part, whole in ((encoder, wav), (decoder, latents)):
            found, due = chunked(part, whole, cuts), part(whole)
            assert found.shape == due.shape
            assert near(found, due)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=4))
def test_a_row_is_coded_and_decoded_as_alone(kind: str, lengths: list[int]) -> None:
    sizes = KINDS[kind]
    encoder, decoder = pair(sizes)
    wav = torch.randn(len(lengths), sizes.channels, max(lengths) + 3)
    frames = [-(-length // sizes.hop_length) for length in lengths]
    latents = torch.randn(len(lengths), 6, max(frames) + 1)
    with torch.no_grad():
        coded, sound = encoder(wav, lengths), decoder(latents, frames)
        for row, (length, count) in enumerate(zip(lengths, frames, strict=True)):
            alone = encoder(wav[row : row + 1, :, :length])
            assert alone.shape[-1] == count
            assert near(coded[row, :, :count], alone[0])
            alone = decoder(latents[row : row + 1, :, :count])
            assert alone.shape[-1] == count * sizes.hop_length
            assert near(sound[row, :, : alone.shape[-1]], alone[0])


@pytest.mark.parametrize("kind", KINDS)
def test_with_gradients_it_answers_the_same_and_every_weight_learns(kind: str) -> None:
    sizes = KINDS[kind]
    encoder, decoder = pair(sizes)
    wav, lengths = torch.randn(2, sizes.channels, 50), [50, 31]
    frames = [-(-length // sizes.hop_length) for length in lengths]
    with torch.no_grad():
        due = decoder(encoder(wav, lengths), frames)
    found = decoder(encoder(wav, lengths), frames)
    assert near(found, due)
    found.square().sum().backward()
    for part in (encoder, decoder):
        for name, weight in part.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_a_causal_codec_does_not_hear_the_future() -> None:
    """Save at the very start, whose padding mirrors the first seven frames."""
    encoder, decoder = pair(TINY)
    wav = torch.randn(1, 1, 90, requires_grad=True)
    encoder(wav)[0, :, 8].sum().backward()
    hop = TINY.hop_length
    assert wav.grad is not None
    assert wav.grad[0, 0, 8 * hop].abs() > 0
    assert not wav.grad[0, 0, 9 * hop :].any()
    latents = torch.randn(1, 6, 15, requires_grad=True)
    decoder(latents)[0, 0, 8 * hop].backward()
    assert latents.grad is not None
    assert latents.grad[0, :, 8].abs().sum() > 0
    assert not latents.grad[0, :, 9:].any()


def test_it_trains_under_weight_norm_and_folds_it_away() -> None:
    encoder, _ = pair(TINY)
    wav = torch.randn(2, 1, 50)
    with torch.no_grad():
        due = encoder(wav)
    add_weight_norm(encoder)
    encoder(wav).sum().backward()
    assert encoder.first.conv.parametrizations.weight.original0.grad is not None
    remove_weight_norm(encoder)
    with torch.no_grad():
        assert torch.allclose(encoder(wav), due, atol=1e-5)


def test_what_is_too_short_to_reflect_is_filled_with_zeros_first() -> None:
    """EnCodec's rule, by hand: 2 samples before a window of 7 that is causal."""
    layer = Convolution(1, 1, 7, causal=True)
    with torch.no_grad():
        found = layer(flat_image(torch.tensor([[[3.0, 5.0]]])))[0, 0, 0]
        # zeros to 7, reflected by 6, the five zeros cut off again at the end
        laid = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 3.0, 5.0])
        due = torch.nn.functional.conv1d(laid[None, None], layer.conv.weight, layer.conv.bias)
    assert torch.allclose(found, due[0, 0], atol=1e-6)
