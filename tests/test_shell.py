"""How the command behaves in a shell: what goes where, how much of it, and what Tab completes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from slmkit.cli import completing
from slmkit.cli.main import app
from slmkit.cli.start import START
from slmkit.cli.talking import set_talk, talk
from slmkit.recipe.shipped import shipped_recipes
from slmkit.recipe.watch import TALK, BarWatch, PlainWatch, SilentWatch, default_watch
from slmkit.starter.write import new_plugin

Done = subprocess.CompletedProcess[str]
COMMAND = [sys.executable, "-m", "slmkit"]


def slmkit(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Done:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a run as it is left, with two results, in `runs/`."""
    folder = tmp_path / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"recipe": {"name": "small"}, "stages": []}))
    row = {"split": "test", "value": 12.3456, "low": 10, "high": 15, "n": 40}
    rows = [
        {"metric": "wer", "unit": "%", "direction": "lower", **row},
        {"metric": "exact", "unit": "", "direction": "higher", **row},
    ]
    (folder / "results.json").write_text(json.dumps(rows))
    return folder


def test_alone_it_says_what_to_start_with() -> None:
    done = slmkit()
    assert (done.returncode, done.stdout, done.stderr) == (0, START + "\n", "")
    shown = [line.split()[1] for line in START.splitlines() if line.startswith("  slmkit")]
    group = typer.main.get_command(app)
    assert len(shown) == 5
    assert set(shown) <= set(group.commands)


def test_results_are_a_table_for_programs_and_people(saved: Path) -> None:
    lines = [line.split("\t") for line in slmkit("results", saved).stdout.splitlines()]
    assert lines == [
        ["metric", "split", "value", "low", "high", "n", "unit", "better"],
        ["wer", "test", "12.35", "10", "15", "40", "%", "lower"],
        ["exact", "test", "12.35", "10", "15", "40", "", "higher"],
    ]
    rows = json.loads(slmkit("results", saved, "--json").stdout)
    assert rows == json.loads((saved / "results.json").read_text())
    text, _ = on_a_terminal("results", str(saved))
    assert "\t" not in text
    assert "12.35" in text
    assert slmkit("results", saved.parent).returncode == 2


def test_no_results_are_no_lines(saved: Path) -> None:
    (saved / "results.json").write_text("[]")
    done = slmkit("results", saved)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no results yet" in done.stderr
    assert slmkit("--quiet", "results", saved).stderr == ""
    assert slmkit("results", saved, "--json").stdout == "[]\n"


def test_show_and_doctor_as_json() -> None:
    (part,) = json.loads(slmkit("show", "mel-km", "--json").stdout)
    assert (part["kind"], part["name"], part["status"]) == ("tokenizer", "mel-km", "available")
    (clusters,) = [each for each in part["options"] if each["name"] == "clusters"]
    assert (clusters["type"], clusters["default"]) == ("int", 400)
    (needy,) = json.loads(slmkit("show", "corpus", "manifest", "--json").stdout)
    assert [o["name"] for o in needy["options"] if "default" not in o] == ["manifest"]
    done = slmkit("doctor", "--json")
    found = json.loads(done.stdout)
    assert found["usable"] is (done.returncode == 0)
    assert {"python", "torch", "parts"} <= {finding["what"] for finding in found["findings"]}
    assert done.stderr == ""


# --- stdout for results, stderr for talk

RESULTS = {
    "list": ["list"],
    "list as json": ["list", "--json"],
    "show": ["show", "flat"],
    "show as json": ["show", "flat", "--json"],
    "config": ["config", "speechgpt"],
    "recipes": ["recipes", "list"],
    "version": ["--version"],
    "help": ["run", "--help"],
    "dry run": ["run", "speechgpt", "--dry-run"],
    "completion": ["completion", "fish"],
    "nothing": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("case", RESULTS)
def test_what_is_asked_for_goes_to_stdout_whole_with_stderr_closed(
    case: str, tmp_path: Path
) -> None:
    arguments = [*COMMAND, *RESULTS[case]]
    apart = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert apart.returncode == 0
    assert apart.stdout
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert (closed.returncode, closed.stdout) == (0, apart.stdout)
    quiet = slmkit("--quiet", *RESULTS[case], cwd=tmp_path)
    assert quiet.stderr == ""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a tokenizer that needs no training, laid there as pip would."""
    source = new_plugin("loudly", "tokenizer", tmp_path)
    info = source / "loudly-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loudly\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[slmkit]\nloudly = loudly.plugin\n")
    return source


WORK = {
    "encode": ["encode", "in.wav", "-t", "loudly", "-o", "codes"],
    "decode": ["decode", "codes", "-o", "heard"],
    "resynth": ["resynth", "in.wav", "-t", "loudly", "-o", "copy.wav"],
    "check": ["check", "loudly"],
    "run": ["run", "recipe.yaml", "--output", "run"],
}
RECIPE = """
name: small
parts:
  corpus: {part: manifest, manifest: speech.jsonl}
stages:
  prepare: {stage: prepare}
"""


@pytest.mark.slow
def test_what_works_says_its_results_alone_with_stderr_closed(site: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", 0.1 * np.sin(np.arange(16000) / 10), 16000)
    row = {"id": "a", "audio": "in.wav", "text": "a", "split": "train"}
    (tmp_path / "speech.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    said = {}
    for name, arguments in WORK.items():
        line = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "--verbose", *arguments]
        place = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=place)
        assert done.returncode == 0, name
        said[name] = done.stdout
    assert said["encode"].startswith("codes: 1 coded, 0 there already")
    assert said["decode"].startswith("heard: 1 sounds")
    assert said["resynth"].startswith("frame rate  50 Hz")
    assert "1 kept" in said["check"]
    # what a run says while it works is talk; its results are in its folder
    assert said["run"] == ""
    assert (tmp_path / "run" / "run.json").is_file()


@pytest.mark.parametrize("arguments", [["show", "mel-kn"], ["list", "--wrong"], ["ask"]])
def test_errors_go_to_stderr_alone_and_quiet_does_not_hide_them(arguments: list[str]) -> None:
    done = slmkit("--quiet", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_closed_streams_do_not_hurt() -> None:
    line = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", line, "sh", *COMMAND, "show", "flat"])
    assert done.returncode == 0
    done = subprocess.run(["sh", "-c", line, "sh", *COMMAND, "show", "no-such-part"])
    assert done.returncode == 2


@pytest.mark.parametrize(
    "line", ["list | head -1", "list --json | head -1", "config speechgpt | :"]
)
def test_a_pipe_that_closes_early_ends_quietly(line: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m slmkit {line}", shell=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    if "head" in line:
        assert len(done.stdout.splitlines()) == 1


def on_a_terminal(*arguments: str, **environment: str) -> tuple[str, int]:
    """What a command writes where both streams are a terminal, and its exit code."""
    reader, writer = pty.openpty()
    place = {**os.environ, "COLUMNS": "150", "TERM": "xterm", **environment}
    process = subprocess.Popen([*COMMAND, *arguments], stdout=writer, stderr=writer, env=place)
    os.close(writer)
    chunks = []
    while True:
        try:
            chunk = os.read(reader, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(reader)
    return b"".join(chunks).decode(), process.wait(timeout=300)


@pytest.mark.parametrize("arguments", [["list", "layout"], ["show", "mel-kn"]])
def test_colours_are_for_terminals_that_want_them(arguments: list[str]) -> None:
    coloured, code = on_a_terminal(*arguments)
    plain, same = on_a_terminal(*arguments, NO_COLOR="1")
    assert code == same
    assert "\x1b[3" in coloured
    assert "\x1b[3" not in plain
    assert "\x1b" not in slmkit(*arguments).stdout


# --- as much talk as was asked for


@pytest.fixture
def no_talk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As where nothing was asked for; what a test sets is forgotten behind it."""
    monkeypatch.setenv(TALK, "")
    return monkeypatch


@pytest.mark.parametrize(
    ("quiet", "verbose", "watch"),
    [(True, False, SilentWatch), (False, True, PlainWatch), (False, False, PlainWatch)],
)
def test_the_watch_says_as_much_as_was_asked_for(
    quiet: bool, verbose: bool, watch: type, no_talk: pytest.MonkeyPatch
) -> None:
    no_talk.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    set_talk(quiet, verbose)
    found = default_watch()
    assert type(found) is watch
    if isinstance(found, PlainWatch):
        assert found.pause == (1.0 if verbose else 10.0)


def test_bars_are_for_terminals(no_talk: pytest.MonkeyPatch) -> None:
    no_talk.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(default_watch(), BarWatch)


@pytest.mark.usefixtures("no_talk")
def test_talk_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    talk("by the way")
    set_talk(True, False)
    talk("unheard")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "by the way\n")


def test_quiet_and_verbose_exclude_each_other() -> None:
    done = slmkit("--quiet", "--verbose", "list")
    assert done.returncode == 2
    assert "give one of them" in done.stderr


# --- completion


def complete(line: str, cwd: Path | None = None, shell: str = "bash") -> list[str]:
    """What a shell offers for the last word of a line."""
    words = line.split(" ")
    if shell == "bash":
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    else:
        asked = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = slmkit(cwd=cwd, _SLMKIT_COMPLETE=f"complete_{shell}", **asked)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("slmkit do", ["doctor"]),
        ("slmkit list tok", ["tokenizer"]),
        ("slmkit show mel-", ["mel-distance", "mel-km", "mel-km-mini", "mel-rvq"]),
        ("slmkit run speechg", ["speechgpt", "speechgpt-digits"]),
        ("slmkit encode -t mel-r", ["mel-rvq"]),
        ("slmkit check slm", ["slmkit"]),
        ("slmkit new plugin mine --kind spe", ["speaker-encoder"]),
        ("slmkit completion z", ["zsh"]),
    ],
)
def test_a_shell_completes_commands_kinds_parts_and_recipes(line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_a_shell_completes_runs(saved: Path) -> None:
    assert complete("slmkit results r", saved.parents[1]) == ["runs/small"]
    assert complete("slmkit ask small", saved.parent) == ["small"]


def test_fish_and_zsh_are_told_in_their_own_way() -> None:
    assert complete("slmkit show mel-r", shell="fish") == ["mel-rvq"]
    (line,) = complete("slmkit show mel-r", shell="zsh")
    assert "mel-rvq" in line


def test_completing_imports_nothing_heavy() -> None:
    """A person waits for it with a finger on the key."""
    code = """
import os, sys
from slmkit.cli import completing
completing.complete_part_or_kind("")
completing.complete_recipe("")
completing.complete_run("")
completing.complete_plugin("")
print([m for m in ("torch", "numpy", "omegaconf", "lhotse", "rich", "yaml") if m in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_lines_for_a_shell_call_back_into_slmkit(shell: str) -> None:
    done = slmkit("completion", shell)
    assert done.returncode == 0
    assert "_SLMKIT_COMPLETE" in done.stdout
    assert f"complete_{shell}" in done.stdout
    assert done.stderr == ""
    assert f"slmkit completion {shell}" in on_a_terminal("completion", shell)[0]
    wrong = slmkit("completion", shell + "x")
    assert wrong.returncode == 2
    assert "did you mean" in wrong.stderr


def test_bash_takes_the_lines_and_completes_with_them(tmp_path: Path) -> None:
    """In a real shell: what is completed for `slmkit show mel-r` is what Tab would put there."""
    (tmp_path / "slmkit").write_text(f'#!/bin/sh\nexec {sys.executable} -m slmkit "$@"\n')
    (tmp_path / "slmkit").chmod(0o755)
    script = """
eval "$(slmkit completion bash 2>/dev/null)"
COMP_WORDS=(slmkit show mel-r); COMP_CWORD=2
$(complete -p slmkit | sed 's/.*-F \\([^ ]*\\).*/\\1/') slmkit
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert done.stdout.strip() == "mel-rvq", done.stderr


def test_a_wrong_switch_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from slmkit.host import host

    monkeypatch.setenv("SLMKIT_PLUGINS", "no-such-plugin")
    host.cache_clear()
    try:
        assert completing.complete_part("tokenizer")("") == []
        assert completing.complete_recipe("") == sorted(shipped_recipes())
    finally:
        monkeypatch.delenv("SLMKIT_PLUGINS")
        host.cache_clear()
