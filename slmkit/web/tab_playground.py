"""The tab in which a visitor plays with tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from slmkit.web.events import Event, Visit
from slmkit.web.limits import receive
from slmkit.web.offer import Offer
from slmkit.web.parts import job, says, sound_in, sound_out
from slmkit.web.playground import mix, show
from slmkit.web.view import views

ABOUT = (
    "Encode a sound, listen to its first codebooks alone, or give the words of one sound the voice "
    "of another (the first codebook of the sound, the others of the voice)."
)


def playground_tab(offer: Offer) -> None:
    """A sound, a tokenizer, its codes as a heat map and what is heard of them."""
    names = offer.tokenizers
    with gr.Tab("Tokenizers"):
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column():
                name = gr.Dropdown(
                    names, value=names[0], label="Tokenizer", elem_id="play-name", filterable=False
                )
                sound = sound_in("Sound", "play-sound")
                books = _books(offer.codebooks(names[0]))
                go = gr.Button("Encode", variant="primary", elem_id="play-go")
                voice = sound_in("Voice to mix in", "play-voice")
                exchange = gr.Button("Mix", elem_id="play-mix")
            with gr.Column():
                line = says("play-line")
                heard = sound_out("What is heard of the codes", "play-heard")
                codes = gr.HTML(elem_id="play-codes")

    def encoded(chosen: str, path: str | None, count: float) -> Iterator[Any]:
        def make(visit: Visit) -> Iterator[Event]:
            wave = receive(path, "sound", offer.rate(chosen))
            return show(offer.coder(chosen, [wave]), wave, int(count), visit)

        yield from _shown(make)

    def mixed(chosen: str, path: str | None, other: str | None) -> Iterator[Any]:
        def make(visit: Visit) -> Iterator[Event]:
            rate = offer.rate(chosen)
            source, reference = receive(path, "sound", rate), receive(other, "voice", rate)
            return mix(offer.coder(chosen, [source, reference]), source, reference, visit)

        yield from _shown(make)

    job(go.click, encoded, [name, sound, books], [line, heard, codes])
    job(exchange.click, mixed, [name, sound, voice], [line, heard, codes])
    job(name.change, lambda chosen: _books(offer.codebooks(chosen)), [name], [books])


def _books(count: int) -> gr.Slider:
    """How many codebooks are heard: of one there is nothing to choose."""
    return gr.Slider(
        minimum=1,
        maximum=max(count, 2),
        step=1,
        value=count,
        visible=count > 1,
        label="Codebooks to hear",
        elem_id="play-books",
    )


def _shown(make: Callable[[Visit], Iterator[Event]]) -> Iterator[Any]:
    """The line, the sound and the codes after each event."""
    for seen in views(make):
        if seen is None:
            yield (gr.skip(),) * 3
            continue
        view, last = seen
        yield view.line, view.sound if last else None, view.codes
