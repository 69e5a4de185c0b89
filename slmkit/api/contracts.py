"""What each kind of part must do. A part is `cls(options)`, unless its contract says more.

Letters: b (batch), k (codebook), t (frame), s (stream), l (step), d (width), n (sample).
`wav` is float32 [b, n] in -1..1 and `lengths` int64 [b], the samples that are real. No answer may
depend on what else is in the batch or on how far it is padded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from slmkit.api.codes import Codes, CodeSpec
from slmkit.api.results import Result
from slmkit.api.utterances import Utterance

if TYPE_CHECKING:
    import torch

State = dict[str, Any]
"""What a streaming part carries from step to step: a nested dict of tensors, a value."""


class Savable:
    """Saved as files and restored from them; modules need not override anything."""

    def save(self, folder: Path) -> None:
        """Write what fitting or training found, by default `weights.safetensors`."""
        from safetensors.torch import save_file

        state: Mapping[str, torch.Tensor] = self.state_dict()  # type: ignore[attr-defined]
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, folder / "weights.safetensors")

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote into a part built with the same options."""
        from safetensors.torch import load_file

        self.load_state_dict(load_file(folder / "weights.safetensors"))  # type: ignore[attr-defined]


class Progress(Protocol):
    """Shows how far some work has come; the host draws it."""

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None:
        """`done` of `total` items are finished."""


class Corpus(ABC):
    """Gives utterances."""

    @abstractmethod
    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        """All utterances, in the same order each time.

        A corpus that makes its sound writes it below `folder`, atomically and only what is not
        there yet, so that a broken run goes on where it stopped.
        """

    def texts(self) -> Iterator[str]:
        """Text to read that belongs to the corpus without being spoken in it."""
        return iter(())


class TextTokenizer(Savable, ABC):
    """Text to ids and back: `decode(encode(text)) == text` for text that it knows.

    Ids are 0..size-1; special tokens are no business of a text tokenizer (the vocabulary adds
    them).

    Attributes:
        spells: whether `decode` gives the text back; one that keeps only what is pronounced gives
            that instead, and suits models that read text but write none.
    """

    spells: bool = True

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of ids."""

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces from text; parts with fixed pieces do nothing."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises DataError for characters that it cannot write."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""


class Tokenizer(Savable, ABC):
    """Speech to codes, and back where it has a decoder of its own."""

    spec: CodeSpec

    def fit(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Learn from a stream of (wav, lengths); parts that come trained do nothing."""

    @abstractmethod
    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        """The codes of a batch, each row's the same as alone. Raises AudioError."""

    def decode(self, codes: Codes) -> tuple[torch.Tensor, torch.Tensor]:
        """(wav [b, n], lengths [b]) at the spec's output rate, where `can.decodes`."""
        from slmkit.api.errors import MisfitError

        raise MisfitError(f"{type(self).__name__} has no decoder; a vocoder has to speak its codes")

    def decode_books(self, codes: Codes, books: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """What `decode` makes of some codebooks of its codes, counted from 0 and ascending; the
        others add nothing. Raises MisfitError for what a part cannot hear alone."""
        if list(books) == list(range(self.spec.codebooks)):
            return self.decode(codes)
        from slmkit.api.errors import MisfitError

        chosen = ", ".join(str(book + 1) for book in books)
        raise MisfitError(
            f"{type(self).__name__} cannot decode codebooks {chosen} of {self.spec.codebooks} "
            f"alone: take them all, or a tokenizer built with fewer"
        )

    @property
    def streams(self) -> bool:
        """Whether `step` can be called as this part was built, where `can.streaming`.

        A class that streams with some options only answers for itself.
        """
        return type(self).step is not Tokenizer.step

    def empty_state(self, batch: int) -> State:
        """The state of `batch` rows of which nothing was heard yet, where `can.streaming`."""
        raise self._no_stream()

    def step(self, chunk: torch.Tensor, state: State) -> tuple[Codes, State]:
        """Go on from a state: the frames that a chunk [b, n] completes, where `can.streaming`.

        A chunk may be of any length and complete no frame (codes [b, k, 0]). Its rows are equally
        long, and no padding lies in it. The frames of all chunks and those of `finish` are, joined,
        the codes that `encode` gives for the whole. Raises AudioError.
        """
        raise self._no_stream()

    def finish(self, state: State) -> Codes:
        """The frames [b, k, t] that are left when the sound ends, maybe none."""
        raise self._no_stream()

    def encode_long(self, blocks: Iterable[torch.Tensor]) -> Iterator[Codes]:
        """The codes of one utterance that comes in blocks [1, n], in parts [1, k, t] to be joined.

        What streams holds one block at a time. Anything else is collected and encoded whole; parts
        for which that is too much override this, with windows that overlap. Raises AudioError.
        """
        import torch

        if not self.streams:
            wav = torch.cat(list(blocks), dim=1)
            yield self.encode(wav, torch.tensor([wav.shape[1]]))
            return
        state = self.empty_state(1)
        for block in blocks:
            codes, state = self.step(block, state)
            yield codes
        yield self.finish(state)

    def decode_long(self, codes: Codes) -> Iterator[torch.Tensor]:
        """The wave of one utterance in blocks [1, n] to be joined, by default one block.

        For parts whose `decode` of an hour would take too much memory, where `can.decodes`.
        """
        wav, lengths = self.decode(codes)
        yield wav[:, : int(lengths[0])]

    decode_window: tuple[float, float] | None = None
    """Seconds before and after a frame beyond which `decode` hears next to nothing, for decoders
    without `decode_step` that may be run in windows; None: codes are decoded whole."""

    @property
    def decodes_in_steps(self) -> bool:
        """Whether `decode_step` can be called as this part was built."""
        return type(self).decode_step is not Tokenizer.decode_step

    def empty_decode_state(self, batch: int) -> State:
        """The state of `decode_step` before the first frame."""
        raise self._no_steps()

    def decode_step(
        self, codes: Codes, state: State, last: bool = False
    ) -> tuple[torch.Tensor, State]:
        """Go on with codes [b, k, any], rows equally long: the wave [b, any] that is certain now.

        The waves of all steps, of which the `last` one may bring no codes, are those of `decode`.
        """
        raise self._no_steps()

    def reconstruct(self, wav: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(copy [b, n], commitment) of waves [b, n] as long as each other, with gradients, for
        training; the copy is what `decode` makes of their codes. Raises MisfitError where a
        tokenizer has none."""
        from slmkit.api.errors import MisfitError

        raise MisfitError(f"{type(self).__name__} passes no gradients through its codes")

    def _no_stream(self) -> Exception:
        from slmkit.api.errors import MisfitError

        return MisfitError(f"{type(self).__name__} does not stream: give `encode` the whole sound")

    def _no_steps(self) -> Exception:
        from slmkit.api.errors import MisfitError

        return MisfitError(f"{type(self).__name__} decodes whole utterances, not step by step")


class Vocoder(Savable, ABC):
    """Codes to speech. Built as `cls(options, spec)` with the `CodeSpec` that it will get.

    Attributes:
        voice_encoder: the speaker encoder whose embeddings it takes as voices, as a slot of a
            recipe says it ({"part": name, options}); None where it takes none or does not know.
    """

    sample_rate: int
    voice_encoder: Mapping[str, Any] | None = None

    def fit(self, batches: Iterable[tuple[Codes, torch.Tensor, torch.Tensor]]) -> None:
        """Learn from (codes, wav, lengths) by statistics, where no gradient is needed."""

    @abstractmethod
    def synthesize(
        self, codes: Codes, speaker: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(wav [b, n], lengths [b]); `speaker` is a voice's embedding [b, d] where it takes one, or
        its number [b] in a table."""

    def voice(self, asked: str) -> torch.Tensor:
        """What `speaker` is for a voice that is known by name or number: [d], or a number [].

        Raises MisfitError where it has one voice only, UnknownNameError.
        """
        from slmkit.api.errors import MisfitError

        raise MisfitError(f"{type(self).__name__} has one voice: leave out '{asked}'")

    def keep_voices(
        self,
        names: Sequence[str],
        embeddings: torch.Tensor | None = None,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep by which names `voice` knows the speakers: rows of a table, or `embeddings` [s, d]
        that the speaker encoder `encoder` made. Raises MisfitError where it has one voice only, or
        fewer than there are names."""
        from slmkit.api.errors import MisfitError

        raise MisfitError(f"{type(self).__name__} has one voice, and learns no others")

    @property
    def streams(self) -> bool:
        """Whether `step` can be called as this part was built."""
        return type(self).step is not Vocoder.step

    def empty_state(self, batch: int, speaker: torch.Tensor | None = None) -> State:
        """The state of `batch` rows of which nothing was said yet, in the voices of `speaker`."""
        raise self._no_stream()

    def step(self, codes: Codes, state: State) -> tuple[torch.Tensor, State]:
        """Go on from a state: the wave [b, any] that codes [b, k, any] make certain.

        Rows are equally long, no padding lies in them, and a step may bring no frame or give no
        sample. Merged units come one utterance at a time (b is 1). The waves of all steps and that
        of `finish` are, joined, what `synthesize` gives for the whole.
        """
        raise self._no_stream()

    def finish(self, state: State) -> torch.Tensor:
        """The wave [b, any] that is left when the codes end."""
        raise self._no_stream()

    def _no_stream(self) -> Exception:
        from slmkit.api.errors import MisfitError

        name = type(self).__name__
        return MisfitError(f"{name} does not stream: give `synthesize` the whole utterance")


class Backbone(Savable, ABC):
    """Embedded steps to hidden states, causally. Also a torch Module.

    Attributes:
        longest: steps of the longest sequence that it can take or was made for; None: any number.
        reads_prefix: whether `forward` and `step` also take `prefix`, bool [b, l] or None: steps of
            given text that begin an example, to be read both ways or numbered apart; in `step` a
            row's first.
    """

    width: int
    longest: int | None = None
    reads_prefix: bool = False

    @abstractmethod
    def forward(
        self, embedded: torch.Tensor, positions: torch.Tensor | None = None
    ) -> torch.Tensor:
        """[b, l, d] -> [b, l, d]; padding belongs at the end, where causality hides it.

        `positions` int64 [b, l] says where several examples lie end to end in a row: the place of
        each step in its example, a new one beginning at each 0. None sees another. A backbone that
        cannot keep them apart raises MisfitError, or leaves the argument out.
        """

    def checkpoint_layers(self) -> None:
        """From now on compute the layers again in the backward pass instead of keeping what they
        computed (Chen et al. 2016). Raises MisfitError where a backbone cannot."""
        from slmkit.api.errors import MisfitError

        raise MisfitError(
            f"{type(self).__name__} cannot compute its layers again: leave out checkpointing"
        )

    def compile_steps(self) -> None:
        """From now on take single steps in shapes that never change, compiled: for devices that
        wait for their calls (on a GPU as a CUDA graph). Raises MisfitError where a backbone
        cannot."""
        from slmkit.api.errors import MisfitError

        raise MisfitError(f"{type(self).__name__} cannot compile its steps: leave it as it is")

    @abstractmethod
    def empty_state(self, batch: int, steps: int) -> State:
        """A preallocated cache for `steps` steps of each row."""

    @abstractmethod
    def step(
        self, embedded: torch.Tensor, state: State, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state: [b, l, d] -> [b, l, d], of which `lengths` [b] steps are real.

        Rows may stand at different positions. Equal to `forward` of the whole, step for step.
        """


class Transcriber(Savable, ABC):
    """Speech to text, for judging."""

    sample_rate: int

    @abstractmethod
    def transcribe(self, wav: torch.Tensor, lengths: torch.Tensor) -> list[str]:
        """The text of each row."""


class SpeakerEncoder(Savable, ABC):
    """Speech to a voice's embedding."""

    sample_rate: int
    width: int

    @abstractmethod
    def embed(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Unit vectors [b, d]."""


class Metric(ABC):
    """Scores one item at a time; the value over many is sum(numerators) / sum(denominators).

    Attributes:
        unit: "%", "Hz", "" ...; `scale` turns the ratio into it (100 for per cent).
        direction: whether less or more is better.
        takes: what the two sides are: texts (str), waves (float32 numpy [n]), or codes (Codes).
    """

    unit: str = ""
    scale: float = 1.0
    direction: Literal["lower", "higher"] = "lower"
    takes: Literal["text", "wav", "codes"] = "text"

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def score(self, given: Any, reference: Any, sample_rate: int = 16000) -> tuple[float, float]:
        """(numerator, denominator) of one item. An item that cannot be scored raises."""


class StageContext(Protocol):
    """What a stage gets to see and to leave behind.

    Attributes:
        folder: the stage's own; after a break it still holds what was made.
        seed: of the run.
        trainer: options for `lightning.Trainer`, straight from the recipe.
    """

    folder: Path
    seed: int
    trainer: Mapping[str, Any]

    def part(self, slot: str, spec: CodeSpec | None = None) -> Any:
        """The part in a slot of the recipe, as fitted by the nearest stage above that gives it.

        A vocoder that no stage fits, its weights being published, is built for codes of `spec`.
        """

    def fresh(self, slot: str, **given: Any) -> Any:
        """The part in a slot newly built from the recipe's options, whatever was fitted."""

    def find(self, slot: str) -> Path | None:
        """The folder in which a stage above left this slot, or None."""

    def left(self, name: str) -> Path | None:
        """The file or folder that the nearest stage above left under a name, or None.

        What a stage's declaration `reads` is always there.
        """

    def read(self, name: str) -> Path:
        """The same for what must be there. Raises StageError."""

    def path(self, stage: str) -> Path:
        """The folder of a stage above."""

    def keep(self, slot: str, part: Savable) -> None:
        """Leave a fitted part for the stages below."""

    def result(self, *results: Result) -> None:
        """Add rows to the run's results."""

    def progress(self, text: str, total: int | None = None) -> AbstractContextManager[Progress]:
        """A progress display for the length of a `with` block."""

    def say(self, line: str) -> None:
        """A line for the person who watches."""
