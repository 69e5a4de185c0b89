"""A tokenizer with a decoder of its own in the place of a vocoder.

Where its decoder goes step by step (`Tokenizer.decode_step`), so does this vocoder, and any chunks
are the whole. A decoder that hears little beyond a window (`Tokenizer.decode_window`) is run in
windows that overlap: a frame is spoken once what follows it in the window is there, and the chunks
are the whole but for what lies outside. Any other says that it does not stream.

Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmkit.api import Codes, MisfitError, State, Tokenizer, Vocoder


def as_vocoder(part: Any) -> Vocoder:
    """A vocoder as it is; a tokenizer that decodes, as a vocoder. Raises MisfitError."""
    if isinstance(part, Vocoder):
        return part
    if isinstance(part, Tokenizer) and type(part).decode is not Tokenizer.decode:
        return DecodingVocoder(part)
    raise MisfitError(f"{type(part).__name__} is neither a vocoder nor a tokenizer that decodes")


class DecodingVocoder(Vocoder):
    """Speaks a tokenizer's codes through its own decoder; the voice lies in the codes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.spec = tokenizer, tokenizer.spec
        self.sample_rate = self.spec.output_sample_rate or self.spec.sample_rate

    def synthesize(self, codes: Codes, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._no_voice(speaker)
        return self.tokenizer.decode(self._frames(codes))

    @property
    def streams(self) -> bool:
        return self.tokenizer.decodes_in_steps or self.tokenizer.decode_window is not None

    def empty_state(self, batch: int, speaker: Tensor | None = None) -> State:
        self._no_voice(speaker)
        if not self.streams:
            raise MisfitError(
                f"{type(self.tokenizer).__name__} decodes whole utterances and does not stream"
            )
        if self.tokenizer.decodes_in_steps:
            decoder = self.tokenizer.empty_decode_state(batch)
            return {"decoder": decoder, "rows": torch.tensor(batch)}
        held = torch.zeros(batch, self.spec.codebooks, 0, dtype=torch.int64)
        return {"held": held, "said": torch.tensor(0)}

    def step(self, codes: Codes, state: State) -> tuple[Tensor, State]:
        codes = self._frames(codes)
        if self.tokenizer.decodes_in_steps:
            wav, decoder = self.tokenizer.decode_step(codes, state["decoder"])
            return wav, {"decoder": decoder, "rows": state["rows"]}
        return self._window(codes.values, state)

    def finish(self, state: State) -> Tensor:
        if not self.tokenizer.decodes_in_steps:
            return self._window(state["held"][..., :0], state, last=True)[0]
        nothing = torch.zeros(int(state["rows"]), self.spec.codebooks, 0, dtype=torch.int64)
        codes = Codes(nothing, torch.zeros(len(nothing), dtype=torch.int64), self.spec)
        return self.tokenizer.decode_step(codes, state["decoder"], last=True)[0]

    def save(self, folder: Path) -> None:
        """What the tokenizer saves."""
        self.tokenizer.save(folder)

    def restore(self, folder: Path) -> None:
        """What the tokenizer restores."""
        self.tokenizer.restore(folder)

    def _window(self, values: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """The wave of the frames that a window's worth follows; frames before them are kept."""
        before, after = self._around()
        held = torch.cat([state["held"].to(values.device), values], dim=-1)
        said, count = int(state["said"]), held.shape[-1]
        certain = count if last else max(said, count - after)
        if certain == said:
            return torch.zeros(len(held), 0), {"held": held, "said": state["said"]}
        lengths = torch.full((len(held),), count)
        wav, _ = self.tokenizer.decode(Codes(held, lengths, self.spec))
        hop = self.spec.output_hop_length or self.spec.hop_length
        end = wav.shape[1] if last else certain * hop
        kept = min(certain, before)
        state = {"held": held[..., certain - kept :], "said": torch.tensor(kept)}
        return wav[:, said * hop : end], state

    def _around(self) -> tuple[int, int]:
        """Frames before and after one that a window holds."""
        assert self.tokenizer.decode_window is not None, "asked of what goes in windows"
        before, after = self.tokenizer.decode_window
        rate = self.spec.frame_rate
        return math.ceil(before * rate), math.ceil(after * rate)

    def _frames(self, codes: Codes) -> Codes:
        """A code a frame. Raises MisfitError for merged units of unknown durations."""
        if codes.spec.deduplicated and not self.spec.deduplicated:
            if codes.durations is None:
                raise MisfitError(
                    f"{type(self.tokenizer).__name__} cannot tell how long merged units last: code "
                    "them with deduplicate=false"
                )
            return codes.expand()
        return codes

    def _no_voice(self, speaker: Tensor | None) -> None:
        if speaker is not None:
            raise MisfitError(
                f"{type(self.tokenizer).__name__} speaks in the voice of its codes: give no speaker"
            )
