"""hierarchy: two tokenizers in step as one, whose codec alone is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from slmkit_hierarchy.hierarchy import Hierarchy

import slmkit
from slmkit.api import MisfitError, OptionsError, Tokenizer
from slmkit.data.audio import write_audio
from slmkit.host import build, host, load_part, make_options, save_part
from slmkit.testing.parts import check_part
from slmkit.testing.tokenizers import sounds

CODEC = {"part": "speechtokenizer", "filters": 2, "width": 8, "lstm_layers": 0, "entries": 16}
VALUES = {
    "semantic": {"part": "mel-km", "clusters": 12},
    "acoustic": {"part": "mel-rvq", "codebooks": 3, "clusters": 8},
}


def made(**values: object) -> Hierarchy:
    part = build("tokenizer", "hierarchy", {**VALUES, **values})
    part.fit(sounds(16000, seed) for seed in range(3))
    return part  # type: ignore[no-any-return]


def test_the_laws_are_kept(tmp_path: Path) -> None:
    check_part("tokenizer", "hierarchy", tmp_path, VALUES)
    check_part("tokenizer", "hierarchy", tmp_path / "codec", {**VALUES, "acoustic": CODEC})


def test_the_first_codebook_is_the_unit_and_the_others_are_the_codecs() -> None:
    part, (wav, lengths) = made(), sounds(16000, 7)
    codes = part.encode(wav, lengths)
    fine, units = part.acoustic.encode(wav, lengths), part.semantic.encode(wav, lengths)
    assert codes.spec.codebook_sizes == (12, 8, 8, 8)
    assert torch.equal(codes.lengths, fine.lengths)
    assert torch.equal(codes.values[:, 1:], fine.values)
    for row, length in enumerate(torch.minimum(units.lengths, fine.lengths).tolist()):
        assert torch.equal(codes.values[row, 0, :length], units.values[row, 0, :length])


class Shifted(Tokenizer):
    """Another tokenizer's codes with some frames fewer, or more."""

    def __init__(self, inner: Tokenizer, frames: int) -> None:
        self.inner, self.frames, self.spec = inner, frames, inner.spec

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> slmkit.api.Codes:
        return self.inner.encode(wav, lengths + self.frames * self.spec.hop_length)


@pytest.mark.parametrize("frames", [-1, -2])
def test_units_that_round_otherwise_are_cut_or_held(frames: int) -> None:
    part, (wav, lengths) = made(), sounds(16000, 7)
    whole = part.encode(wav, lengths)
    part.take(Shifted(part.semantic, frames), part.acoustic)
    codes = part.encode(wav, lengths)
    assert torch.equal(codes.values[:, 1:], whole.values[:, 1:])
    for row, length in enumerate(codes.lengths.tolist()):
        assert len(set(codes.values[row, 0, length + frames - 1 : length].tolist())) == 1
    part = made()
    part.take(part.semantic, Shifted(part.acoustic, frames))
    codes = part.encode(wav, lengths)
    assert torch.equal(codes.lengths, whole.lengths + frames)
    for row, length in enumerate(codes.lengths.tolist()):
        assert torch.equal(codes.values[row, 0, :length], whole.values[row, 0, :length])


def test_units_are_not_heard() -> None:
    part, (wav, lengths) = made(), sounds(16000, 7)
    codes = part.encode(wav, lengths)
    heard = part.decode(codes)[0]
    others = codes.values.clone()
    others[:, 0] = (others[:, 0] + 5) % 12
    assert torch.equal(part.decode(replace(codes, values=others))[0], heard)
    assert torch.equal(part.decode(codes)[0], part.acoustic.decode(part._fine(codes))[0])
    others = codes.values.clone()
    others[:, 1] = (others[:, 1] + 5) % 8
    assert not torch.equal(part.decode(replace(codes, values=others))[0], heard)
    first = part.decode_books(codes, (0, 1))[0]
    assert torch.equal(first, part.acoustic.decode_books(part._fine(codes), (0,))[0])
    with pytest.raises(MisfitError, match="codebook 1 is a unit"):
        part.decode_books(codes, (0,))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"semantic": {"part": "mel-km", "hop_length": 640}}, "25 and 50 frames a second"),
        ({"acoustic": {"part": "encodec"}}, "50 and 75 frames a second"),
        ({"semantic": {"part": "hubert-km", "model": "???"}}, "'semantic.model': .* needs this"),
        ({"semantic": {"part": "nothing"}}, "unknown tokenizer"),
        ({"semantic": {"part": "mel-km", "kind": "tokenizer", "clutsers": 2}}, "clusters"),
    ],
)
def test_two_that_do_not_keep_step_are_refused_unbuilt(
    values: dict[str, object], fault: str
) -> None:
    with pytest.raises(OptionsError, match=fault):
        make_options(host().find("tokenizer", "hierarchy"), {**VALUES, **values})


def test_what_is_no_unit_is_refused() -> None:
    with pytest.raises(MisfitError, match="this one has 3"):
        build("tokenizer", "hierarchy", {**VALUES, "semantic": VALUES["acoustic"]})
    merged = {"part": "unit-bpe", "inner": VALUES["semantic"], "size": 20}
    with pytest.raises(MisfitError, match="this one has 1, merged"):
        build("tokenizer", "hierarchy", {**VALUES, "semantic": merged})


def test_it_declares_what_its_parts_can() -> None:
    shelved = host().find("tokenizer", "hierarchy")
    can = shelved.declaration.abilities(make_options(shelved, VALUES))
    assert (can.codebooks, can.frame_rate, can.decodes) == (4, 50.0, True)
    heard = {**VALUES, "acoustic": {"part": "mel-km"}}
    assert not shelved.declaration.abilities(make_options(shelved, heard)).decodes


def test_it_is_saved_with_both(tmp_path: Path) -> None:
    part = made()
    origin = part.origin  # type: ignore[attr-defined]
    save_part(part, tmp_path, origin.shelved, origin.options, origin.given)
    given = sounds(16000, 7)
    assert torch.equal(load_part(tmp_path).encode(*given).values, part.encode(*given).values)


def recipe(folder: Path, semantic: str = "${parts.units}") -> Path:
    draw = torch.Generator().manual_seed(0)
    for split in ("train", "dev"):
        (folder / "corpus" / split / "ann").mkdir(parents=True, exist_ok=True)
        for number in range(3):
            wav = (0.2 * torch.randn(9_600, generator=draw)).clamp(-1, 1).numpy()
            write_audio(folder / "corpus" / split / "ann" / f"{split}{number}.wav", wav, 16000)
    parts = {
        "corpus": {"part": "folder", "path": str(folder / "corpus")},
        "units": {"kind": "tokenizer", "part": "mel-km", "clusters": 12},
        "codec": {"kind": "tokenizer", **VALUES["acoustic"]},
        "both": {"kind": "tokenizer", "part": "hierarchy", "semantic": semantic,
                 "acoustic": "${parts.codec}"},
    }  # fmt: skip
    stages = {
        "prepare": {"stage": "prepare"},
        "fit-units": {"stage": "fit", "slot": "units", "needs": ["prepare"]},
        "fit-codec": {"stage": "fit", "slot": "codec", "needs": ["prepare"]},
        "stack": {
            "stage": "stack-tokenizers", "needs": ["fit-units", "fit-codec"],
            "slots": {"semantic": "units", "acoustic": "codec", "tokenizer": "both"},
        },
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(
        yaml.safe_dump({"name": "both", "parts": parts, "stages": stages}, sort_keys=False)
    )
    return path


def test_a_recipe_stacks_what_its_slots_learnt(tmp_path: Path) -> None:
    done = slmkit.run(recipe(tmp_path), output=tmp_path / "run")
    both = load_part(done.paths["stack"] / "both")
    units = load_part(done.paths["fit-units"] / "units")
    given = sounds(16000, 7)
    codes = both.encode(*given)
    assert codes.spec.codebook_sizes == (12, 8, 8, 8)
    frames = int(min(codes.lengths.min(), units.encode(*given).lengths.min()))
    assert torch.equal(codes.values[:, :1, :frames], units.encode(*given).values[..., :frames])


def test_a_hierarchy_of_other_parts_than_the_slots_hold_is_refused(tmp_path: Path) -> None:
    other = recipe(tmp_path, semantic={"part": "mel-km", "clusters": 5})  # type: ignore[arg-type]
    with pytest.raises(MisfitError, match="semantic part is not the one in the slot"):
        slmkit.run(other, output=tmp_path / "run")
