"""Utterances refined some frames at a time: the same whole, in pieces, and as soon as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from slmkit.api import CodeSpec, Draft, SlmkitError, Speech, Text
from slmkit.generation.loop import complete, stream
from slmkit.generation.refining import refined
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.pieces import join
from slmkit.lm.speechlm import SpeechLM
from slmkit.testing.strategies import small_model, told

SPEC = CodeSpec(16000, 320, (9, 9, 9))
SMALL = {"width": 16, "heads": 2, "layers": 1}
VOICE = np.arange(12).reshape(3, 4) % 9
BEGUN = Speech(VOICE[:, :0], ends=False)
PROMPTS = (
    [Text("abc"), BEGUN],
    [Text("h"), Speech(VOICE), BEGUN],
    [Text("bad"), Speech(VOICE, ends=False)],
)


def model(name: str) -> SpeechLM:
    torch.manual_seed(0)
    return small_model(build("decoding", name, SMALL), SPEC)


def sampling(frames: int) -> Sampling:
    return Sampling(most=30, least=9, stop=("<eosp>",), seed=3, refine_frames=frames)


@pytest.mark.parametrize("name", ["ar-nar", "soundstorm"])
@pytest.mark.parametrize("frames", [1, 4, 1000])
def test_a_stream_is_the_whole_answer_alone_and_in_a_batch(name: str, frames: int) -> None:
    lm = model(name)
    together = complete(lm, PROMPTS, sampling(frames))
    for row, prompt in enumerate(PROMPTS):
        pieces = list(stream(lm, prompt, sampling(frames), row))
        assert told(join(pieces)) == told(together[row])
    whole = complete(lm, PROMPTS, sampling(0))
    spoken = [s for answer in whole for s in answer if isinstance(s, Speech)]
    assert max(s.codes.shape[1] for s in spoken) > 8, "there is more than a chunk to refine"
    same = all(told(a) == told(b) for a, b in zip(together, whole, strict=True))
    assert same == (frames == 1000), "a chunk as long as the utterance is the utterance"
    for one, other in zip(together, whole, strict=True):
        coarse = [replace(s, codes=s.codes[:1]) if isinstance(s, Speech) else s for s in one]
        due = [replace(s, codes=s.codes[:1]) if isinstance(s, Speech) else s for s in other]
        assert told(coarse) == told(due), "the first codebook is nobody's to change"


class Noting(nn.Module):
    """A refiner that notes what it was asked, and answers with how often it was."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Draft] = []

    def refine(self, drafts: Sequence[Draft], draws: Sequence[torch.Generator]) -> list[np.ndarray]:
        self.asked += drafts
        fine = [np.full((2, d.coarse.shape[1]), len(self.asked) % 9) for d in drafts]
        return [np.concatenate([d.coarse, f]) for d, f in zip(drafts, fine, strict=True)]


def spoken_frames(count: int) -> list[Speech]:
    return [Speech(np.zeros((1, 0), dtype=np.int64)),
            *(Speech(np.array([[n % 9]])) for n in range(count))]  # fmt: skip


def test_a_chunk_comes_with_its_last_frame_and_hears_those_before_it() -> None:
    lm = model("ar-nar")
    lm.refiner = noting = Noting()
    given = 0

    def counted() -> object:
        nonlocal given
        for piece in spoken_frames(10):
            given += piece.codes.shape[1]
            yield piece

    pieces = refined(lm, PROMPTS[1], counted(), sampling(4), 0)  # type: ignore[arg-type]
    assert next(pieces).codes.shape == (3, 0)  # type: ignore[union-attr]
    for due, frames in ((4, 4), (8, 4), (10, 2)):
        codes = next(pieces).codes  # type: ignore[union-attr]
        assert codes.shape == (3, frames)
        assert given == due, "a chunk waits for no frame after it"
    assert list(pieces) == []
    assert [d.prompt.shape[1] for d in noting.asked] == [4, 8, 12]
    assert np.array_equal(noting.asked[1].prompt[:, :4], VOICE)
    assert (noting.asked[2].prompt[1, 4:] == [1, 1, 1, 1, 2, 2, 2, 2]).all()
    assert [d.text.tolist() for d in noting.asked] == [lm.vocabulary.encode("h")] * 3


def test_each_utterance_has_chunks_of_its_own() -> None:
    lm = model("ar-nar")
    lm.refiner = noting = Noting()
    said = [*spoken_frames(5), Text("ab"), *spoken_frames(0), *spoken_frames(3)]
    found = list(refined(lm, PROMPTS[0], said, sampling(4), 0))
    assert [p.text if isinstance(p, Text) else p.codes.shape[1] for p in found] == [
        0, 4, 1, "ab", 0, 0, 3
    ]  # fmt: skip
    assert [d.prompt.shape[1] for d in noting.asked] == [0, 4, 0], "answers are no prompts"


def test_a_chunk_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(SlmkitError, match="refine_frames -1"):
        sampling(-1)
