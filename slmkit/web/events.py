"""What a visitor is told while something is made, and the thread in which it is made."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slmkit.api import SlmkitError
from slmkit.data.audio import Wave

if TYPE_CHECKING:
    from slmkit.api import Codes

LOG = logging.getLogger(__name__)
PULSE_S = 0.25
"""Seconds after which a silent thread is passed over, so that who has left is noticed."""


@dataclass(frozen=True)
class Heard:
    """What a spoken question was understood to be, as far as it is known."""

    transcript: str


@dataclass(frozen=True)
class Wrote:
    """The answer in writing, as far as it is known."""

    text: str


@dataclass(frozen=True, eq=False)
class Spoke:
    """The next wave [n] of the speech, to be joined to those before."""

    wave: Wave
    sample_rate: int


@dataclass(frozen=True, eq=False)
class Coded:
    """The codes of a sound."""

    codes: Codes


@dataclass(frozen=True)
class Said:
    """A line for the visitor; `wrong`: it says what went wrong, and ends the answer."""

    line: str
    wrong: bool = False


Event = Heard | Wrote | Spoke | Coded | Said


class LeftError(Exception):
    """Nobody waits any more: raised within what is being made, to end it."""


class Visit:
    """Whether somebody still waits; asked between the steps of whatever takes long."""

    def __init__(self) -> None:
        self._left = threading.Event()

    @property
    def over(self) -> bool:
        """Whether the visitor has left."""
        return self._left.is_set()

    def leave(self) -> None:
        """Say that nobody waits any more."""
        self._left.set()

    def check(self) -> None:
        """Raise LeftError where the visitor has left."""
        if self.over:
            raise LeftError


def pulsing(make: Callable[[Visit], Iterator[Event]]) -> Iterator[Event | None]:
    """The events of `make`, run in a thread of its own, and None while it is silent.

    Faults become events. Closing the iterator ends the thread at its next step, and waits for it:
    two answers are never made at once.
    """
    made: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    visit = Visit()
    thread = threading.Thread(target=_make, args=(make, visit, made.put), daemon=True)
    thread.start()
    try:
        while True:
            try:
                event = made.get(timeout=PULSE_S)
            except queue.Empty:
                yield None
                continue
            if event is None:
                return
            yield event
    finally:
        visit.leave()
        thread.join()


def _make(
    make: Callable[[Visit], Iterator[Event]], visit: Visit, tell: Callable[[Event | None], None]
) -> None:
    """Hand on every event, a fault as the last one, and then None."""
    try:
        for event in make(visit):
            visit.check()
            tell(event)
    except LeftError:
        LOG.info("a visitor left; what was being made for them is ended")
    except SlmkitError as error:
        tell(Said(" ".join(str(error).splitlines()), wrong=True))
    except Exception:
        LOG.exception("a request to the web page failed")
        line = "something broke here, a fault of slmkit or a plugin: the terminal says where"
        tell(Said(line, wrong=True))
    finally:
        tell(None)
