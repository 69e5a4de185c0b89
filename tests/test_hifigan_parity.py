"""fairseq's CodeHiFiGAN, recomputed: every layer from a config's numbers, and what a unit reaches.

Nothing here asks slmkit's network how it is built; the numbers are those of a config.json.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lively import enliven

from slmkit.api import CodeSpec
from slmkit.host import build

PUBLISHED = json.loads((Path(__file__).parent / "reference/code_hifigan_config.json").read_text())
SMALL = {
    **PUBLISHED,
    "num_embeddings": 20,
    "embedding_dim": 24,
    "model_in_dim": 24,
    "upsample_initial_channel": 96,
    "dur_predictor_params": {
        "encoder_embed_dim": 24,
        "var_pred_hidden_dim": 40,
        "var_pred_kernel_size": 3,
        "var_pred_dropout": 0.5,
    },
}
CONFIGS: dict[str, dict[str, Any]] = {
    "one voice, as published": PUBLISHED,
    "one voice": SMALL,
    "a table": {**SMALL, "multispkr": "from_input_file", "num_speakers": 7, "model_in_dim": 48},
    "a table of fairseq's default size": {**SMALL, "multispkr": "_", "model_in_dim": 48},
    "an embedder": {
        **SMALL,
        "multispkr": "from_input_file",
        "embedder_params": {"embedder_dim": 12},
        "model_in_dim": 48,
    },
    "other rates and blocks": {
        **SMALL,
        "upsample_rates": [8, 5, 4, 4],
        "upsample_kernel_sizes": [16, 11, 8, 4],
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3], [1, 2, 4]],
        "code_hop_size": 640,
    },
}


def layers(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the generator's state."""
    width, channels = config["embedding_dim"], config["upsample_initial_channel"]
    hidden = config["dur_predictor_params"]["var_pred_hidden_dim"]
    reach = config["dur_predictor_params"]["var_pred_kernel_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "dict.weight": (config["num_embeddings"], width),
        "dur_predictor.conv1.0.weight": (hidden, width, reach),
        "dur_predictor.conv2.0.weight": (hidden, hidden, reach),
        "dur_predictor.proj.weight": (1, hidden),
        "dur_predictor.proj.bias": (1,),
    }
    for name in ("conv1.0", "conv2.0", "ln1", "ln2"):
        shapes[f"dur_predictor.{name}.bias"] = (hidden,)
    for name in ("ln1", "ln2"):
        shapes[f"dur_predictor.{name}.weight"] = (hidden,)
    if config.get("multispkr") and config.get("embedder_params"):
        shapes["spkr.weight"] = (width, config["embedder_params"]["embedder_dim"])
        shapes["spkr.bias"] = (width,)
    elif config.get("multispkr"):
        shapes["spkr.weight"] = (config.get("num_speakers", 200), width)

    def convolution(name: str, *shape: int, outputs: int) -> None:
        """The norm runs over all but the first dimension: g has that one alone."""
        shapes[f"{name}.weight_v"], shapes[f"{name}.weight_g"] = shape, (shape[0], 1, 1)
        shapes[f"{name}.bias"] = (outputs,)

    convolution("conv_pre", channels, config["model_in_dim"], 7, outputs=channels)
    block = 0
    for stage, kernel in enumerate(config["upsample_kernel_sizes"]):
        convolution(f"ups.{stage}", channels, channels // 2, kernel, outputs=channels // 2)
        channels //= 2
        sizes = zip(config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True)
        for size, dilations in sizes:
            for part in ("convs1", "convs2"):
                for pair in range(len(dilations)):
                    name = f"resblocks.{block}.{part}.{pair}"
                    convolution(name, channels, channels, size, outputs=channels)
            block += 1
    convolution("conv_post", 1, channels, 7, outputs=1)
    return shapes


def heard(config: dict[str, Any], sample: int) -> tuple[int, int]:
    """The first and the last frame that a sample can hear of, were the utterance without end."""
    first, last = sample - 3, sample + 3
    stages = zip(config["upsample_rates"], config["upsample_kernel_sizes"], strict=True)
    for rate, kernel in reversed(list(stages)):
        blocks = zip(
            config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True
        )
        widest = max(sum((d + 1) * (size - 1) // 2 for d in ds) for size, ds in blocks)
        first, last, cut = first - widest, last + widest, (kernel - rate) // 2
        # frame i reaches from i * rate - cut over `kernel` samples
        first, last = math.ceil((first + cut - kernel + 1) / rate), math.floor((last + cut) / rate)
    return first - 3, last + 3


def make(config: dict[str, Any], folder: Path) -> Any:
    torch.manual_seed(0)
    file = folder / "given.json"
    file.write_text(json.dumps(config))
    hop = math.prod(config["upsample_rates"])
    spec = CodeSpec(16000, hop, (config["num_embeddings"],))
    return build("vocoder", "unit-hifigan", {"config": str(file)}, spec=spec)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_saved_state_has_every_layer_and_no_other(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    vocoder = make(config, tmp_path)
    vocoder.save_fairseq(tmp_path)
    checkpoint = torch.load(tmp_path / "g_00000000", weights_only=True)
    assert list(checkpoint) == ["generator"]
    state = checkpoint["generator"]
    assert {each: tuple(tensor.shape) for each, tensor in state.items()} == layers(config)
    weights = vocoder.generator.state_dict()
    for each in [each.removesuffix("_v") for each in state if each.endswith("weight_v")]:
        v, g = state[f"{each}_v"].double(), state[f"{each}_g"].double()
        rows = torch.stack([g[i] * v[i] / v[i].square().sum().sqrt() for i in range(len(v))])
        torch.testing.assert_close(rows.float(), weights[each])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_saved_config_says_the_same(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    make(config, tmp_path).save_fairseq(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert layers(saved) == layers(config)
    for key in (
        "upsample_rates",
        "upsample_kernel_sizes",
        "resblock_kernel_sizes",
        "resblock_dilation_sizes",
        "resblock",
        "code_hop_size",
        "model_in_dim",
        "sampling_rate",
    ):
        assert saved[key] == config[key], key
    assert bool(saved.get("multispkr")) == bool(config.get("multispkr"))


@pytest.mark.parametrize("name", ["one voice", "a table", "other rates and blocks"])
def test_a_unit_moves_the_samples_that_can_hear_it(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    generator = make(config, tmp_path).generator.double()
    enliven(generator)
    generator.conv_post.weight.data /= 4
    speaker = torch.tensor([1]) if config.get("num_speakers") else None
    # so loud that it is heard through the outermost taps of some forty layers, 1e-30 and less
    generator.dict.weight.data[19] *= 1e60
    frames, hop = 56, math.prod(config["upsample_rates"])
    units = torch.randint(0, 19, (1, frames))
    ranges = [heard(config, sample) for sample in range(frames * hop)]
    with torch.inference_mode():
        before = generator.eval()(units, speaker)[0]
        for changed in (0, 27, frames - 1):
            other = units.clone()
            other[0, changed] = 19
            moved = (generator(other, speaker)[0] != before).nonzero()[:, 0]
            able = [n for n, (first, last) in enumerate(ranges) if first <= changed <= last]
            assert moved.tolist() == able


def test_the_published_field_is_40_frames_wide() -> None:
    """What docs/vocoders.md says: a sample hears 20 frames to either side of its own, or 21."""
    spans = [heard(PUBLISHED, 100 * 320 + offset) for offset in range(320)]
    assert {100 - first for first, _ in spans} == {20, 21}
    assert {last - 100 for _, last in spans} == {20, 21}
    assert {last - first for first, last in spans} == {40, 41}
