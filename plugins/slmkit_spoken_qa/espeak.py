"""espeak-ng in-process: text to samples, with the times of words and phones.

The shared library and its data come with the package `espeakng-loader` (GPL-3.0-or-later; nothing
of it is part of slmkit). Its C interface is `speak_lib.h` of espeak-ng 1.52.
"""

from __future__ import annotations

import _ctypes
import ctypes
import re
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slmkit.api import DataError, Interval, MissingDependencyError

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_LIST_TERMINATED, _WORD, _PHONEME = 0, 1, 7
_SEED = 1
_LOUDNESS = 70
"""Per cent. At 100 the loudest voices overflow 16 bits."""

_loading = threading.Lock()
"""espeak_Initialize sets the process's locale, which no two threads may do at once."""


class _Name(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Mark(NamedTuple):
    """A word (its position in the text counted from 1) or a phone, and the sample it starts at."""

    kind: int
    sample: int
    position: int
    name: str


@dataclass(frozen=True, eq=False)
class Spoken:
    """What espeak-ng said.

    Attributes:
        samples: int16 [n].
        sample_rate: Hz (22050 for every voice of the formant synthesizer).
        words: where each word of the text lies, labelled as the text spells it.
        phones: IPA with stress marks; pauses are left out.
    """

    samples: np.ndarray
    sample_rate: int
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...]


class Espeak:
    """A speaker whose samples depend on nothing but what it is asked to say.

    espeak-ng keeps the phase of its oscillators, its pitch flutter and its noise in static
    variables that no call resets, so the same words come out differently each time. Here every
    utterance gets a freshly loaded library (about 2 ms), loaded from a copy of its own: nothing
    else in the process can hold that copy loaded, and two threads with an `Espeak` each can speak
    at once.

    Raises MissingDependencyError where `espeakng-loader` is not installed.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise MissingDependencyError(
                "espeak-ng is not installed: pip install 'slmkit[text]'"
            ) from None
        self._data = Path(espeakng_loader.get_data_path())
        self._folder = tempfile.TemporaryDirectory(prefix="slmkit-espeak-")
        self._library = shutil.copy(espeakng_loader.get_library_path(), self._folder.name)

    def speak(self, text: str, voice: str = "en-us", rate: int = 175, pitch: int = 50) -> Spoken:
        """Say a text.

        Args:
            text: words and punctuation.
            voice: a language, with "+" and a variant of its voice if wanted ("en-us+f3").
            rate: words a minute, 80 to 450.
            pitch: 0 to 99; 50 is the voice's own.

        Raises DataError for an unknown voice, values out of range, or a text that is silent.
        """
        if not 80 <= rate <= 450 or not 0 <= pitch <= 99:
            raise DataError(f"espeak-ng: rate {rate} is not in 80..450, or pitch {pitch} in 0..99")
        variant = voice.partition("+")[2]
        if variant and not (self._data / "voices" / "!v" / variant).is_file():
            raise DataError(f"espeak-ng: unknown variant '{variant}' in voice '{voice}'")
        chunks: list[np.ndarray] = []
        events: list[_Mark] = []

        @_Callback
        def collect(samples, count, event):  # type: ignore[no-untyped-def]
            if samples and count > 0:
                chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            index = 0
            while event[index].type != _LIST_TERMINATED:
                one = event[index]
                if one.type in (_WORD, _PHONEME):
                    name = one.id.string.decode() if one.type == _PHONEME else ""
                    events.append(_Mark(one.type, one.sample, one.text_position, name))
                index += 1
            return 0

        sample_rate = self._synthesize(text, voice, rate, pitch, collect)
        samples = np.concatenate([np.zeros(0, np.int16), *chunks])
        phones = _phones(events, len(samples), sample_rate)
        if not phones:
            raise DataError(f"espeak-ng says nothing for the text '{text}'")
        words = _words(text, events, phones, len(samples) / sample_rate, sample_rate)
        return Spoken(samples, sample_rate, words, phones)

    def _synthesize(self, text: str, voice: str, rate: int, pitch: int, callback: object) -> int:
        with _loading:
            library = ctypes.CDLL(self._library)
            sample_rate: int = library.espeak_Initialize(
                _SYNCHRONOUS,
                0,
                str(self._data.parent).encode(),
                _PHONEME_EVENTS | _IPA | _DONT_EXIT,
            )
        try:
            if sample_rate <= 0:
                raise DataError(f"espeak-ng cannot read its data in {self._data}")
            library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
            library.espeak_SetSynthCallback(callback)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise DataError(f"espeak-ng: unknown voice '{voice}'")
            for name, value in ((_RATE, rate), (_VOLUME, _LOUDNESS), (_PITCH, pitch), (_RANGE, 50)):
                library.espeak_SetParameter(name, value, 0)
            line = text.encode()
            size = ctypes.c_size_t(len(line) + 1)
            library.espeak_Synth(line, size, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        finally:
            with _loading:
                library.espeak_Terminate()
                _ctypes.dlclose(library._handle)
        return sample_rate


def _phones(events: list[_Mark], samples: int, sample_rate: int) -> tuple[Interval, ...]:
    """A phone lasts until the next one, or until a pause, which has an empty name in IPA.

    espeak-ng marks a stop at its release and the word at the closure before it; the closure is
    counted to the stop, so that phones never straddle words.
    """
    marks: list[tuple[int, str]] = []
    word_start = None
    for event in events:
        if event.kind == _WORD:
            word_start = event.sample
        else:
            marks.append((event.sample if word_start is None else word_start, event.name.strip()))
            word_start = None
    ends = [min(sample, samples) for sample, _ in marks[1:]] + [samples]
    return tuple(
        Interval(name, start / sample_rate, end / sample_rate)
        for (start, name), end in zip(marks, ends, strict=True)
        if name and start < end
    )


def _words(
    text: str, events: list[_Mark], phones: tuple[Interval, ...], seconds: float, sample_rate: int
) -> tuple[Interval, ...]:
    """A word lasts until its last phone ends: a pause after it is nobody's.

    espeak-ng speaks some pairs ("of the", "do not") as one word with one mark; they share its
    time by their letters.
    """
    spelt = [(match.start(), match.group()) for match in re.finditer(r"\S+", text)]
    starts: dict[int, float] = {}
    for event in events:
        if event.kind == _WORD:
            index = sum(offset < event.position for offset, _ in spelt) - 1
            starts.setdefault(max(index, 0), event.sample / sample_rate)
    firsts = sorted(starts)
    words: list[Interval] = []
    for first, after in zip(firsts, [*firsts[1:], len(spelt)], strict=True):
        group = [word.strip(".,;:!?") for _, word in spelt[first:after]]
        start, limit = starts[first], starts.get(after, seconds)
        end = max((p.end for p in phones if start <= p.start < limit), default=limit)
        letters = sum(map(len, group))
        for label in group:
            stop = start + (end - start) * len(label) / letters
            words.append(Interval(label, start, stop))
            start, letters = stop, letters - len(label)
    return tuple(words)
