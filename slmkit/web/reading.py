"""A text read aloud by a model of text to speech, in a voice that is given or in its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slmkit.api import Segment, SlmkitError
from slmkit.data.audio import Wave
from slmkit.generation.reader import Reader
from slmkit.generation.sampling import Sampling
from slmkit.web.events import Event, Said, Spoke, Visit

LONGEST_S = 20.0
"""Seconds of the speech at most, as of `slmkit speak`."""
RETRIES = 3


def read(
    reader: Reader, text: str, voice: Wave | None, said: str, seed: int, visit: Visit
) -> Iterator[Event]:
    """Say a text; `voice` [n] is at the tokenizer's rate, `said` what it says, for models that go
    on from it. What fails is drawn anew, as by `slmkit speak`. Raises SlmkitError, LeftError."""
    heard = None if voice is None else reader.hear(voice, "the voice", said)
    told = ""
    if voice is not None and reader.reading.goes_on and not said:
        said = reader.words_in(voice, "the voice")
        told = f"; the judge hears '{said}'"
    if heard is not None:
        yield Said(f"the first {heard.shape[1] / reader.lm.spec.frame_rate:.1f} s are heard{told}")

    def stays(row: int, pieces: Sequence[Segment]) -> bool:
        visit.check()
        return False

    sampling = Sampling(temperature=1.0, seed=seed, until=stays)
    (made,) = reader.read([text], heard, sampling, LONGEST_S, RETRIES, said)
    times = "once" if made.tries == 1 else f"{made.tries} times"
    if made.failure is not None:
        raise SlmkitError(
            f"the speech was {made.failure}, tried {times}: another seed or more training may help"
        )
    wave, rate = reader.sound(made.codes).numpy(), reader.vocoder.sample_rate
    yield Spoke(wave, rate)
    yield Said(f"{len(wave) / rate:.1f} s of speech, tried {times}")
