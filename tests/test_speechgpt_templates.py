"""SpeechGPT's dialogues against the published strings, and answers taken apart."""

from __future__ import annotations

import numpy as np
import pytest
from slmkit_speechgpt.instructions import SPEAK, TRANSCRIBE
from slmkit_speechgpt.templates import META, STYLES, style_of

from slmkit.api import Segment, Speech, Text, UnknownNameError
from slmkit.lm.dialogue import FORMATS, Style, parse, spell

VALUES = {
    "question": "Can you transcribe?",
    "answer": "I can.",
    "question_speech": np.array([[661, 987, 520]]),
    "answer_speech": np.array([[588, 604]]),
    "instruction": "Write this down.",
    "input": np.array([[661, 987]]),
    "output": "hello",
}
HEARD = "[Human]: This is a speech instruction: <sosp><661><987><520><eosp>. And your response "
READ = "[Human]: This is a text instruction: Can you transcribe?. And your response "
PAPER_CHAIN = {
    "speech-speech": HEARD
    + "should be speech. You can do it step by step. You can first transcribe the instruction and "
    "get the text Instruction. Then you can think about the instruction and get the text response. "
    "Last, you should speak the response aloud <eoh>. [SpeechGPT]: [tq] Can you transcribe?; [ta] "
    "I can.; [ua] <sosp><588><604><eosp><eoa>.",
    "speech-text": HEARD
    + "should be text. You can do it step by step. You can first transcribe the instruction and "
    "get the text instruction. Then you can think about the instruction and get the text response. "
    "<eoh>. [SpeechGPT]: [tq] Can you transcribe?; [ta] I can.<eoa>.",
    "text-speech": READ
    + "should be speech. You can do it step by step. You can think about the instruction and get "
    "the text response. Then you should speak the response aloud <eoh>. [SpeechGPT]: [ta] I can.; "
    "[ua] <sosp><588><604><eosp><eoa>.",
    "text-text": READ
    + "should be text. You can think about the instruction and get the text response. "
    "[SpeechGPT]: [ta] I can.<eoa>.",
}
RELEASED_META = (
    "You are an AI assistant whose name is SpeechGPT.\n- SpeechGPT is a intrinsic cross-modal "
    "conversational language model that is developed by Fudan University.  SpeechGPT can "
    "understand and communicate fluently with human through speech or text chosen by the user.\n"
    "- It can "
    "perceive cross-modal inputs and generate cross-modal outputs.\n"
)


@pytest.mark.parametrize("format", FORMATS)
def test_paper_chain_of_modality_is_spelt_as_printed(format: str) -> None:
    style = style_of("paper")
    assert spell(style.fill(style.turn("chain", format), VALUES)) == PAPER_CHAIN[format]


def test_paper_cross_modal_instruction_is_spelt_as_printed() -> None:
    style = style_of("paper")
    assert spell(style.fill(style.transcribe, VALUES)) == (
        "[Human]:Write this down.. This is input: <sosp><661><987><eosp><eoh>. [SpeechGPT]: "
        "hello<eos>."
    )


def test_paper_standard_template_leaves_the_steps_out() -> None:
    style = style_of("paper")
    assert spell(style.fill(style.turn("direct", "speech-speech"), VALUES)) == (
        HEARD + "should be speech. <eoh>. [SpeechGPT]: [ua] <sosp><588><604><eosp><eoa>."
    )


def test_released_dialogues_are_spelt_as_the_code_spells_them() -> None:
    style = style_of("released")
    assert META == RELEASED_META
    assert spell(style.fill(style.transcribe, VALUES)) == RELEASED_META + (
        "[Human]: Write this down. This is input: <sosp><661><987><eosp><eoh> [SpeechGPT]: "
        "hello<eoa> "
    )
    assert spell(style.fill(style.turn("chain", "speech-speech"), VALUES)) == RELEASED_META + (
        "[Human]: <sosp><661><987><520><eosp><eoh>. [SpeechGPT]: Can you transcribe?; [ta] I can.; "
        "[ua] <sosp><588><604><eosp><eoa>."
    )
    assert spell(style.prompt(style.turn("chain", "text-speech"), VALUES)) == RELEASED_META + (
        "[Human]: Can you transcribe? <eoh>. [SpeechGPT]: "
    )


def learnt(segments: list[Segment]) -> str:
    return spell([segment for segment in segments if segment.learn])


def test_the_loss_covers_the_answer_alone_but_the_human_too_in_the_released_code() -> None:
    for name, style in STYLES.items():
        turn = style.turn("chain", "speech-text")
        whole = spell(style.fill(turn, VALUES))
        prompt = spell(style.prompt(turn, VALUES))
        due = whole.removeprefix(style.prefix) if name == "released" else whole.removeprefix(prompt)
        assert learnt(style.fill(turn, VALUES)) == due


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("prompting", ["chain", "direct"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_right_answer_is_taken_apart_again(style: Style, prompting: str, format: str) -> None:
    turn = style.turn(prompting, format)
    prompt, whole = style.prompt(turn, VALUES), style.fill(turn, VALUES)
    rest = spell(whole).removeprefix(spell(prompt))
    assert spell(whole).startswith(spell(prompt)), "the prompt is the beginning of the dialogue"
    reply = parse(segments_of(rest))
    chain = prompting == "chain"
    # the short style says a question again that it has read
    heard = chain and (format.startswith("speech") or style.name == "short")
    assert reply.transcript == (VALUES["question"] if heard else None)
    written = chain or format.endswith("text")
    assert reply.text == (VALUES["answer"] if written else None)
    if format.endswith("-speech"):
        assert reply.codes is not None
        assert reply.codes.tolist() == [[588, 604]]
    else:
        assert reply.codes is None


@pytest.mark.parametrize("format", FORMATS)
def test_each_step_of_the_short_style_stands_behind_its_cause(format: str) -> None:
    short = style_of("short")
    answer = short.chain[format].model
    assert answer.startswith("[tq] {question}[ta] {answer}")
    if format.endswith("-speech"):
        assert answer.endswith("[ta] {answer}[ua] {answer_speech}<eoa>")
    assert short.transcribe.model.startswith("[tq] ")
    assert short.speak.model == "[ta] {input}[ua] {output}<eoa>"


def segments_of(spelt: str) -> list[Segment]:
    before, mark, after = spelt.partition("<sosp>")
    if not mark:
        return [Text(before)]
    units, _, rest = after.partition("<eosp>")
    codes = np.array([[int(u) for u in units.strip("<>").split("><")]])
    return [Text(before), Speech(codes), Text(rest)]


def test_a_broken_answer_gives_what_is_there() -> None:
    assert parse([]).text is None
    assert parse([Text("[tq] what is")]).transcript == "what is"
    assert parse([Text("[tq] what is")]).text is None
    reply = parse([Text("[ta] yes [ua] "), Speech(np.zeros((1, 0), dtype=np.int64))])
    assert (reply.text, reply.codes) == ("yes", None)


def test_styles_travel_as_data_and_unknown_ones_are_named() -> None:
    for style in STYLES.values():
        assert Style.from_dict(style.to_dict()) == style
    with pytest.raises(UnknownNameError, match="did you mean paper"):
        style_of("papr")


def test_there_are_twenty_and_more_descriptions_of_each_task() -> None:
    for task in (TRANSCRIBE, SPEAK):
        assert len(set(task)) == len(task) >= 20
