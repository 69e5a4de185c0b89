"""The page as a whole."""

from __future__ import annotations

import gradio as gr

from slmkit.web.limits import LONGEST_S, MOST_BYTES, WAITING
from slmkit.web.offer import Offer
from slmkit.web.tab_playground import playground_tab
from slmkit.web.tab_read import read_tab
from slmkit.web.tab_talk import talk_tab

SWEEP_S, KEEP_S = 60, 1800
"""How often sounds are looked through, and how long they are kept: seconds."""


def build_page(offer: Offer) -> gr.Blocks:
    """A tab for each thing that there is to do."""
    title = f"slmkit: {offer.name}" if offer.name else "slmkit"
    size = f"{LONGEST_S:g} s and {MOST_BYTES >> 20} MB"
    limits = f"Sounds of up to {size}; they go to the machine that serves this page, no further."
    with gr.Blocks(
        title=title, analytics_enabled=False, delete_cache=(SWEEP_S, KEEP_S), fill_width=False
    ) as page:
        gr.Markdown(f"# {title}\n\n{limits}")
        with gr.Tabs():
            if offer.assistant is not None:
                talk_tab(offer.assistant)
            if offer.reader is not None:
                read_tab(offer.reader)
            playground_tab(offer)
    page.queue(max_size=WAITING, api_open=False)
    return page


def theme() -> gr.themes.Base:
    """Without fonts that would have to be fetched, in colours that stand out enough (WCAG 2.2)."""
    plain = gr.themes.Default(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return plain.set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )
