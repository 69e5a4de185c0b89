"""`slmkit new plugin`: what it writes works at once, of whatever kind; the rest is refused."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import slmkit
from slmkit.api import KINDS, SlmkitError, UnknownNameError
from slmkit.starter.kinds import SAMPLES
from slmkit.starter.names import LONGEST, check_name
from slmkit.starter.write import bounds, new_plugin, render

NAMES = ("my-{kind}", "z{number}", "a-name-of-thirty-letters-{kind}")
"""Lines are wrapped by their length, so that short and long names show whether the layout holds."""


def names(kind: str) -> list[str]:
    number = KINDS.index(kind)
    return [n.format(kind=kind, number=number)[:LONGEST].rstrip("-") for n in NAMES]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of every kind, `my-KIND`."""
    folder = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        new_plugin(f"my-{kind}", kind, folder)
    return folder


def test_there_is_a_sample_for_every_kind() -> None:
    assert set(SAMPLES) == set(KINDS)
    assert len({sample.summary for sample in SAMPLES.values()}) == len(KINDS)


def test_every_package_is_tidy_whatever_its_name(tmp_path: Path) -> None:
    for kind in KINDS:
        for name in names(kind):
            new_plugin(name, kind, tmp_path)
    for arguments in (["check"], ["format", "--check", "--diff"]):
        line = [sys.executable, "-m", "ruff", *arguments, "--no-cache", str(tmp_path)]
        run = subprocess.run(line, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_is_left(kind: str) -> None:
    made = render("my-part", kind)
    for path, text in made.items():
        assert "$" not in path
        assert "$" not in text.replace("${{ matrix.python }}", ""), path
        assert text.endswith("\n"), path
        if path.endswith(".py"):
            ast.parse(text)
    assert {path for path in made if "/" not in path} == {
        "pyproject.toml", "README.md", "LICENSE", ".gitignore",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_project_says_what_it_is_and_for_which_slmkit(kind: str) -> None:
    project = tomllib.loads(render("my-part", kind)["pyproject.toml"])["project"]
    (line,) = project["dependencies"]
    requirement = Requirement(line)
    assert requirement.name == "slmkit"
    assert requirement.specifier.contains(slmkit.__version__)
    assert project["entry-points"]["slmkit"] == {"my-part": "my_part.plugin"}


@pytest.mark.parametrize(
    ("version", "written"),
    [("0.1.0", ">=0.1,<1"), ("0.12.3.dev4", ">=0.12,<1"), ("3.4.5", ">=3.4,<4")],
)
def test_the_bounds_take_this_version_and_not_the_next_major_one(
    version: str, written: str
) -> None:
    assert bounds(version) == written
    assert SpecifierSet(written).contains(version, prereleases=True)
    assert not SpecifierSet(written).contains(f"{Version(version).major + 1}.0")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_declared_costs_nothing_to_read(kind: str) -> None:
    """`plugin.py` imports the standard library and slmkit.api alone."""
    tree = ast.parse(render("my-part", kind)["my_part/plugin.py"])
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert imported <= {"dataclasses", "slmkit.api"}


REFUSED = {
    "MyCodec": "'my-codec' would do",
    "my_codec": "'my-codec' would do",
    "2fast": "'fast' would do",
    "my--codec": "'my-codec' would do",
    "-x": "'x' would do",
    "naïve": "is no name",
    "a/b": "is no name",
    "..": "is no name",
    "": "is no name",
    "x" * (LONGEST + 1): f"at most {LONGEST}",
    "slmkit-mine": "as in 'mine-for-slmkit'",
    "slmkit": "reserved",
    "lambda": "word or module of Python",
    "len": "word or module of Python",
    "tests": "another folder",
    "tokenizer": "such as 'my-tokenizer'",
    "codes": "would be called Codes",
    "options": "would be called Options",
    "tensor": "would be called Tensor",
    "json": "word or module of Python",
    "numpy": "installed already",
    "soundfile": "installed already",
    "yaml": "a module yaml is installed already",
    "mel-km": "slmkit offers a tokenizer 'mel-km' already",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_will_not_do_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(SlmkitError, match=re.escape(REFUSED[name])) as caught:
        new_plugin(name, "tokenizer", tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_function_may_not_be_called_as_what_it_uses(tmp_path: Path) -> None:
    with pytest.raises(SlmkitError, match="would be called utterances"):
        new_plugin("utterances", "stage", tmp_path)
    assert new_plugin("utterances", "text", tmp_path).is_dir()


def test_a_name_is_taken_only_among_its_kind() -> None:
    check_name("mel-km", "vocoder")
    check_name("a-name-that-is-free", "tokenizer")


def test_an_unknown_kind_brings_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean tokenizer"):
        new_plugin("mine", "tokeniser", tmp_path)


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_is_there_stays_as_it_is(what: str, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    if what == "folder":
        place.mkdir()
    elif what == "file":
        place.write_text("precious")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SlmkitError, match=r"mine: is there already"):
        new_plugin("mine", "text", tmp_path)
    assert list(tmp_path.iterdir()) == [place]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SlmkitError, match=r"file.*cannot be written"):
        new_plugin("mine", "text", tmp_path / "file")


def slmkit_(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "slmkit", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_the_command_prints_the_folder_and_says_what_comes_next(tmp_path: Path) -> None:
    run = slmkit_("new", "plugin", "my-words", "--kind", "text", "--output", tmp_path / "a" / "b")
    assert run.returncode == 0
    assert run.stdout == f"{tmp_path}/a/b/my-words\n"
    assert "slmkit check my-words" in run.stderr
    checked = slmkit_("check", run.stdout.strip())
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "kept" in checked.stdout


def test_programs_are_named_as_they_are_typed_here(tmp_path: Path) -> None:
    """In an environment that is not activated, `pip` is another one's, or nobody's."""
    ours = Path(sys.executable).parent
    plain = slmkit_("new", "plugin", "my-words", "--output", tmp_path, PATH="/usr/bin")
    assert f"{os.path.relpath(ours / 'pip')} install" in plain.stderr
    active = slmkit_("new", "plugin", "my-ears", "--output", tmp_path, PATH=f"{ours}:/usr/bin")
    assert "next: pip install" in active.stderr


@pytest.fixture(scope="module")
def site(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has put them all."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    sources = sorted(path for path in packages.iterdir())
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", folder, *sources],
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_NO_WARN_SCRIPT_LOCATION": "1"},
    )
    return folder


@pytest.mark.slow
def test_every_package_installs_and_passes_its_own_tests(site: Path, packages: Path) -> None:
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    run = subprocess.run(
        [*line, "--import-mode=importlib", *sorted(packages.glob("my-*/tests"))],
        capture_output=True,
        text=True,
        cwd=packages,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert run.returncode == 0, run.stdout[-5000:]
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    assert passed >= 2 * len(KINDS)
    assert "skipped" not in run.stdout


@pytest.mark.slow
def test_every_installed_package_keeps_the_laws(site: Path) -> None:
    code = """
import json
from slmkit.api import KINDS
from slmkit.testing.verdicts import examine
for kind in KINDS:
    found = examine(f"my-{kind}")
    assert not found.faults, found.faults
    (verdict,) = found.verdicts
    assert (verdict.kind, verdict.status) == (kind, "kept"), verdict
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert run.returncode == 0, run.stderr
