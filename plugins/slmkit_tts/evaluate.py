"""The stage `evaluate-tts`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from slmkit.api import MisfitError, Segments, Speech, StageContext, Tokenizer
from slmkit.data.atomic import write_atomically
from slmkit.data.audio import read_utterance, write_audio
from slmkit.data.intervals import bootstrap
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.generation.attempts import Attempt, attempts
from slmkit.generation.measuring import longest_speech, sizes, throughput, times
from slmkit.generation.sampling import Sampling
from slmkit.lm.reading import Reading
from slmkit.lm.saving import load_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.training.keeping import kept_in
from slmkit_tts.cases import Case, cases_of, questions
from slmkit_tts.examples import STOP, Spoken
from slmkit_tts.figured import failures, figures, items, paired_items
from slmkit_tts.judging import Ear, Said, best_of
from slmkit_tts.plugin import EvaluateTtsOptions

SAID = "said.json"
"""All that was asked and measured, for stages below."""
ITEMS = "items.json"
"""Every item's scores, as any two runs are compared by them."""
ANOTHER_DRAW = 1_000_003
"""Lies between the seeds of one draw and the next, so that no run's seed gives another's draws."""


def evaluate(options: EvaluateTtsOptions, context: StageContext) -> None:
    """Speak, judge, time; leave every item's scores, and sounds for the report. What did not come
    counts as wrong."""
    store = TokenStore.open(context.read("codes"))
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl")
    lm, tokenizer = load_lm(context.read("lm")), context.part("tokenizer")
    check_codes(lm, tokenizer, store)
    reading = Reading.load(context.read("lm"))
    asked, cases = cases_of(options, utterances, store, lm.vocabulary, reading.goes_on)
    ear = Ear(tokenizer, context.part("judge"), context.part("voices"))
    for case in cases:
        ear.meet(case)
    prompts = questions(options, asked, cases)
    draws = spoken_draws(options, context, lm, cases, prompts, ear)
    first, best = draws[0], best_of(draws)
    truths = [Attempt(asked.codes(case.utterance), None, 1) for case in cases]
    copies = ear.judge_all(cases, truths)
    answers = [[Speech(each.attempt.codes)] for each in first if len(each.wav)]
    sampling, split = sampling_of(options, lm, prompts, context.seed), options.split
    together = [prompts[row % len(prompts)] for row in range(options.together)]
    kept = keep_sounds(first if options.draws == 1 else best, copies, options, ear.rate, context)
    rows = [*figures(first, "", split), *failures(first, "", split)]
    if options.draws > 1:
        name = f"/best-of-{options.draws}"
        rows += [*figures(best, name, split), *failures(best, name, split)]
    rows += [
        *figures(copies, "/copy", split),
        *sizes(lm, answers, split),
        *times(lm, prompts[: options.timed], sampling, split),
        *throughput(lm, together, sampling, split),
    ]
    label = f"{options.label}/" if options.label else ""
    context.result(*(replace(row, metric=label + row.metric) for row in rows))
    record = {
        "label": options.label,
        "split": split,
        "draws": options.draws,
        "course": course(options, context, cases[: options.follow], asked, ear),
        "items": items(first, best, kept),
    }
    for name, content in ((SAID, record), (ITEMS, paired_items(first))):
        write_atomically(context.folder / name, (json.dumps(content, indent=1) + "\n").encode())


def course(
    options: EvaluateTtsOptions,
    context: StageContext,
    cases: Sequence[Case],
    asked: Spoken,
    ear: Ear,
) -> list[dict[str, Any]]:
    """The WER of each model that was kept in the course of the training, of some of the cases."""
    found = []
    for step, place in kept_in(context.read("lm").parent) if cases else ():
        lm = load_lm(place)
        prompts = questions(options, asked, cases)
        (said,) = spoken_draws(replace(options, draws=1), context, lm, cases, prompts, ear)
        wer = bootstrap([each.errors for each in said], [each.words for each in said])
        found.append({"step": step, "wer": [100 * figure for figure in wer], "n": len(said)})
    return found


def check_codes(lm: SpeechLM, tokenizer: Tokenizer, store: TokenStore) -> None:
    """Raise MisfitError where the model, the tokenizer and the stored codes are not of a kind."""
    for what, spec in (("the tokenizer gives", tokenizer.spec), ("the store holds", store.spec)):
        if spec != lm.spec:
            raise MisfitError(
                f"evaluate-tts: {what} codes of another kind than the model speaks: "
                f"{spec.unlike(lm.spec)}; name the slot that it learnt from: slots: {{tokenizer: "
                f"SLOT}}, and let the stage need that slot's `tokenize`"
            )


def spoken_draws(
    options: EvaluateTtsOptions,
    context: StageContext,
    lm: SpeechLM,
    cases: Sequence[Case],
    prompts: Sequence[Segments],
    ear: Ear,
) -> list[list[Said]]:
    """Each text said and judged `draws` times."""
    limits = limits_of(options, lm, cases)
    draws = []
    for draw in range(options.draws):
        sampling = sampling_of(options, lm, prompts, context.seed + draw * ANOTHER_DRAW)
        title = f"speaking, draw {draw + 1}" if options.draws > 1 else "speaking"
        with context.progress(title, len(prompts)) as progress:
            settings = options.batch, options.retries, progress
            tried = attempts(lm, prompts, sampling, limits, *settings)
        draws.append(ear.judge_all(cases, tried))
    return draws


def limits_of(options: EvaluateTtsOptions, lm: SpeechLM, cases: Sequence[Case]) -> list[int]:
    """Frames that each text may take at most, by what there is to pronounce in it."""
    texts = [case.utterance.text or "" for case in cases]
    seconds = [1 + options.seconds_per_symbol * len(lm.vocabulary.text.encode(t)) for t in texts]
    return [round(min(s, options.longest_seconds) * lm.spec.frame_rate) for s in seconds]


def sampling_of(
    options: EvaluateTtsOptions, lm: SpeechLM, prompts: Sequence[Segments], seed: int
) -> Sampling:
    """The settings, with as many steps as the longest speech may take in this layout behind the
    longest voice from which it goes on."""
    frames = round(options.longest_seconds * lm.spec.frame_rate)
    every = chain.from_iterable(prompts)
    begun = [s.codes.shape[1] for s in every if isinstance(s, Speech) and not s.ends]
    return Sampling(
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        most=longest_speech(lm, frames, max(begun, default=0)) + 1,
        stop=(STOP,),
        refine_frames=options.refine_frames,
        seed=seed,
    )


def keep_sounds(
    said: Sequence[Said],
    copies: Sequence[Said],
    options: EvaluateTtsOptions,
    rate: int,
    context: StageContext,
) -> list[dict[str, str]]:
    """The first cases' sounds for the report and for listeners: the prompt, what was said, the true
    utterance and its copy; for each case the paths that were kept."""
    folder = context.folder / "sounds"
    folder.mkdir(exist_ok=True)
    paths: list[dict[str, str]] = [{} for _ in said]
    rows: list[Any] = []
    for number, (each, copy) in enumerate(list(zip(said, copies, strict=True))[: options.sounds]):
        case = each.case
        waves = {"spoken": each.wav, "copy": copy.wav, "true": read_utterance(case.utterance, rate)}
        if case.voice is not None:
            waves = {"prompt": read_utterance(case.voice, rate), **waves}
        for name, wav in waves.items():
            if len(wav):
                paths[number][name] = f"sounds/{number:03d}-{name}.flac"
                write_audio(context.folder / paths[number][name], wav, rate)
        heard = {n: path for n, path in paths[number].items() if n != "true"}
        voice = "known from training" if case.known else "new"
        texts = {"text": case.utterance.text, "heard": each.heard, "voice": voice}
        rows.append({"title": case.utterance.id, "texts": texts, "sounds": heard,
                     "spectrogram": "spoken"})  # fmt: skip
    title = "Held-out texts, spoken"
    chosen = f" Of {options.draws} draws the judge's best." if options.draws > 1 else ""
    block = {
        "type": "sounds",
        "title": f"{title} ({options.label})" if options.label else title,
        "note": "The copy is the true utterance, coded and decoded." + chosen,
        "rows": rows,
    }
    write_atomically(context.folder / "report.json", (json.dumps([block]) + "\n").encode())
    return paths
