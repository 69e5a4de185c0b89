"""What the web page does, without the page."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import toy_assistant
from documents_world import voiced
from toy_assistant import SAMPLES, Script

from slmkit.api import AudioError, DataError, MisfitError, SlmkitError, Speech, UnknownNameError
from slmkit.data.audio import read_audio
from slmkit.generation.assistant import Assistant
from slmkit.web import answering, limits, server
from slmkit.web.answering import answer
from slmkit.web.events import Coded, Event, Heard, LeftError, Said, Spoke, Visit, Wrote, pulsing
from slmkit.web.limits import LONGEST_S, LONGEST_TEXT, accept, receive
from slmkit.web.offer import FITTED, Offer, open_offer
from slmkit.web.playground import Coder, fit_to, fitted_here, mix, show
from slmkit.web.view import View, views


@pytest.fixture(scope="module")
def assistant() -> Assistant:
    return toy_assistant.assistant()


@pytest.fixture(scope="module")
def rvq() -> Coder:
    """A tokenizer of eight codebooks that speaks."""
    (part,) = [part for part in fitted_here() if part.name == "mel-rvq"]
    return fit_to(part, [voiced(1.5, 100), voiced(1.0, 200)])


def of(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def joined(events: list[Event]) -> np.ndarray:
    return np.concatenate([event.wave for event in events if isinstance(event, Spoke)])


# what comes in


def test_a_sound_is_read_as_everywhere_else(tmp_path: Path) -> None:
    file = tmp_path / "a.flac"
    soundfile.write(file, np.stack([voiced(12.0, 90), voiced(12.0, 150)], axis=1), 22050)
    assert np.allclose(receive(file, "sound", 16000), read_audio(file, 16000), atol=1e-4)


def test_what_is_no_sound_is_told_by_its_name_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret-folder" / "broken.wav"
    file.parent.mkdir()
    file.write_bytes(b"RIFF but no sound")
    with pytest.raises(AudioError, match=r"^broken\.wav: not sound that can be read") as caught:
        receive(file, "sound", 16000)
    assert "secret" not in str(caught.value)
    with pytest.raises(AudioError, match="there is no question yet"):
        receive(None, "question", 16000)


def test_what_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "long.wav"
    for seconds, fits in ((LONGEST_S, True), (LONGEST_S + 0.1, False)):
        soundfile.write(file, np.zeros(round(8000 * seconds)), 8000)
        if fits:
            assert len(receive(file, "sound", 8000)) == 8000 * seconds
        else:
            with pytest.raises(AudioError, match=r"^long\.wav: 60\.1 s are more than the 60 s"):
                receive(file, "sound", 8000)
    # a header that promises little does not let more in
    short = limits.probe(file)._replace(duration=1.0)
    monkeypatch.setattr(limits, "probe", lambda path: short)
    with pytest.raises(AudioError, match="more than the 60 s"):
        receive(file, "sound", 8000)


def test_texts_are_limited() -> None:
    assert accept(" one two\n", "text") == "one two"
    assert len(accept("a" * LONGEST_TEXT, "text")) == LONGEST_TEXT
    for text in ("", " \n"):
        with pytest.raises(DataError, match="no text yet"):
            accept(text, "text")
    with pytest.raises(DataError, match="501 characters"):
        accept("a" * (LONGEST_TEXT + 1), "text")


# the thread in which it is made


def test_events_keep_their_order_and_silence_is_told() -> None:
    def make(visit: Visit) -> Iterator[Event]:
        yield Wrote("a")
        time.sleep(0.6)
        yield Wrote("b")

    found = list(pulsing(make))
    assert [event for event in found if event] == [Wrote("a"), Wrote("b")]
    assert None in found


@pytest.mark.parametrize("own", [True, False])
def test_a_fault_becomes_a_line(own: bool, caplog: pytest.LogCaptureFixture) -> None:
    def make(visit: Visit) -> Iterator[Event]:
        yield Wrote("a")
        raise MisfitError("these\ndo not fit") if own else RuntimeError("in /somewhere.py")

    with caplog.at_level(logging.ERROR):
        *_, last = pulsing(make)
    assert isinstance(last, Said)
    assert last.wrong
    assert (last.line == "these do not fit") == own
    assert "somewhere" not in last.line
    assert ("somewhere" in caplog.text) != own


def test_who_leaves_ends_what_is_made() -> None:
    made: list[int] = []
    ended = threading.Event()

    def make(visit: Visit) -> Iterator[Event]:
        try:
            for number in range(1000):
                made.append(number)
                time.sleep(0.01)
                yield Wrote(str(number))
        finally:
            ended.set()

    events = pulsing(make)
    assert next(events) == Wrote("0")
    events.close()  # type: ignore[attr-defined]
    assert ended.is_set(), "closing waits"
    count = len(made)
    assert count < 100
    time.sleep(0.1)
    assert len(made) == count


def test_silent_work_can_ask_whether_somebody_waits() -> None:
    asked = []

    def make(visit: Visit) -> Iterator[Event]:
        while True:
            asked.append(0)
            visit.check()
            time.sleep(0.01)
        yield Wrote("never")

    events = pulsing(make)
    assert next(events) is None
    events.close()  # type: ignore[attr-defined]
    count = len(asked)
    time.sleep(0.1)
    assert len(asked) == count


# a question


def test_an_answer_comes_piece_by_piece(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    monkeypatch.setattr(answering, "stream", script)
    wave = voiced(1.5, 120)
    events = []
    for event in answer(assistant, wave, Visit()):
        if isinstance(event, Spoke) and not of(events, Spoke):
            assert script.given == 1, "the first unit is spoken before the second is made"
        events.append(event)
    assert of(events, Heard) == [Heard("what is"), Heard("what is three plus five")]
    assert of(events, Wrote) == [Wrote("three plus"), Wrote("three plus five is eight")]
    assert events[-1] == Said("1.2 s of speech")
    units = np.arange(script.units)[None] % 8
    (whole,) = assistant.speak([units])
    assert np.abs(whole).max() > 0.1
    waves = [event.wave for event in events if isinstance(event, Spoke)]
    assert [len(part) for part in waves] == [SAMPLES] * script.units
    heard = [segment for segment in script.prompt if isinstance(segment, Speech)]
    assert len(heard) == 1
    assert np.array_equal(heard[0].codes, assistant.hear(torch.from_numpy(wave)))


def test_a_written_question_has_no_transcript(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "stream", Script())
    events = list(answer(assistant, "what is three plus five", Visit()))
    assert not of(events, Heard)
    assert of(events, Wrote)[-1] == Wrote("three plus five is eight")


def test_an_answer_without_speech_says_so(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "stream", Script(units=0))
    *_, last = answer(assistant, "what", Visit())
    assert last == Said("the model gave no speech to this question", wrong=True)


def test_an_answer_ends_where_nobody_waits(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    monkeypatch.setattr(answering, "stream", script)
    visit = Visit()
    events = answer(assistant, "what", visit)
    while not isinstance(next(events), Spoke):
        pass
    visit.leave()
    with pytest.raises(LeftError):
        list(events)
    assert script.given < script.units


# the playground


def test_what_needs_a_download_is_not_offered() -> None:
    assert {part.name for part in fitted_here()} == {"mel-km", "mel-rvq"}


def test_the_codes_and_their_sound_are_the_tokenizers(rvq: Coder) -> None:
    wave = voiced(1.5, 100)
    codes = rvq.tokenizer.encode(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    found = {}
    for books in (1, 8):
        events = list(show(rvq, wave, books, Visit()))
        (coded,) = of(events, Coded)
        assert torch.equal(coded.codes.values, codes.values)
        wav, lengths = rvq.tokenizer.decode_books(codes, range(books))
        assert np.allclose(joined(events), wav[0, : lengths[0]].numpy(), atol=1e-5)
        found[books] = joined(events)
        assert f"{books} of 8 codebooks heard" in events[-1].line
    assert not np.allclose(found[1], found[8], atol=1e-2)


def test_a_mixture_has_the_words_of_one_and_the_rest_of_the_other(rvq: Coder) -> None:
    source, reference = voiced(1.0, 100), voiced(1.5, 200)
    events = list(mix(rvq, source, reference, Visit()))
    (coded,) = of(events, Coded)
    words, voice = (rvq.encode(wave).values for wave in (source, reference))
    frames = words.shape[2]
    assert torch.equal(coded.codes.values[:, :1], words[:, :1])
    assert torch.equal(coded.codes.values[:, 1:], voice[:, 1:, :frames])
    assert "the words may be lost" in events[-1].line
    semantic = Coder(rvq.tokenizer, rvq.voice, True)
    assert "lost" not in list(mix(semantic, source, reference, Visit()))[-1].line


def test_units_have_no_voice_to_exchange_and_may_have_no_sound() -> None:
    wave = voiced(1.5, 100)
    coder = Coder.of(toy_assistant.tokenizer(), None, False)
    with pytest.raises(MisfitError, match="no voice of their own"):
        list(mix(coder, wave, wave, Visit()))
    events = list(show(coder, wave, 1, Visit()))
    assert not of(events, Spoke)
    assert "not heard" in events[-1].line
    hummed = Coder.of(toy_assistant.tokenizer(), toy_assistant.Hum(), False)
    assert of(list(show(hummed, wave, 1, Visit())), Spoke)


def test_a_page_without_a_run_has_the_playground() -> None:
    offer = open_offer(None)
    assert offer.assistant is None
    assert offer.reader is None
    assert offer.tokenizers == [f"mel-km, {FITTED}", f"mel-rvq, {FITTED}"]
    assert [offer.codebooks(name) for name in offer.tokenizers] == [1, 8]
    with pytest.raises(UnknownNameError):
        offer.coder("encodec", [])
    with pytest.raises(DataError, match="too few"):
        offer.coder(f"mel-rvq, {FITTED}", [voiced(0.2, 100)])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is this the folder of a run"):
        open_offer(tmp_path)


# what is seen, and the server


def test_the_stream_is_the_sound_in_pieces() -> None:
    import base64

    wave = (0.5 * np.sin(np.arange(10_000) * 0.1)).astype(np.float32)

    def make(visit: Visit) -> Iterator[Event]:
        for start in range(0, len(wave), 700):
            yield Spoke(wave[start : start + 700], 16000)

    sent = []
    for seen in views(make):
        if seen is not None:
            view, last = seen
            sent.append(len(view.stream["chunks"]))
    assert last
    assert sent == sorted(sent)
    assert 1 < sent[-1] < 6
    rate, sound = view.sound
    packed = b"".join(base64.b64decode(chunk) for chunk in view.stream["chunks"])
    assert rate == 16000
    assert np.array_equal(np.frombuffer(packed, "<i2"), sound)
    assert np.abs(sound / 32767 - wave).max() < 1e-4


def test_what_is_written_on_the_page_cannot_act() -> None:
    view = View()
    view.take(Said("<script>alert(1)</script>", wrong=True))
    assert "<script" not in view.line
    assert 'role="alert"' in view.line


def test_a_taken_port_is_a_line() -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SlmkitError, match=f"127.0.0.1:{port}: cannot be listened at"):
            server.listen("127.0.0.1", port)


def test_without_gradio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SlmkitError, match=r"pip install 'slmkit\[demo\]'"):
        server.check_gradio()


def test_only_the_page_knows_gradio() -> None:
    rest = "answering, events, limits, offer, playground, reading, server, view"
    code = f"from slmkit.web import {rest}; import sys; print('gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_offer_opens_a_tokenizer_once() -> None:
    offer = Offer(name="x")
    made = Coder.of(toy_assistant.tokenizer(), None, False)
    offer.slots, offer._open["tokenizer of x"] = ("tokenizer",), made
    assert offer.coder("tokenizer of x", []) is made
    assert offer.rate("tokenizer of x") == 16000
