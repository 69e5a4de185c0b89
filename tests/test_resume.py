"""A training that was killed ends with the very weights of one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from toy_plugin import outside, toys  # noqa: F401

from slmkit.api import UnknownNameError
from slmkit.recipe.engine import run

RECIPE = """\
name: t
parts: {corpus: {part: toy}}
stages:
  train: {stage: train}
"""


@pytest.fixture
def folder(toys) -> Path:  # noqa: F811
    (toys / "t.yaml").write_text(RECIPE)
    return toys


def command(folder: Path, output: str, *overrides: str) -> list[str]:
    code = "import typer; from slmkit.cli.run import run; typer.run(run)"
    return [sys.executable, "-c", code, "t.yaml", "--output", output, *overrides]


def start(folder: Path, output: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, output, *overrides),
        cwd=folder,
        env=outside(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def weights(folder: Path, output: str) -> dict[str, torch.Tensor]:
    return torch.load(next((folder / output).glob("stages/train-*/weights.pt")))


def record(folder: Path, output: str) -> dict:
    return json.loads(next((folder / output).glob("stages/train-*/stage.json")).read_text())


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


class TestKill:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "overrides",
        [
            ["train.die_at=7"],
            ["train.die_at=9", "trainer.accumulate_grad_batches=3"],
            ["train.die_at=7", "train.module=rivals"],
            ["train.die_after=true", "train.twice=true"],
            ["train.die_at=9", "train.workers=2", "train.pause=0.2"],
            ["train.die_at=7", "trainer.val_check_interval=2"],
            ["train.die_at=7", "train.every=1000"],
        ],
        ids=lambda overrides: ",".join(overrides),
    )
    def test_a_killed_training_ends_as_an_unbroken_one(self, folder, overrides):
        whole = [o for o in overrides if "die_" not in o]
        # dying is an option, hence another fingerprint; the weights are the same nonetheless
        run("t.yaml", overrides=whole, output="whole")
        killed = start(folder, "broken", *overrides)
        assert killed.returncode == -signal.SIGKILL
        assert record(folder, "broken")["status"] == "running"
        again = start(folder, "broken", *overrides)
        assert again.returncode == 0, again.stderr
        assert "train (goes on)" in again.stderr
        assert record(folder, "broken")["attempts"] == 2
        assert_equal(weights(folder, "whole"), weights(folder, "broken"))

    @pytest.mark.slow
    def test_killed_at_any_moment(self, folder):
        """From outside, at moments that nobody chose."""
        slow = ["train.steps=30", "train.pause=0.05"]
        run("t.yaml", overrides=slow, output="whole")
        for wait in (0.1, 0.5, 0.9):
            process = subprocess.Popen(
                command(folder, "broken", *slow),
                cwd=folder,
                env=outside(folder),
                stderr=subprocess.PIPE,
                text=True,
            )
            place = folder / "broken"
            end = time.monotonic() + 60
            while not list(place.glob("stages/train-*/last.ckpt")) and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(wait)
            process.kill()
            process.communicate()
        done = start(folder, "broken", *slow)
        assert done.returncode == 0, done.stderr
        assert_equal(weights(folder, "whole"), weights(folder, "broken"))

    @pytest.mark.slow
    def test_ctrl_c_in_training_ends_with_130_and_goes_on(self, folder):
        slow = ["train.steps=100", "train.pause=0.05"]
        process = subprocess.Popen(
            command(folder, "broken", *slow),
            cwd=folder,
            env=outside(folder),
            stderr=subprocess.PIPE,
            text=True,
        )
        while not list((folder / "broken").glob("stages/train-*/last.ckpt")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        # a crowded machine may not get that far in the seconds that it has, and is ended
        if "interrupted; run the same command again" in errors:
            assert record(folder, "broken")["status"] == "running"
        else:
            assert "interrupted in stage 'train'" in errors
            assert record(folder, "broken")["status"] == "interrupted"
        done = start(folder, "broken", *slow)
        assert done.returncode == 0, done.stderr


class TestDevices:
    @pytest.mark.slow
    def test_two_devices_are_a_line(self, folder):
        """Two processes on the CPU; the leader goes on alone, and trains again."""
        program = folder / "program.py"
        program.write_text("import typer; from slmkit.cli.run import run; typer.run(run)")
        two = ["trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=ddp"]
        (folder / "t.yaml").write_text(RECIPE + "  more: {stage: train, steps: 3, twice: true}\n")
        done = subprocess.run(
            [sys.executable, str(program), "t.yaml", *two],
            cwd=folder,
            env=outside(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("GLOBAL_RANK: 1") == 3
        assert len(list(folder.glob("runs/t/stages/*/weights.pt"))) == 2
        told = json.loads((folder / "runs/t/run.json").read_text())
        assert [stage["attempts"] for stage in told["stages"]] == [1, 1]
        place = torch.load(next(folder.glob("runs/t/stages/train-*/last.ckpt")), weights_only=True)[
            "callbacks"
        ]["Place"]
        assert place == {"batches": 12}


class TestTrainer:
    def test_the_recipe_wins_over_the_stage(self, folder):
        result = run("t.yaml", trainer={"max_steps": 2})
        checkpoint = torch.load(result.paths["train"] / "last.ckpt", weights_only=True)
        assert checkpoint["global_step"] == 2

    def test_other_seeds_give_other_weights(self, folder):
        one = run("t.yaml", output="one")
        other = run("t.yaml", output="other", seed=1)
        same = run("t.yaml", output="same")
        read = [torch.load(r.paths["train"] / "weights.pt") for r in (one, other, same)]
        assert not torch.equal(read[0]["net.0.weight"], read[1]["net.0.weight"])
        assert_equal(read[0], read[2])

    def test_logs_are_left_for_tensorboard(self, folder):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        logs = EventAccumulator(str(run("t.yaml").paths["train"] / "tensorboard")).Reload()
        assert len(logs.Scalars("loss")) == 12
        assert len(logs.Scalars("dev_loss")) >= 5

    def test_it_is_silent(self, folder, capfd):
        run("t.yaml")
        told = capfd.readouterr()
        assert told.out == ""
        shown = [line for line in told.err.splitlines() if not line.startswith(("t:", "["))]
        assert [line.split(":")[0] for line in shown] == ["runs/t", "report"]

    def test_unknown_arguments(self, folder):
        from slmkit.training.trainer import make_trainer

        class Context:
            folder, seed, trainer = Path("x"), 0, {"max_step": 3}

        with pytest.raises(UnknownNameError, match="'max_step'; did you mean max_steps"):
            make_trainer(Context())

    def test_batches_must_be_whole(self, folder):
        from torch.utils.data import DataLoader
        from toy_training import Plain

        from slmkit.training.trainer import make_trainer

        class Context:
            folder, seed, trainer = Path("x"), 0, {}

        with pytest.raises(TypeError, match="batch_size=None"):
            make_trainer(Context(), max_steps=1).fit(Plain(), DataLoader([1, 2], batch_size=2))
