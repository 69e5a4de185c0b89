"""Drawings of a report: learning curves and spectrograms, and sounds made small enough to carry."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from slmkit.training.curves import Curve

INK, FIRST, SECOND = "#777777", "#2f6fb5", "#c2571a"


def draw_curves(title: str, curves: Mapping[str, Curve]) -> str:
    """An inline SVG of losses against steps; the held-out loss is dashed and dotted.

    Lines and letters that are no curve have the colour of the text around it.
    """
    figure, axes = empty_figure(4.2, 2.5)
    for name, points in curves.items():
        held_out = name.startswith("dev")
        style = {"linestyle": "--", "marker": "o", "markersize": 3} if held_out else {}
        colour = SECOND if held_out else FIRST
        axes.plot(*zip(*points, strict=True), label=name, color=colour, linewidth=1.3, **style)
    axes.set_xlabel("step", color=INK)
    axes.set_title(title, color=INK, fontsize=10)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    told = [
        f"{name} from {points[0][1]:.3g} at step {points[0][0]} to {points[-1][1]:.3g} at step "
        f"{points[-1][0]}"
        for name, points in curves.items()
        if points
    ]
    return inline_svg(figure, f"learning curve of {title}: {'; '.join(told)}")


def draw_spectrogram(path: Path, label: str) -> str:
    """A <figure> of a sound's log-mel spectrogram."""
    import torch

    from slmkit.codecs.mel import LogMel
    from slmkit.data.audio import read_audio

    wav = torch.from_numpy(read_audio(path))
    mel = LogMel(hop_length=160, n_mels=64)(wav[None])[0].T.numpy()
    figure, axes = empty_figure(4.2, 0.9)
    figure.set_layout_engine("none")
    axes.set_position((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(mel, origin="lower", aspect="auto", cmap="magma", vmin=-10, vmax=1)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90, transparent=True)
    # words of the page, not of the picture: they have the page's colours, dark or light
    return (
        f'<figure><img alt="log-mel spectrogram of {label}" '
        f'src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'
        f"<figcaption>{label}, {len(wav) / 16000:.1f} s</figcaption></figure>"
    )


def carry_sound(path: Path) -> str:
    """A sound as a data URI: 16 kHz mono Ogg Vorbis, about 10 kB for two seconds."""
    import soundfile

    from slmkit.data.audio import read_audio

    data = io.BytesIO()
    soundfile.write(data, read_audio(path), 16000, format="OGG", subtype="VORBIS")
    return f"data:audio/ogg;base64,{base64.b64encode(data.getvalue()).decode()}"


def carry_image(path: Path) -> str:
    """An image as a data URI."""
    kind = "image/svg+xml" if path.suffix == ".svg" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def empty_figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of so many inches and its axes, in the colours of a page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def inline_svg(figure: Any, title: str) -> str:
    """A figure as an element of a page; its lines and letters take the colour of the text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    # ids are only unique within one drawing: give each its own
    mark = f"svg{hashlib.sha256(title.encode()).hexdigest()[:8]}"
    svg = re.sub(r'id="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{mark}-\1"', svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
