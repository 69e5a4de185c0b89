"""espeak-ng in-process: the same words in the same manner are the same samples, always."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from slmkit.api import DataError

pytest.importorskip("espeakng_loader")

from slmkit_spoken_qa.espeak import Espeak

TEXT = "what is the opposite of cold"


@pytest.fixture(scope="module")
def espeak():
    return Espeak()


@pytest.mark.parametrize("voice", ["en-us", "en-us+f2", "en-us+m3", "en-us+Nguyen"])
def test_said_alone_equals_said_after_others(espeak, voice):
    alone = Espeak().speak(TEXT, voice, 200, 55)
    espeak.speak("something else", "en-us+klatt2", 250, 20)
    espeak.speak("in another manner", "en-us+f5", 120, 90)
    after = espeak.speak(TEXT, voice, 200, 55)
    np.testing.assert_array_equal(after.samples, alone.samples)
    assert (after.words, after.phones) == (alone.words, alone.phones)


def test_threads_do_not_disturb_each_other(espeak):
    texts = [f"{word} plus {word}" for word in ("one", "two", "three", "four", "five", "six")] * 4
    expected = [espeak.speak(text, "en-us+f3").samples for text in texts]

    def some(part):
        own = Espeak()
        return [own.speak(text, "en-us+f3").samples for text in texts[part::2]]

    with ThreadPoolExecutor(2) as pool:
        even, odd = pool.map(some, (0, 1))
    for part, wanted in ((even, expected[::2]), (odd, expected[1::2])):
        for ours, alone in zip(part, wanted, strict=True):
            np.testing.assert_array_equal(ours, alone)


def test_voice_rate_and_pitch_are_heard(espeak):
    plain = espeak.speak(TEXT, "en-us", 200, 50)
    slow = espeak.speak(TEXT, "en-us", 100, 50)
    assert len(slow.samples) > 1.5 * len(plain.samples)
    low, high = (espeak.speak(TEXT, "en-us", 200, pitch) for pitch in (20, 80))
    assert median_pitch(low) < 0.9 * median_pitch(plain) < 0.8 * median_pitch(high)
    assert median_pitch(espeak.speak(TEXT, "en-us+f3", 200)) > 1.5 * median_pitch(plain)


def test_words_and_phones_follow_each_other_within_the_sound(espeak):
    spoken = espeak.speak("hot, cold, and the letter b", rate=200)
    seconds = len(spoken.samples) / spoken.sample_rate
    assert [word.label for word in spoken.words] == ["hot", "cold", "and", "the", "letter", "b"]
    for marks in (spoken.words, spoken.phones):
        assert all(mark.start < mark.end for mark in marks)
        assert all(a.end <= b.start + 1e-9 for a, b in pairwise(marks))
        assert marks[0].start >= 0
        assert marks[-1].end <= seconds
    for phone in spoken.phones:
        holders = [w for w in spoken.words if w.start <= phone.start and phone.end <= w.end + 1e-9]
        assert len(holders) == 1, phone
    assert "".join(p.label for p in spoken.phones).replace("ˈ", "").startswith("hɑːt")


def test_times_lie_where_the_sound_is(espeak):
    """Between words that a comma parts there is silence, and within a word there is not."""
    spoken = espeak.speak("seven, nine", rate=175)
    first, second = spoken.words
    assert second.start - first.end > 0.05
    loud = level(spoken, first.start, first.end)
    assert level(spoken, first.end + 0.03, second.start - 0.01) < 0.05 * loud
    assert level(spoken, second.start, second.end) > 0.3 * loud


@pytest.mark.parametrize("text", ["of the sea", "do not go", "name one of the two"])
def test_pairs_spoken_as_one_word_still_have_a_time_each(espeak, text):
    words = espeak.speak(text).words
    assert [word.label for word in words] == text.split()
    assert all(word.start < word.end for word in words)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"voice": "xx-nowhere"}, "xx-nowhere"),
        ({"voice": "en-us+nobody"}, "nobody"),
        ({"rate": 20}, "20"),
        ({"pitch": 200}, "200"),
        ({"text": ""}, "nothing"),
        ({"text": " , "}, "nothing"),
    ],
)
def test_what_cannot_be_said_is_refused(espeak, wrong, named):
    with pytest.raises(DataError, match=named):
        espeak.speak(**{"text": TEXT, **wrong})
    assert len(espeak.speak(TEXT).samples) > 20000


def level(spoken, start, end):
    rate = spoken.sample_rate
    part = spoken.samples[round(start * rate) : round(end * rate)].astype(float)
    return float(np.sqrt(np.mean(part**2)))


def median_pitch(spoken):
    """Hz, by autocorrelation over windows of 60 ms that are loud and periodic."""
    rate, found = spoken.sample_rate, []
    size, low, high = int(0.06 * rate), int(rate / 400), int(rate / 50)
    for begin in range(0, len(spoken.samples) - size, size // 2):
        window = spoken.samples[begin : begin + size].astype(float)
        window -= window.mean()
        correlation = np.correlate(window, window, "full")[size - 1 :]
        best = low + int(correlation[low:high].argmax())
        if correlation[0] > size * 1e5 and correlation[best] > 0.6 * correlation[0]:
            found.append(rate / best)
    return float(np.median(found))
