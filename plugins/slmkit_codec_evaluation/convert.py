"""The stage `convert-voices`: is a voice that was exchanged the voice that is heard?"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from slmkit.api import AudioError, Codes, DataError, Result, StageContext, Tokenizer, Utterance
from slmkit.codecs.conversion import convert_voice
from slmkit.data.audio import read_utterance
from slmkit.data.intervals import proportion
from slmkit.host import build
from slmkit_codec_evaluation.blocks import Block, failed_table, keep_sound, leave
from slmkit_codec_evaluation.copies import decoded, encoded, speaking_rate
from slmkit_codec_evaluation.ears import embedded, transcribed
from slmkit_codec_evaluation.held_out import held_out
from slmkit_codec_evaluation.plugin import ConvertVoicesOptions
from slmkit_codec_evaluation.scores import COSINE, Measure, Scores, labelled

Pair = tuple[Utterance, Utterance]
CONTROL = "control"


@dataclass
class Room:
    """The parts at work, and what they found of each utterance, each thing once."""

    tokenizer: Tokenizer
    encoder: Any
    coded: dict[str, Codes] = field(default_factory=dict)
    voices: dict[str, np.ndarray] = field(default_factory=dict)
    copies: dict[str, np.ndarray] = field(default_factory=dict)

    def codes(self, utterance: Utterance) -> Codes:
        """Of an utterance, [1, k, t]. Raises AudioError."""
        if utterance.id not in self.coded:
            self.coded[utterance.id] = encoded(utterance, self.tokenizer)[0]
        return self.coded[utterance.id]

    def voice(self, utterance: Utterance) -> np.ndarray:
        """The embedding [d] of its recording. Raises AudioError."""
        if utterance.id not in self.voices:
            rate = self.encoder.sample_rate
            wav = read_utterance(utterance, rate)
            self.voices[utterance.id] = embedded(self.encoder, wav, rate)
        return self.voices[utterance.id]

    def copied_voice(self, utterance: Utterance) -> np.ndarray:
        """The embedding [d] of what its own codes sound like. Raises AudioError."""
        if utterance.id not in self.copies:
            wav = self.spoken(self.codes(utterance))
            self.copies[utterance.id] = embedded(self.encoder, wav, speaking_rate(self.tokenizer))
        return self.copies[utterance.id]

    def spoken(self, codes: Codes) -> np.ndarray:
        """The wave [n] of codes."""
        wav: np.ndarray = decoded(codes, self.tokenizer)[0]
        return wav


def convert(options: ConvertVoicesOptions, context: StageContext) -> None:
    """Exchange voices, and ask of each result whether it is more like the reference than like the
    source; of the source's own codes, the control, it must not be. A judge hears whose words they
    are: a codec whose first codebook is heeded by none gives the reference back, words and all."""
    room = Room(context.part("tokenizer"), context.part("voices"))
    judge = context.part("judge") if options.judge else None
    rate = speaking_rate(room.tokenizer)
    scores = Scores()
    items: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    drawn = pairs(held_out(options.split, context), options.pairs, context.seed)
    with context.progress("converting", len(drawn)) as progress:
        for done, (source, reference) in enumerate(drawn, start=1):
            id = f"{source.id}+{reference.id}"
            wav = np.zeros(0, dtype=np.float32)
            try:
                wav = room.spoken(convert_voice(room.codes(source), room.codes(reference)))
                voices = {"": embedded(room.encoder, wav, rate), CONTROL: room.copied_voice(source)}
                known = room.voice(source), room.voice(reference)
                heard = None if judge is None else transcribed(judge, wav, rate)
            except AudioError as error:
                scores.fail("pair", id, str(error))
            else:
                for name, voice in voices.items():
                    tail = f"/{name}" if name else ""
                    for whose, recorded in zip(("source", "reference"), known, strict=True):
                        alike = float(voice @ recorded)
                        scores.add(f"similarity-to-{whose}{tail}", COSINE, id, (alike, 1.0))
                if heard is not None:
                    whose_words(heard, {"source": source, "reference": reference}, id, scores)
            items.append({"source": source.id, "reference": reference.id, **scores.of(id)})
            if len(wav) and len(kept) < options.sounds:
                kept.append(sounds_row(source, reference, wav, rate, context))
            progress(done)
    block: Block = {
        "type": "sounds",
        "title": "Voices exchanged" + (f" ({options.label})" if options.label else ""),
        "note": "The first codebook of the source with the others of the reference.",
        "rows": kept,
    }
    leave(context.folder, [block, *failed_table(scores)], items)
    rows = [*converted(scores, options.split), *scores.rows(options.split)]
    context.result(*(labelled(row, options.label) for row in rows))


def whose_words(heard: str, said: Mapping[str, Utterance], id: str, scores: Scores) -> None:
    """Hold what the judge heard to the words of the source and to those of the reference."""
    wer = build("metric", "wer")
    for whose, utterance in said.items():
        if utterance.text:
            take = partial(wer.score, heard, utterance.text)
            scores.score(f"wer-to-{whose}", Measure.of(wer), id, take)


def pairs(utterances: Sequence[Utterance], most: int, seed: int) -> list[Pair]:
    """Up to so many pairs of a source and a reference of another speaker, drawn by the seed; all
    sources come in turn, and no pair twice. Raises DataError where there are no two speakers."""
    known = [utterance for utterance in utterances if utterance.speaker is not None]
    draw = random.Random(seed)
    others = {
        u.id: draw.sample(rest, min(len(rest), -(-most // len(known))))
        for u in known
        if (rest := [other for other in known if other.speaker != u.speaker])
    }
    rounds = itertools.zip_longest(
        *([(u, o) for o in others[u.id]] for u in known if others.get(u.id))
    )
    found = [pair for turn in rounds for pair in turn if pair is not None]
    if not found:
        raise DataError("voices cannot be exchanged: the split has no two known speakers")
    return found[:most]


def converted(scores: Scores, split: str) -> list[Result]:
    """The share of pairs whose result is more like the reference, and that of the control."""
    rows = []
    for name, tail in (("voice-converted", ""), (f"voice-converted/{CONTROL}", f"/{CONTROL}")):
        to_source = scores.values.get(f"similarity-to-source{tail}", {})
        to_reference = scores.values.get(f"similarity-to-reference{tail}", {})
        if not to_source:
            raise DataError(f"none of the pairs of '{split}' could be measured; see items.json")
        hits = sum(to_reference[id][0] > near[0] for id, near in to_source.items())
        value, low, high = (100 * share for share in proportion(hits, len(to_source)))
        row = Result(name, split, value, low, high, len(to_source), "%")
        rows.append(replace(row, direction="lower") if tail else row)
    return rows


def sounds_row(
    source: Utterance, reference: Utterance, wav: np.ndarray, rate: int, context: StageContext
) -> dict[str, Any]:
    """A card of the report: who says what, as whom, and what came of it."""
    id, sounds = f"{source.id}+{reference.id}", dict[str, str]()
    for name, each in (("source", source), ("reference", reference)):
        sounds |= keep_sound(context.folder, f"{id}-{name}", read_utterance(each, rate), rate)
    sounds |= keep_sound(context.folder, f"{id}-converted", wav, rate)
    return {
        "title": f"{source.id} as {reference.speaker}",
        "texts": {"said": source.text},
        "sounds": sounds,
        "spectrogram": "converted",
    }
