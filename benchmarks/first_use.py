"""What a newcomer waits for: `python -m benchmarks.first_use [RUN] [--rounds 3]`.

The first sound in a fresh clone, a plug-in from `slmkit new` to kept laws, and the first sound of
an answer on the web page of a finished run of `recipes/speechgpt.yaml` (default `runs/speechgpt`).
Installing is not counted, but for the plug-in's own. Medians of the rounds; of kinds of plug-ins
the slowest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from slmkit_spoken_qa.espeak import Espeak

from benchmarks.rows import Row, publish
from slmkit.api import KINDS
from slmkit.data.audio import resampled
from tests.browser import Browser

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
RATE = 16000
QUESTION = "what is three plus five"
"""Asked in a voice that the run has heard."""


def median(work: Callable[[], float], rounds: int) -> float:
    """Of the seconds that the work says it took."""
    return statistics.median(work() for _ in range(rounds))


def told(*words: str | Path, folder: Path, environment: dict[str, str]) -> None:
    """Run a command that must end well."""
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        line = " ".join(map(str, words))
        raise RuntimeError(f"{line}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def first_sound() -> float:
    """Seconds of the README's `resynth`, in a fresh clone and an empty home."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone = folder / "slmkit"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        paths = os.pathsep.join((str(clone), str(clone / "plugins")))
        environment = {**os.environ, "HOME": name, "PYTHONPATH": paths, "XDG_CACHE_HOME": name}
        begun = time.perf_counter()
        slmkit = (sys.executable, "-m", "slmkit", "resynth", "docs/hello.wav")
        told(*slmkit, "-t", "speechtokenizer-mini", "-o", "copy.wav",
             folder=clone, environment=environment)  # fmt: skip
        seconds = time.perf_counter() - begun
        wave, _ = soundfile.read(clone / "copy.wav")
        assert np.abs(wave).max() > 0.05, "it is heard"
        return seconds


def plugin(kind: str) -> float:
    """Seconds from `slmkit new plugin` through pip and its own tests to `slmkit check`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = folder / "site"
        environment = {**os.environ, "PYTHONPATH": str(site)}
        python = (sys.executable, "-m")
        begun = time.perf_counter()
        for words in (
            ("slmkit", "new", "plugin", "my-part", "--kind", kind),
            ("pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation",
             "--target", site, folder / "my-part"),
            ("pytest", "-q", "-p", "no:cacheprovider", "my-part/tests"),
            ("slmkit", "check", "my-part"),
        ):  # fmt: skip
            told(*python, *words, folder=folder, environment=environment)
        return time.perf_counter() - begun


def question() -> np.ndarray:
    """A spoken question, at 16 kHz."""
    said = Espeak().speak(QUESTION)
    return resampled(said.samples.astype(np.float32) / 32768, said.sample_rate, RATE)


@contextmanager
def served(run: Path) -> Iterator[str]:
    """The address at which `slmkit serve RUN` answers."""
    words = [sys.executable, "-m", "slmkit", "serve", str(run), "--port=0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        try:
            yield serving.stdout.readline().split()[0] + "/"
        finally:
            serving.terminate()


def first_audio(browser: Browser, address: str, file: Path) -> float:
    """Seconds from choosing a file to the first sound of the answer that the page plays."""
    browser.open(address)
    browser.wait("!!document.querySelector('#talk-sound input[type=file]')")
    begun = time.perf_counter()
    browser.choose_file("#talk-sound input[type=file]", file)
    browser.wait("!!document.querySelector('#talk-sound .waveform-container')")
    browser.click("#talk-ask")
    browser.wait("+(document.querySelector('#talk-player [data-played]')?.dataset.played"
                 " || document.querySelector('#talk-player').dataset.played || 0) > 0")  # fmt: skip
    return time.perf_counter() - begun


def web(run: Path, rounds: int) -> Iterator[Row]:
    """The page's wait, the first answer (the model is read) told apart."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)))
    with tempfile.TemporaryDirectory() as name, served(run) as address:
        file = Path(name) / "question.wav"
        soundfile.write(file, question(), RATE)
        with Browser(chromium, Path(name) / "profile") as browser:
            first = first_audio(browser, address, file)
            later = median(lambda: first_audio(browser, address, file), rounds)
    yield Row("web page: upload to first audio, first question", first, "s", 3)
    yield Row("web page: upload to first audio, later questions", later, "s", 3, n=rounds)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_use")
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/speechgpt"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(words)
    rows = [Row("fresh clone to first sound", median(first_sound, options.rounds), "s", 60,
                n=options.rounds)]  # fmt: skip
    seconds = {kind: plugin(kind) for kind in KINDS}
    slowest = max(seconds, key=lambda kind: seconds[kind])
    what = f"plug-in, from `new` to `check`, slowest of {len(KINDS)} kinds ({slowest})"
    rows.append(Row(what, seconds[slowest], "s", 120))
    rows += web(options.run, options.rounds)
    publish("first_use", rows, "python -m benchmarks.first_use")


if __name__ == "__main__":
    main()
