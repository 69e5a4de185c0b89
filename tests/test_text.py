"""Text tokenizers: text to ids and back, pieces joined, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from slmkit.api import DataError, OptionsError, WeightsError
from slmkit.host import build

CORPUS = ["what is three plus five", "three plus five is eight", "name the opposite of hot"] * 3


def bpe(size: int = 300):
    part = build("text", "bpe", {"size": size})
    part.fit(CORPUS)
    return part


def characters():
    part = build("text", "characters")
    part.fit(CORPUS)
    return part


@pytest.fixture(scope="module")
def hf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    theirs = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")
    theirs.add_tokens(["<0>", "<1>"])
    theirs.save_pretrained(folder)
    return folder


@settings(max_examples=200, deadline=None)
@given(first=st.text(max_size=20), second=st.text(max_size=20))
def test_bpe_writes_any_text_and_pieces_join(first: str, second: str) -> None:
    part = bpe()
    try:
        ids = part.encode(first) + part.encode(second)
    except DataError:
        assert any("\ud800" <= c <= "\udfff" for c in first + second)
        return
    assert part.decode(ids) == first + second
    assert all(0 <= index < part.size for index in ids)


@settings(max_examples=100, deadline=None)
@given(text=st.text("abcdefhilmnoprstuvwx ", max_size=30))
def test_characters_write_their_alphabet(text: str) -> None:
    part = characters()
    known = set("".join(CORPUS))
    if set(text) <= known:
        assert part.decode(part.encode(text)) == text
    else:
        with pytest.raises(DataError) as refused:
            part.encode(text)
        assert any(c in str(refused.value) for c in set(text) - known)


def test_bpe_learns_the_corpus_words_with_their_space() -> None:
    part = bpe(400)
    assert len(part.encode(" three plus five")) == 3


def test_hf_counts_the_pretrained_pieces_alone(hf_folder: Path, tmp_path: Path) -> None:
    part = build("text", "hf", {"model": str(hf_folder)})
    theirs = PreTrainedTokenizerFast.from_pretrained(hf_folder)
    assert part.size == theirs.vocab_size < len(theirs)
    text = " three plus five is eight"
    assert part.encode(text) == theirs.encode(text, add_special_tokens=False)
    assert part.decode(part.encode(text)) == text
    part.save(tmp_path / "saved")
    again = build("text", "hf", {"model": str(hf_folder)})
    again.restore(tmp_path / "saved")
    assert again.encode(text) == part.encode(text)


def test_hf_names_a_character_without_a_piece(tmp_path: Path) -> None:
    inner = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>").save_pretrained(tmp_path)
    part = build("text", "hf", {"model": str(tmp_path)})
    assert part.encode("abba") == [1, 2, 2, 1]
    with pytest.raises(DataError, match="unknown character 'c'"):
        part.encode("abca")


def test_bpe_gives_the_same_pieces_in_every_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from slmkit.host import build; "
        "part = build('text', 'bpe', {'size': 290}); part.fit(sys.argv[2:]); "
        "part.save(Path(sys.argv[1]))"
    )
    bpe(290).save(tmp_path / "here")
    subprocess.run([sys.executable, "-c", script, tmp_path / "there", *CORPUS], check=True)
    files = [tmp_path / place / "tokenizer.json" for place in ("here", "there")]
    assert files[0].read_text() == files[1].read_text()


@pytest.mark.parametrize("make", [bpe, characters])
def test_save_and_restore(make, tmp_path: Path) -> None:
    part = make()
    part.save(tmp_path)
    again = type(part)(part.origin.options)
    again.restore(tmp_path)
    assert again.size == part.size
    assert again.encode("five plus three") == part.encode("five plus three")


def test_what_is_not_fitted_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fit"):
        build("text", "bpe").encode("a")
    with pytest.raises(DataError, match="no text"):
        build("text", "bpe").fit([])
    with pytest.raises(OptionsError, match="256"):
        build("text", "bpe", {"size": 10})
    with pytest.raises(WeightsError, match="hf download"):
        build("text", "hf", {"model": str(tmp_path / "nowhere")})


def test_phonemes_are_those_of_espeak() -> None:
    part = build("text", "phonemes")
    symbols = [part.symbols[index] for index in part.encode("Hello,  world!\nIt's 7.")]
    assert symbols == [
        *("h", "ə", "l", "oʊ", ",", "_", "w", "ɜː", "l", "d", "!", "_", "ɪ", "t", "s", "_"),
        *("s", "ɛ", "v", "ə", "n", "."),
    ]
    assert part.decode(part.encode("a red house")) == "ɐ ɹɛd haʊs"
    assert part.encode("see the sea") == part.encode("sea the see"), "what sounds alike is alike"


@pytest.mark.parametrize("text", ["привет", "snow 雪", "नमस्ते"])
def test_phonemes_refuse_a_script_of_another_language(text: str) -> None:
    with pytest.raises(DataError, match="no letter of the language 'en-us'"):
        build("text", "phonemes").encode(text)


def test_phonemes_of_another_language_are_fitted(tmp_path: Path) -> None:
    part = build("text", "phonemes", {"language": "de"})
    with pytest.raises(DataError, match="is pronounced with"):
        part.encode("süße Äpfel")
    part.fit(["süße Äpfel"])
    part.save(tmp_path)
    again = build("text", "phonemes", {"language": "de"})
    again.restore(tmp_path)
    assert again.encode("süße Äpfel") == part.encode("süße Äpfel")
    with pytest.raises(OptionsError, match="no-such"):
        build("text", "phonemes", {"language": "no-such"}).encode("a")


def test_phonemes_of_a_published_model_keep_its_ids() -> None:
    plain = build("text", "phonemes")
    symbols = ["<pad>", "<bos>", "<eos>", *sorted(plain.symbols, reverse=True)]
    part = build("text", "phonemes", {"symbols": symbols, "rows": 512, "ends": True})
    assert part.size == 512
    ids = part.encode("a red house")
    assert [ids[0], ids[-1]] == [1, 2]
    assert [symbols[index] for index in ids[1:-1]] == [
        plain.symbols[index] for index in plain.encode("a red house")
    ]
    assert part.decode([*ids, 511]) == plain.decode(plain.encode("a red house"))
    part.fit(["süße Äpfel"])
    assert part.symbols == tuple(symbols), "its symbols are all that it was trained with"
    for options in ({"ends": True}, {"rows": 5}, {"symbols": symbols, "rows": 5}):
        with pytest.raises(OptionsError):
            build("text", "phonemes", options)
