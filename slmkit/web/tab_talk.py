"""The tab in which a visitor talks to an assistant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from slmkit.api import DataError
from slmkit.generation.assistant import Assistant
from slmkit.web.answering import answer
from slmkit.web.events import Event, Visit
from slmkit.web.limits import accept, receive
from slmkit.web.parts import PLAYER, job, says, sound_in, sound_out
from slmkit.web.view import views


def talk_tab(assistant: Assistant) -> None:
    """A question, by voice or in writing; the transcript, the answer, and its sound as it comes."""
    with gr.Tab("Talk"):
        gr.Markdown("Ask aloud or in writing. The answer is heard while it is still being made.")
        with gr.Row():
            with gr.Column():
                sound = sound_in("Your question", "talk-sound")
                text = gr.Textbox(label="or in writing", elem_id="talk-text", lines=2)
                ask = gr.Button("Ask", variant="primary", elem_id="talk-ask")
            with gr.Column():
                line = says("talk-line")
                heard = gr.Textbox(label="What was heard", elem_id="talk-heard", interactive=False)
                wrote = gr.Textbox(label="The answer", elem_id="talk-wrote", interactive=False)
                spoken = sound_out("The spoken answer", "talk-spoken")
                player = gr.HTML(
                    html_template="",
                    js_on_load=PLAYER,
                    elem_id="talk-player",
                    elem_classes="player",
                )

    def asked(path: str | None, words: str | None) -> Iterator[Any]:
        def make(visit: Visit) -> Iterator[Event]:
            return answer(assistant, question(assistant, path, words or ""), visit)

        for seen in views(make):
            if seen is None:
                yield (gr.skip(),) * 5
                continue
            view, last = seen
            sound = view.sound if last else None
            yield view.line, view.heard, view.wrote, view.stream, sound

    job(ask.click, asked, [sound, text], [line, heard, wrote, player, spoken])


def question(assistant: Assistant, path: str | None, words: str) -> Any:
    """The wave or the words of a question. Raises DataError, AudioError."""
    if path is not None and words.strip():
        raise DataError("there are two questions: remove the sound, or the text")
    if path is None and words.strip():
        return accept(words, "question")
    assert assistant.tokenizer is not None
    return receive(path, "question", assistant.tokenizer.spec.sample_rate)
