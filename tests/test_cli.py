"""The command line as a person meets it: in a process of its own, by output and exit code."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from slmkit.api import BrokenPluginError, OptionsError, StageError
from slmkit.cli import doctor as doctor_module
from slmkit.cli import main as main_module
from slmkit.host import host

HEAVY = {"torch", "transformers", "lightning", "lhotse", "numpy", "omegaconf", "pyarrow"}


def slmkit(
    *arguments: str, path: Path | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; `path` goes before everything else on its search path."""
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-m", "slmkit", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=120,
    )


def distribution(folder: Path, name: str, source: str) -> None:
    """Lay a distribution with one plugin into a folder, as pip would."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[slmkit]\n{name}-parts = {module}\n")


DECLARES_MEL_KM = """
from slmkit.api import Declaration, hookimpl

@hookimpl
def slmkit_tokenizers():
    return [Declaration(name="mel-km", summary="another", target="a:B")]
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["list"], ["list", "--json"]]
)
def test_what_must_be_quick_imports_nothing_heavy(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "slmkit", *arguments],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in run.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & HEAVY


def test_help_names_every_command() -> None:
    text = slmkit("--help").stdout
    speech = ("encode", "decode", "resynth", "convert-voice")
    for command in (
        "run",
        "ask",
        "config",
        "list",
        "show",
        "doctor",
        "prepare",
        "recipes",
        "bench",
        *speech,
    ):
        assert f"\n  {command} " in text


def test_version() -> None:
    assert slmkit("--version").stdout == f"slmkit {importlib.metadata.version('slmkit')}\n"


def test_list_in_a_pipe_is_a_line_of_fields_for_each_part() -> None:
    rows = [line.split("\t") for line in slmkit("list").stdout.splitlines()]
    assert all(len(row) == 5 for row in rows)
    assert [row[:2] for row in rows] == [[part.name, part.kind] for part in host().parts()]
    only = [line.split("\t") for line in slmkit("list", "decoding").stdout.splitlines()]
    assert only == [row for row in rows if row[1] == "decoding"]
    assert ["flat", "decoding"] in [row[:2] for row in only]


def test_list_on_a_terminal_is_a_table() -> None:
    reader, writer = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "slmkit", "list", "layout"],
        stdout=writer,
        env={**os.environ, "COLUMNS": "150", "TERM": "dumb"},
    )
    assert run.wait(timeout=60) == 0
    os.close(writer)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    assert "\t" not in text
    assert "summary" in text
    assert "flatten" in text


def test_list_as_json() -> None:
    listed = json.loads(slmkit("list", "--json").stdout)
    flat = next(part for part in listed["parts"] if part["name"] == "flat")
    assert flat["kind"] == "decoding"
    assert flat["available"] is True
    assert flat["version"] == importlib.metadata.version("slmkit")
    assert listed["broken"] == []


def test_list_shows_broken_and_rival_plugins_and_ends_well(tmp_path: Path) -> None:
    distribution(tmp_path, "faulty", "raise RuntimeError('out of order')")
    distribution(tmp_path, "rival", DECLARES_MEL_KM)
    run = slmkit("list", path=tmp_path)
    assert run.returncode == 0
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert ["faulty-parts", "plugin", "RuntimeError: out of order", "faulty", "broken"] in rows
    rivals = [row for row in rows if row[0] == "mel-km"]
    assert {row[3] for row in rivals} == {"slmkit", "rival"}
    assert all("offered twice" in row[4] for row in rivals)
    listed = json.loads(slmkit("list", "--json", path=tmp_path).stdout)
    assert listed["broken"][0]["reason"] == "RuntimeError: out of order"


def test_list_says_which_slmkit_a_plugin_was_made_for(tmp_path: Path) -> None:
    distribution(tmp_path, "dated", "raise RuntimeError('imported after all')")
    with (tmp_path / "dated-1.0.dist-info" / "METADATA").open("a") as metadata:
        metadata.write("Requires-Dist: slmkit<2,>=1\n")
    rows = [line.split("\t") for line in slmkit("list", path=tmp_path).stdout.splitlines()]
    (row,) = [row for row in rows if row[3] == "dated"]
    assert row[1::3] == ["plugin", "broken"]
    assert "made for slmkit <2,>=1, and this is slmkit" in row[2]
    assert "pip install --upgrade dated" in row[2]
    assert "imported" not in row[2]


def test_list_names_what_is_missing_and_how_to_mend_it(tmp_path: Path) -> None:
    needs = DECLARES_MEL_KM.replace('"a:B"', '"a:B", requires=("absent_one",), extra="far"')
    distribution(tmp_path, "needy", needs.replace("mel-km", "needy"))
    lines = slmkit("list", "tokenizer", path=tmp_path).stdout.splitlines()
    (status,) = [line.split("\t")[4] for line in lines if line.startswith("needy\t")]
    assert status == "needs absent_one: pip install 'needy[far]'"


def test_the_rescue_switch_empties_the_shelves() -> None:
    run = slmkit("list", SLMKIT_PLUGINS="")
    assert (run.returncode, run.stdout) == (0, "")
    run = slmkit("list", SLMKIT_PLUGINS="decoding")
    names = {line.split("\t")[0] for line in run.stdout.splitlines()}
    assert names >= {"flatten", "linear", "flat", "depth"}
    assert not names & {"llama", "encodec", "prepare"}
    run = slmkit("list", SLMKIT_PLUGINS="decodings")
    assert run.returncode == 2
    assert "did you mean decoding" in run.stderr


def test_show_tells_what_the_author_declared() -> None:
    text = slmkit("show", "mel-km").stdout
    part = host().find("tokenizer", "mel-km")
    for fact in (part.declaration.source, part.declaration.licence, part.declaration.target):
        assert fact in text
    assert "sample rate 16000 Hz" in text
    assert "50 Hz x 1 codebook of 400 = 432 bits per second" in text
    clusters = str(part.declaration.options().clusters)
    assert any(line.split()[:3] == ["clusters", "int", clusters] for line in text.splitlines())


def test_show_tells_the_rates_and_the_licence_of_weights(tmp_path: Path) -> None:
    declared = """
from slmkit.api import Can, Declaration, hookimpl

@hookimpl
def slmkit_tokenizers():
    can = Can(codebooks=8, codebook_size=1024, frame_rate=75.0, semantic_first=True)
    return [Declaration("far", "a codec", "a:B", can=can, weights_licence="CC-BY-NC-4.0")]
"""
    distribution(tmp_path, "faraway", declared)
    text = slmkit("show", "far", path=tmp_path).stdout
    assert "75 Hz x 8 codebooks of 1024 = 6000 bits per second, 750 for each codebook" in text
    assert "semantic first" in text
    assert "  weights   CC-BY-NC-4.0" in text


def test_show_goes_over_all_kinds_unless_told_one(tmp_path: Path) -> None:
    distribution(tmp_path, "texts", DECLARES_MEL_KM.replace("slmkit_tokenizers", "slmkit_texts"))
    both = slmkit("show", "mel-km", path=tmp_path).stdout
    assert "mel-km (text): another" in both
    assert "mel-km (tokenizer): " in both
    one = slmkit("show", "mel-km", "--kind", "text", path=tmp_path).stdout
    assert "mel-km (text): another" in one
    assert "tokenizer" not in one


WRONG = {
    "unknown part": (["show", "mel-kn"], "did you mean mel-km"),
    "unknown kind": (["list", "tokeniser"], "did you mean tokenizer"),
    "unknown kind of a part": (["show", "mel-km", "--kind", "txt"], "did you mean text"),
    "part of another kind": (["show", "mel-km", "--kind", "vocoder"], "unknown vocoder 'mel-km'"),
    "unknown recipe": (["run", "speechgtp"], "did you mean speechgpt"),
    "missing recipe": (["run", "nowhere/none.yaml"], "no such recipe file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(case: str) -> None:
    arguments, reason = WRONG[case]
    run = slmkit(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert reason in line


@pytest.mark.parametrize("arguments", [["list", "--wrong"], ["lst"], ["show"], ["ask"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    run = slmkit(*arguments)
    assert run.returncode == 2
    assert "Usage:" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["--debug", "show", "mel-kn"], {}), (["show", "mel-kn"], {"SLMKIT_DEBUG": "1"})],
)
def test_the_traceback_is_there_for_the_asking(
    arguments: list[str], environment: dict[str, str]
) -> None:
    run = slmkit(*arguments, **environment)
    assert run.returncode == 2
    assert "Traceback" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: ")


ERRORS = {
    "stage": (StageError("the disk left"), 1, ["error: the disk left"]),
    "options": (OptionsError(["a.yaml:1: x", "a.yaml:2: y"]), 2, None),
    "plugin": (BrokenPluginError("two packages"), 3, ["error: two packages"]),
    "file": (FileNotFoundError(2, "No such file", "a.wav"), 2, ["error: a.wav: No such file"]),
    "bug": (ZeroDivisionError("by zero"), 1, None),
    "interrupt": (KeyboardInterrupt(), 130, []),
}


@pytest.mark.parametrize("case", ERRORS)
def test_every_error_has_its_exit_code_and_its_lines(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, code, lines = ERRORS[case]

    def fail() -> None:
        raise error

    monkeypatch.setattr("slmkit.host.host", fail)
    monkeypatch.setattr(sys, "argv", ["slmkit", "list"])
    with pytest.raises(SystemExit) as ended:
        main_module.main()
    assert ended.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    if lines is None:
        assert all(line.startswith("error: ") for line in captured.err.splitlines())
    else:
        assert captured.err.splitlines() == lines


def test_a_closed_pipe_is_no_error() -> None:
    line = f"{sys.executable} -m slmkit list | true"
    run = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert "error" not in run.stderr
    assert "Traceback" not in run.stderr


def test_doctor_finds_this_machine_usable(tmp_path: Path) -> None:
    run = slmkit("doctor", cwd=tmp_path)
    levels = {
        line.split()[1]: line.split()[0] for line in run.stdout.splitlines() if line[0] != " "
    }
    assert run.returncode == 0, run.stdout
    assert levels["torch"] == levels["sound"] == levels["parts"] == "ok"
    assert str(tmp_path) in run.stdout


def test_doctor_names_a_strangers_broken_plugin_and_stays_usable(tmp_path: Path) -> None:
    distribution(tmp_path, "faulty", "raise RuntimeError('out of order')")
    run = slmkit("doctor", path=tmp_path, cwd=tmp_path)
    assert run.returncode == 0
    (line,) = [line for line in run.stdout.splitlines() if "faulty-parts" in line]
    assert line.startswith("warn")
    assert "out of order" in line


def test_doctor_finds_a_torchaudio_that_does_not_fit(tmp_path: Path) -> None:
    distribution(tmp_path, "torchaudio", "raise OSError('undefined symbol')")
    run = slmkit("doctor", path=tmp_path, cwd=tmp_path)
    assert run.returncode == 1
    assert "mend: pip uninstall torchaudio" in run.stdout


def test_doctor_turns_a_failing_examination_into_a_finding() -> None:
    def _lungs() -> None:
        raise OSError("no air\nin here")
        yield

    (finding,) = doctor_module._safely(_lungs)
    assert finding == ("lungs", "bad", "OSError: no air in here", "")


def test_doctor_tells_what_is_missing_or_too_old() -> None:
    assert "not installed" in doctor_module._unmet("a-package-that-is-not-there", "")
    assert doctor_module._unmet("pluggy", ">=999") == (
        f"pluggy {importlib.metadata.version('pluggy')} is not >=999"
    )
    assert doctor_module._unmet("pluggy", ">=1") == ""
