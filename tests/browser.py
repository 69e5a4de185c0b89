"""A headless Chromium that tests type and click in, spoken to through a pipe (Chrome DevTools
Protocol, which needs no further package that way)."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip
SECONDS = 60.0
"""Without an answer for so long, the browser is held to be stuck."""
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), " ": (32, " "), "ArrowDown": (40, ""),
        "ArrowRight": (39, "")}  # fmt: skip


class Browser:
    """One page in one browser; use it in a `with` block."""

    def __init__(self, chromium: str, profile: Path) -> None:
        (ours, to_them), (from_them, theirs) = os.pipe(), os.pipe()
        # away from 3 and 4, which the browser reads and writes
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (ours, theirs)]
        line = f'exec "$@" 3<&{fds[0]} 4>&{fds[1]}'
        words = ["bash", "-c", line, "-", chromium, *FLAGS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            words, pass_fds=fds, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for fd in (ours, theirs, *fds):
            os.close(fd)
        self._in, self._out, self._rest, self._last = to_them, from_them, b"", 0
        self._session: str | None = None

    def __enter__(self) -> Browser:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=SECONDS)
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol; its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> Any:
        until = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            got = os.read(self._out, 1 << 16)
            assert got, "the browser has ended"
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(
        self, file: Path | str, width: int = 1200, height: int = 900, dark: bool = False
    ) -> None:
        """Show a file, or what is at an address, in a window of this size."""
        address = file if isinstance(file, str) else file.as_uri()
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=address)
        until = time.monotonic() + SECONDS
        shown = json.dumps(address)
        while not self.run(f"document.readyState === 'complete' && location.href === {shown}"):
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.02)

    def resize(self, width: int, height: int) -> None:
        """Show the page in a window of this size, narrow ones as a phone does."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def run(self, script: str) -> Any:
        """What an expression of JavaScript comes to."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = SECONDS) -> Any:
        """What an expression comes to, as soon as that is true."""
        until = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"in vain: {script}"
            time.sleep(0.05)
        return found

    def choose_file(self, selector: str, file: Path) -> None:
        """Choose a file in a field for files, as a person does."""
        expression = f"document.querySelector({json.dumps(selector)})"
        there = self.send("Runtime.evaluate", expression=expression)["result"]
        self.send("DOM.setFileInputFiles", files=[str(file)], objectId=there["objectId"])

    def press(self, key: str) -> None:
        """Press and let go a key, as a person does."""
        code, text = KEYS[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click into the middle of an element, as a person does."""
        box = self.run(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)});"
            "it.scrollIntoView({block: 'center', inline: 'center'});"
            "const b = it.getBoundingClientRect(); return [b.x + b.width/2, b.y + b.height/2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1],
                      button="left", clickCount=1)  # fmt: skip

    def picture(self, file: Path, whole: bool = True) -> None:
        """A screenshot (PNG), of the whole page or of what is seen."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))


def dumped(chromium: str, file: Path, profile: Path) -> str:
    """What a page is after its scripts have run, in a window as narrow as a phone."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={profile}", "--window-size=500,900",
             "--virtual-time-budget=10000", "--dump-dom"]  # fmt: skip
    return subprocess.run(
        [chromium, *flags, file.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
