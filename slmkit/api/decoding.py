"""What the pieces of a decoding strategy must do: layout, head, refiner, and the strategy itself.

Letters: b (batch), k (codebook), g (codebooks that are given), t (frame), s (stream), l (step),
d (width).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slmkit.api.codes import CodeSpec
from slmkit.api.contracts import Savable, State
from slmkit.api.segments import Segment, Segments

if TYPE_CHECKING:
    import numpy as np
    import torch

    from slmkit.lm.grid import Grid
    from slmkit.lm.vocabulary import Vocabulary


class Layout(ABC):
    """Segments laid on a grid [streams, steps], and read back without loss.

    The state of a reader is a value: what was read before the next step.

    Attributes:
        begins: whether an answer can begin speech; False: it goes on with a prompt's alone.
    """

    begins: bool = True

    @abstractmethod
    def streams(self, spec: CodeSpec) -> int:
        """How many streams the grid has for codes of this kind. Raises MisfitError."""

    @abstractmethod
    def alphabet(self, stream: int, vocabulary: Vocabulary) -> tuple[range, ...]:
        """The ids that a stream can hold at all."""

    @abstractmethod
    def allowed(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        """The ids that may come next after a state, in the stream after those of the same step that
        are `picked`; none where the stream has nothing at this step."""

    @abstractmethod
    def lay(self, segments: Segments, vocabulary: Vocabulary) -> Grid:
        """The grid of a list of segments."""

    @abstractmethod
    def read(self, grid: Grid, vocabulary: Vocabulary) -> Segments:
        """The segments of a grid: the inverse of `lay`."""

    @abstractmethod
    def open(self, vocabulary: Vocabulary) -> State:
        """The state of a reader that follows generation, before the first step."""

    @abstractmethod
    def resume(self, codes: np.ndarray, vocabulary: Vocabulary) -> State:
        """The state of a reader within an utterance of which a prompt holds codes [k, t]; these are
        not given again."""

    @abstractmethod
    def step(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State]:
        """Take the tokens [s] of one step; give what is finished by it."""

    @abstractmethod
    def close(self, state: State, vocabulary: Vocabulary) -> list[Segment]:
        """What is left when generation ends."""


class Head(Savable, ABC):
    """Hidden states to the tokens of a step. Built as `cls(options, width, sizes)`; a Module.

    `sizes` holds the number of tokens of each stream.
    """

    @abstractmethod
    def logits(self, hidden: torch.Tensor, tokens: torch.Tensor) -> list[torch.Tensor]:
        """For each stream, scores [b, l, size] of the tokens [b, s, l] due at each step."""

    @abstractmethod
    def sample(
        self, hidden: torch.Tensor, pick: Callable[[torch.Tensor, int], torch.Tensor]
    ) -> torch.Tensor:
        """The next tokens [b, s] from hidden [b, d]; `pick(scores [b, size], stream)` chooses."""

    @abstractmethod
    def rows(self, stream: int) -> torch.Tensor:
        """The output weights [size, d] of a stream, a row for each token."""


@dataclass(frozen=True, eq=False)
class Draft:
    """An utterance of which the first codebooks are there.

    Attributes:
        text: int64 [l], what is said, in ids of the text tokenizer alone.
        prompt: int64 [k, p], speech before it with every codebook, whose voice is kept; p may be 0.
        coarse: int64 [g, t].
    """

    text: np.ndarray
    prompt: np.ndarray
    coarse: np.ndarray


class Refiner(Savable, ABC):
    """Completes fine codebooks from coarse ones, not one step at a time; also a torch Module.

    Built as `cls(options, spec, given, words)`: the `CodeSpec` with every codebook, how many of
    them drafts bring along, and the number of text ids.
    """

    @abstractmethod
    def loss(
        self, drafts: Sequence[Draft], codes: Sequence[np.ndarray], draw: torch.Generator
    ) -> torch.Tensor:
        """Mean cross-entropy, nats, of what is trained at this step: `codes` [k, t] are due after
        `drafts`, and `draw` chooses what is hidden."""

    @abstractmethod
    def refine(self, drafts: Sequence[Draft], draws: Sequence[torch.Generator]) -> list[np.ndarray]:
        """Each draft's codes int64 [k, t], whatever else is in the batch; each draws for itself."""

    def matrices(self) -> Iterable[torch.nn.Parameter]:
        """Matrices inside its layers, which an optimizer of matrices (Muon) trains; none unless it
        names them."""
        return ()


@dataclass(frozen=True)
class Generator:
    """The step of a strategy that makes codes one step at a time: which layout, which head.

    Attributes:
        codebooks: how many it makes, from the coarsest; none: all of them.
    """

    layout: str
    head: str
    layout_options: Mapping[str, Any] = field(default_factory=dict)
    head_options: Mapping[str, Any] = field(default_factory=dict)
    codebooks: int | None = None


@dataclass(frozen=True)
class Refinement:
    """The step of a strategy that completes what the one before has begun."""

    refiner: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Decoding(ABC):
    """A decoding strategy: a generator, and what refines its codes."""

    @abstractmethod
    def plan(self, spec: CodeSpec) -> tuple[Generator] | tuple[Generator, Refinement]:
        """The steps for codes of this kind, in order. Raises MisfitError."""
