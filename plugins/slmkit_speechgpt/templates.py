"""How SpeechGPT's dialogues are spelt, in three styles.

`paper`: as printed (Zhang et al. 2023, arXiv 2305.11000). `released`: as the published code spells
its data and prompts; the published weights understand only these. `short`: the same chain of
modality in few words, for small models; ours.
"""

from __future__ import annotations

from slmkit.api import UnknownNameError
from slmkit.lm.dialogue import Style, Turn

_PAPER_THINK = "Then you can think about the instruction and get the text response."
_PAPER_TRANSCRIBE = "You can first transcribe the instruction and get the text {word}."
_PAPER_SPEECH = (
    "[Human]: This is a speech instruction: {question_speech}. And your response should be "
)
_PAPER_TEXT = "[Human]: This is a text instruction: {question}. And your response should be "
_STEPS = " You can do it step by step. "

_PAPER_CROSS_MODAL = Turn(
    "[Human]:{instruction}. This is input: {input}<eoh>. [SpeechGPT]: ", "{output}<eos>."
)

PAPER = Style(
    name="paper",
    specials=("[Human]", "[SpeechGPT]", "<eoh>", "<eoa>", "<eos>", "[tq]", "[ta]", "[ua]"),
    prefix="",
    human_learns=False,
    stop=("<eoa>", "<eos>"),
    transcribe=_PAPER_CROSS_MODAL,
    speak=_PAPER_CROSS_MODAL,
    chain={
        "speech-speech": Turn(
            _PAPER_SPEECH
            + "speech."
            + _STEPS
            + _PAPER_TRANSCRIBE.replace("{word}", "Instruction")
            + f" {_PAPER_THINK} Last, you should speak the response aloud <eoh>. [SpeechGPT]: ",
            "[tq] {question}; [ta] {answer}; [ua] {answer_speech}<eoa>.",
        ),
        "speech-text": Turn(
            _PAPER_SPEECH
            + "text."
            + _STEPS
            + _PAPER_TRANSCRIBE.replace("{word}", "instruction")
            + f" {_PAPER_THINK} <eoh>. [SpeechGPT]: ",
            "[tq] {question}; [ta] {answer}<eoa>.",
        ),
        "text-speech": Turn(
            _PAPER_TEXT
            + "speech."
            + _STEPS
            + "You can think about the instruction and get the text "
            "response. Then you should speak the response aloud <eoh>. [SpeechGPT]: ",
            "[ta] {answer}; [ua] {answer_speech}<eoa>.",
        ),
        "text-text": Turn(
            _PAPER_TEXT + "text. You can think about the instruction and get the text response. "
            "[SpeechGPT]: ",
            "[ta] {answer}<eoa>.",
        ),
    },
    direct={
        "speech-speech": Turn(
            _PAPER_SPEECH + "speech. <eoh>. [SpeechGPT]: ", "[ua] {answer_speech}<eoa>."
        ),
        "speech-text": Turn(_PAPER_SPEECH + "text. <eoh>. [SpeechGPT]: ", "[ta] {answer}<eoa>."),
        "text-speech": Turn(
            _PAPER_TEXT + "speech. <eoh>. [SpeechGPT]: ", "[ua] {answer_speech}<eoa>."
        ),
        "text-text": Turn(_PAPER_TEXT + "text. <eoh>. [SpeechGPT]: ", "[ta] {answer}<eoa>."),
    },
)

META = (
    "You are an AI assistant whose name is SpeechGPT.\n"
    "- SpeechGPT is a intrinsic cross-modal conversational language model that is developed by "
    "Fudan University.  SpeechGPT can understand and communicate fluently with human through "
    "speech or text chosen by the user.\n"
    "- It can perceive cross-modal inputs and generate cross-modal outputs.\n"
)
"""The released system's opening, to the letter (two spaces and "a intrinsic" are its own)."""

# Only the chain from speech to speech is known from the released data, and only the prompt below
# from its inference code; the other formats leave out what they have not.
_RELEASED_HEARD = "[Human]: {question_speech}<eoh>. [SpeechGPT]: "
_RELEASED_READ = "[Human]: {question} <eoh>. [SpeechGPT]: "

_RELEASED_CROSS_MODAL = Turn(
    "[Human]: {instruction} This is input: {input}<eoh> [SpeechGPT]: ", "{output}<eoa> "
)

RELEASED = Style(
    name="released",
    specials=("[Human]", "[SpeechGPT]", "<eoh>", "<eos>"),
    prefix=META,
    human_learns=True,
    stop=("<eos>",),
    transcribe=_RELEASED_CROSS_MODAL,
    speak=_RELEASED_CROSS_MODAL,
    chain={
        "speech-speech": Turn(
            _RELEASED_HEARD, "{question}; [ta] {answer}; [ua] {answer_speech}<eoa>."
        ),
        "speech-text": Turn(_RELEASED_HEARD, "{question}; [ta] {answer}<eoa>."),
        "text-speech": Turn(_RELEASED_READ, "[ta] {answer}; [ua] {answer_speech}<eoa>."),
        "text-text": Turn(_RELEASED_READ, "[ta] {answer}<eoa>."),
    },
    direct={
        "speech-speech": Turn(_RELEASED_HEARD, "[ua] {answer_speech}<eoa>."),
        "speech-text": Turn(_RELEASED_HEARD, "[ta] {answer}<eoa>."),
        "text-speech": Turn(_RELEASED_READ, "[ua] {answer_speech}<eoa>."),
        "text-text": Turn(_RELEASED_READ, "[ta] {answer}<eoa>."),
    },
)

SHORT = Style(
    name="short",
    specials=("[Human]", "[SpeechGPT]", "<eoh>", "<eoa>", "[tq]", "[ta]", "[ua]"),
    prefix="",
    human_learns=False,
    stop=("<eoa>",),
    transcribe=Turn("[Human] {instruction}: {input}<eoh>[SpeechGPT]", "[tq] {output}<eoa>"),
    speak=Turn("[Human] {instruction}: {input}<eoh>[SpeechGPT]", "[ta] {input}[ua] {output}<eoa>"),
    chain={
        "speech-speech": Turn(
            "[Human] {question_speech} reply in speech, step by step<eoh>[SpeechGPT]",
            "[tq] {question}[ta] {answer}[ua] {answer_speech}<eoa>",
        ),
        "speech-text": Turn(
            "[Human] {question_speech} reply in text, step by step<eoh>[SpeechGPT]",
            "[tq] {question}[ta] {answer}<eoa>",
        ),
        "text-speech": Turn(
            "[Human] {question} reply in speech, step by step<eoh>[SpeechGPT]",
            "[tq] {question}[ta] {answer}[ua] {answer_speech}<eoa>",
        ),
        "text-text": Turn(
            "[Human] {question} reply in text, step by step<eoh>[SpeechGPT]",
            "[tq] {question}[ta] {answer}<eoa>",
        ),
    },
    direct={
        "speech-speech": Turn(
            "[Human] {question_speech} reply in speech<eoh>[SpeechGPT]",
            "[ua] {answer_speech}<eoa>",
        ),
        "speech-text": Turn(
            "[Human] {question_speech} reply in text<eoh>[SpeechGPT]", "[ta] {answer}<eoa>"
        ),
        "text-speech": Turn(
            "[Human] {question} reply in speech<eoh>[SpeechGPT]", "[ua] {answer_speech}<eoa>"
        ),
        "text-text": Turn("[Human] {question} reply in text<eoh>[SpeechGPT]", "[ta] {answer}<eoa>"),
    },
)
"""Every text follows a space, so that a word is the same piece wherever it stands. Each step stands
behind the one that it follows from, in every format: an answer behind its question, also where that
was read, and speech behind its text. What is learnt in one format then serves in all."""

STYLES = {style.name: style for style in (PAPER, RELEASED, SHORT)}


def style_of(name: str) -> Style:
    """The style of that name. Raises UnknownNameError."""
    if name not in STYLES:
        raise UnknownNameError("template style", name, STYLES)
    return STYLES[name]
