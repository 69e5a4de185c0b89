"""What a visitor sees of the events so far, as the values of gradio's components."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from html import escape
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmkit.web.events import Coded, Event, Heard, Said, Spoke, Visit, Wrote, pulsing

CHUNK_S = 0.2
"""Seconds of sound that are sent at once at least."""
WORKING = "working ..."
IDS = count(1)


class View:
    """Grows with the events of one answer."""

    def __init__(self) -> None:
        self.line = line(WORKING)
        self.heard = self.wrote = self.codes = ""
        self.rate = 0
        self._id = next(IDS)
        self._waves: list[NDArray[np.int16]] = []
        self._sent: list[str] = []
        self._unsent: list[NDArray[np.int16]] = []

    def take(self, event: Event) -> None:
        """See an event."""
        if isinstance(event, Heard):
            self.heard = event.transcript
        elif isinstance(event, Wrote):
            self.wrote = event.text
        elif isinstance(event, Coded):
            self.codes = codes(event)
        elif isinstance(event, Said):
            self.line = line(event.line, event.wrong)
        elif isinstance(event, Spoke):
            pcm = np.round(np.clip(event.wave, -1.0, 1.0) * 32767.0).astype("<i2")
            self.rate = event.sample_rate
            self._waves.append(pcm)
            self._unsent.append(pcm)
            if sum(map(len, self._unsent)) >= CHUNK_S * self.rate:
                self.flush()

    def flush(self) -> None:
        """Send what was too short to be sent alone."""
        if self._unsent:
            packed = base64.b64encode(np.concatenate(self._unsent).tobytes())
            self._sent.append(packed.decode())
            self._unsent = []

    @property
    def stream(self) -> dict[str, Any]:
        """What `player.js` plays."""
        return {"id": self._id, "rate": self.rate, "chunks": list(self._sent)}

    @property
    def sound(self) -> tuple[int, NDArray[np.int16]] | None:
        """All that was spoken: rate in Hz and samples [n]; None where nothing was."""
        return (self.rate, np.concatenate(self._waves)) if self._waves else None


def views(make: Callable[[Visit], Iterator[Event]]) -> Iterator[tuple[View, bool] | None]:
    """(view, whether it is the last) after each event, and None while nothing happens."""
    view = View()
    yield view, False
    events = pulsing(make)
    try:
        for event in events:
            if event is None:
                yield None
                continue
            view.take(event)
            yield view, False
    finally:
        events.close()  # type: ignore[attr-defined]
    view.flush()
    yield view, True


def line(text: str, wrong: bool = False) -> str:
    """A line for the visitor, which screen readers say aloud."""
    role, kind = ("alert", "line wrong") if wrong else ("status", "line")
    return f'<p role="{role}" class="{kind}">{escape(text)}</p>'


def codes(event: Coded) -> str:
    """A heat map that scrolls where it is wide."""
    drawn = event.codes._repr_html_()
    return f'<div class="codes" role="region" aria-label="codes" tabindex="0">{drawn}</div>'
