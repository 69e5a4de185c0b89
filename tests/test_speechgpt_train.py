"""SpeechGPT's model on its way through the stages: growing, adapting, published weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from slmkit_speechgpt.instruct import Spoken, examples
from slmkit_speechgpt.plugin import TrainOptions
from slmkit_speechgpt.templates import style_of
from slmkit_speechgpt.train import adapt, fold_in, grow, merge, write_adapter
from transformers import LlamaConfig, LlamaForCausalLM

from slmkit.api import CodeSpec, Speech, Text, UnknownNameError, Utterance, WeightsError
from slmkit.data.store import TokenStore
from slmkit.host import build
from slmkit.lm.dialogue import spell
from slmkit.lm.grid import GridBatch
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import Vocabulary

LETTERS = "abcdefgh "
SPEC = CodeSpec(16000, 320, (11,))


def text_part():
    text = build("text", "characters")
    text.fit([LETTERS])
    return text


def model(**backbone: object) -> SpeechLM:
    torch.manual_seed(0)
    given = backbone or {"width": 32, "layers": 2, "heads": 2}
    parts = build("backbone", "llama", given), build("decoding", "flat")
    return SpeechLM(*parts, Vocabulary(text_part()), SPEC).eval()


def hidden(lm: SpeechLM) -> torch.Tensor:
    grid = lm.layout.lay([Text("abc"), Speech(np.array([[1, 2]]))], lm.vocabulary)
    with torch.no_grad():
        return lm.backbone(lm.embed(GridBatch.of([grid]).tokens))


def test_the_vocabulary_grows_in_the_published_order() -> None:
    lm = model()
    text = lm.vocabulary.size
    grow(lm, {"world": 1}, style_of("released"))
    assert lm.vocabulary.size == text
    grow(lm, {"speech": 1}, style_of("released"))
    assert lm.vocabulary.code_range() == range(text, text + 11)
    assert lm.vocabulary.id_of("<sosp>") == text + 11
    grow(lm, {"chain": 1}, style_of("released"))
    assert lm.vocabulary.id_of("[Human]") == text + 13
    assert lm.vocabulary.size == text + 17
    grow(lm, {"chain": 1}, style_of("released"))
    assert lm.vocabulary.size == text + 17, "growing twice adds nothing"


def test_lora_trains_the_projections_alone_and_folds_in_exactly(tmp_path: Path) -> None:
    lm = model()
    grow(lm, {"chain": 1}, style_of("short"))
    names = set(lm.state_dict())
    adapt(lm, TrainOptions(lora_rank=4, lora_dropout=0.0))
    learnt = {name for name, p in lm.named_parameters() if p.requires_grad}
    assert learnt
    assert all("lora_" in name and "_proj" in name for name in learnt)
    for name, parameter in lm.named_parameters():
        if name in learnt:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted = hidden(lm)
    write_adapter(lm, tmp_path)
    merge(lm)
    assert set(lm.state_dict()) == names
    torch.testing.assert_close(hidden(lm), adapted, atol=1e-5, rtol=1e-4)
    assert (tmp_path / "adapter.safetensors").exists()


def published(folder: Path, rows: int) -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=rows, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config).eval()
    theirs.save_pretrained(folder)
    return theirs


def test_released_weights_load_whole_and_under_their_own_style_only(tmp_path: Path) -> None:
    rows = text_part().size + 11 + 2 + 4
    theirs = published(tmp_path, rows)
    lm = model(weights=str(tmp_path))
    grow(lm, {"chain": 1}, style_of("released"))
    lm.adopt_pretrained(lm.backbone.pretrained_embeddings())
    grid = lm.layout.lay([Text("abc[Human]"), Speech(np.array([[1, 2]]))], lm.vocabulary)
    tokens = GridBatch.of([grid]).tokens
    with torch.no_grad():
        ours = lm.head.logits(lm.backbone(lm.embed(tokens)), tokens)[0]
        torch.testing.assert_close(ours, theirs(tokens[:, 0]).logits, atol=1e-5, rtol=1e-4)
    other = model(weights=str(tmp_path))
    grow(other, {"chain": 1}, style_of("paper"))
    with pytest.raises(WeightsError, match="only under the template style"):
        other.adopt_pretrained(other.backbone.pretrained_embeddings())


def test_a_plain_llama_gives_its_text_rows(tmp_path: Path) -> None:
    theirs = published(tmp_path, text_part().size)
    lm = model(weights=str(tmp_path))
    grow(lm, {"chain": 1}, style_of("paper"))
    lm.adopt_pretrained(lm.backbone.pretrained_embeddings())
    rows = theirs.get_input_embeddings().weight
    assert torch.equal(lm.embedding[0].weight[: len(rows)], rows)


def test_a_published_adapter_folds_in_as_peft_applies_it(tmp_path: Path) -> None:
    theirs = published(tmp_path / "llama", text_part().size)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    peft = get_peft_model(theirs, config)
    for name, parameter in peft.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    peft.eval().save_pretrained(tmp_path / "adapter")
    lm = model(weights=str(tmp_path / "llama"))
    lm.adopt_pretrained(lm.backbone.pretrained_embeddings())
    fold_in(lm, tmp_path / "adapter")
    tokens = torch.tensor([[[1, 2, 3, 4]]])
    with torch.no_grad():
        ours = lm.head.logits(lm.backbone(lm.embed(tokens)), tokens)[0]
        torch.testing.assert_close(ours, peft(tokens[:, 0]).logits, atol=1e-5, rtol=1e-4)
    with pytest.raises(WeightsError, match="no LoRA adapter"):
        fold_in(lm, tmp_path)


def test_a_task_can_be_narrowed_to_a_topic(tmp_path: Path) -> None:
    rows = [
        Utterance(f"{role}-{topic}", text=f"{role} {topic}", split="world", role=role, topic=topic)
        for topic in ("color", "spell")
        for role in ("question", "answer")
    ]
    answers = [replace(u, reply_to=f"question-{u.topic}") for u in rows if u.role == "answer"]
    utterances = [u for u in rows if u.role == "question"] + answers
    spoken = Spoken(utterances, TokenStore.create(tmp_path, SPEC, "none"))
    built = examples(spoken, {"text": 1, "text/color": 2}, style_of("short"), "train", seed=0)
    asked = ["color" in spell(example) for example in built]
    assert asked == [True, False, True, True]
    assert examples(spoken, {"text/weather": 0}, style_of("short"), "train", seed=0) == []
    with pytest.raises(UnknownNameError, match="weather"):
        examples(spoken, {"text/weather": 1}, style_of("short"), "train", seed=0)
