"""Drawings of a report: learning curves and spectrograms, and sounds made small enough to carry."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmkit.training.curves import Curve

INK, FIRST, SECOND = "#777777", "#2f6fb5", "#c2571a"


def draw_curves(title: str, curves: Mapping[str, Curve]) -> str:
    """An inline SVG of losses against steps; the held-out loss is dashed and dotted."""
    figure, axes = _figure(4.2, 2.5)
    for name, points in curves.items():
        held_out = name.startswith("dev")
        style = {"linestyle": "--", "marker": "o", "markersize": 3} if held_out else {}
        colour = SECOND if held_out else FIRST
        axes.plot(*zip(*points, strict=True), label=name, color=colour, linewidth=1.3, **style)
    axes.set_xlabel("step", color=INK)
    axes.set_title(title, color=INK, fontsize=10)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    return _svg(figure, f"learning curve of {title}")


def draw_spectrogram(path: Path, label: str) -> str:
    """An <img> of a sound's log-mel spectrogram."""
    import torch

    from slmkit.codecs.mel import LogMel
    from slmkit.data.audio import read_audio

    wav = torch.from_numpy(read_audio(path))
    mel = LogMel(hop_length=160, n_mels=64)(wav[None])[0].T.numpy()
    figure, axes = _figure(4.2, 1.3)
    axes.imshow(
        mel, origin="lower", aspect="auto", cmap="magma", vmin=-10, vmax=1,
        extent=(0, len(wav) / 16000, 0, 64),
    )  # fmt: skip
    axes.set_yticks([])
    axes.set_xlabel("seconds", color=INK, fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90, transparent=True)
    return (
        f'<img alt="log-mel spectrogram of {label}" '
        f'src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'
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


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def _svg(figure: Any, title: str) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # ids are only unique within one drawing: give each its own
    mark = base64.b32encode(title.encode()).decode().strip("=").lower()
    svg = re.sub(r'id="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{mark}-\1"', svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
