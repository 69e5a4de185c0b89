"""USLM as it was published: files read without running code, weights put where ours stand.

Letters: d (width), v (text ids and rows).
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slmkit.api import CodeSpec, MisfitError, WeightsError
from slmkit.codecs.published import load_checked, read_state
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH

MARKS = ("<pad>", "<bos>", "<eos>")
"""The first ids of a text; the names of the file's table follow, in the order of code points."""
EPSILON = "<eps>"
"""A name that the published table always has."""
ROW = "word_embeddings.weight"

ATTENTION = {"outward": "self_attn.out_proj", "up": "linear1", "down": "linear2"}
NORMS = {"before_attention": "norm1", "before_mlp": "norm2"}


@dataclass(frozen=True)
class Sizes:
    """What the shapes of a checkpoint say.

    Attributes:
        width, layers, hidden: of the autoregressive transformer.
        fine_width, fine_layers, fine_hidden: of the one that refines.
        words: text ids.
        codes: of each codebook.
        codebooks: how many.
        begins: whether a first step of speech was learnt, and with it the first frame.
    """

    width: int
    layers: int
    hidden: int
    fine_width: int
    fine_layers: int
    fine_hidden: int
    words: int
    codes: int
    codebooks: int
    begins: bool


def read_checkpoint(path: pathlib.Path) -> dict[str, Tensor]:
    """The tensors of `USLM.pt`. Raises WeightsError.

    Besides tensors it holds paths of its training, the one class that is let through.
    """
    return read_state(path, under="model", known=[(pathlib.PosixPath, "pathlib.PosixPath")])


def read_symbols(path: pathlib.Path) -> list[str]:
    """The symbols of `unique_text_tokens.k2symbols` in the order of the ids that the published code
    gives them; the ids in the file do not count. Raises WeightsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: no table of symbols can be read: {error}") from None
    rows = [line.split() for line in lines if line.strip()]
    if not rows or any(len(row) != 2 or not row[1].isdigit() for row in rows):
        raise WeightsError(f"{path}: not a table of k2, which has a symbol and its number a line")
    return [*MARKS, *sorted({EPSILON, *(name for name, _ in rows)})]


def sizes_of(state: Mapping[str, Tensor], where: str) -> Sizes:
    """What the shapes say. Raises WeightsError for other models."""
    try:
        words, width = state[f"ar_text_embedding.{ROW}"].shape
        fine_width = state[f"nar_text_embedding.{ROW}"].shape[1]
        codes = state[f"nar_audio_embeddings.1.{ROW}"].shape[0]
        hidden = state["ar_decoder.layers.0.linear1.weight"].shape[0]
        fine_hidden = state["nar_decoder.layers.0.linear1.weight"].shape[0]
        begins = state[f"ar_audio_embedding.{ROW}"].shape[0] == codes + 2
    except KeyError as error:
        raise WeightsError(f"{where}: lacks {error.args[0]}; is this USLM?") from None
    if fine_hidden != 4 * fine_width:
        raise WeightsError(
            f"{where}: the refiner's feed-forward network is {fine_hidden} wide; valle-nar's is 4 "
            f"times the width, {4 * fine_width}"
        )
    return Sizes(
        width,
        _count(state, r"ar_decoder\.layers\.(\d+)\."),
        hidden,
        fine_width,
        _count(state, r"nar_decoder\.layers\.(\d+)\."),
        fine_hidden,
        words,
        codes,
        _count(state, r"nar_audio_embeddings\.(\d+)\."),
        begins,
    )


def uslm(
    state: Mapping[str, Tensor],
    symbols: Sequence[str],
    spec: CodeSpec,
    heads: int,
    prefix_mode: int,
    where: str,
) -> SpeechLM:
    """The published model as ours: `valle`, the head `linear` and the refiner `valle-nar`.

    The shapes do not tell how many `heads` there are, nor in which mode the refiner learnt to read
    a prompt: 0, codebook by codebook, or 1, all at once. Raises WeightsError, MisfitError.
    """
    sizes = sizes_of(state, where)
    if prefix_mode not in (0, 1):
        raise MisfitError(f"prefix mode {prefix_mode} is not supported: 0 or 1")
    if spec.codebook_sizes != (sizes.codes,) * sizes.codebooks:
        raise MisfitError(
            f"{where}: made for {sizes.codebooks} codebooks of {sizes.codes}; the tokenizer has "
            f"{list(spec.codebook_sizes)}"
        )
    if len(symbols) > sizes.words:
        raise WeightsError(f"{where}: {sizes.words} text ids for {len(symbols)} symbols")
    backbone = {"width": sizes.width, "layers": sizes.layers, "heads": heads,
                "hidden": sizes.hidden, "dropout": 0.1}  # fmt: skip
    decoding = {"width": sizes.fine_width, "layers": sizes.fine_layers, "heads": heads,
                "start": sizes.begins, "prompt": "all" if prefix_mode else "before"}  # fmt: skip
    text = {"symbols": [*symbols], "rows": sizes.words, "ends": True}
    lm = SpeechLM.new(
        build("backbone", "valle", backbone),
        build("decoding", "ar-nar", decoding),
        build("text", "phonemes", text),
        spec,
    )
    hint = "is this USLM, with as many codebooks and layers?"
    try:
        ours = converted(state, sizes, lm, where)
    except KeyError as error:
        raise WeightsError(f"{where}: lacks {error.args[0]}; {hint}") from None
    load_checked(lm, ours, where, hint)
    lm.eval()
    return lm


def converted(
    state: Mapping[str, Tensor], sizes: Sizes, lm: SpeechLM, where: str
) -> dict[str, Tensor]:
    """The published state under our names, and what has no place under its own."""
    left = dict(state)
    found = _rows(left, sizes, lm)
    for ours, theirs, layers in (
        ("backbone", "ar_decoder", sizes.layers),
        ("refiner", "nar_decoder", sizes.fine_layers),
    ):
        for layer in range(layers):
            mine, place = f"{ours}.layers.{layer}", f"{theirs}.layers.{layer}"
            _move(left, found, {f"{mine}.{a}": f"{place}.{b}" for a, b in ATTENTION.items()})
            for kind in ("weight", "bias"):
                joint = left.pop(f"{place}.self_attn.in_proj_{kind}", None)
                if joint is not None and ours == "refiner":
                    found[f"{mine}.qkv.{kind}"] = joint
                elif joint is not None:
                    names = [f"{mine}.attention.{n}.{kind}" for n in ("query", "key", "value")]
                    found.update(zip(names, joint.chunk(3), strict=True))
            norms = {f"{mine}.{a}": f"{place}.{b}" for a, b in NORMS.items()}
            _move_norms(left, found, norms)
        _move_norms(left, found, {f"{ours}.norm": f"{theirs}.norm"})
    for kind in ("text", "audio"):
        found[f"backbone.{kind}_alpha"] = left.pop(f"ar_{kind}_position.alpha")
        fixed = left.pop(f"nar_{kind}_position.alpha")
        if not fixed.is_meta and bool((fixed != 1).any()):
            raise WeightsError(
                f"{where}: nar_{kind}_position.alpha is {fixed.tolist()}; published it is fixed "
                f"at 1"
            )
    return {_in_attention(name): tensor for name, tensor in found.items()} | left


def _rows(left: dict[str, Tensor], sizes: Sizes, lm: SpeechLM) -> dict[str, Tensor]:
    """Embeddings and output rows; what our vocabulary holds besides is never read or chosen."""
    vocabulary, codes = lm.vocabulary, lm.vocabulary.code_range(0)
    text = left.pop(f"ar_text_embedding.{ROW}")
    spoken, scored = left.pop(f"ar_audio_embedding.{ROW}"), left.pop("ar_predict_layer.weight")
    rows = text.new_zeros(vocabulary.size, sizes.width)
    outputs = torch.zeros_like(rows)
    rows[: sizes.words] = text
    rows[codes.start : codes.stop] = spoken[: sizes.codes]
    outputs[codes.start : codes.stop] = scored[: sizes.codes]
    end = vocabulary.id_of(END_OF_SPEECH)
    rows[end], outputs[end] = spoken[sizes.codes], scored[sizes.codes]
    if sizes.begins:
        rows[vocabulary.id_of(START_OF_SPEECH)] = spoken[sizes.codes + 1]
    found = {"embedding.0.weight": rows, "head.projections.0.weight": outputs}
    found["refiner.text.weight"] = left.pop(f"nar_text_embedding.{ROW}")
    for book in range(sizes.codebooks):
        # of the first codebook also the row of the end, which nothing reads here
        table = left.pop(f"nar_audio_embeddings.{book}.{ROW}")[: sizes.codes]
        found[f"refiner.codes.{book}.weight"] = table
    stages = [left.pop(f"nar_stage_embeddings.{j}.{ROW}") for j in range(sizes.codebooks - 1)]
    found["refiner.stages.weight"] = torch.cat(stages)
    for stage in range(sizes.codebooks - 1):
        # tied, but for the last: files that hold a tensor once have it as an embedding
        tied = found.get(f"refiner.codes.{stage + 2}.weight")
        table = left.pop(f"nar_predict_layers.{stage}.weight", tied)
        if table is not None:
            found[f"refiner.projections.{stage}.weight"] = table
    return found


def _move(left: dict[str, Tensor], found: dict[str, Tensor], names: Mapping[str, str]) -> None:
    """Weights and biases from their names to ours, where they are."""
    for ours, theirs in names.items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" in left:
                found[f"{ours}.{kind}"] = left.pop(f"{theirs}.{kind}")


def _move_norms(
    left: dict[str, Tensor], found: dict[str, Tensor], names: Mapping[str, str]
) -> None:
    """Layer norms, plain and adaptive."""
    _move(left, found, names)
    _move(left, found, {f"{a}.norm": f"{b}.norm" for a, b in names.items()})
    _move(left, found, {f"{a}.project": f"{b}.project_layer" for a, b in names.items()})


def _in_attention(name: str) -> str:
    """In the backbone the output projection belongs to the attention."""
    return re.sub(r"^(backbone\.layers\.\d+)\.outward\.", r"\1.attention.outward.", name)


def _count(state: Mapping[str, Any], pattern: str) -> int:
    """How many are numbered from 0 by the group of a pattern."""
    found = (re.match(pattern, name) for name in state)
    return 1 + max((int(match.group(1)) for match in found if match), default=-1)
