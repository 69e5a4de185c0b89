"""USLM as it was published: read safely, and computed as an independent one computes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PosixPath

import numpy as np
import plain_uslm
import pytest
import torch
import yaml
from plain_uslm import BOOKS, CODES, State, ar_logits, nar_codes, random_state
from slmkit_decoding.sounds import Sounds
from slmkit_valle.published import read_checkpoint, read_symbols, sizes_of, uslm

import slmkit
from slmkit.api import (
    AudioError,
    CodeSpec,
    Draft,
    MisfitError,
    OptionsError,
    Speech,
    Text,
    WeightsError,
)
from slmkit.generation.loop import complete, stream
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH
from slmkit.recipe.reader import open_reader
from slmkit.testing.refiners import draws

SPEC = CodeSpec(16000, 320, (CODES,) * BOOKS)
HEADS = 4
SYMBOLS = ["<pad>", "<bos>", "<eos>", *sorted(["<eps>", "_", *"abcdefgh"])]
IDS = [1, 5, 6, 4, 7, 9, 2]
"""Of a text: BOS, five symbols, EOS."""


class Spelt:
    """Texts as letters, so that these tests need no espeak."""

    def __call__(self, text: str) -> tuple[str, ...]:
        return tuple("_" if letter == " " else letter for letter in text)


def model(state: State, mode: int = 0) -> SpeechLM:
    lm = uslm(state, SYMBOLS, SPEC, HEADS, mode, "USLM.pt")
    lm.vocabulary.text._pronounce = Spelt()  # type: ignore[attr-defined]
    return lm


def voice(frames: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CODES, (BOOKS, frames))


def written(lm: SpeechLM, text: str) -> torch.Tensor:
    return torch.tensor(lm.vocabulary.encode(text))


def ours(lm: SpeechLM, text: str, codes: np.ndarray) -> torch.Tensor:
    """Scores [steps of speech, codes and the end]."""
    grid = lm.lay([Text(text), Speech(codes, ends=False)])
    prefix = torch.arange(grid.steps)[None] < grid.prefix
    with torch.no_grad():
        tokens = torch.from_numpy(grid.tokens)[None]
        hidden = lm.backbone(lm.embed(tokens), prefix=prefix)[0, grid.prefix :]
        scores = lm.head.logits(hidden[None], tokens)[0][0]
    return scores[:, scored(lm)]


def scored(lm: SpeechLM) -> list[int]:
    return [*lm.vocabulary.code_range(0), lm.vocabulary.id_of(END_OF_SPEECH)]


@pytest.mark.parametrize("bos", [False, True])
def test_scores_are_those_computed_anew(bos: bool) -> None:
    state = random_state(bos)
    lm, codes = model(state), voice(9)
    text = written(lm, "abc de")
    assert text.tolist()[0] == 1
    assert text.tolist()[-1] == 2
    expected = ar_logits(state, text, torch.from_numpy(codes[0]), bos, HEADS)
    found = ours(lm, "abc de", codes)
    assert found.shape == expected.shape == (9 + bos, CODES + 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    other = ours(lm, "abc dg", codes)
    assert (other - found).abs().amax(dim=1).min() > 1e-3, "a change of the text reaches every step"


@pytest.mark.parametrize("bos", [False, True])
def test_cached_generation_takes_the_best_code_computed_anew(bos: bool) -> None:
    state = random_state(bos)
    lm = model(state)
    prompts = [("abc de", voice(5)), ("hg", voice(2, 2)), ("a", voice(0 if bos else 1, 3))]
    asked = [[Text(text), Speech(codes, ends=False)] for text, codes in prompts]
    greedy = Sampling(temperature=0, most=12, stop=(END_OF_SPEECH,))
    answers = complete(lm, asked, greedy)
    for (text, codes), answer in zip(prompts, answers, strict=True):
        said = torch.from_numpy(codes[0])
        spoken = answer[0].codes if answer else np.zeros((BOOKS, 0), dtype=np.int64)  # type: ignore[union-attr]
        for code in spoken[0].tolist():
            best = int(ar_logits(state, written(lm, text), said, bos, HEADS)[-1].argmax())
            assert code == best
            said = torch.cat([said, torch.tensor([code])])
        last = int(ar_logits(state, written(lm, text), said, bos, HEADS)[-1].argmax())
        assert spoken.shape[1] == 12 or last == CODES
        fine, _ = nar_codes(state, written(lm, text), torch.from_numpy(codes),
                            torch.from_numpy(spoken[0]), 0, HEADS)  # fmt: skip
        assert np.array_equal(spoken, fine.numpy())
    assert max(a[0].codes.shape[1] for a in answers if a) > 3  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", [0, 1])
def test_the_refiner_reads_a_prompt_in_the_published_mode(mode: int) -> None:
    state = random_state(bos=False)
    lm, prompt, coarse = model(state, mode), voice(6), voice(8, 2)[:1]
    text = written(lm, "abc de")
    inputs = text, torch.from_numpy(prompt), torch.from_numpy(coarse[0])
    expected, scores = nar_codes(state, *inputs, mode, HEADS)
    draft = Draft(text.numpy(), prompt, coarse)
    (found,) = lm.refiner.refine([draft], draws(1))
    assert np.array_equal(found, expected.numpy())
    sounds = Sounds.of([draft], BOOKS, torch.device("cpu"), [expected.numpy()])
    with torch.no_grad():
        for stage, score in enumerate(scores):
            mine = lm.refiner._scores(sounds, stage)[0, 6:]
            torch.testing.assert_close(mine, score, atol=1e-5, rtol=1e-5)
    _, others = nar_codes(state, *inputs, 1 - mode, HEADS)
    assert not torch.allclose(scores[0], others[0], atol=1e-3), "the modes differ"


def test_chunks_of_a_stream_are_the_answer_in_pieces() -> None:
    lm = model(random_state(bos=False))
    prompt = [Text("abc de"), Speech(voice(5), ends=False)]
    sampling = Sampling(most=30, stop=(END_OF_SPEECH,), refine_frames=4, seed=3)
    pieces = [p.codes for p in stream(lm, prompt, sampling) if isinstance(p, Speech)]
    (whole,) = complete(lm, [prompt], sampling)
    assert [p.shape[1] for p in pieces[1:-1]] == [4] * (len(pieces) - 2)
    assert np.array_equal(np.concatenate(pieces, axis=1), whole[0].codes)  # type: ignore[union-attr]


def test_without_a_first_step_nothing_speaks_without_a_voice() -> None:
    lm = model(random_state(bos=False))
    for prompt in ([Text("abc")], [Text("abc"), Speech(voice(0), ends=False)]):
        with pytest.raises(MisfitError, match="give a voice") as refused:
            complete(lm, [prompt], Sampling(most=3, stop=(END_OF_SPEECH,)))
        assert "\n" not in str(refused.value)


def test_it_ends_where_the_end_is_best_though_not_drawn() -> None:
    state = random_state(bos=False)
    # the end leads by little: hot sampling seldom draws it
    state["ar_predict_layer.weight"] *= 0
    state["ar_predict_layer.weight"][CODES] = 0.01 * torch.randn(plain_uslm.WIDTH)
    lm, prompt = model(state), [Text("abc de"), Speech(voice(5), ends=False)]
    hidden_best = ar_logits(state, written(lm, "abc de"), torch.from_numpy(voice(5)[0]), False, 4)
    if int(hidden_best[-1].argmax()) != CODES:
        state["ar_predict_layer.weight"][CODES] *= -1
        lm = model(state)
    said = [len(complete(lm, [prompt], Sampling(most=6, stop=(END_OF_SPEECH,), seed=s))[0])
            for s in range(5)]  # fmt: skip
    assert any(said), "drawn, it goes on"
    for seed in range(5):
        at_best = Sampling(most=6, stop=(END_OF_SPEECH,), seed=seed, ends_at_best=True)
        assert complete(lm, [prompt], at_best) == [[]]


def saved(path: Path, state: State, **more: object) -> Path:
    torch.save({"model": state, "epoch": 3, **more}, path)
    return path


def test_a_checkpoint_with_paths_is_read_and_one_with_code_is_not(tmp_path: Path) -> None:
    state = random_state(bos=True)
    found = read_checkpoint(saved(tmp_path / "a.pt", state, exp_dir=PosixPath("exp/valle")))
    assert found.keys() == state.keys()

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'broken'}",)

    with pytest.raises(WeightsError, match="without running code") as refused:
        read_checkpoint(saved(tmp_path / "b.pt", state, exp_dir=Evil()))
    assert not (tmp_path / "broken").exists()
    assert "\n" not in str(refused.value)
    torch.save({"weights": state}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="under 'model'"):
        read_checkpoint(tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="no such file"):
        read_checkpoint(tmp_path / "d.pt")


def test_ids_follow_the_sorted_names_of_the_table(tmp_path: Path) -> None:
    table = tmp_path / "unique_text_tokens.k2symbols"
    table.write_text("<eps> 0\nb 7\na 3\n; 5\n? 1\nz 2\nə 4\n", encoding="utf-8")
    found = read_symbols(table)
    assert found == ["<pad>", "<bos>", "<eos>", ";", "<eps>", "?", "a", "b", "z", "ə"]
    table.write_text("b 7\na 3\n")
    assert read_symbols(table)[3] == "<eps>", "it takes a place though the file lacks it"
    for fault in ("a\n", "", "a b\n"):
        table.write_text(fault)
        with pytest.raises(WeightsError, match="table of k2"):
            read_symbols(table)


@pytest.mark.parametrize("lost", sorted(random_state(bos=False)))
def test_every_key_is_asked_for(lost: str) -> None:
    state = random_state(bos=False)
    whole = model(state).state_dict()
    del state[lost]
    tied = lost.startswith("nar_predict_layers.") and not lost.startswith("nar_predict_layers.6")
    if tied:
        again = model(state).state_dict()
        assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
        return
    with pytest.raises((WeightsError, MisfitError), match=r"USLM\.pt: ") as refused:
        model(state)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def untouched() -> State:
    return {
        name: tensor.clone() for name, tensor in model(random_state(bos=True)).state_dict().items()
    }


@pytest.mark.parametrize("changed", sorted(random_state(bos=True)))
def test_every_weight_comes_into_ours(changed: str, untouched: State) -> None:
    state, before = random_state(bos=True), untouched
    state[changed] = state[changed].clone()
    last = CODES - 1 if changed.startswith("nar_audio_embeddings.0.") else -1
    state[changed][last] += 1
    if changed.startswith("nar_") and changed.endswith("alpha"):
        with pytest.raises(WeightsError, match="fixed at 1"):
            model(state)
        return
    after = model(state).state_dict()
    assert sum(not torch.equal(after[name], tensor) for name, tensor in before.items()) == 1


def test_what_is_not_uslm_is_refused() -> None:
    state = random_state(bos=False)
    with pytest.raises(WeightsError, match=r"holds ar_text_prenet\.0"):
        model({**state, "ar_text_prenet.0.weight": torch.ones(1)})
    with pytest.raises(MisfitError, match="8 codebooks of 10"):
        uslm(state, SYMBOLS, CodeSpec(16000, 320, (CODES,) * 4), HEADS, 0, "USLM.pt")
    with pytest.raises(OptionsError, match="all or before"):
        build("decoding", "ar-nar", {"prompt": "some"})
    with pytest.raises(MisfitError, match="prefix mode 2"):
        uslm(state, SYMBOLS, SPEC, HEADS, 2, "USLM.pt")
    with pytest.raises(WeightsError, match="24 text ids for 31"):
        uslm(state, [*SYMBOLS, *map(str, range(18))], SPEC, HEADS, 0, "USLM.pt")


def published_shapes(bos: bool) -> State:
    """Names of the published state, with the published sizes, on no device."""
    sizes = {plain_uslm.WIDTH: 1024, 2 * plain_uslm.WIDTH: 2048, 3 * plain_uslm.WIDTH: 3072,
             plain_uslm.HIDDEN: 4096, plain_uslm.WORDS: 512, CODES: 1024, CODES + 1: 1025,
             CODES + 2: 1026, 1: 1}  # fmt: skip
    state: State = {}
    for name, tensor in random_state(bos).items():
        shape = [sizes[n] for n in tensor.shape]
        layers = range(12) if ".layers.0." in name else [int(".layers.1." in name)]
        for layer in layers:
            full = name.replace(".layers.0.", f".layers.{layer}.")
            state[full] = torch.empty(shape, device="meta")
    return state


def test_the_published_sizes_fit() -> None:
    state = published_shapes(bos=False)
    assert sizes_of(state, "").layers == sizes_of(state, "").fine_layers == 12
    symbols = [*SYMBOLS, *(chr(1000 + n) for n in range(60))]
    with torch.device("meta"):
        lm = uslm(state, symbols, CodeSpec(16000, 320, (1024,) * 8), 16, 0, "USLM.pt")
    counted = sum(p.numel() for p in lm.backbone.parameters())
    assert counted == 12 * (4 * 1024**2 + 4 * 1024 + 2 * 4096 * 1024 + 5120 + 4096) + 2048 + 2
    assert lm.vocabulary.text.size == 512


def test_a_run_reads_aloud_with_the_published_weights(tmp_path: Path) -> None:
    table = tmp_path / "unique_text_tokens.k2symbols"
    symbols = build("text", "phonemes").symbols
    table.write_text("".join(f"{symbol} {at}\n" for at, symbol in enumerate(symbols)))
    weights = saved(tmp_path / "USLM.pt", random_state(bos=False, words=100))
    recipe = {
        "name": "uslm",
        "parts": {"tokenizer": {"part": "speechtokenizer", "filters": 4, "width": 16,
                                "lstm_layers": 0, "entries": CODES}},
        "stages": {"uslm": {"stage": "load-uslm", "weights": str(weights), "symbols": str(table),
                            "heads": HEADS, "prompt_seconds": 2.0}},
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run = tmp_path / "run"
    slmkit.run(tmp_path / "recipe.yaml", output=run)
    reader = open_reader(run)
    assert reader.reading.goes_on
    assert reader.lm.vocabulary.text.size == 100
    with pytest.raises(MisfitError, match="give a voice"):
        reader.read(["one two"], None, Sampling(), 1.0, 0)
    tone = 0.3 * np.sin(np.arange(24000) * 0.05).astype(np.float32)
    heard = reader.hear(tone, "voice.wav")
    assert heard.shape == (BOOKS, 75)
    with pytest.raises(MisfitError, match="tell what is said"):
        reader.read(["one two"], heard, Sampling(), 1.0, 0)
    with pytest.raises(AudioError, match="cut the voice"):
        reader.hear(np.tile(tone, 2), "voice.wav", "three")
    assert reader.hear(np.tile(tone, 2), "voice.wav").shape == (BOOKS, 100), "nothing told: cut"
    with pytest.raises(MisfitError, match="no judge that hears"):
        reader.words_in(tone, "voice.wav")
    drawn = Sampling(seed=1)
    found = [reader.read(["one two"], heard, drawn, s, 3, "three")[0] for s in (0.4, 90.0)]
    assert all(each.failure in (None, "endless", "repeated", "empty") for each in found)
    ended = [each for each in found if each.failure is None]
    symbols_of = len(reader.lm.vocabulary.encode("three one two"))
    assert found[1].codes.shape[1] <= 16 * symbols_of + 1
    for each in ended:
        assert len(reader.sound(each.codes)) == 320 * each.codes.shape[1]
