"""The page of `slmkit serve` in a browser: files go in, answers and sounds come out."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import documents_world as world
import numpy as np
import pytest
import soundfile
import torch
import toy_assistant
from accessibility import faults
from browser import Browser
from toy_assistant import SAMPLES, UNITS, Script

from slmkit.generation.sampling import Sampling
from slmkit.web import answering, server
from slmkit.web.events import Heard, Spoke, Visit, Wrote
from slmkit.web.offer import Offer, open_offer

pytest.importorskip("gradio", reason="the extra 'demo' is not installed")
pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_BYTES = 200_000
WORDS = "three plus five is eight"
GRADIOS = {"image without a name"}
"""What gradio itself causes: icons that hide from nobody."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page whose assistant follows a script, and whose uploads are small."""
    patch = pytest.MonkeyPatch()
    patch.setattr(server, "MOST_BYTES", MOST_BYTES)
    for name, value in server.SETTINGS.items():
        patch.setenv(name, value)
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("sounds")))
    offer = Offer(name="toy", assistant=toy_assistant.assistant())
    served = server._server(server.guarded(server.application(offer)))
    with server.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        served.should_exit = True
        thread.join(30)
    patch.undo()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """What the assistant says."""
    made = Script(pause=0.05)
    monkeypatch.setattr(answering, "stream", made)
    return made


class Page(Browser):
    """A browser that waits until the page is made."""

    def open(self, file: Any, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        super().open(file, width, height, dark)
        if str(file).startswith("http"):
            self.wait("!!document.querySelector('[role=tab]') && !!document.querySelector('h1')")
            time.sleep(0.5)

    def tab(self, name: str) -> None:
        """Turn to a tab."""
        self.run(f"[...document.querySelectorAll('[role=tab]')]"
                 f".find((tab) => tab.textContent.includes('{name}')).click()")  # fmt: skip
        time.sleep(0.5)

    def upload(self, id: str, file: Path) -> None:
        """Put a file into a field for sounds, and wait for its name or its wave."""
        self.wait(f"!!document.querySelector('#{id} input[type=file]')")
        self.choose_file(f"#{id} input[type=file]", file)

    def line(self, id: str) -> str:
        """What a tab has to say, once it has ended."""
        found: str = self.wait(
            f"(() => {{ const line = document.querySelector('#{id} .line');"
            "return line && !line.textContent.includes('working') && line.textContent; })()"
        )
        return found

    def sound(self, id: str) -> tuple[np.ndarray, int]:
        """What is behind the link that keeps a sound."""
        address = self.wait(f"(document.querySelector('#{id} a[download]') || {{}}).href")
        with urllib.request.urlopen(address) as answer:
            wav, rate = soundfile.read(io.BytesIO(answer.read()))
        return wav, rate


@pytest.fixture(scope="module")
def tab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(chromium, tmp_path_factory.mktemp("profile")) as found:
        yield found


def a_sound(folder: Path, seconds: float = 1.5) -> Path:
    file = folder / "question.wav"
    soundfile.write(file, world.voiced(seconds, 120), 16000)
    return file


def test_a_spoken_question_is_answered(
    tab: Page, site: str, script: Script, tmp_path: Path
) -> None:
    tab.open(site)
    tab.upload("talk-sound", a_sound(tmp_path))
    tab.wait("!!document.querySelector('#talk-sound a[download], #talk-sound .waveform-container')")
    labels = (
        "[...document.querySelectorAll('#talk-sound button')].map((b) => b.ariaLabel || b.title)"
    )
    assert not [label for label in tab.run(labels) if "share" in label.lower()]
    tab.click("#talk-ask")
    assert tab.line("talk-line") == "1.2 s of speech"
    assert tab.run("document.querySelector('#talk-heard textarea').value") == "what is " + (
        "three plus five"
    )
    assert tab.run("document.querySelector('#talk-wrote textarea').value") == WORDS
    wav, rate = tab.sound("talk-spoken")
    assert len(wav) == UNITS * SAMPLES
    assert rate == 16000
    assert np.abs(wav).max() > 0.2
    played = tab.wait("document.querySelector('#talk-player [data-played]')?.dataset.played"
                      " || document.querySelector('#talk-player').dataset.played")  # fmt: skip
    assert int(played) == UNITS / 2, "in chunks of 0.2 s"


def test_nothing_comes_from_elsewhere(tab: Page, site: str) -> None:
    tab.open(site)
    loaded = tab.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) > 10
    assert all(name.startswith((site, "data:", "blob:")) for name in loaded)
    # and could not: the control
    refused = tab.run(
        "new Promise((tell) => { document.addEventListener('securitypolicyviolation',"
        " (event) => tell(event.blockedURI)); new Image().src = 'http://127.0.0.2/x.png';"
        " setTimeout(() => tell(''), 3000); })"
    )
    assert "127.0.0.2" in refused


def test_a_broken_file_is_told_of(tab: Page, site: str, script: Script, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF" + bytes(range(256)) * 8)
    tab.open(site)
    tab.upload("talk-sound", broken)
    time.sleep(2)
    tab.click("#talk-ask")
    said = tab.line("talk-line")
    assert said.startswith("broken.wav: not sound that can be read")
    assert "Traceback" not in tab.run("document.body.innerText")
    assert not script.given


def test_a_large_file_is_told_of(tab: Page, site: str, tmp_path: Path) -> None:
    tab.open(site)
    tab.upload("talk-sound", a_sound(tmp_path, 10.0))
    tab.wait("document.body.innerText.includes('exceed the maximum')")


def test_who_leaves_ends_the_answer(tab: Page, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Script(pause=0.1, units=600)
    monkeypatch.setattr(answering, "stream", slow)
    tab.open(site)
    tab.click("#talk-text textarea")
    tab.type("what is three plus five")
    tab.click("#talk-ask")
    until = time.monotonic() + 30
    while slow.given < 5:
        assert time.monotonic() < until
        time.sleep(0.05)
    tab.open(Path(__file__).with_name("accessibility.js"))
    while not slow.closed:
        assert time.monotonic() < until, slow.given
        time.sleep(0.05)
    given = slow.given
    # and the next visitor has a turn
    quick = Script()
    monkeypatch.setattr(answering, "stream", quick)
    tab.open(site)
    tab.click("#talk-text textarea")
    tab.type("what")
    tab.click("#talk-ask")
    assert tab.line("talk-line") == "1.2 s of speech"
    assert slow.given == given < 500


def test_the_playground_shows_and_mixes(tab: Page, site: str, tmp_path: Path) -> None:
    tab.open(site)
    tab.tab("Tokenizers")
    tab.click("#play-name input")
    tab.wait("document.querySelectorAll('[role=option]').length === 2")
    tab.press("ArrowDown")
    tab.press("Enter")
    tab.wait("document.querySelector('#play-name input').value.includes('mel-rvq')")
    tab.wait("!!document.querySelector('#play-books input[type=range]')")
    for id in ("play-sound", "play-voice"):
        tab.upload(id, a_sound(tmp_path))
        tab.wait(f"!!document.querySelector('#{id} a[download], #{id} .waveform-container')")
    tab.click("#play-go")
    assert "8 of 8 codebooks heard" in tab.line("play-line")
    wav, _ = tab.sound("play-heard")
    assert np.abs(wav).max() > 0.05
    assert tab.run("document.querySelectorAll('#play-codes svg image').length") == 1
    tab.click("#play-mix")
    tab.wait("document.querySelector('#play-line').textContent.includes('may be lost')")


def test_everybody_can_use_it(tab: Page, site: str) -> None:
    found = faults(tab, site)  # type: ignore[arg-type]
    assert set(found) <= GRADIOS


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SpeechGPT that has learnt next to nothing."""
    folder = tmp_path_factory.mktemp("smoke")
    world.add_run(folder, "speechgpt")
    return folder / "runs" / "speechgpt"


def test_the_page_answers_as_the_command_does(smoke: Path) -> None:
    assistant = open_offer(smoke).assistant
    assert assistant is not None
    wave = world.voiced(2.0, 100)
    events = list(answering.answer(assistant, wave, Visit()))
    sampling = Sampling(temperature=0.0, most=answering.MOST_TOKENS, stop=assistant.style.stop)
    units = assistant.hear(torch.from_numpy(wave))
    (reply,) = assistant.ask_many([units], "speech-speech", sampling)
    heard = [event.transcript for event in events if isinstance(event, Heard)]
    wrote = [event.text for event in events if isinstance(event, Wrote)]
    assert (heard[-1] if heard else None) == reply.transcript
    assert (wrote[-1] if wrote else None) == reply.text
    waves = [event.wave for event in events if isinstance(event, Spoke)]
    assert bool(waves) == (reply.codes is not None)
    if reply.codes is not None:
        (whole,) = assistant.speak([reply.codes])
        assert np.allclose(np.concatenate(waves), whole.numpy(), atol=1e-4)


def test_a_run_is_served_and_cleaned_up(tab: Page, smoke: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "slmkit", "serve", str(smoke), "--port=0"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as serving:
        assert serving.stdout is not None
        site = serving.stdout.readline().split()[0] + "/"
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(site).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.2)
        tab.open(site)
        tab.upload("talk-sound", a_sound(tmp_path))
        tab.wait("!!document.querySelector('#talk-sound .waveform-container')")
        assert list(temporary.rglob("question*.wav"))
        tab.click("#talk-ask")
        assert "speech" in tab.line("talk-line"), "it speaks, or says that it did not"
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 130
    assert not list(temporary.glob("slmkit-serve-*"))
