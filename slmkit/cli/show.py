"""`slmkit show`: one part, all that its author says about it, and its options; maybe a figure."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slmkit.cli.completing import complete_part_or_kind
from slmkit.cli.drawing import STRATEGY, check_figure, draw

if TYPE_CHECKING:
    from slmkit.api import Can
    from slmkit.host import Host, Shelved

TOLD = ("summary", "target", "revision", "source", "licence", "weights_licence",
        "uses", "gives", "reads", "leaves")  # fmt: skip
"""Fields of a declaration that go into JSON as they are."""
UNITS = {"sample_rate": " Hz", "frame_rate": " Hz"}


def show(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] NAME",
            help="Name of a part, as 'slmkit list' gives it, after its kind where parts of several "
            "kinds share the name.",
            autocompletion=complete_part_or_kind,
        ),
    ],
    kind: Annotated[str | None, typer.Option(help="Its kind, in another place.")] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg", help="Draw where a decoding strategy lays a word and then speech."
        ),
    ] = None,
    codebooks: Annotated[int, typer.Option(min=1, help="Of the speech in the figure.")] = 4,
    frames: Annotated[int, typer.Option(min=1, help="Of the speech in the figure.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show a part and its options.

    What it is and can do, where it comes from, and each option with type, default and meaning.
    """
    from slmkit.host import host

    *kinds, name = words
    if kind is not None:
        kinds.append(kind)
    if len(kinds) > 1:
        raise typer.BadParameter(f"'{' '.join(words)}': give a part's name, and its kind once")
    kind = kinds[0] if kinds else None
    found, drawn = host(), ""
    if figure is not None:
        check_figure(kind, figure)
        kind = STRATEGY
        drawn = draw(found.find(kind, name), figure, codebooks, frames)
    if kind is None:
        parts = found.named(name)
    else:
        offered = [part for part in found.parts(kind) if part.name == name]
        parts = offered or [found.find(kind, name)]
    if as_json:
        typer.echo(json.dumps([_as_json(found, part) for part in parts], indent=1))
        return
    for number, part in enumerate(parts):
        typer.echo(("\n" if number else "") + describe(found, part))
    if drawn:
        typer.echo(f"\n{drawn}")


def _as_json(found: Host, part: Shelved) -> dict[str, Any]:
    """What `describe` says, as plain values; an option without default has none."""
    from slmkit.api.declare import help_of
    from slmkit.cli.list import status_of
    from slmkit.host import MISSING, default_options, option_type

    declaration = part.declaration
    helps = help_of(declaration.options)
    return {
        "name": part.name,
        "kind": part.kind,
        "status": status_of(found, part),
        "distribution": part.distribution,
        "version": part.version,
        "plugin": part.plugin,
        **{name: getattr(declaration, name) for name in TOLD},
        "can": dataclasses.asdict(_can(part)),
        "options": [
            {
                "name": name,
                "type": option_type(declaration.options, name),
                **({} if default == MISSING else {"default": default}),
                "help": helps[name],
            }
            for name, default in default_options(part).items()
        ],
    }


def describe(found: Host, part: Shelved) -> str:
    """The page of a part."""
    facts = facts_of(found, part)
    lines = [f"{part.name} ({part.kind}): {part.declaration.summary}", ""]
    lines += [f"  {name:<9} {value}" for name, value in facts.items() if value]
    rows = options_of(part)
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    options = [
        "    " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, [*widths, 0], strict=True))
        for row in rows
    ]
    lines += ["", "  options", *options] if options else ["", "  no options"]
    return "\n".join(lines)


def facts_of(found: Host, part: Shelved) -> dict[str, str]:
    """What is known of a part, by name; nothing where there is nothing to say."""
    from slmkit.cli.list import status_of

    declaration = part.declaration
    can = _can(part)
    return {
        "status": status_of(found, part),
        "from": f"{part.distribution} {part.version} (plugin '{part.plugin}')",
        "target": declaration.target,
        "revision": str(declaration.revision),
        "source": declaration.source,
        "licence": declaration.licence,
        "weights": declaration.weights_licence,
        "can": _abilities(can),
        "rate": _rate(can),
        "uses": ", ".join(declaration.uses),
        "gives": ", ".join(declaration.gives),
        "reads": ", ".join(declaration.reads),
        "leaves": ", ".join(declaration.leaves),
    }


def _can(part: Shelved) -> Can:
    """What a part can do with its defaults; where an option is required, with any."""
    from slmkit.host import check_options

    options, _ = check_options(part, {})
    declaration = part.declaration
    return declaration.can if options is None else declaration.abilities(options)


def _rate(can: Can) -> str:
    """Frames and bits a second, where they are known without building the part."""
    if not (can.frame_rate and can.codebooks and can.codebook_size):
        return ""
    each = can.frame_rate * math.log2(can.codebook_size)
    books = "1 codebook" if can.codebooks == 1 else f"{can.codebooks} codebooks"
    whole = f"{can.frame_rate:g} Hz x {books} of {can.codebook_size}"
    apart = "" if can.codebooks == 1 else f", {each:.0f} for each codebook"
    return f"{whole} = {can.codebooks * each:.0f} bits per second{apart}"


def _abilities(can: Any) -> str:
    """The abilities that are set, in words: "codebooks 1, sample rate 16000 Hz, streaming"."""
    words = []
    for field in dataclasses.fields(can):
        value, name = getattr(can, field.name), field.name.replace("_", " ")
        if value == field.default:
            continue
        if isinstance(value, bool):
            words.append(
                name if value else f"not {name}" if field.default is None else f"no {name}"
            )
        elif isinstance(value, tuple):
            words.append(f"{name} on {' and '.join(value)}")
        else:
            words.append(f"{name} {value:g}{UNITS.get(field.name, '')}")
    return ", ".join(words)


def options_of(part: Shelved) -> list[tuple[str, str, str, str]]:
    """Name, type, default and help of each option."""
    from slmkit.api.declare import help_of
    from slmkit.host import MISSING, default_options, option_type

    options = part.declaration.options
    helps = help_of(options)
    return [
        (
            name,
            option_type(options, name),
            "required" if default == MISSING else repr(default),
            helps[name],
        )
        for name, default in default_options(part).items()
    ]
