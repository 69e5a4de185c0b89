"""The stage train-codec: its options, the codecs that it trains, recipes that use it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_recordings import RATE, TINY, recordings

import slmkit
from slmkit.api import MisfitError, OptionsError, Utterance
from slmkit.host import build, load_part
from slmkit.testing import check_part
from slmkit.training.codec_options import CodecTraining


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return recordings(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": {"mels": 1.0}}, "no 'mels'; there are: mel"),
        ({"weights": {"mel": -1.0}}, "below 0"),
        ({"augment": {"noises": 0.5}}, "there are: noise"),
        ({"mel_loss": "large"}, "none of small"),
        ({"adversary_loss": "wgan"}, "none of lsgan, hinge"),
        ({"lesson": "text"}, "none of features, units"),
        ({"adversary_start": 1.5}, "no share"),
        ({"betas": [0.9]}, "two decays"),
        ({"ema": 1.0}, "no decay"),
        ({"batch": 0}, "at least 1"),
        ({"own": -1}, "no number of dimensions"),
    ],
)
def test_options_that_are_none_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CodecTraining(**given)


def test_without_their_losses_there_are_no_adversaries() -> None:
    assert CodecTraining(steps=10).first_game == 5
    assert CodecTraining(steps=10, windows=[]).first_game == 10
    assert CodecTraining(steps=10, weights={"adversarial": 0, "feature": 0}).first_game == 10


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("speechtokenizer", TINY),
        ("speechtokenizer", {**TINY, "lstm_layers": 1, "ratios": [4, 4]}),
        ("encodec", {**TINY, "variant": "16khz", "books": 3}),
        ("encodec", {**TINY, "variant": "16khz", "lstm_layers": 1, "causal": False}),
    ],
)
def test_small_ones_keep_the_laws(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    check_part("tokenizer", name, tmp_path, values)


def test_the_default_sizes_are_small_enough() -> None:
    """At most 6M parameters, and 12 MB in half precision with the codebooks."""
    from slmkit.recipe.resolve import resolve

    recipes = Path(__file__).parent.parent / "recipes"
    for name in ("speechtokenizer", "encodec"):
        for profile in (None, "recorded"):
            given = ["corpus.manifest=x"] if profile else []
            slot = resolve(recipes / f"{name}.yaml", profile, given).slots["tokenizer"]
            part = slot.shelved.load()(slot.options)
            weights = sum(p.numel() for p in part.parameters())
            assert weights <= 6e6
            assert 2 * (weights + part.codec.quantizer.entries.numel()) <= 12e6
            assert (part.spec.sample_rate, part.spec.frame_rate) == (16000, 50.0)
            assert part.spec.codebooks == 8


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("speechtokenizer", {"filters": 8, "weights": "x.pt"}, "filters: of a model without files"),
        ("speechtokenizer", {"filters": 0}, "at least 1"),
        ("encodec", {"filters": 8}, "filters: of variant=16khz alone"),
        ("encodec", {"variant": "16khz", "weights": "x"}, "no published weights"),
        ("encodec", {"variant": "16khz", "entries": 0}, "at least 1"),
        ("hubert-km", {"teaches": "all"}, "'layer' or 'mean'"),
    ],
)
def test_sizes_that_are_none_are_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        build("tokenizer", name, values)


RECIPE = """\
name: t
parts:
  corpus: {{part: manifest, manifest: {manifest}}}
  tokenizer: {{part: speechtokenizer, filters: 4, width: 12, entries: 16, lstm_layers: 0}}
  judge: {{kind: transcriber, part: ctc, width: 16, layers: 1}}
  units: {{kind: tokenizer, part: mel-km, clusters: 8}}
stages:
  prepare: {{stage: prepare}}
  codec:
    stage: train-codec
    needs: [prepare]
    teacher: judge
    steps: 4
    batch: 2
    crop: 0.2
    windows: [256]
    adversary_start: 0.5
"""


@pytest.fixture
def recipe(utterances: list[Utterance], tmp_path: Path) -> Path:
    rows = [
        {"id": u.id, "audio": str(u.audio), "speaker": u.speaker, "text": "a",
         "split": "dev" if n == 0 else "train"}
        for n, u in enumerate(utterances)
    ]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "t.yaml"
    path.write_text(RECIPE.format(manifest=tmp_path / "m.jsonl"))
    return path


def test_a_trained_codec_codes_like_any_other(recipe: Path, tmp_path: Path) -> None:
    done = slmkit.run(recipe, output=tmp_path / "run")
    tokenizer = load_part(done.paths["codec"] / "tokenizer")
    wav = torch.sin(torch.arange(RATE) / 9.0)[None] * 0.3
    codes = tokenizer.encode(wav, torch.tensor([RATE]))
    assert codes.values.shape == (1, 8, 50)
    assert tokenizer.decode(codes)[0].shape == (1, RATE)
    saved = torch.load(done.paths["codec"] / "last.ckpt", weights_only=True)
    assert "lesson.transform.weight" in saved["state_dict"]
    assert not any("teacher" in name for name in saved["state_dict"])


def test_units_can_be_the_lesson(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text().replace(
        "  codec:\n", "  fit: {stage: fit, slot: units, needs: [prepare]}\n  codec:\n"
    )
    text = text.replace("needs: [prepare]\n    teacher: judge", "needs: [fit]\n    teacher: units")
    recipe.write_text(text + "    lesson: units\n")
    done = slmkit.run(recipe, output=tmp_path / "run")
    saved = torch.load(done.paths["codec"] / "last.ckpt", weights_only=True)
    assert saved["state_dict"]["lesson.project.weight"].shape == (8, 12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["codec.teacher=units"], "teaches=True, and tokenizer 'mel-km'"),
        (["codec.teacher=tokenizer", "codec.lesson=units"], "codebooks=1, and tokenizer"),
        (["tokenizer={part: mel-km}"], "learns=True, and tokenizer 'mel-km'"),
    ],
)
def test_a_recipe_that_cannot_teach_is_refused_before_any_work(
    recipe: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    text = recipe.read_text()
    if overrides[0].startswith("tokenizer="):
        old = "{part: speechtokenizer, filters: 4, width: 12, entries: 16, lstm_layers: 0}"
        recipe.write_text(text.replace(old, "{part: mel-km}"))
        overrides = []
    with pytest.raises(MisfitError, match=message):
        slmkit.run(recipe, overrides=overrides, output=tmp_path / "run")
    assert not (tmp_path / "run" / "stages").exists()


DYING = """\
import os, signal, sys
import slmkit
from slmkit.training import crops, trainer

trainer.CHECKPOINT_EVERY_S = 0.0
real = crops.CropsOfSteps.__getitem__

def dies(self, step):
    if step == 4 and "die" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, step)

crops.CropsOfSteps.__getitem__ = dies
slmkit.run(sys.argv[1], output=sys.argv[2], overrides=["codec.steps=6"])
"""


@pytest.mark.slow
def test_a_killed_stage_goes_on(recipe: Path, tmp_path: Path) -> None:
    program = tmp_path / "dying.py"
    program.write_text(DYING)

    def start(output: str, *words: str) -> int:
        line = [sys.executable, str(program), str(recipe), str(tmp_path / output), *words]
        return subprocess.run(line, capture_output=True, check=False).returncode

    assert start("whole") == 0
    assert start("broken", "die") == -9
    assert start("broken") == 0
    found = [
        load_part(next((tmp_path / name / "stages").glob("codec-*")) / "tokenizer").state_dict()
        for name in ("whole", "broken")
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_twin_recipes_differ_in_the_distillation_alone() -> None:
    """And in the dimensions that what is taught has to itself, by which its latents are wider."""
    import yaml

    folder = Path(__file__).parent.parent / "recipes"
    taught, twin = (
        yaml.safe_load((folder / f"{name}.yaml").read_text())
        for name in ("speechtokenizer", "encodec")
    )
    for path in ((), ("profiles", "recorded"), ("profiles", "smoke")):
        one, other = taught, twin
        for key in path:
            one, other = one[key], other[key]
        assert one["parts"].get("corpus") == other["parts"].get("corpus")
        sizes = {"filters", "width", "lstm_layers", "entries", "ratios"}
        one_sizes, other_sizes = (
            {k: v for k, v in each["parts"].get("tokenizer", {}).items() if k in sizes}
            for each in (one, other)
        )
        own = dict(one["stages"].get("codec", {}))
        wider = own.pop("own", 0)
        if not path:
            one_sizes["width"] -= wider
        assert one_sizes == other_sizes
        for only_taught in ("teacher", "needs"):
            own.pop(only_taught, None)
        weights = {k: v for k, v in own.pop("weights", {}).items() if k != "distill"}
        due = dict(other["stages"].get("codec", {}))
        due.pop("needs", None)
        assert ({**own, "weights": weights} if weights else own) == due
    parts = [
        build("tokenizer", each["parts"]["tokenizer"]["part"],
              {k: v for k, v in each["parts"]["tokenizer"].items() if k != "part"})
        for each in (taught, twin)
    ]  # fmt: skip
    wider = taught["stages"]["codec"]["own"]
    narrowed = replace(parts[0].codec.sizes, width=parts[0].codec.sizes.width - wider)
    assert narrowed == parts[1].codec.sizes
