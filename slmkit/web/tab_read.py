"""The tab in which a model of text to speech reads aloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from slmkit.generation.reader import Reader
from slmkit.web.events import Event, Visit
from slmkit.web.limits import accept, receive
from slmkit.web.parts import job, says, sound_in, sound_out
from slmkit.web.reading import read
from slmkit.web.view import views


def read_tab(reader: Reader) -> None:
    """A text and a voice; the speech."""
    takes_voice, goes_on = bool(reader.reading.prompt_frames), reader.reading.goes_on
    with gr.Tab("Read aloud"):
        gr.Markdown("A text, read aloud by this run in the voice that it is given.")
        with gr.Row():
            with gr.Column():
                text = gr.Textbox(label="Text", elem_id="read-text", lines=3)
                voice = sound_in("Voice", "read-voice", visible=takes_voice)
                said = gr.Textbox(
                    label="What the voice says (left empty: what the judge hears)",
                    elem_id="read-said",
                    visible=takes_voice and goes_on,
                )
                seed = gr.Number(label="Seed", value=0, precision=0, minimum=0, elem_id="read-seed")
                go = gr.Button("Read aloud", variant="primary", elem_id="read-go")
            with gr.Column():
                line = says("read-line")
                spoken = sound_out("The speech", "read-spoken")

    def asked(
        words: str | None, path: str | None, tells: str | None, number: float
    ) -> Iterator[Any]:
        def make(visit: Visit) -> Iterator[Event]:
            wanted = accept(words or "", "text")
            told = accept(tells, "text of the voice") if tells and tells.strip() else ""
            rate = reader.tokenizer.spec.sample_rate
            heard = None if path is None else receive(path, "voice", rate)
            return read(reader, wanted, heard, told, int(number or 0), visit)

        for seen in views(make):
            if seen is None:
                yield (gr.skip(),) * 2
                continue
            view, last = seen
            yield view.line, view.sound if last else None

    job(go.click, asked, [text, voice, said, seed], [line, spoken])
