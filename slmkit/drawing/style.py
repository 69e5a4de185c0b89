"""What all drawings share: colours, and the frame in which a notebook shows HTML."""

from __future__ import annotations

from html import escape

INK = "#777777"
"""Of axes, legible on light and on dark pages."""

STYLE = """
.slmkit { font-size: 0.9em; line-height: 1.5; margin: .3em 0 }
.slmkit table { border-collapse: collapse; width: auto; margin: .3em 0;
  font-variant-numeric: tabular-nums }
.slmkit th, .slmkit td { text-align: left; padding: .2em 1em .2em 0; vertical-align: top;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); background: none }
.slmkit thead th { font-weight: 600; opacity: .75 }
.slmkit tbody th { font-weight: 500 }
.slmkit .number { text-align: right; white-space: nowrap }
.slmkit .span, .slmkit .note { opacity: .7 }
.slmkit .better { opacity: .7; white-space: nowrap }
.slmkit .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap }
.slmkit .part > th { padding-left: 1.2em; font-weight: 400 }
.slmkit .wide { overflow-x: auto; max-width: 100% }
.slmkit svg { max-width: 100%; height: auto; display: block; margin: .2em 0 }
.slmkit .wide > svg { max-width: none }
.slmkit audio { height: 2.2em; width: min(30em, 100%); display: block }
.slmkit .text { border-left: 3px solid rgba(128, 128, 128, .6); padding: .1em .7em;
  white-space: pre-wrap }
.slmkit .learnt { border-left-color: #c2571a }
"""


def framed(*parts: str) -> str:
    """Pieces of HTML as one that a notebook shows, and that changes nothing around it."""
    return f'<div class="slmkit"><style>{STYLE}</style>{"".join(parts)}</div>'


def note(text: str) -> str:
    """A line in a smaller voice."""
    return f'<div class="note">{escape(text)}</div>'
