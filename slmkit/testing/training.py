"""The laws of tokenizers that can be trained on and moved. Letters: b (batch), n (sample)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from slmkit.api import MisfitError, Tokenizer
from slmkit.testing.tally import Tally

TOLERANCE = 1e-4
"""Of samples: with gradients the sums of floats may come out in another order."""


def gradient_laws(make: Callable[[], Tokenizer], wav: Tensor) -> None:
    """Waves [b, n] pass through as they do in `decode`, and every weight learns by it; what has no
    gradients says so. Raises AssertionError."""
    part = make()
    if type(part).reconstruct is Tokenizer.reconstruct:
        try:
            part.reconstruct(wav)
        except MisfitError:
            return
        raise AssertionError("a tokenizer without gradients must raise MisfitError")
    assert isinstance(part, nn.Module), "what passes gradients on is a torch Module"
    lengths = torch.full((len(wav),), wav.shape[1])
    decoded = part.decode(part.encode(wav, lengths))[0][:, : wav.shape[1]]
    pupil = part.requires_grad_(True)
    given = wav.clone().requires_grad_()
    made, commitment = pupil.reconstruct(given)
    assert made.shape == wav.shape, f"waves {tuple(wav.shape)} became copies {tuple(made.shape)}"
    apart = float((made - decoded).detach().abs().max())
    assert apart <= TOLERANCE, f"the copy with gradients is {apart:g} away from the decoded one"
    (made.square().mean() + commitment).backward()
    for name, weight in [("the wave", given), *pupil.named_parameters()]:
        assert weight.grad is not None, f"no gradient reaches {name}"
        assert bool(torch.isfinite(weight.grad).all()), f"{name} has a gradient that is no number"
        assert bool(weight.grad.any()), f"the gradient of {name} is zero everywhere"


def device_laws(make: Callable[[], Tokenizer], wav: Tensor, lengths: Tensor, tally: Tally) -> None:
    """A module takes all its tensors along when it is moved, and codes the same where it is.

    Without a GPU only the first can be seen. Raises AssertionError.
    """
    part = make()
    if not isinstance(part, nn.Module):
        return
    moved = _elsewhere(part, torch.device("meta"))
    left = [name for name, tensor in _tensors(moved) if tensor.device.type != "meta"]
    assert not left, (
        f"not moved with the tokenizer: {', '.join(left[:3])}; register them as buffers"
    )
    if torch.cuda.is_available():
        there = make()
        here = there.encode(wav, lengths)
        _elsewhere(there, torch.device("cuda"))
        found = there.encode(wav.to("cuda"), lengths.to("cuda"))
        assert found.values.device.type == "cuda", "codes stay where the wave lies"
        tally.compare(found.to("cpu"), here, "on the GPU")


def _elsewhere(module: nn.Module, device: torch.device) -> nn.Module:
    return module.to(device)


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Every tensor that modules hold, registered or not; but for what the older `weight_norm` of
    torch computes anew from its two halves at each call."""
    return [
        (f"{path}.{name}".lstrip("."), value)
        for path, one in module.named_modules()
        for name, value in [*vars(one).items(), *one._parameters.items(), *one._buffers.items()]
        if isinstance(value, Tensor) and f"{name}_g" not in one._parameters
    ]
