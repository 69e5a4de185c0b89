"""The reference codecs with random weights that prove something, and comparisons that say where.

A codec drawn at random mostly answers the same few codes, and agrees with anything. Here each
codebook is drawn about what the ones before it leave of the latents of other sounds
(`slmkit_reference_codecs.drawn`), and `assert_well_used` holds the codes to use many entries of
every codebook.

Letters: b (batch), c (channel), k (codebook), t (frame), d (width), n (sample).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from slmkit_reference_codecs.drawn import draw_codebooks
from slmkit_reference_codecs.speechtokenizer import PUBLISHED
from torch import Tensor, nn

from slmkit.data.audio import read_audio

SPEECH = Path(__file__).resolve().parents[1] / ".." / "shared" / "speech"

TIE = 1e-5
"""Relative difference of two squared distances below which rounding may choose either entry."""

TINY_SPEECHTOKENIZER = PUBLISHED | {"n_filters": 8, "dimension": 32, "semantic_dimension": 24}
"""The published configuration of SpeechTokenizer but for its widths."""


def encodec_24khz(package: ModuleType, seed: int = 0) -> nn.Module:
    """EnCodec 24 kHz of the package `encodec`, at 24 kbps until told otherwise."""
    torch.manual_seed(seed)
    return drawn(package.EncodecModel.encodec_model_24khz(pretrained=False), 24000, seed)


def encodec_48khz(package: ModuleType, seed: int = 0) -> nn.Module:
    """EnCodec 48 kHz of the package `encodec`, at 24 kbps until told otherwise."""
    torch.manual_seed(seed)
    model = package.EncodecModel.encodec_model_48khz(pretrained=False)
    return drawn(model, 48000, seed, channels=2)


def speech_tokenizer(
    package: ModuleType, config: dict[str, object] = TINY_SPEECHTOKENIZER, seed: int = 0
) -> nn.Module:
    """SpeechTokenizer of the package `speechtokenizer`."""
    torch.manual_seed(seed)
    return drawn(package.SpeechTokenizer(dict(config)).eval(), 16000, seed)


def encodec_of_transformers(model: nn.Module) -> nn.Module:
    """transformers' EncodecModel with the weights of a model of the package `encodec`.

    Its default is the lowest bandwidth, the package's the highest: say which.
    """
    from transformers import EncodecConfig, EncodecModel

    segments: dict[str, object] = {
        "normalize": True,
        "chunk_length_s": 1.0,
        "overlap": 0.01,
        "use_causal_conv": False,
        "norm_type": "time_group_norm",
    }
    config = EncodecConfig(
        target_bandwidths=[float(kbps) for kbps in model.target_bandwidths],
        sampling_rate=model.sample_rate,
        audio_channels=model.channels,
        **(segments if model.segment else {}),
    )
    theirs = EncodecModel(config).eval()
    theirs.load_state_dict({_renamed(name): t for name, t in model.state_dict().items()})
    return theirs


TO_TRANSFORMERS = {
    ".model.": ".layers.",
    "convtr.convtr.": "conv.",
    "conv.conv.": "conv.",
    "convtr.norm.": "norm.",
    "conv.norm.": "norm.",
    ".vq.layers.": ".layers.",
    "._codebook.": ".codebook.",
}
"""Parts of the names of the package's tensors, and what transformers writes for them."""


def _renamed(name: str) -> str:
    for theirs, new in TO_TRANSFORMERS.items():
        name = name.replace(theirs, new)
    return name


def drawn(model: nn.Module, sample_rate: int, seed: int, channels: int = 1) -> nn.Module:
    """Draw a new model's codebooks about sounds that `sounds(seed)` does not hold."""
    draw_codebooks(model, sounds(sample_rate, seed, channels, first=2), seed)
    return model


def sounds(sample_rate: int, seed: int = 0, channels: int = 1, first: int = 0) -> list[Tensor]:
    """Float32 [c, n] of odd lengths: two voices, noise that swells, a gliding tone, a click.

    The voices are recorded ones, from the `first` on, where `SLMKIT_SPEECH` has some; else buzzes
    through moving filters.
    """
    draw = np.random.default_rng([seed, first])
    voices = _recorded(sample_rate, first) or [_buzz(sample_rate, draw) for _ in range(2)]
    time = np.arange(sample_rate + 77) / sample_rate
    noise = 0.2 * draw.normal(size=len(time)) * np.sin(2 * np.pi * 1.3 * time) ** 2
    glide = 0.3 * np.sin(2 * np.pi * (100 + 900 * draw.random() * time) * time)
    click = np.zeros(sample_rate // 5 + 1)
    click[len(click) // 3] = 0.9
    found = []
    for wav in (*voices, noise, glide[: sample_rate // 2 + 13], click):
        # channels are neither equal nor apart: each a shift of the same by a millisecond more
        shifted = [np.roll(wav, sample_rate // 1000 * c) * 0.8**c for c in range(channels)]
        found.append(torch.from_numpy(np.stack(shifted).astype(np.float32)))
    return found


def _recorded(sample_rate: int, first: int) -> list[np.ndarray]:
    folder = Path(os.environ.get("SLMKIT_SPEECH", SPEECH)) / "read_librispeech_train"
    files = sorted(folder.glob("*.flac"))[first : first + 2]
    seconds = (3.0, 2.0371)
    return [read_audio(p, sample_rate, 0.5, s) for p, s in zip(files, seconds, strict=False)]


def _buzz(sample_rate: int, draw: np.random.Generator) -> np.ndarray:
    """Three seconds of harmonics of a wandering pitch, under an envelope of syllables."""
    time = np.arange(3 * sample_rate + 11) / sample_rate
    pitch = 120 + 80 * draw.random() + 30 * np.sin(2 * np.pi * draw.random() * 2 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formant = 8 + 6 * np.sin(2 * np.pi * 1.7 * time + draw.random())
    harmonics = [np.exp(-(((k - formant) / 4) ** 2)) * np.sin(k * phase) for k in range(1, 25)]
    loud = np.sin(2 * np.pi * (2 + draw.random()) * time) ** 2
    return 0.05 * loud * np.sum(harmonics, axis=0) + 0.003 * draw.normal(size=len(time))


def assert_well_used(codes: Sequence[Tensor], least: int = 50) -> None:
    """Hold the codes [k, t] of several sounds to use `least` entries of every codebook."""
    used = [len(book.unique()) for book in torch.cat(list(codes), dim=-1)]
    assert min(used) >= least, f"entries in use of each codebook: {used}; {least} are asked for"


def assert_same_codes(ours: Tensor, theirs: Tensor, what: str) -> None:
    """Hold codes [k, t] to be equal; the message tells how many differ and which come first."""
    assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    places = (ours != theirs).nonzero().tolist()
    first = "; ".join(
        f"codebook {k} frame {t}: {int(ours[k, t])}, not {int(theirs[k, t])}"
        for k, t in sorted(places, key=lambda place: (place[1], place[0]))[:5]
    )
    assert not places, f"{what}: {len(places)} of {ours.numel()} codes differ: {first}"


def differing(model: Any, latents: Tensor, ours: Tensor, theirs: Tensor) -> tuple[int, int]:
    """How many frames of codes [k, t] differ by more than a tie, and how many by a tie.

    A tie: in the first codebook that differs, what is left of the package's latents [t, d] has two
    nearest entries whose squared distances differ by less than `TIE`, relatively.
    """
    wrong = ties = 0
    books = [layer._codebook.embed.double() for layer in model.quantizer.vq.layers]
    for frame in (ours != theirs).any(dim=0).nonzero()[:, 0].tolist():
        first = int((ours[:, frame] != theirs[:, frame]).nonzero()[0])
        residual = latents[frame].double()
        for book, code in zip(books[:first], theirs[:first, frame].tolist(), strict=True):
            residual = residual - book[code]
        near = (books[first] - residual).square().sum(dim=1).topk(2, largest=False)
        least, second = near.values.tolist()
        tied = set(near.indices.tolist()) == {int(ours[first, frame]), int(theirs[first, frame])}
        if tied and second - least < TIE * least:
            ties += 1
        else:
            wrong += 1
    return wrong, ties


def assert_same_waves(ours: Tensor, theirs: Tensor, what: str, within: float = 1e-5) -> None:
    """Hold waves [..., n] to be equal within so much of the louder one's peak, or of 1."""
    assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    apart = (ours - theirs).abs()
    allowed = within * max(1.0, float(theirs.abs().max()))
    worst = int(apart.amax(dim=tuple(range(apart.dim() - 1))).argmax())
    assert float(apart.max()) <= allowed, (
        f"{what}: samples differ by up to {float(apart.max()):.2g} (allowed {allowed:.2g}), most "
        f"at sample {worst} of {apart.shape[-1]}"
    )
