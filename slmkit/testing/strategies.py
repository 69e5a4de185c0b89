"""The laws of decoding strategies at work: layouts, heads, and the loop that generates from them.

Letters: b (batch), k (codebook), t (frame), s (stream), l (step), d (width).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from slmkit.api import (
    Aligned,
    CodeSpec,
    Decoding,
    MisfitError,
    Segment,
    Speech,
    Text,
    TextTokenizer,
)
from slmkit.generation.loop import complete, steps, stream
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.layouts import NOTHING
from slmkit.lm.pieces import join
from slmkit.lm.speechlm import SpeechLM

SPECS = (
    CodeSpec(16000, 320, (7,)),
    CodeSpec(24000, 320, (7, 8, 9)),
    CodeSpec(24000, 320, (6,) * 8),
)
"""Kinds of codes that a strategy is tried with; it has to fit one of them."""

LETTERS = "abcdefgh "
STOP = "<eoa>"
TOLERANCE = 1e-4
EXAMPLES = 30


class Letters(TextTokenizer):
    """A few characters."""

    size = len(LETTERS)

    def encode(self, text: str) -> list[int]:
        return [LETTERS.index(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(LETTERS[index] for index in ids)


def check_decoding(decoding: Decoding) -> None:
    """Hold a decoding strategy to every law, with a tiny untrained model around it.

        check_decoding(MyStrategy(MyOptions()))

    What is laid out is read back, each target is learnt once, no step and no stream sees what comes
    later, generation with a cache equals generation without, a stream equals the whole answer, an
    answer alone equals the one in a batch, and speech that a prompt has begun goes on. Raises
    AssertionError, which says what is broken.
    """
    fits = 0
    for spec in SPECS:
        try:
            decoding.plan(spec)
        except MisfitError:
            continue
        fits += 1
        lm = small_model(decoding, spec)
        draw = random.Random(0)
        beside = _takes_text_beside(lm)
        examples = [random_segments(lm.coarse, draw, beside) for _ in range(EXAMPLES)]
        for segments in examples:
            _reads_back(lm, segments)
            _learns_each_once(lm, segments)
            for segment in segments:
                if isinstance(segment, Speech):
                    _resumes(lm, segment.codes)
        _sees_no_future(lm, examples)
        _caches_what_it_computes(lm)
        _streams_and_batches(lm)
        _speaks_on(lm)
    assert fits, f"it fits none of {len(SPECS)} kinds of codes"


def small_model(decoding: Decoding, spec: CodeSpec, seed: int = 0) -> SpeechLM:
    """An untrained model of two layers, whose weights are large enough to prefer something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = build("backbone", "llama", {"width": 32, "layers": 2, "heads": 2})
        lm = SpeechLM.new(backbone, decoding, Letters(), spec, "<eoh>", STOP)
        lm.eval()
        with torch.no_grad():
            for weight in [*lm.embedding.parameters(), *lm.head.parameters()]:
                weight.copy_(torch.randn_like(weight) * 0.7)
    return lm


def _takes_text_beside(lm: SpeechLM) -> bool:
    nothing = np.zeros((lm.coarse.codebooks, 1), dtype=np.int64)
    try:
        lm.layout.lay([Aligned(nothing[0], nothing)], lm.vocabulary)
    except MisfitError:
        return False
    return True


def random_segments(spec: CodeSpec, draw: random.Random, beside: bool = False) -> list[Segment]:
    """Up to five segments, some of them empty speech, some to be learnt; some speech has text
    `beside` it."""
    segments: list[Segment] = []
    for _ in range(draw.randint(0, 5)):
        learn = draw.random() < 0.5
        if draw.random() < 0.5:
            text = "".join(draw.choices(LETTERS, k=draw.randint(1, 6)))
            segments.append(Text(text + draw.choice(["", "<eoh>"]), learn))
        else:
            frames = draw.choice([0, 1, 2, 3, 11])
            rows = [[draw.randrange(size) for _ in range(frames)] for size in spec.codebook_sizes]
            codes = np.array(rows, dtype=np.int64).reshape(spec.codebooks, frames)
            if beside and frames and draw.random() < 0.5:
                words = [draw.randrange(-1, len(LETTERS)) for _ in range(frames - 1)]
                ids = np.array([draw.randrange(len(LETTERS)), *words], dtype=np.int64)
                segments.append(Aligned(ids, codes, learn))
            else:
                segments.append(Speech(codes, learn))
    return segments


def told(segments: Sequence[Segment]) -> list[tuple[object, object, bool]]:
    """Segments as values that can be compared."""
    return [
        (
            s.text if isinstance(s, Text) else s.codes.tolist(),
            s.text_ids.tolist() if isinstance(s, Aligned) else None,
            s.learn,
        )
        for s in segments
    ]


def _apart(segments: Sequence[Segment]) -> list[Segment]:
    """As a reader gives them: each utterance begins with a piece that has no frames."""
    pieces: list[Segment] = []
    for segment in segments:
        if not isinstance(segment, Text):
            pieces.append(Speech(segment.codes[:, :0], segment.learn))
        if isinstance(segment, Text) or segment.codes.shape[1]:
            pieces.append(segment)
    return pieces


def _reads_back(lm: SpeechLM, segments: Sequence[Segment]) -> None:
    grid = lm.lay(segments)
    assert ((grid.tokens == NOTHING) == ~grid.real).all(), "NOTHING stands where nothing is real"
    found = told(lm.layout.read(grid, lm.vocabulary))
    wanted = told(join(_apart(segments)))
    assert found == wanted, f"laid out and read back, {wanted} became {found}"
    state = lm.layout.open(lm.vocabulary)
    for step in grid.tokens.T.tolist():
        for place, token in enumerate(step):
            ranges = lm.layout.allowed(state, step[:place], lm.vocabulary)
            possible = any(token in each for each in ranges) or (token == NOTHING and not ranges)
            assert possible, f"stream {place}: {token} was laid out, but only {ranges} is allowed"
        _, state = lm.layout.step(step, state, lm.vocabulary)


def _learns_each_once(lm: SpeechLM, segments: Sequence[Segment]) -> None:
    grid = lm.lay(segments)
    codes = torch.from_numpy(grid.tokens)
    spoken = grid.learn & lm.vocabulary.is_code(codes).numpy()
    due = sum(s.codes.size for s in segments if s.learn and not isinstance(s, Text))
    assert int(spoken.sum()) == due, f"{due} codes are to be learnt, {int(spoken.sum())} are"
    for segment, (start, end) in zip(segments, grid.spans, strict=True):
        wanted = grid.real[:, start:end] & segment.learn
        assert (grid.learn[:, start:end] == wanted).all(), "a segment is learnt whole or not at all"
    assert not (grid.learn & ~grid.real).any(), "what is not real is not learnt"


def _sees_no_future(lm: SpeechLM, examples: Sequence[Sequence[Segment]]) -> None:
    """Changing what comes later, in steps or in streams of a step, changes no score before it."""
    grid = max((lm.lay(each) for each in examples), key=lambda g: g.steps)
    tokens = torch.from_numpy(grid.tokens)[None]
    before = _scores(lm, tokens)
    for at in range(1, grid.steps, max(1, grid.steps // 8)):
        other = tokens.clone()
        other[:, :, at:] = tokens[:, :, at:].flip(2).roll(1, dims=2)
        for one, two in zip(before, _scores(lm, other), strict=True):
            apart = _distance(one[:, : at - 1], two[:, : at - 1])
            assert apart <= TOLERANCE, f"step {at} changes scores before it by {apart:g}"
    for stream_ in range(1, lm.streams):
        other = tokens.clone()
        other[:, stream_:, -1] = NOTHING
        pairs = zip(before[: stream_ + 1], _scores(lm, other), strict=False)
        for one, two in pairs:
            apart = _distance(one[:, -1], two[:, -1])
            assert apart <= TOLERANCE, f"stream {stream_} changes scores before it by {apart:g}"


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max()) if one.numel() else 0.0


@torch.no_grad()  # type: ignore[untyped-decorator]
def _scores(lm: SpeechLM, tokens: Tensor) -> list[Tensor]:
    """For each stream, scores [b, l - 1, a] of the second step and all after it."""
    hidden = lm.backbone(lm.embed(tokens[:, :, :-1]))
    scores: list[Tensor] = lm.head.logits(hidden, lm.local(tokens[:, :, 1:]))
    return scores


def _prompts(lm: SpeechLM) -> list[list[Segment]]:
    frames = [np.zeros((lm.spec.codebooks, n), dtype=np.int64) for n in (3, 7)]
    # where no answer begins speech, it goes on with a prompt's
    begun = [] if lm.layout.begins else [Speech(frames[0], ends=False)]
    return [
        [Text("abc"), *begun],
        [Text("h"), Speech(frames[0]), Text("bad <eoh>"), *begun],
        [Speech(frames[1]), Text("gag "), *begun],
    ]


@torch.no_grad()  # type: ignore[untyped-decorator]
def _caches_what_it_computes(lm: SpeechLM) -> None:
    """Greedy generation equals choosing the best allowed token anew from all that came before."""
    prompt = lm.lay(_prompts(lm)[1])
    made = [step.tokens[0] for step in steps(lm, [prompt], _greedy(40))]
    tokens, state = torch.from_numpy(prompt.tokens)[None], lm.layout.open(lm.vocabulary)
    if prompt.going is not None:
        state = lm.layout.resume(prompt.going, lm.vocabulary)
    for number, found in enumerate(made):
        step: list[int] = []
        for place in range(lm.streams):
            so_far = torch.full((1, lm.streams, 1), NOTHING)
            so_far[0, : len(step), 0] = torch.tensor(step, dtype=torch.int64)
            scores = _scores(lm, torch.cat([tokens, so_far], dim=2))[place][0, -1]
            ranges = lm.layout.allowed(state, step, lm.vocabulary)
            mask = lm.alphabets[place].mask(ranges)  # type: ignore[operator]
            best = scores.masked_fill(~mask, -torch.inf).argmax()
            step.append(int(lm.alphabets[place].shared(best)) if ranges else NOTHING)  # type: ignore[operator]
        assert found.tolist() == step, f"step {number}: {found.tolist()}, not {step}"
        _, state = lm.layout.step(step, state, lm.vocabulary)
        tokens = torch.cat([tokens, torch.tensor(step)[None, :, None]], dim=2)


def _streams_and_batches(lm: SpeechLM) -> None:
    """An answer is the same in pieces and whole, alone and in a batch, and what its steps say."""
    prompts = _prompts(lm)
    for sampling in (_greedy(60), Sampling(temperature=1.3, top_k=20, most=60, stop=(STOP,))):
        together = complete(lm, prompts, sampling)
        for row, prompt in enumerate(prompts):
            pieces = list(stream(lm, prompt, sampling, row))
            assert told(join(pieces)) == told(together[row]), (
                "a stream is the whole answer, in pieces"
            )
            for piece in pieces:
                if not isinstance(piece, Text) and piece.codes.size:
                    sizes = np.array(lm.spec.codebook_sizes)[:, None]
                    assert len(piece.codes) == lm.spec.codebooks, "a frame has every codebook"
                    assert ((piece.codes >= 0) & (piece.codes < sizes)).all(), "codes in range"


def _resumes(lm: SpeechLM, codes: np.ndarray) -> None:
    """From any beginning of an utterance [k, t] a reader goes on to its end: it allows what is laid
    out, nothing else where the prompt has the code, and gives the frames that are new."""
    whole = lm.layout.lay([Speech(codes)], lm.vocabulary).tokens
    for given in range(codes.shape[1] + 1):
        opening = lm.layout.lay([Speech(codes[:, :given], ends=False)], lm.vocabulary)
        begun = opening.steps
        assert (opening.tokens == whole[:, :begun]).all(), "an utterance that goes on begins alike"
        state = lm.layout.resume(codes[:, :given], lm.vocabulary)
        told: list[Segment] = []
        for step in whole[:, begun:].T.tolist():
            for place, token in enumerate(step):
                ranges = lm.layout.allowed(state, step[:place], lm.vocabulary)
                fits = any(token in each for each in ranges) or (token == NOTHING and not ranges)
                assert fits, f"after {given} frames stream {place} refuses {token}: {ranges}"
            pieces, state = lm.layout.step(step, state, lm.vocabulary)
            told += pieces
        found = [p.codes for p in told if not isinstance(p, Text)]
        rest = np.concatenate([codes[:, :0], *found], axis=1)
        assert np.array_equal(rest, codes[:, given:]), f"after {given} frames {rest.tolist()} came"


def _speaks_on(lm: SpeechLM) -> None:
    """Given the beginning of what it would say itself, it says the rest."""
    nothing = np.zeros((lm.spec.codebooks, 0), dtype=np.int64)
    first = np.zeros((lm.spec.codebooks, 0 if lm.layout.begins else 1), dtype=np.int64)
    books = lm.coarse.codebooks

    def say(said: np.ndarray) -> np.ndarray:
        begun = np.concatenate([first, said], axis=1)
        prompt: list[Segment] = [Text("abc"), Speech(begun, ends=False)]
        (answer,) = complete(lm, [prompt], _greedy(60))
        spoken = answer[0] if answer else None
        return spoken.codes if isinstance(spoken, Speech) else nothing

    said = say(nothing)
    for given in {1, said.shape[1] // 2} if said.shape[1] else ():
        # from a later start the same number of steps may reach further
        rest = say(said[:, :given])[:books, : said.shape[1] - given]
        assert np.array_equal(rest, said[:books, given:]), (
            f"after {given} of its own {said.shape[1]} frames it goes on otherwise"
        )


def _greedy(most: int) -> Sampling:
    return Sampling(temperature=0, most=most, stop=(STOP,))
