"""`SpeechLM`: a backbone, a vocabulary, a layout and a head put together.

Letters: b (batch), s (stream), l (step), d (width), v (vocabulary).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slmkit.api import (
    Backbone,
    CodeSpec,
    Decoding,
    Segments,
    State,
    Text,
    TextTokenizer,
    VocabularyError,
    WeightsError,
)
from slmkit.codecs.published import load_checked
from slmkit.host import build
from slmkit.lm.alphabet import Alphabet
from slmkit.lm.drafts import coarse, drafts
from slmkit.lm.grid import Grid, GridBatch
from slmkit.lm.layouts import NOTHING
from slmkit.lm.tables import Tables
from slmkit.lm.vocabulary import (
    END_OF_SPEECH,
    NO_TEXT,
    START_OF_SPEECH,
    Section,
    Vocabulary,
)

LM_FILE = "lm.json"


class SpeechLM(nn.Module):
    """A language model of text and codes.

    The embeddings of a step's streams are summed (MusicGen, Copet et al. 2023); one stream is the
    ordinary language model. Where the strategy refines, the model proper knows the first codebooks
    alone (`coarse`, of `spec`), and `refiner` completes them.
    """

    def __init__(
        self, backbone: Backbone, decoding: Decoding, vocabulary: Vocabulary, spec: CodeSpec
    ) -> None:
        super().__init__()
        first, *rest = decoding.plan(spec)
        self.backbone: Any = backbone
        self.decoding = decoding
        self.spec, self.coarse = spec, coarse_spec(decoding, spec)
        self.vocabulary = vocabulary
        self.layout = build("layout", first.layout, first.layout_options)
        self._head = (first.head, first.head_options)
        self.streams: int = self.layout.streams(self.coarse)
        self.alphabets = self._new_alphabets()
        self.embedding = self._new_embedding()
        self.head = self._new_head()
        self.nothing: Tensor
        self.register_buffer("nothing", torch.zeros(1, backbone.width), persistent=False)
        self._tables: Tables | None = None
        self.refiner: Any = None
        for step in rest:
            given, words = self.coarse.codebooks, vocabulary.text.size
            self.refiner = build(
                "refiner", step.refiner, step.options, spec=spec, given=given, words=words
            )

    @classmethod
    def new(
        cls,
        backbone: Backbone,
        decoding: Decoding,
        text: TextTokenizer,
        spec: CodeSpec,
        *specials: str,
    ) -> SpeechLM:
        """A model that knows text, the codes that its strategy makes step by step, the marks of
        speech, and these special tokens."""
        books = [
            Section.codes(size, k)
            for k, size in enumerate(coarse_spec(decoding, spec).codebook_sizes)
        ]
        marks = Section.special(START_OF_SPEECH, END_OF_SPEECH, NO_TEXT, *specials)
        return cls(backbone, decoding, Vocabulary(text).extend(*books, marks), spec)

    def _new_alphabets(self) -> nn.ModuleList:
        ranges = [self.layout.alphabet(s, self.vocabulary) for s in range(self.streams)]
        return nn.ModuleList(Alphabet(each, self.vocabulary.size) for each in ranges)

    def _new_embedding(self) -> nn.ModuleList:
        tables = [nn.Embedding(each.size, self.backbone.width) for each in self._alphabets]
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)
        return nn.ModuleList(tables)

    def _new_head(self) -> Any:
        name, options = self._head
        sizes = tuple(each.size for each in self._alphabets)
        return build("head", name, options, width=self.backbone.width, sizes=sizes)

    @property
    def _alphabets(self) -> list[Alphabet]:
        return list(self.alphabets)  # type: ignore[arg-type]

    def lay(self, segments: Segments) -> Grid:
        """An example on the grid, together with what the refiner learns from it."""
        grid: Grid = self.layout.lay(coarse(segments, self.coarse.codebooks), self.vocabulary)
        grid = replace(grid, prefix=prefix_of(segments, grid))
        if self.refiner is None:
            return grid
        return replace(grid, drafts=tuple(drafts(segments, self.vocabulary)))

    def embed(self, tokens: Tensor) -> Tensor:
        """Tokens [b, s, l] to the sum of their streams' embeddings [b, l, d]; nothing adds none."""
        embedded: Tensor | None = None
        for stream, (alphabet, table) in enumerate(
            zip(self._alphabets, self.embedding, strict=True)
        ):
            own = alphabet.local(tokens[:, stream])
            rows = table(own) if alphabet.whole else embed_or_nothing(table, own)
            embedded = rows if embedded is None else embedded + rows
        assert embedded is not None, "a grid has a stream"
        return embedded

    def local(self, tokens: Tensor) -> Tensor:
        """Tokens [b, s, l] in each stream's own numbering, as heads take them."""
        pairs = enumerate(self._alphabets)
        return torch.stack([each.local(tokens[:, stream]) for stream, each in pairs], dim=1)

    def loss(self, batch: GridBatch, text_weight: float = 1.0) -> Tensor:
        """Mean cross-entropy, nats, over the targets that are to be learnt.

        A target that is no code counts `text_weight` times: few words stand beside many codes
        (Moshi weighs its semantic tokens so, Defossez et al. 2024). Scores are computed at those
        steps only: prompts cost no projection to the vocabulary.
        """
        given = batch.tokens if batch.given is None else batch.given
        # only packed batches ask every backbone for more than its first argument
        packed = () if batch.positions is None else (batch.positions[:, :-1],)
        told = self._told(None if batch.prefix is None else batch.prefix[:, :-1])
        hidden = self.backbone(self.embed(given[:, :, :-1]), *packed, **told)
        targets, learn = batch.tokens[:, :, 1:], batch.learn[:, :, 1:]
        rows, steps = learn.any(dim=1).nonzero(as_tuple=True)
        due, counts = targets[rows, :, steps], learn[rows, :, steps]
        own = self.local(due.T[None])
        scores = self.head.logits(hidden[rows, steps][None], own)
        losses = [
            nn.functional.cross_entropy(
                score[0].float(), own[0, stream], reduction="none", ignore_index=NOTHING
            )
            for stream, score in enumerate(scores)
        ]
        weights = torch.where(self.vocabulary.is_code(due), 1.0, text_weight) * counts
        total = (torch.stack(losses, dim=1) * weights).sum()
        return total / weights.sum().clamp(min=1)

    def _told(self, prefix: Tensor | None) -> dict[str, Tensor]:
        """What a backbone is told of prefixes bool [b, l]: nothing, where it does not ask."""
        asks: bool = self.backbone.reads_prefix
        return {} if prefix is None or not asks else {"prefix": prefix}

    def refining_loss(self, batch: GridBatch, draw: torch.Generator) -> Tensor | None:
        """The refiner's own loss, nats; none where there is nothing to refine."""
        if self.refiner is None or not batch.drafts:
            return None
        loss: Tensor = self.refiner.loss(*zip(*batch.drafts, strict=True), draw)
        return loss

    def empty_state(self, batch: int, steps: int) -> State:
        """A preallocated state for generation."""
        self._tables = Tables.of(self._alphabets, list(self.embedding), self.nothing)
        state: State = self.backbone.empty_state(batch, steps)
        return state

    def step(
        self,
        tokens: Tensor,
        state: State,
        lengths: Tensor | None = None,
        prefix: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Go on by tokens [b, s, l] of which `lengths` are real, and those of `prefix` bool [b, l]
        an example's prefix; hidden [b, l, d]."""
        embedded = self.embed(tokens) if self._tables is None else self._tables(tokens)
        hidden, state = self.backbone.step(embedded, state, lengths, **self._told(prefix))
        return hidden, state

    def __getstate__(self) -> dict[str, Any]:
        # a copy of the model looks up its own embeddings
        return {**self.__dict__, "_tables": None}

    def extend(self, *sections: Section) -> None:
        """Add sections to the vocabulary; old rows keep their weights, new ones start random."""
        self.vocabulary = self.vocabulary.extend(*sections)
        embedding, head = self.embedding, self.head
        self.alphabets, self._tables = self._new_alphabets(), None
        self.embedding, self.head = self._new_embedding(), self._new_head()
        copy_rows(embedding, self.embedding)
        copy_rows(head, self.head)

    def adopt_pretrained(self, tables: tuple[Tensor, Tensor] | None) -> None:
        """Take a pretrained model's input and output rows: of its text ids, or of this whole
        vocabulary where it was published with the added tokens. Raises WeightsError.
        """
        if tables is None:
            return
        rows_in, rows_out = tables
        count, text = rows_in.shape[0], self.vocabulary.text.size
        if count not in (text, self.vocabulary.size) or rows_in.shape[1] != self.backbone.width:
            raise WeightsError(
                f"pretrained embeddings {tuple(rows_in.shape)} fit neither the {text} text ids nor "
                f"the whole vocabulary of {self.vocabulary.size} (width {self.backbone.width}): "
                f"weights with added tokens load only under the template style they were made with"
            )
        with torch.no_grad():
            self.embedding[0].weight[:count] = rows_in
            self.head.rows(0)[:count] = rows_out

    def save(self, folder: Path) -> None:
        """Write weights, vocabulary layout and code specification."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.state_dict().items()}
        save_file(tensors, folder / "model.safetensors")
        record = {
            "vocabulary": self.vocabulary.to_dict(),
            "vocabulary_hash": self.vocabulary.hash,
            "spec": self.spec.to_dict(),
        }
        (folder / LM_FILE).write_text(json.dumps(record, indent=1) + "\n")

    def restore(self, folder: Path) -> None:
        """Read weights. Raises VocabularyError for those of another vocabulary layout, WeightsError
        for those of another strategy or backbone."""
        from safetensors.torch import load_file

        record = json.loads((folder / LM_FILE).read_text())
        if record["vocabulary_hash"] != self.vocabulary.hash:
            raise VocabularyError(
                f"{folder}: the checkpoint was made for vocabulary {record['vocabulary_hash']}, "
                f"this run has {self.vocabulary.hash}; run the stages above it again"
            )
        hint = "were these weights trained with another decoding strategy, or another backbone?"
        load_checked(self, load_file(folder / "model.safetensors"), str(folder), hint)


def coarse_spec(decoding: Decoding, spec: CodeSpec) -> CodeSpec:
    """The codebooks that a strategy makes step by step. Raises MisfitError."""
    made = decoding.plan(spec)[0].codebooks
    return spec if made is None else replace(spec, codebook_sizes=spec.codebook_sizes[:made])


def prefix_of(segments: Segments, grid: Grid) -> int:
    """Steps of a grid's leading text that is given: what is learnt may not be seen beforehand."""
    steps = 0
    for segment, (_, end) in zip(segments, grid.spans, strict=True):
        if not isinstance(segment, Text) or segment.learn:
            break
        steps = end
    return steps


def embed_or_nothing(table: nn.Module, tokens: Tensor) -> Tensor:
    """Rows of a table [.., d] for tokens [..], zeros for NOTHING."""
    rows: Tensor = table.weight  # type: ignore[assignment]
    if not len(rows):
        return rows.new_zeros(*tokens.shape, rows.shape[1])
    there = (tokens != NOTHING)[..., None]
    return nn.functional.embedding(tokens.clamp(min=0), rows) * there


def copy_rows(old: nn.Module, new: nn.Module) -> None:
    """Copy each tensor into the first rows of its namesake in a larger module."""
    grown = dict(new.named_parameters())
    with torch.no_grad():
        for name, tensor in old.named_parameters():
            grown[name][: tensor.shape[0]] = tensor
