"""The transcriber `ctc`: log-mel, convolutions, characters.

Letters: b (batch), n (sample), t (frame), m (mel band), d (width), c (character).
"""

from __future__ import annotations

import string
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from slmkit.api import AudioError, DataError, FeatureSpec, Teacher, Transcriber
from slmkit.codecs.mel import LogMel

if TYPE_CHECKING:
    from slmkit_transcribers.plugin import CtcOptions

BLANK = 0
SILENT = str.maketrans("", "", string.punctuation.replace("'", ""))


class Ctc(nn.Module, Transcriber, Teacher):
    """Residual convolutions from log-mel (10 ms) to characters (20 ms), read greedily.

    By default it hears 0.4 s to either side and nothing beyond: enough to spell a word by its
    sound, too little to guess it from the sentence. So it suits a judge.
    """

    sample_rate = 16000

    def __init__(self, options: CtcOptions) -> None:
        super().__init__()
        self.alphabet = options.alphabet
        self.mel = LogMel(self.sample_rate, n_fft=512, hop_length=160, n_mels=options.mels)
        self.first = nn.Conv1d(options.mels, options.width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(
            Block(options.width, options.kernel, options.dropout) for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.width)
        self.last = nn.Linear(options.width, len(self.alphabet) + 1)
        self.feature_spec = FeatureSpec(self.sample_rate, 320, options.width)

    def ids(self, text: str) -> list[int]:
        """What is to be heard, from 1 on (0 is CTC's blank): lower case, without punctuation.

        Raises DataError for text that it cannot write.
        """
        spoken = " ".join(text.lower().translate(SILENT).split())
        strange = sorted(set(spoken) - set(self.alphabet))
        if strange:
            raise DataError(
                f"'{text}': transcriber 'ctc' cannot write {', '.join(map(repr, strange))}; "
                f"spell it out, or add to its option 'alphabet'"
            )
        return [self.alphabet.index(character) + 1 for character in spoken]

    def features(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel [b, t, m] of waves [b, n] and its lengths [b]."""
        return self.mel(wav, lengths), self.mel.frames(lengths)

    def logits(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [b, t, c] of blank and characters at half the frames, and their lengths [b]."""
        x, lengths = self._hidden(log_mel, lengths)
        return self.last(x), lengths

    @torch.inference_mode()
    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the scores are read from, [b, t, d]; leaves the network in evaluation mode."""
        self.eval()
        return self._hidden(*self.features(wav, lengths))

    def _hidden(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        # speech lies between -11.5 (the floor) and 2
        x = (log_mel + 5.0) / 3.0 * _real(lengths, log_mel)
        x = _convolve(self.first, x)
        lengths = (lengths + 1) // 2
        real = _real(lengths, x)
        for block in self.blocks:
            x = block(x, real)
        return self.norm(x), lengths

    @torch.inference_mode()
    def transcribe(self, wav: Tensor, lengths: Tensor) -> list[str]:
        """The text of each row; leaves the network in evaluation mode. Raises AudioError."""
        if not torch.isfinite(wav).all():
            raise AudioError("transcriber 'ctc' was given samples that are NaN or infinite")
        self.eval()
        scores, lengths = self.logits(*self.features(wav, lengths))
        best = scores.argmax(dim=-1)
        return [self._text(row[:t]) for row, t in zip(best, lengths.tolist(), strict=True)]

    def _text(self, path: Tensor) -> str:
        """The characters of a CTC path: repetitions merged, then blanks dropped."""
        merged = (index for index, _ in groupby(path.tolist()))
        written = "".join(self.alphabet[index - 1] for index in merged if index != BLANK)
        return " ".join(written.split())


class Block(nn.Module):
    """x + convolution of the normalized x [b, t, d]; frames that are not real count as zeros."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        added = nn.functional.gelu(_convolve(self.convolution, self.norm(x) * real))
        # whole channels are dropped, which costs next to nothing
        kept: Tensor = self.dropout(torch.ones_like(added[:, :1]))
        return x + added * kept


def _convolve(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution over the time of [b, t, d], without the copies that Conv1d makes.

    A flat image whose channels come last is what x is already, and what processors like best.
    """
    image = nn.functional.conv2d(
        x.transpose(1, 2)[:, :, None],
        convolution.weight[:, :, None],
        convolution.bias,
        (1, *convolution.stride),
        (0, *convolution.padding),
    )
    return image[:, :, 0].transpose(1, 2)


def _real(lengths: Tensor, x: Tensor) -> Tensor:
    """[b, t, 1]: 1 where a frame of x [b, t, d] is real, else 0."""
    steps = torch.arange(x.shape[1], device=x.device)
    return (steps < lengths[:, None])[:, :, None].to(x.dtype)
