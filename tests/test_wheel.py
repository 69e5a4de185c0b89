"""The wheel: built, installed in a fresh venv, and used from a folder that is not the checkout.

The venv finds slmkit's dependencies in the one that runs the tests, by a path that comes after its
own; the checkout's slmkit is not within reach.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from slmkit.benchmark.protocol import load_protocol

ROOT = Path(__file__).resolve().parents[1]
BUILT_FROM = (
    "slmkit", "plugins", "recipes", "benchmarks", "pyproject.toml", "README.md", "LICENSE",
)  # fmt: skip
RECIPES = {path.stem: path for path in sorted((ROOT / "recipes").glob("*.yaml"))}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", folder, source], check=True)
    (built,) = folder.glob("slmkit-*.whl")
    return built


@pytest.fixture(scope="module")
def venv(wheel: Path) -> Path:
    """A fresh venv that holds the wheel's slmkit alone."""
    folder = wheel.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # a plain path: the .pth files there, the editable install's among them, are not read
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(venv: Path, cwd: Path, *arguments: str) -> str:
    """What a command of the venv writes."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [venv / "bin" / arguments[0], *arguments[1:]],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_packages_and_the_recipes(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(base).as_posix()
        for base, folder in ((ROOT, "slmkit"), (ROOT / "plugins", "."))
        for path in (base / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - held == set()
    recipes = {name.rpartition("/")[2] for name in held if "/share/slmkit/recipes/" in name}
    assert recipes == {path.name for path in RECIPES.values()}
    assert not [name for name in held if name.startswith(("tests/", "benchmarks/", "plugins/"))]


def test_the_wheels_own_slmkit_is_the_one_that_is_imported(venv: Path, tmp_path: Path) -> None:
    code = "import slmkit, slmkit_mel, torch; print(slmkit.__file__, slmkit_mel.__file__)"
    for path in run(venv, tmp_path, "python", "-c", code).split():
        assert Path(path).is_relative_to(venv)


def test_its_parts_are_those_of_the_checkout(venv: Path, tmp_path: Path) -> None:
    here = subprocess.run(
        [sys.executable, "-m", "slmkit", "list"], capture_output=True, text=True, check=True
    )
    assert run(venv, tmp_path, "slmkit", "list") == here.stdout
    assert "slmkit_mel.mel_km:MelKm" in run(venv, tmp_path, "slmkit", "show", "mel-km")


def test_recipes_travel_in_it(venv: Path, tmp_path: Path) -> None:
    listed = run(venv, tmp_path, "slmkit", "recipes", "list")
    for name, path in RECIPES.items():
        assert name in listed
        run(venv, tmp_path, "slmkit", "recipes", "copy", name)
        assert (tmp_path / path.name).read_text() == path.read_text()


def test_protocols_travel_in_it(venv: Path, tmp_path: Path) -> None:
    code = "from slmkit.benchmark.protocol import load_protocol; print(load_protocol('mini').hash)"
    assert run(venv, tmp_path, "python", "-c", code).strip() == load_protocol("mini").hash


def test_the_main_recipe_runs_by_its_name(venv: Path, tmp_path: Path) -> None:
    run(venv, tmp_path, "slmkit", "run", "speechgpt", "--profile", "smoke")
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "results.json").is_file()
    assert (folder / "report.html").is_file()
