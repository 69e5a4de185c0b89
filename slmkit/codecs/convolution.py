"""Convolutions over time with the padding of EnCodec and SpeechTokenizer, whole or in chunks.

Between layers a signal is a flat image [b, c, 1, t] whose channels lie last in memory: a processor
convolves it two to six times as fast as [b, c, t]. The padding is the published one (Defossez et
al. 2022): reflected, all on the left where causal, else shared out; on the right as much more as
fills the last window. Rows may end at different places (`ends`): each is padded at its own end, so
that what lies beyond never counts.

Letters: b (batch), c (channel), t (frame).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import State

Ends = Sequence[int] | None
"""Where each row ends, in frames of the signal that it goes with; None: all at the last frame."""


class Elu(nn.Module):
    """max(0, x) + min(0, exp(x) - 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x)

    def write(self, x: Tensor, out: Tensor) -> None:
        """The same into `out`, without gradients."""
        torch.ops.aten.elu.out(x, out=out)


class Snake(nn.Module):
    """x + sin^2(alpha x) / alpha, alpha for each channel (Ziyin et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha[:, None, None]
        return x + (alpha + 1e-9).reciprocal() * (alpha * x).sin().square()

    def write(self, x: Tensor, out: Tensor) -> None:
        """The same into `out`, without gradients."""
        alpha = self.alpha[:, None, None]
        torch.addcmul(x, (alpha + 1e-9).reciprocal(), (alpha * x).sin_().square_(), out=out)


class Convolution(nn.Module):
    """An activation or none, padding, a convolution, and group norm or none.

    Args:
        inputs, outputs: channels.
        kernel, stride, dilation: of the convolution; only one of the latter two is not 1.
        causal: pad on the left alone.
        normed: normalize over all channels and frames of a row (`GroupNorm` with one group).
        before: applied to what comes in.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        *,
        causal: bool,
        normed: bool = False,
        before: Elu | Snake | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation)
        self.norm = nn.GroupNorm(1, outputs) if normed else None
        self.before = before
        self.stride = stride
        self.reach = (kernel - 1) * dilation + 1
        total = self.reach - stride
        self.right = 0 if causal else total // 2
        self.left = total - self.right

    def forward(self, x: Tensor, ends: Ends = None) -> Tensor:
        """[b, c, 1, t] -> [b, c, 1, ceil(t / stride)]; a row that ends at e then ends at
        ceil(e / stride). With group norm all rows must end at the last frame.
        """
        if x.shape[-1] == 0:
            return self._nothing(x)
        x = self._padded(x, ends) if self.left + self.right + self.stride > 1 else self._active(x)
        return self._normed(_convolve(self.conv, x))

    def empty_state(self, batch: int) -> State:
        """The state before the first chunk."""
        weight = self.conv.weight
        held = weight.new_zeros(batch, 1, 0, weight.shape[1]).permute(0, 3, 1, 2)
        return {"held": held, "begun": torch.tensor(False)}

    def step(self, x: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """Go on with a chunk [b, c, 1, any]; give the frames that are certain by now.

        The chunks' outputs, one after the other, are `forward` of the whole; nothing can come until
        enough is there to reflect, and a window that is not full waits for more, or for `last`.
        """
        x = torch.cat([state["held"], self._active(x)], dim=-1)
        begun = bool(state["begun"])
        if not begun and not last and x.shape[-1] <= self.left:
            return self._nothing(x), {"held": x, "begun": state["begun"]}
        if begun:
            more = self.right + (self.left - x.shape[-1]) % self.stride if last else 0
            if more:
                x = torch.cat([x, x[..., -1 - more : -1].flip(-1)], dim=-1)
        elif last:
            right = self.right + -x.shape[-1] % self.stride
            x = _reflected(x, self.left, right) if x.shape[-1] else x
        else:
            x = torch.cat([x[..., 1 : 1 + self.left].flip(-1), x], dim=-1)
        frames = max(0, (x.shape[-1] - self.reach) // self.stride + 1)
        state = {"held": x[..., frames * self.stride :], "begun": torch.tensor(True)}
        if frames == 0:
            return self._nothing(x), state
        window = x[..., : (frames - 1) * self.stride + self.reach]
        return self._normed(_convolve(self.conv, window)), state

    def _padded(self, x: Tensor, ends: Ends) -> Tensor:
        """The active signal with its padding, written at once where no gradient is asked for."""
        batch, channels, _, frames = x.shape
        ragged = -frames % self.stride
        if (
            torch.is_grad_enabled()
            and ends is None
            and frames > max(self.left, self.right + ragged)
        ):
            # one copy, and one on the way back, where writing into room takes three
            return F.pad(self._active(x), (self.left, self.right + ragged, 0, 0), mode="reflect")
        longest = max(ends) if ends else frames
        whole = -(-longest // self.stride) * self.stride
        most = max(self.left, self.right + self.stride - 1)
        room = self.left + max(whole + self.right, most + 1 + self.right + self.stride)
        laid = x.new_empty(batch, 1, room, channels).permute(0, 3, 1, 2)
        inner = laid[..., self.left : self.left + longest]
        if self.before is None or torch.is_grad_enabled():
            inner.copy_(self._active(x[..., :longest]))
        else:
            self.before.write(x[..., :longest], inner)
        laid[..., self.left + longest :] = 0
        if ends is None:
            self._reflect(laid, longest)
        else:
            for row, end in enumerate(ends):
                self._reflect(laid[row : row + 1], end)
        return laid[..., : self.left + whole + self.right]

    def _reflect(self, laid: Tensor, end: int) -> None:
        """Write the padding of rows that end at `end` into the room to both sides of them."""
        left, right = self.left, self.right + -end % self.stride
        # the published rule for what is shorter than its padding: zeros are added until it is not
        turn = max(end, max(left, right) + 1)
        laid[..., left + end : left + max(turn, end + right)] = 0
        if left:
            laid[..., :left] = laid[..., left + 1 : 2 * left + 1].flip(-1)
        if end + right > turn:
            more = end + right - turn
            mirrored = laid[..., left + turn - 1 - more : left + turn - 1].flip(-1)
            laid[..., left + turn : left + end + right] = mirrored

    def _active(self, x: Tensor) -> Tensor:
        return x if self.before is None else self.before(x)

    def _normed(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)

    def _nothing(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], 1, 0, self.conv.out_channels).permute(0, 3, 1, 2)


class Upsampling(nn.Module):
    """An activation, a transposed convolution of twice its stride, and group norm or none.

    A frame becomes `stride` frames, which depend on it and on a neighbour: where causal on the one
    before, else on both, half and half.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        causal: bool,
        normed: bool = False,
        before: Elu | Snake,
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride)
        self.norm = nn.GroupNorm(1, outputs) if normed else None
        self.before = before
        self.stride = stride
        right = stride if causal else stride // 2
        self.trim = (stride - right, right)

    def forward(self, x: Tensor, ends: Ends = None) -> Tensor:
        """[b, c, 1, t] -> [b, c, 1, t * stride]; rows end where they did, times the stride."""
        x = self.before(x)
        if ends is not None:
            x = _silenced(x, ends)
        left, right = self.trim
        if torch.is_grad_enabled() and self.norm is None and left - right in (0, 1):
            # the trim as padding: no gradient of zeros has to be written around what is kept
            weight = self.conv.weight[:, :, None]
            stride, padding, more = (1, self.stride), (0, left), (0, left - right)
            return F.conv_transpose2d(x, weight, self.conv.bias, stride, padding, more)
        y = _convolve(self.conv, x)
        y = y if self.norm is None else self.norm(y)
        return y[..., left : y.shape[-1] - right]

    def empty_state(self, batch: int) -> State:
        """The state before the first chunk: a frame of zeros, which adds nothing."""
        weight = self.conv.weight
        held = weight.new_zeros(batch, 1, 1, weight.shape[0]).permute(0, 3, 1, 2)
        return {"held": held, "skipped": torch.tensor(0)}

    def step(self, x: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """Go on with a chunk [b, c, 1, any]: each frame gives its own at once where causal; else
        what the next one reaches into waits for it, or for `last`. Not with group norm."""
        x = torch.cat([state["held"], self.before(x)], dim=-1)
        count = (x.shape[-1] - 1) * self.stride + (self.trim[0] if last else 0)
        # the first samples lie before the signal
        skip = min(self.trim[0] - int(state["skipped"]), count)
        y = _convolve(self.conv, x)[..., self.stride + skip : self.stride + count]
        return y, {"held": x[..., -1:], "skipped": state["skipped"] + skip}


def flat_image(x: Tensor) -> Tensor:
    """A signal [b, c, t] as [b, c, 1, t], its channels last in memory."""
    return x[:, :, None].contiguous(memory_format=torch.channels_last)


def _convolve(conv: nn.Conv1d | nn.ConvTranspose1d, x: Tensor) -> Tensor:
    weight, stride = conv.weight[:, :, None], (1, *conv.stride)
    if isinstance(conv, nn.ConvTranspose1d):
        return F.conv_transpose2d(x, weight, conv.bias, stride)
    return F.conv2d(x, weight, conv.bias, stride, 0, (1, *conv.dilation))


def _reflected(x: Tensor, left: int, right: int) -> Tensor:
    """The published padding of a whole signal; one that is too short is filled with zeros first."""
    missing = max(0, max(left, right) + 1 - x.shape[-1])
    padded = F.pad(F.pad(x, (0, missing)), (left, right, 0, 0), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]


def _silenced(x: Tensor, ends: Sequence[int]) -> Tensor:
    """Zeros in the place of what lies beyond each row's end."""
    frames = torch.arange(x.shape[-1], device=x.device)
    real = frames < torch.tensor(ends, device=x.device)[:, None]
    return x * real[:, None, None].to(x.dtype)
