"""Pieces that every tab is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent
PLAYER = (HERE / "player.js").read_text()
ONE_AT_A_TIME = "work"


def sound_in(label: str, id: str, visible: bool = True) -> gr.Audio:
    """Takes a sound by file or microphone, and hands on where it lies."""
    return gr.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        label=label,
        elem_id=id,
        visible=visible,
        # without them there is one that shares a sound with the world
        buttons=["download"],
    )


def sound_out(label: str, id: str) -> gr.Audio:
    """Plays a sound, and lets it be kept."""
    return gr.Audio(label=label, elem_id=id, interactive=False, type="numpy", buttons=["download"])


def says(id: str) -> gr.HTML:
    """Where the line for the visitor stands; takes no room before there is one."""
    return gr.HTML(elem_id=id, elem_classes="says")


def job(
    event: Callable[..., Any], work: Callable[..., Any], inputs: list[Any], outputs: list[Any]
) -> None:
    """Bind work to an event: whatever it is, one visitor's is done at a time, and others wait."""
    event(
        work,
        inputs,
        outputs,
        concurrency_id=ONE_AT_A_TIME,
        concurrency_limit=1,
        show_progress="hidden",
        api_visibility="private",
    )
