"""The stage `evaluate-codec`. Letters: k (codebook), n (sample)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from slmkit.api import (
    AudioError,
    CodeSpec,
    DataError,
    Metric,
    MissingDependencyError,
    Result,
    StageContext,
    StageError,
    Utterance,
)
from slmkit.data.audio import resampled
from slmkit.data.books import books_of
from slmkit.data.codebooks import (
    BookUse,
    bits_per_second,
    entropy_coded_bits_per_second,
    frames_of,
    use_of_codebooks,
)
from slmkit.data.intervals import jackknife
from slmkit.data.store import TokenStore
from slmkit.generation.measuring import plain
from slmkit.host import build
from slmkit_codec_evaluation.blocks import book_table, copies_block, failed_table, leave
from slmkit_codec_evaluation.copies import Copy, copied
from slmkit_codec_evaluation.ears import embedded, transcribed
from slmkit_codec_evaluation.held_out import held_out
from slmkit_codec_evaluation.plugin import EvaluateCodecOptions
from slmkit_codec_evaluation.scores import COSINE, Measure, Score, Scores, labelled

RATES = {"mel-distance": None, "stft-distance": None, "stoi": None, "pesq": 16000, "si-sdr": None}
"""What compares waves, and the rate to which both are brought for it (None: they stay)."""

WER_TRUE = "wer/original"
FACTOR = Measure(direction="lower")


def evaluate(options: EvaluateCodecOptions, context: StageContext) -> None:
    """Copy, compare, listen, count; leave every item's scores and some sounds."""
    tokenizer = context.part("tokenizer")
    books = books_of(options.books, tokenizer.spec.codebooks)
    utterances = held_out(options.split, context)[: options.items]
    judge, voices = listeners(options, context, utterances)
    compare = comparisons(context)
    scores = Scores()
    kept: list[Copy] = []
    heard: dict[str, dict[str, str]] = {}
    # what a part makes ready when it is first used is no part of its speed
    copied_or_why(utterances[0], tokenizer, books)
    with context.progress("copying", len(utterances)) as progress:
        for done, utterance in enumerate(utterances, start=1):
            progress(done - 1)
            copy = copied_or_why(utterance, tokenizer, books)
            if isinstance(copy, str):
                scores.fail("copy", utterance.id, copy)
                continue
            take(copy, compare, scores)
            heard[utterance.id] = listen(copy, judge, voices, scores)
            if len(kept) < options.sounds:
                kept.append(copy)
    if not heard:
        reason = next(iter(scores.failures["copy"].values()))
        raise StageError(f"none of {len(utterances)} utterances could be copied: {reason}")
    store = TokenStore.open(context.read("codes"))
    trained = [frames_of(row) for row in store.select(split="train")]
    use = use_of_codebooks(trained, store.spec.codebook_sizes)
    rows = [*scores.rows(options.split), *costs(store.spec, use, books, len(trained))]
    context.result(*(labelled(row, options.label) for row in rows))
    items = [{"id": u.id, **scores.of(u.id), "heard": heard.get(u.id, {})} for u in utterances]
    blocks = [copies_block(kept, heard, options.label, context.folder), book_table(use)]
    leave(context.folder, [*blocks, *failed_table(scores)], items)


def copied_or_why(utterance: Utterance, tokenizer: Any, books: Sequence[int]) -> Copy | str:
    """The copy of an utterance, or why there is none."""
    try:
        return copied(utterance, tokenizer, books)
    except AudioError as error:
        return str(error)


def comparisons(context: StageContext) -> dict[str, Metric]:
    """The metrics of waves that are installed; of those that are not it is said how to mend it."""
    found = {}
    for name in RATES:
        try:
            found[name] = build("metric", name)
        except MissingDependencyError as error:
            context.say(f"not measured: {error}")
    return found


def take(copy: Copy, compare: dict[str, Metric], scores: Scores) -> None:
    """Score one copy against its original, and the time that it took."""
    item = copy.utterance.id
    for name, metric in compare.items():
        scores.score(name, Measure.of(metric), item, partial(compared, metric, name, copy))
    for name, seconds in (("encode", copy.encode_s), ("decode", copy.decode_s)):
        scores.add(f"real-time-factor/{name}", FACTOR, item, (seconds, copy.seconds))


def compared(metric: Metric, name: str, copy: Copy) -> Score:
    """The score of a copy by a metric of waves, at the rate that it asks for. Raises DataError."""
    rate = RATES[name] or copy.rate
    given, reference = (resampled(wav, copy.rate, rate) for wav in (copy.wav, copy.original))
    return metric.score(given, reference, rate)


def listeners(
    options: EvaluateCodecOptions, context: StageContext, utterances: Sequence[Utterance]
) -> tuple[Any, Any]:
    """The judge and the encoder of voices, or None. Raises DataError where a judge has no text to
    be held to."""
    if options.judge and not any(u.text for u in utterances):
        raise DataError(
            f"the split '{options.split}' has no texts to hold the judge to: give the corpus "
            f"texts, or this stage judge=false"
        )
    judge = context.part("judge") if options.judge else None
    return judge, context.part("voices") if options.voices else None


def listen(copy: Copy, judge: Any, voices: Any, scores: Scores) -> dict[str, str]:
    """Score a copy by ear: the judge's WER, the original's beside it, and how alike the voices are.
    Gives what the judge heard."""
    item, text, heard = copy.utterance.id, copy.utterance.text, {}
    if judge is not None and text:
        wer = build("metric", "wer")
        for whose, wav, name in (("copy", copy.wav, "wer"), ("original", copy.original, WER_TRUE)):

            def judged(whose: str = whose, wav: np.ndarray = wav) -> Score:
                heard[whose] = transcribed(judge, wav, copy.rate)
                score: Score = wer.score(heard[whose], text)
                return score

            scores.score(name, Measure.of(wer), item, judged)
    if voices is not None:
        scores.score("similarity", COSINE, item, partial(alike, voices, copy))
    return heard


def alike(voices: Any, copy: Copy) -> Score:
    """The cosine of the voices of a copy and its original. Raises AudioError."""
    one, other = (embedded(voices, wav, copy.rate) for wav in (copy.wav, copy.original))
    return float(one @ other), 1.0


def costs(spec: CodeSpec, use: Sequence[BookUse], books: Sequence[int], n: int) -> Iterator[Result]:
    """Bits a second of the chosen codebooks, and the use of each, over n training utterances."""
    rate = bits_per_second(spec, books)
    yield plain("bitrate/nominal", "train", rate, n, "bit/s")
    coded = entropy_coded_bits_per_second(spec, use, books)
    yield Result("bitrate/entropy-coded", "train", *coded, n, "bit/s", "lower")
    for book in books:
        used, number = use[book], book + 1
        # a count, not an estimate: of fewer utterances it could only be smaller
        yield plain(f"codebook-usage/{number}", "train", 100 * used.usage, n, "%", "higher")
        found = jackknife(used.entropy, used.without)
        yield Result(f"codebook-entropy/{number}", "train", *found, n, "bit")
