"""Fixtures that several test files share, and what holds for every test.

`SLMKIT_REQUIRE`, a list by comma, names what must be there: `browser`, `espeak`, `oracles`. While
it is set a skipped test fails, save one whose marker names something that a machine may well lack.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import toy_codec
from slmkit_reference_codecs.stand_in import load_reference

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MAY_LACK = ("gpu", "speech", "mount")

# before the first import of what reads them: no test goes to the network, two workers on two
# cores do not fight over them, and what a person has set does not reach the tests
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
for name in ("SLMKIT_PLUGINS", "SLMKIT_DEBUG"):
    os.environ.pop(name, None)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
# a background job of a shell is deaf to Ctrl-C, and so would be the programs that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def browser() -> str | None:
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _have(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


PROBES = {
    "browser": lambda: browser() is not None,
    "espeak": lambda: _have("espeakng_loader", "phonemizer"),
    "oracles": lambda: _have("encodec", "speechtokenizer", "axe_playwright_python"),
}


def required() -> list[str]:
    """What `SLMKIT_REQUIRE` names."""
    names = os.environ.get("SLMKIT_REQUIRE", "").split(",")
    return [name.strip() for name in names if name.strip()]


def pytest_sessionstart(session: pytest.Session) -> None:
    """End at once where something that `SLMKIT_REQUIRE` names is not there."""
    unknown = [name for name in required() if name not in PROBES]
    lacking = [name for name in required() if name not in unknown and not PROBES[name]()]
    if unknown:
        pytest.exit(f"SLMKIT_REQUIRE: unknown {unknown}; known: {sorted(PROBES)}", returncode=4)
    if lacking:
        pytest.exit(f"SLMKIT_REQUIRE: not here: {', '.join(lacking)}", returncode=4)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    excused = any(item.get_closest_marker(name) for name in MAY_LACK)
    if required() and not excused and not hasattr(report, "wasxfail"):
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if required():
        _fail_if_skipped(report)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped:
        why = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"may not be skipped while SLMKIT_REQUIRE is set: {why}"


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of recorded speech; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("SLMKIT_SPEECH", ROOT / ".." / "shared" / "speech")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no recorded speech at {folder} (SLMKIT_SPEECH names it)")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; tests that ask for it are skipped where there is none."""
    found = browser()
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


def _reference(package: str) -> ModuleType:
    if not _have(package):
        pytest.skip(f"{package} is not installed: see tests/reference/requirements.txt")
    return load_reference(package)


@pytest.fixture(scope="session")
def encodec() -> ModuleType:
    """The package `encodec`, the reference of our own."""
    return _reference("encodec")


@pytest.fixture(scope="session")
def speechtokenizer() -> ModuleType:
    """The package `speechtokenizer`, the reference of our own."""
    return _reference("speechtokenizer")


@pytest.fixture(scope="session")
def stairs_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process that finds the plugin `toy_codec` beside the built-in ones."""
    return toy_codec.outside(tmp_path_factory.mktemp("site"))


@pytest.fixture
def command(
    stairs_environment: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs slmkit in an empty folder: command(words...) -> finished process."""

    def run(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "slmkit", *map(str, words)],
            cwd=tmp_path,
            env={**stairs_environment, **more},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for one of these fixtures need not be marked by hand."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "speech" in names:
            item.add_marker("speech")
        if "chromium" in names:
            item.add_marker("browser")
