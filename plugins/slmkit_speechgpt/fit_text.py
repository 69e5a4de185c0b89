"""The stage `speechgpt-text`: the text tokenizer learns the corpus and the dialogues' own words."""

from __future__ import annotations

from collections.abc import Iterator

from slmkit.api import StageContext, Text, Utterance
from slmkit.data.manifest import load_manifest
from slmkit.lm.dialogue import Style
from slmkit_speechgpt.instructions import SPEAK, TRANSCRIBE
from slmkit_speechgpt.plugin import TextOptions
from slmkit_speechgpt.templates import style_of


def fit_text(options: TextOptions, context: StageContext) -> None:
    """Fit the slot `text`; text tokenizers with fixed pieces stay as they are."""
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl", check_files=False)
    text = context.fresh("text")
    text.fit(texts(utterances, style_of(options.style)))
    context.keep("text", text)


def texts(utterances: list[Utterance], style: Style) -> Iterator[str]:
    """What the model will read and write: no held-out question but as a fact of the world."""
    for utterance in utterances:
        if utterance.text and utterance.split in ("train", "world"):
            yield f" {utterance.text}"
    for instruction in (*TRANSCRIBE, *SPEAK):
        yield f" {instruction}:"
    filled = {"question": "", "answer": "", "question_speech": "", "answer_speech": ""}
    for turn in (*style.chain.values(), *style.direct.values()):
        for segment in style.fill(turn, filled):
            if isinstance(segment, Text):
                yield from pieces(segment.text, style)


def pieces(text: str, style: Style) -> Iterator[str]:
    """The text between special tokens."""
    for special in style.specials:
        text = text.replace(special, "\0")
    yield from filter(None, text.split("\0"))
