"""Running recipes: what is kept, what runs again, how failures end, what a run leaves."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from toy_plugin import outside, toys  # noqa: F401

import slmkit
from slmkit.api import (
    BrokenPluginError,
    DataError,
    DiskFullError,
    MissingDependencyError,
    OptionsError,
    StageError,
    UnknownNameError,
)
from slmkit.recipe import source
from slmkit.recipe.engine import run
from slmkit.recipe.saved import load
from slmkit.recipe.watch import BarWatch, PlainWatch, default_watch, duration

pytestmark = pytest.mark.usefixtures("toys")

RECIPE = """\
name: r
parts:
  corpus: {part: toy}
  tokenizer: {part: toy}
  vocoder: {part: toy}
stages:
  prepare: {stage: write}
  fit-tokenizer: {stage: fit}
  refit: {stage: fit}
  voice: {stage: voice, needs: [prepare]}
  measure: {stage: measure, needs: [refit, voice]}
profiles:
  smoke: {stages: {prepare: {text: small}}}
"""
ALL = ("prepare", "fit-tokenizer", "refit", "voice", "measure")


class Lines(PlainWatch):
    """Keeps what it is told."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def recipe(toys) -> Path:  # noqa: F811
    path = toys / "r.yaml"
    path.write_text(RECIPE)
    return path


def calls(result) -> int:
    return len((result.paths["prepare"] / "calls.txt").read_text().splitlines())


def only_stage(how: str) -> Path:
    path = Path("f.yaml")
    path.write_text(
        "name: f\nparts: {corpus: {part: toy}, tokenizer: {part: toy}}\n"
        f"stages:\n  prepare: {{stage: write}}\n  broken: {{stage: fail, how: {how}}}\n"
    )
    return path


class TestKeeping:
    def test_a_second_run_does_nothing_and_says_so(self, recipe):
        first = run(recipe)
        assert first.ran == ALL
        watch = Lines()
        before = (first.folder / "run.json").read_text()
        second = run(recipe, watch=watch)
        assert second.ran == ()
        assert watch.lines == ["nothing to do: all 5 stages of runs/r done"]
        assert (first.folder / "run.json").read_text() == before
        assert calls(second) == 1

    def test_a_changed_stage_runs_again_with_all_below_and_nothing_else(self, recipe):
        run(recipe)
        assert run(recipe, overrides=["refit.slot=tokenizer"]).ran == ()
        assert run(recipe, overrides=["tokenizer.clusters=9"]).ran == (
            "fit-tokenizer",
            "refit",
            "measure",
        )
        assert run(recipe, overrides=["prepare.text=y"]).ran == ALL
        assert run(recipe, overrides=["seed=1"]).ran == ALL

    def test_going_back_finds_the_old_stages_and_tells_of_them(self, recipe):
        first = run(recipe)
        run(recipe, overrides=["tokenizer.clusters=9"])
        again = run(recipe)
        assert again.ran == ()
        assert again.paths == first.paths
        told = json.loads((again.folder / "run.json").read_text())
        assert [again.folder / s["folder"] for s in told["stages"]] == list(first.paths.values())

    def test_trainer_options_concern_only_stages_that_train(self, recipe):
        run(recipe)
        # write and measure say that they do not train; measure needs refit, which may
        assert run(recipe, trainer={"max_epochs": 3}).ran == ALL[1:]
        assert run(recipe, trainer={"max_epochs": 3, "log_every_n_steps": 2}).ran == ()

    def test_content_of_files_counts_and_their_time_does_not(self, recipe):
        Path("data.txt").write_text("one")
        assert run(recipe, corpus={"source": "data.txt"}).ran == ALL
        os.utime("data.txt", (1, 1))
        assert run(recipe, corpus={"source": "data.txt"}).ran == ()
        Path("data.txt").write_text("two")
        assert run(recipe, corpus={"source": "data.txt"}).ran == ("prepare", *ALL[1:])

    def test_profiles_have_folders_of_their_own(self, recipe):
        assert run(recipe, profile="smoke").folder == Path("runs/r-smoke")
        assert run(recipe, profile="default").folder == Path("runs/r")
        assert run(recipe, output="elsewhere").folder == Path("elsewhere")


class TestChoosing:
    def test_from_runs_a_stage_and_all_below_from_nothing(self, recipe):
        first = run(recipe)
        (first.paths["refit"] / "stray.txt").write_text("x")
        assert run(recipe, from_stage="refit").ran == ("refit", "measure")
        assert not (first.paths["refit"] / "stray.txt").exists()

    def test_force_runs_everything_anew(self, recipe):
        run(recipe)
        again = run(recipe, force=True)
        assert again.ran == ALL
        assert calls(again) == 1

    def test_only(self, recipe):
        with pytest.raises(StageError, match="'refit' needs 'prepare', 'fit-tokenizer', not done"):
            run(recipe, only="refit")
        assert run(recipe, only="prepare").ran == ("prepare",)
        watch = Lines()
        assert run(recipe, only="prepare", watch=watch).ran == ()
        assert watch.lines == ["nothing to do: 1 of 5 stages of runs/r done"]
        assert run(recipe, only="prepare", force=True).ran == ("prepare",)
        assert run(recipe).ran == ALL[1:]

    def test_dry_run_touches_nothing(self, recipe):
        watch = Lines()
        run(recipe, only="prepare")
        run(recipe, dry_run=True, watch=watch, overrides=["refit.slot=tokenizer"])
        assert "  prepare is done" in watch.lines[1]
        assert "  measure would run" in watch.lines[-1]
        run(recipe, dry_run=True, output="none")
        assert not Path("none").exists()

    def test_unknown_stages_and_contradictions(self, recipe):
        with pytest.raises(UnknownNameError, match="unknown stage 'refti'; did you mean refit"):
            run(recipe, from_stage="refti")
        with pytest.raises(UnknownNameError, match="unknown stage"):
            run(recipe, only="x")
        with pytest.raises(OptionsError, match="give one"):
            run(recipe, only="refit", from_stage="refit")

    def test_recipes_by_name_and_path(self, recipe, monkeypatch):
        monkeypatch.setattr("slmkit.recipe.shipped.shipped_recipes", lambda: {"good": recipe})
        assert run("good", dry_run=True).recipe.name == "r"
        Path("good").write_text(RECIPE.replace("name: r", "name: mine"))
        assert run("good", dry_run=True).recipe.name == "mine"
        with pytest.raises(UnknownNameError, match="unknown recipe 'goood'; did you mean good"):
            run("goood")
        with pytest.raises(DataError, match=r"a/good\.yaml: no such recipe file"):
            run("a/good.yaml")


class TestWhatARunLeaves:
    def test_records(self, recipe):
        result = run(recipe)
        record = json.loads((result.paths["refit"] / "stage.json").read_text())
        assert record["status"] == "done"
        assert record["fingerprint"].startswith(result.paths["refit"].name.split("-")[-1])
        assert record["made_of"]["slots"]["tokenizer"]["options"]["clusters"] == 8
        assert record["made_of"]["needs"].keys() == {"fit-tokenizer"}
        assert record["peak_memory"] > 10e6
        assert result.stages["refit"].attempts == 1

        told = json.loads((result.folder / "run.json").read_text())
        assert told["status"] == "done"
        assert [stage["stage"] for stage in told["stages"]] == list(ALL)
        assert told["recipe"]["parts"]["tokenizer"]["clusters"] == 8
        assert {"python", "torch", "slmkit"} <= told["versions"].keys()
        assert told["machine"]["cores"] >= 1

        rows = json.loads((result.folder / "results.json").read_text())
        assert rows == [
            {
                "metric": "wer",
                "split": "test",
                "value": 1.0,
                "low": 0.5,
                "high": 1.5,
                "n": 10,
                "unit": "%",
                "direction": "lower",
            }
        ]
        assert result.results[0].value == 1.0

    def test_fitted_parts_come_from_the_nearest_stage_above(self, recipe):
        result = run(recipe)
        saved = load(result.folder)
        assert saved.part("tokenizer").learnt == 2
        assert saved.part("vocoder").learnt == 5
        assert saved.part("vocoder").spec.codebook_sizes == (8,)
        assert (
            json.loads((result.paths["fit-tokenizer"] / "tokenizer/learnt.json").read_text()) == 1
        )
        assert saved.path("measure") == result.paths["measure"]
        assert saved.results == result.results
        with pytest.raises(UnknownNameError, match="tokenizer"):
            saved.part("tokeniser")
        with pytest.raises(UnknownNameError, match="finished stage"):
            saved.path("nothing")

    def test_slots_under_other_names_get_folders_of_their_own(self, recipe):
        text = RECIPE.replace("stages:", "  baseline: {kind: vocoder, part: toy}\nstages:", 1)
        text = text.replace(
            "  measure:", "  other: {stage: voice, slots: {vocoder: baseline}}\n  measure:"
        )
        recipe.write_text(text)
        result = run(recipe)
        assert (result.paths["other"] / "baseline" / "part.json").exists()
        assert not (result.paths["other"] / "vocoder").exists()
        assert load(result.folder).part("baseline").learnt == 5

    def test_loading_what_is_no_run(self, toys):  # noqa: F811
        with pytest.raises(DataError, match="is this the folder of a run"):
            slmkit.load(toys)
        (toys / "run.json").write_text("{}")
        (toys / "results.json").write_text("[]")
        with pytest.raises(DataError, match="not the record of a run"):
            slmkit.load(toys)

    def test_sounds_are_found(self, recipe):
        result = run(recipe)
        (result.paths["measure"] / "sounds").mkdir()
        (result.paths["measure"] / "sounds" / "a.wav").write_bytes(b"")
        assert [f.name for f in run(recipe).audio["measure"]] == ["a.wav"]

    def test_a_stage_draws_the_same_alone_and_after_others(self, toys):  # noqa: F811
        head = "name: s\nparts: {}\nstages:\n  a: {stage: seeded}\n"
        for name, text in [("one", head), ("two", head + "  b: {stage: seeded, needs: []}\n")]:
            Path(f"{name}.yaml").write_text(text)
        alone = run("one.yaml", output="one").paths["a"]
        both = run("two.yaml", output="two").paths
        drawn = [(path / "drawn.txt").read_text() for path in (alone, both["a"], both["b"])]
        assert drawn[0] == drawn[1] == drawn[2]


class TestFailures:
    def test_an_error_of_a_stage(self, toys):  # noqa: F811
        recipe = only_stage("ValueError")
        with pytest.raises(StageError) as caught:
            run(recipe)
        assert caught.value.exit_code == 1
        log = next(Path("runs/f/stages").glob("broken-*")) / "error.log"
        assert str(caught.value) == (
            f"stage 'broken' failed: ValueError: no such luck (traceback in {log})"
        )
        assert "Traceback" in log.read_text()
        assert "toy_plugin.py" in log.read_text()
        assert json.loads((log.parent / "stage.json").read_text())["status"] == "failed"
        assert json.loads(Path("runs/f/run.json").read_text())["status"] == "failed"
        # the stage before it stays done, the broken one is entered again in its folder
        again = run(only_stage("data"), dry_run=True)
        assert list(again.stages) == ["prepare"]
        watch = Lines()
        with pytest.raises(StageError):
            run(only_stage("ValueError"), watch=watch)
        assert "[2/2] broken (goes on)" in watch.lines
        assert (log.parent / "half.txt").exists()

    def test_errors_of_ours_stay_what_they_are(self, toys):  # noqa: F811
        with pytest.raises(DataError, match=r"^the manifest is empty$") as caught:
            run(only_stage("data"))
        assert caught.value.exit_code == 2

    def test_a_full_disk_says_what_to_free(self, toys):  # noqa: F811
        old = Path("runs/f/stages/prepare-00000000")
        old.mkdir(parents=True)
        (old / "big.bin").write_bytes(b"x" * 2_000_000)
        with pytest.raises(DiskFullError) as caught:
            run(only_stage("disk"))
        assert caught.value.exit_code == 2
        assert "stage 'broken' stopped: the disk that holds" in str(caught.value)
        assert f"{old} (2.0 MB)" in str(caught.value)
        assert "goes on where it stopped" in str(caught.value)

    def test_a_stage_that_exits_does_not_end_the_program(self, toys):  # noqa: F811
        with pytest.raises(StageError, match="SystemExit: 3"):
            run(only_stage("exit"))

    def test_an_interrupt_is_recorded(self, toys):  # noqa: F811
        with pytest.raises(KeyboardInterrupt, match="in stage 'broken'"):
            run(only_stage("interrupt"))
        folder = next(Path("runs/f/stages").glob("broken-*"))
        assert json.loads((folder / "stage.json").read_text())["status"] == "interrupted"

    def test_slots_that_are_not_declared_are_refused(self, toys):  # noqa: F811
        with pytest.raises(BrokenPluginError, match="does not declare that it uses it"):
            run(only_stage("undeclared"))

    def test_missing_packages_stop_before_any_work(self, recipe):
        with pytest.raises(MissingDependencyError, match="no_such_pkg"):
            run(recipe, tokenizer="absent")
        assert not Path("runs").exists()

    def test_a_broken_record_means_that_the_stage_runs_again(self, recipe):
        result = run(recipe)
        (result.paths["refit"] / "stage.json").write_text("{")
        assert run(recipe).ran == ("refit",)

    def test_two_runs_in_one_folder(self, recipe):
        run(recipe)
        with Path("runs/r/.lock").open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(StageError, match=r"another run is at work here \(process \d+\)"):
                run(recipe, force=True)
            assert run(recipe).ran == ()

    def test_a_folder_that_cannot_be_made(self, recipe):
        Path("file").write_text("x")
        with pytest.raises(StageError, match="cannot be written to"):
            run(recipe, output="file/below")


class TestSource:
    """Code under development counts, what is said about it does not."""

    @pytest.fixture
    def hashed(self, toys, monkeypatch):  # noqa: F811
        package = toys / "lab"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "parts.py").write_text("def f():\n    from . import inner\n    return 1\n")
        (package / "inner.py").write_text("from lab.deep import x\n")
        (package / "deep.py").write_text("x = 1\n")
        (package / "aside.py").write_text("y = 1\n")
        (package / "table.txt").write_text("1")
        monkeypatch.syspath_prepend(str(toys))

        def change(name: str = "parts.py", text: str | None = None) -> str | None:
            if text is not None:
                (package / name).write_text(text)
            for remembered in (source._outline, source._file):
                remembered.cache_clear()
            return source.source_hash("lab.parts:f")

        return change

    def test_code_that_is_reached_counts(self, hashed):
        before = hashed()
        assert before is not None
        assert hashed("deep.py", "x = 2\n") != before
        assert hashed("deep.py", "x = 1\n") == before
        assert hashed("table.txt", "2") != before

    def test_words_and_what_is_not_reached_do_not(self, hashed):
        before = hashed()
        assert hashed("aside.py", "y = 2\n") == before
        assert hashed("deep.py", "# a note\nx =  1\n") == before
        assert hashed("inner.py", '"""Words."""\n\nfrom lab.deep import x\n') == before
        checked = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lab.aside\n"
        first = hashed("inner.py", checked + "from lab.deep import x\n")
        assert hashed("aside.py", "y = 3\n") == first

    def test_code_that_cannot_be_read_counts_as_it_is(self, hashed):
        assert hashed("inner.py", "def (:\n") != hashed("inner.py", "def (::\n")

    def test_installed_packages_are_known_by_their_version(self):
        assert source.source_hash("yaml:load") is None
        assert source.source_hash("json:loads") is None
        assert source.source_hash("no_such_package.at_all:x") is None

    @pytest.mark.parametrize(
        ("imported", "module", "file", "name"),
        [
            ("x.y", "a.b", "b.py", "x.y"),
            (".x", "a.b", "b.py", "a.x"),
            ("..x", "a.b.c", "c.py", "a.x"),
            (".", "a.b", "b.py", "a"),
            (".x", "a.b", "__init__.py", "a.b.x"),
        ],
    )
    def test_relative_imports(self, imported, module, file, name):
        assert source.absolute(imported, module, Path(file)) == name


class TestWatch:
    def test_lines_now_and_then(self):
        told = io.StringIO()
        with PlainWatch(told, pause=0.0).progress("reading", None) as show:
            show(3)
            show(4, 10, "of a book")
        assert told.getvalue() == "  reading: 3\n  reading: 4/10 of a book\n"
        with PlainWatch(told, pause=100.0).progress("writing", 5) as show:
            show(3)
        assert "writing" not in told.getvalue()

    def test_bars_on_a_terminal(self, monkeypatch):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stderr", terminal)
        watch = default_watch()
        assert isinstance(watch, BarWatch)
        watch.say("plain [bold] text")
        with watch.progress("outer", 3) as outer:
            outer(1, text="first")
            with watch.progress("inner", None) as inner:
                inner(2, 4)
        with pytest.raises(ValueError), watch.progress("broken", 1):
            raise ValueError
        assert watch.open == 0
        assert not watch.bars.tasks
        assert "plain [bold] text" in terminal.getvalue()

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.04, "0.0 s"),
            (9.96, "10.0 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (7620, "2 h 07 min"),
        ],
    )
    def test_durations(self, seconds, text):
        assert duration(seconds) == text


class TestCommand:
    """In a process of its own, as a person starts it."""

    def start(self, folder: Path, *arguments: str, **options) -> subprocess.Popen:
        code = "import typer; from slmkit.cli.run import run; typer.run(run)"
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            env=outside(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    @pytest.mark.parametrize("stubborn", [False, True])
    def test_ctrl_c_ends_with_130_and_says_how_to_go_on(self, recipe, stubborn):
        how = ["prepare.seconds=60", f"prepare.text={'stubborn' if stubborn else 'x'}"]
        process = self.start(recipe.parent, "r.yaml", *how)
        for line in process.stderr:
            if "[1/5] prepare" in line:
                break
        time.sleep(3.0 if stubborn else 1.0)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "run the same command again" in errors
        record = next(recipe.parent.glob("runs/r/stages/prepare-*/stage.json"))
        assert json.loads(record.read_text())["status"] in ("interrupted", "running")

    def test_nothing_to_do_needs_no_torch(self, recipe):
        run(recipe)
        code = (
            "import sys; from slmkit.recipe.engine import run; assert run('r.yaml').ran == ();"
            "heavy = {'torch', 'lightning', 'transformers', 'lhotse', 'numpy'} & set(sys.modules);"
            "assert not heavy, heavy"
        )
        # the in-process plugin has no distribution; the outside one has, hence a run of its own
        once = "from slmkit.recipe.engine import run; run('r.yaml')"
        for each in (once, code):
            done = subprocess.run(
                [sys.executable, "-c", each],
                cwd=recipe.parent,
                env=outside(recipe.parent),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr


def test_threads_do_not_disturb_the_guard(toys):  # noqa: F811
    """The guard against long computations leaves nothing behind."""
    from slmkit.recipe.interrupt import ending_in_time

    before = threading.active_count()
    with ending_in_time(130):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert signal.set_wakeup_fd(-1) == -1
