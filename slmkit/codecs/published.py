"""SEANet codecs as they are published: files read without running code, keys mapped to ours.

Three spellings of the same weights are read: Meta's (and SpeechTokenizer's, the same but for what
it adds), transformers', and either of weight norm's. Layers are numbered as in the published
Sequential, activations without weights included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from slmkit.api import WeightsError
from slmkit.codecs.seanet import SeanetSizes
from slmkit.codecs.weight_norm import fold

Named = tuple[Callable[..., object], str]
"""A class and the name that a pickle has for it."""
NAMED = 3
"""So many of the keys that differ stand in an error."""

RESPELT = (
    (re.compile(r"^(encoder|decoder)\.layers\."), r"\1.model."),
    (re.compile(r"\.(?:conv\.conv|convtr\.convtr|conv)\.(weight|bias|param)"), r".\1"),
    (re.compile(r"\.(?:conv|convtr)\.norm\."), ".norm."),
    (re.compile(r"^quantizer\.layers\.(\d+)\.codebook\."), r"quantizer.vq.layers.\1._codebook."),
)
"""From each published spelling to one: Meta's without its wrappers."""


def read_state(
    path: Path, under: str | None = None, known: Sequence[Named] = ()
) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a checkpoint, read without running code.

    `under` is the key that a checkpoint keeps them at, beside what else it holds; `known` are the
    classes that are let through besides tensors. Raises WeightsError.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file of weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(list(known)):
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{path}: not weights that can be read without running code: {reason}"
        ) from None
    state = held
    if under is not None:
        state = held.get(under) if isinstance(held, dict) else None
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        place = "" if under is None else f", under '{under}'"
        raise WeightsError(f"{path}: such a checkpoint holds tensors by their names alone{place}")
    return state


def published_names(sizes: SeanetSizes) -> dict[str, str]:
    """For each layer of `Encoder` and `Decoder`, by its name under `encoder.` or `decoder.`, where
    it stands in the published state, without wrappers."""
    names: dict[str, str] = {}

    def convolution(ours: str, theirs: str, activation: str | None) -> None:
        names[f"{ours}.conv"] = theirs
        if sizes.normed:
            names[f"{ours}.norm"] = f"{theirs}.norm"
        if sizes.snake and activation is not None:
            names[f"{ours}.before"] = activation

    def blocks(ours: str, theirs: str, at: int, first: int) -> None:
        for block in range(sizes.blocks):
            mine, place = f"{ours}.{first + block}", f"{theirs}.{at + block}"
            convolution(f"{mine}.inner", f"{place}.block.1", f"{place}.block.0")
            convolution(f"{mine}.outer", f"{place}.block.3", f"{place}.block.2")
            convolution(f"{mine}.shortcut", f"{place}.shortcut", None)

    count = len(sizes.ratios)
    convolution("encoder.first", "encoder.model.0", None)
    for stage in range(count):
        at = 1 + stage * (sizes.blocks + 2)
        blocks(f"encoder.stages.{stage}", "encoder.model", at, 0)
        place = at + sizes.blocks
        mine = f"encoder.stages.{stage}.{sizes.blocks}"
        convolution(mine, f"encoder.model.{place + 1}", f"encoder.model.{place}")
    at = 1 + count * (sizes.blocks + 2)
    names["encoder.lstm.lstm"] = f"encoder.model.{at}.lstm"
    convolution("encoder.last", f"encoder.model.{at + 2}", f"encoder.model.{at + 1}")
    convolution("decoder.first", "decoder.model.0", None)
    names["decoder.lstm.lstm"] = "decoder.model.1.lstm"
    for stage in range(count):
        at = 2 + stage * (sizes.blocks + 2)
        convolution(f"decoder.stages.{stage}.0", f"decoder.model.{at + 1}", f"decoder.model.{at}")
        blocks(f"decoder.stages.{stage}", "decoder.model", at + 2, 1)
    at = 2 + count * (sizes.blocks + 2)
    convolution("decoder.last", f"decoder.model.{at + 1}", f"decoder.model.{at}")
    return names


def from_published(
    state: Mapping[str, Tensor], sizes: SeanetSizes, codebooks: int
) -> dict[str, Tensor]:
    """A published state under our names: `encoder.`, `decoder.`, `quantizer.`, and what is left
    under its own. A codebook that is missing is left out, for whoever loads to refuse.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, spelling in RESPELT:
            name = pattern.sub(spelling, name)
        plain[name] = tensor
    plain = fold(plain)
    found: dict[str, Tensor] = {}
    for ours, theirs in published_names(sizes).items():
        for name in [name for name in plain if name.startswith(theirs + ".")]:
            rest = name.removeprefix(theirs + ".")
            if "." not in rest:
                tensor = plain.pop(name)
                found[f"{ours}.{rest}"] = tensor.flatten() if rest == "alpha" else tensor
    for ours, theirs in CODEBOOK.items():
        names = [f"quantizer.vq.layers.{book}._codebook.{theirs}" for book in range(codebooks)]
        if all(name in plain for name in names):
            books = [plain.pop(name) for name in names]
            # whether it is ready is published as one number in a list
            found[f"quantizer.{ours}"] = (torch.cat if ours == "ready" else torch.stack)(books)
    return {**found, **plain}


CODEBOOK = {"entries": "embed", "sums": "embed_avg", "counts": "cluster_size", "ready": "inited"}
"""Our names for a codebook's tensors, and the published ones."""


def load_checked(module: nn.Module, state: Mapping[str, Tensor], where: str, hint: str) -> None:
    """Load a state that must fit key by key and shape by shape.

    Raises WeightsError, which names the first differences and what they are likely to come from.
    """
    due = module.state_dict()
    differ = [f"lacks {name}" for name in due if name not in state]
    differ += [f"holds {name}, which has no place" for name in state if name not in due]
    differ += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(due[name].shape)}"
        for name in due
        if name in state and state[name].shape != due[name].shape
    ]
    if differ:
        more = f" and {len(differ) - NAMED} more" if len(differ) > NAMED else ""
        raise WeightsError(f"{where}: {'; '.join(differ[:NAMED])}{more}; {hint}")
    module.load_state_dict(state)
