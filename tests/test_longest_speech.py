"""How many steps speech may take: enough for its last frame."""

from __future__ import annotations

import numpy as np
import pytest

from slmkit.api import CodeSpec, Speech
from slmkit.generation.loop import complete
from slmkit.generation.measuring import longest_speech
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.testing.strategies import small_model

VOICE = np.arange(12).reshape(3, 4) % 9
DUE = 5
"""Frames that are to come after those of the voice."""


@pytest.mark.parametrize("name", ["flat", "coarse-first", "parallel", "delay", "depth", "ar-nar"])
@pytest.mark.parametrize("begun", [0, 4])
def test_so_many_steps_give_so_many_frames(name: str, begun: int) -> None:
    lm = small_model(build("decoding", name), CodeSpec(16000, 320, (9, 9, 9)))
    most = longest_speech(lm, DUE, begun)
    prompt = [Speech(VOICE[:, :begun], ends=False)]
    heat = 1 if name == "coarse-first" else 99  # its first codebook alone says how long it is
    longest = 0
    for seed in range(40):
        sampling = Sampling(temperature=heat, most=most, stop=("<eosp>",), seed=seed)
        (answer,) = complete(lm, [prompt], sampling)
        said = [segment.codes.shape[1] for segment in answer if isinstance(segment, Speech)]
        longest = max(longest, *said, 0)
    assert longest >= DUE
