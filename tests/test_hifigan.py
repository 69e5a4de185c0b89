"""unit-hifigan: published layout, batches, durations, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from slmkit_hifigan.fairseq import load_generator, save_generator, sizes_of_config
from torch import nn

from slmkit.api import Codes, CodeSpec, MisfitError, WeightsError
from slmkit.codecs.hifigan import DurationPredictor, HifiGanSizes, UnitHifiGan
from slmkit.codecs.weight_norm import (
    add_weight_norm,
    convolution_weights,
    fold,
    remove_weight_norm,
    unfold,
)
from slmkit.host import build

REFERENCE = Path(__file__).parent / "reference"
SPEC = CodeSpec(16000, 320, (20,), deduplicated=True)
SMALL = {
    "embedding_dim": 16,
    "upsample_rates": [8, 5, 8],
    "upsample_kernel_sizes": [16, 11, 16],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilations": [1, 3],
}


def published_config() -> dict[str, object]:
    """What the config.json of mHuBERT's vocoder says of its network."""
    return json.loads((REFERENCE / "code_hifigan_config.json").read_text())


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Path]:
    """A config of the published shape, and a checkpoint of the published keys, random."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(published_config()))
    shapes = json.loads((REFERENCE / "code_hifigan_keys.json").read_text())
    torch.manual_seed(0)
    state = {name: torch.randn(shape) * 0.05 for name, shape in shapes.items()}
    checkpoint = tmp_path / "g_00500000"
    torch.save({"generator": state}, checkpoint)
    return config, checkpoint


def vocoder(seed: int = 0, **options: object) -> object:
    torch.manual_seed(seed)
    return build("vocoder", "unit-hifigan", {**SMALL, **options}, spec=SPEC).eval()


def test_the_published_checkpoint_loads_key_by_key_and_is_used_whole(published) -> None:
    config, checkpoint = published
    loaded = build(
        "vocoder",
        "unit-hifigan",
        {"config": str(config), "weights": str(checkpoint)},
        spec=CodeSpec(16000, 320, (1000,)),
    )
    state = torch.load(checkpoint, weights_only=True)["generator"]
    v, g = state["ups.0.weight_v"], state["ups.0.weight_g"]
    # of a transposed convolution the norm runs over each *input* channel
    expected = torch.stack([g[i] * v[i] / v[i].norm() for i in range(len(v))])
    torch.testing.assert_close(loaded.generator.ups[0].weight, expected)
    assert sum(p.numel() for p in loaded.generator.parameters()) == sum(
        tensor.numel() for name, tensor in state.items() if not name.endswith("weight_g")
    )


@pytest.mark.parametrize("fault", ["missing", "unexpected", "shape", "pickle", "no-generator"])
def test_a_checkpoint_that_does_not_fit_is_refused(published, tmp_path: Path, fault: str) -> None:
    config, checkpoint = published
    content: object = torch.load(checkpoint, weights_only=True)
    state = content["generator"]
    if fault == "missing":
        del state["conv_pre.bias"]
    elif fault == "unexpected":
        state["f0_encoder.weight"] = torch.zeros(1)
    elif fault == "shape":
        state["conv_post.bias"] = torch.zeros(2)
    elif fault == "pickle":
        content = {"generator": state, "code": Path("/")}
    else:
        content = state
    torch.save(content, checkpoint)
    generator = UnitHifiGan(sizes_of_config(config))
    with pytest.raises(WeightsError, match=str(checkpoint)):
        load_generator(generator, checkpoint)


def test_fairseq_layout_goes_out_and_comes_back(published, tmp_path: Path) -> None:
    config, checkpoint = published
    first, second = (UnitHifiGan(sizes_of_config(config)) for _ in range(2))
    load_generator(first, checkpoint)
    save_generator(first, tmp_path / "g_1")
    keys = torch.load(tmp_path / "g_1", weights_only=True)["generator"].keys()
    assert keys == torch.load(checkpoint, weights_only=True)["generator"].keys()
    load_generator(second, tmp_path / "g_1")
    units = torch.randint(0, 1000, (1, 4))
    torch.testing.assert_close(second(units), first(units))


def test_folding_agrees_with_torch() -> None:
    for conv in (nn.Conv1d(3, 4, 5), nn.ConvTranspose1d(3, 4, 5)):
        old = torch.nn.utils.weight_norm(conv)
        folded = fold(old.state_dict())
        torch.testing.assert_close(folded["weight"], old.weight.detach())
        again = fold(unfold(folded, {"weight"}))
        torch.testing.assert_close(again["weight"], folded["weight"])


def test_weight_norm_comes_and_goes_without_changing_the_sound() -> None:
    generator = vocoder().generator
    units = torch.randint(0, 20, (1, 6))
    before, names = generator(units), set(generator.state_dict())
    add_weight_norm(generator)
    torch.testing.assert_close(generator(units), before)
    remove_weight_norm(generator)
    assert set(generator.state_dict()) == names
    torch.testing.assert_close(generator(units), before)
    assert "conv_pre.weight" in convolution_weights(generator)


def test_the_receptive_field_is_what_the_layers_say() -> None:
    """Independent count: the reach, in frames, of one output sample through every layer."""
    sizes = HifiGanSizes(**{**published_sizes(), "num_embeddings": 20})
    generator = UnitHifiGan(sizes).eval()
    reach = 3.0  # conv_post, in samples
    rates = list(sizes.upsample_rates)
    for stage in reversed(range(len(rates))):
        widest = max(
            sum((k - 1) // 2 * d + (k - 1) // 2 for d in dilations)
            for k, dilations in zip(
                sizes.resblock_kernel_sizes, sizes.resblock_dilation_sizes, strict=True
            )
        )
        reach += widest
        kernel, rate = sizes.upsample_kernel_sizes[stage], rates[stage]
        reach = (reach + kernel - 1 - (kernel - rate) // 2) / rate
    frames = reach + 3  # conv_pre
    length = 2 * int(frames) + 9
    embedded = generator.dict.weight.detach()[torch.zeros(1, length, dtype=torch.long)]
    embedded.requires_grad_(True)
    generator.dict = _Given(embedded)  # type: ignore[assignment]
    middle = length // 2
    wav = generator(torch.zeros(1, length, dtype=torch.long))
    wav[0, middle * 320 + 160].backward()
    touched = embedded.grad[0].abs().sum(dim=-1).nonzero()[:, 0]
    assert middle - touched.min() <= frames + 1
    assert touched.max() - middle <= frames + 1
    assert touched.max() - touched.min() >= frames, "the field is not narrower than counted"


def published_sizes() -> dict[str, object]:
    config = published_config()
    names = ("upsample_rates", "upsample_kernel_sizes", "upsample_initial_channel",
             "resblock_kernel_sizes", "resblock_dilation_sizes")  # fmt: skip
    return {**{n: config[n] for n in names}, "upsample_initial_channel": 64, "embedding_dim": 8}


class _Given(nn.Module):
    def __init__(self, embedded: torch.Tensor) -> None:
        super().__init__()
        self.embedded = embedded

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        return self.embedded


def test_a_row_sounds_as_it_does_alone() -> None:
    speaker = vocoder()
    rows = [torch.randint(0, 20, (1, n)) for n in (3, 9, 17)]
    wav, lengths = speaker.synthesize(Codes.pad(rows, SPEC))
    for index, row in enumerate(rows):
        alone, length = speaker.synthesize(Codes.pad([row], SPEC))
        assert lengths[index] == length[0] == alone.shape[1]
        torch.testing.assert_close(wav[index, : lengths[index]], alone[0], atol=2e-6, rtol=1e-4)
        assert wav[index, lengths[index] :].abs().sum() == 0


def test_given_durations_are_kept_and_predicted_ones_are_at_least_one() -> None:
    speaker = vocoder()
    units, frames = torch.tensor([[1, 2, 3]]), torch.tensor([2, 1, 4])
    wav, lengths = speaker.synthesize(Codes.pad([units], SPEC, [frames]))
    assert lengths.tolist() == [7 * 320]
    whole = Codes.pad([torch.repeat_interleave(units, frames, dim=1)], CodeSpec(16000, 320, (20,)))
    torch.testing.assert_close(speaker.synthesize(whole)[0], wav)
    predicted = speaker.lasting(Codes.pad([units], SPEC)).durations
    assert (predicted >= 1).all()
    # near halves, not at them: processors differ in the last bit of exp
    lasting = torch.log(torch.tensor([0.2, 1.4, 3.4, 2.6]))
    assert DurationPredictor.frames(lasting).tolist() == [1, 1, 2, 2]


def test_a_voice_is_heard() -> None:
    speaker = vocoder(speaker_width=8)
    codes = Codes.pad([torch.tensor([[1, 2, 3]])], SPEC, [torch.tensor([2, 2, 2])])
    voices = torch.randn(2, 8)
    first, second = (speaker.synthesize(codes, voice[None])[0] for voice in voices)
    assert (first - second).abs().max() > 1e-6
    with pytest.raises(MisfitError, match="speaker"):
        speaker.synthesize(codes)


def test_what_does_not_fit_a_tokenizer_is_refused() -> None:
    with pytest.raises(MisfitError, match="frames have 640"):
        build("vocoder", "unit-hifigan", SMALL, spec=CodeSpec(16000, 640, (20,)))


def test_save_and_restore(tmp_path: Path) -> None:
    first, second = vocoder(0), vocoder(1)
    first.save(tmp_path)
    second.restore(tmp_path)
    codes = Codes.pad([torch.tensor([[1, 2, 3]])], SPEC)
    torch.testing.assert_close(second.synthesize(codes)[0], first.synthesize(codes)[0])
