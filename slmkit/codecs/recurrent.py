"""An LSTM over the time of a flat image, its input added to its output.

Letters: b (batch), c (channel), t (frame), l (layer).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slmkit.api import State


class SkipLstm(nn.Module):
    """x + LSTM(x), of the width of x; from both sides the output is twice as wide, and so is x.

    Rows that end before the last frame are read from their own ends, so that what lies beyond does
    not count. Without layers it is x alone.
    """

    def __init__(self, width: int, layers: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.sides = 2 if bidirectional else 1
        self.lstm = nn.LSTM(width, width, layers, bidirectional=bidirectional) if layers else None

    def forward(self, x: Tensor, ends: Sequence[int] | None = None) -> Tensor:
        """[b, c, 1, t] -> [b, c, 1, t], or 2c channels where it reads from both sides."""
        if self.lstm is None:
            return x.repeat(1, self.sides, 1, 1) if self.sides > 1 else x
        steps = _steps(x)
        if not self.lstm.bidirectional:
            return _image(steps + self.lstm(steps)[0])
        out = self.lstm(steps)[0] if ends is None else from_own_ends(self.lstm, steps, ends)
        return _image(out + steps.repeat(1, 1, 2))

    def empty_state(self, batch: int) -> State:
        """The state before the first frame: {"h": [l, b, c], "c": [l, b, c]}."""
        if self.lstm is None:
            # as many rows as there are, for whoever asks the state
            zeros = torch.zeros(1, batch, 0)
            return {"h": zeros, "c": zeros.clone()}
        weight = self.lstm.weight_hh_l0
        zeros = weight.new_zeros(self.lstm.num_layers, batch, self.lstm.hidden_size)
        return {"h": zeros, "c": zeros.clone()}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go on with a chunk [b, c, 1, any], where it reads from one side."""
        if self.lstm is None or x.shape[-1] == 0:
            return x, state
        steps = _steps(x)
        out, (h, c) = self.lstm(steps, (state["h"], state["c"]))
        return _image(steps + out), {"h": h, "c": c}


def from_own_ends(lstm: nn.LSTM, steps: Tensor, ends: Sequence[int]) -> Tensor:
    """What a bidirectional LSTM makes of steps [t, b, c], each row read from its own end:
    [t, b, 2c].

    Both directions of each layer apart, the rows turned about for the second. torch's packed
    sequences give the same; on a CPU their backward pass takes some twenty times as long.
    """
    turned = _turning(ends, len(steps), steps.device)
    for layer in range(lstm.num_layers):
        forth = _one_way(lstm, steps, f"l{layer}")
        back = _one_way(lstm, _take(steps, turned), f"l{layer}_reverse")
        steps = torch.cat([forth, _take(back, turned)], dim=-1)
    return steps


def _one_way(lstm: nn.LSTM, steps: Tensor, which: str) -> Tensor:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [getattr(lstm, f"{name}_{which}") for name in names]
    zeros = steps.new_zeros(1, steps.shape[1], lstm.hidden_size)
    out: Tensor = torch.lstm(
        steps, (zeros, zeros), weights, True, 1, 0.0, lstm.training, False, False
    )[0]
    return out


def _turning(ends: Sequence[int], frames: int, device: torch.device) -> Tensor:
    """Int64 [t, b]: where each frame is taken from so that each row runs backwards up to its end;
    what lies beyond stays. Twice in a row it changes nothing.
    """
    at = torch.arange(frames, device=device)[:, None]
    end = torch.tensor(ends, device=device)[None]
    return torch.where(at < end, end - 1 - at, at)


def _take(steps: Tensor, at: Tensor) -> Tensor:
    return steps.gather(0, at[:, :, None].expand_as(steps))


def _steps(x: Tensor) -> Tensor:
    """[b, c, 1, t] as [t, b, c]."""
    return x[:, :, 0].permute(2, 0, 1).contiguous()


def _image(steps: Tensor) -> Tensor:
    """[t, b, c] as [b, c, 1, t], the channels last in memory."""
    return steps.transpose(0, 1).contiguous()[:, None].permute(0, 3, 1, 2)
