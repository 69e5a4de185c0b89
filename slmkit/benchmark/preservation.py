"""How much of the sound codes keep: test utterances decoded from some codebooks, and compared.

Letters: k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from slmkit.api import AudioError, DataError, Metric, MissingDependencyError, Utterance
from slmkit.benchmark.figures import Measure, Pair, Tally
from slmkit.benchmark.judges import check_heard, transcribed, voice
from slmkit.data.audio import read_utterance, resampled
from slmkit.host import build

WAVES = {"stoi": None, "pesq": 16000, "mel-distance": None, "si-sdr": None}
"""The metrics of waves, and the rate that both waves are brought to for them (None: they stay)."""

SIMILARITY = Measure("", "higher")
NO_TEXTS = "there are no texts to hold a judge to"


class Copier:
    """Decodes some codebooks of an utterance: a tokenizer with a decoder, or with a vocoder."""

    def __init__(self, tokenizer: Any, vocoder: Any = None) -> None:
        self.tokenizer, self.vocoder = tokenizer, vocoder

    @property
    def rate(self) -> int:
        """Of the copies, Hz."""
        if self.vocoder is not None:
            return int(self.vocoder.sample_rate)
        spec = self.tokenizer.spec
        return int(spec.output_sample_rate or spec.sample_rate)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def copy(self, utterance: Utterance, books: Sequence[int]) -> np.ndarray:
        """The wave [n] of its codes. Raises AudioError, MisfitError."""
        wav = torch.from_numpy(read_utterance(utterance, self.tokenizer.spec.sample_rate))[None]
        codes = self.tokenizer.encode(wav, torch.tensor([wav.shape[1]]))
        if self.vocoder is not None:
            made, lengths = self.vocoder.synthesize(codes)
        else:
            made, lengths = self.tokenizer.decode_books(codes.expand(), books)
        copied: np.ndarray = made[0, : int(lengths[0])].cpu().numpy()
        check_heard(copied)
        return copied


def compare_copies(
    copier: Copier,
    utterances: Sequence[Utterance],
    books: Sequence[int],
    judge: Any,
    voices: Any,
) -> dict[str, Any]:
    """Score every copy against its original. `judge` and `voices` may be None where there is none.

    Raises MisfitError where these codebooks cannot be decoded alone.
    """
    tally = Tally()
    metrics = _metrics(tally)
    listening = ["wer"] * (judge is not None) + ["similarity"] * (voices is not None)
    for utterance in utterances:
        try:
            copied = copier.copy(utterance, books)
        except AudioError as error:
            for name in (*metrics, *listening):
                tally.lose(name, utterance.id, str(error))
            continue
        original = read_utterance(utterance, copier.rate)
        for name, metric in metrics.items():
            _compare(tally, name, metric, utterance.id, copied, original, copier.rate)
        _listen(tally, utterance, copied, original, copier.rate, judge, voices)
    if "wer" not in tally.measures:
        tally.absent(["wer"], NO_TEXTS)
    return tally.to_dict()


def heard_originals(utterances: Sequence[Utterance], judge: Any) -> dict[str, Any]:
    """What the judge makes of the recordings themselves: no copy can be expected to do better."""
    tally, wer = Tally(), build("metric", "wer")
    for utterance in utterances:
        if judge is not None and utterance.text:
            wav = read_utterance(utterance, judge.sample_rate)
            _wer(tally, wer, utterance, wav, judge.sample_rate, judge)
    if not tally.measures:
        tally.absent(["wer"], NO_TEXTS)
    return tally.to_dict()


def _metrics(tally: Tally) -> dict[str, Metric]:
    found = {}
    for name in WAVES:
        try:
            found[name] = build("metric", name)
        except MissingDependencyError as error:
            tally.absent([name], str(error), failed=True)
    return found


def _compare(
    tally: Tally,
    name: str,
    metric: Metric,
    item: str,
    copied: np.ndarray,
    original: np.ndarray,
    rate: int,
) -> None:
    wanted = WAVES[name] or rate

    def score() -> Pair:
        given, reference = (resampled(wav, rate, wanted) for wav in (copied, original))
        return metric.score(given, reference, wanted)

    tally.score(name, Measure(metric.unit, metric.direction, metric.scale), item, score)


def _listen(
    tally: Tally,
    utterance: Utterance,
    copied: np.ndarray,
    original: np.ndarray,
    rate: int,
    judge: Any,
    voices: Any,
) -> None:
    if judge is not None and utterance.text:
        _wer(tally, build("metric", "wer"), utterance, copied, rate, judge)
    if voices is not None:

        def alike() -> Pair:
            return float(voice(voices, copied, rate) @ voice(voices, original, rate)), 1.0

        tally.score("similarity", SIMILARITY, utterance.id, alike)


def _wer(
    tally: Tally, wer: Metric, utterance: Utterance, wav: np.ndarray, rate: int, judge: Any
) -> None:
    measure = Measure(wer.unit, wer.direction, wer.scale)

    def score() -> Pair:
        if not utterance.text:
            raise DataError("there is no text")
        return wer.score(transcribed(judge, wav, rate), utterance.text)

    tally.score("wer", measure, utterance.id, score)
