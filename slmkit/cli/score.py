"""`slmkit score`: what listeners think, from the forms that they saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def score(
    forms: Annotated[list[Path], typer.Argument(metavar="FORM.json...", help="Saved forms.")],
    key: Annotated[
        Path | None,
        typer.Option(help="Which item is of which design; default: key.json beside a form."),
    ] = None,
) -> None:
    """Mean opinion scores (MOS) and those of likeness (SMOS) of each design.

    Intervals are 95%, over listeners and items. Forms that cannot be counted are named and left
    out.
    """
    from slmkit.api import DataError, StageError
    from slmkit.data.opinions import Key, opinions, read_forms

    place = next(f.parent / "key.json" for f in forms) if key is None else key
    if not place.is_file():
        raise DataError(
            f"{place}: no key of a listening test here; give it with --key (the stage "
            f"listening-form leaves it beside the form)"
        )
    found = Key.load(place)
    counted, faults = read_forms(forms, found)
    for fault in faults:
        typer.echo(f"left out {fault}", err=True)
    if not counted:
        raise DataError(f"none of {len(forms)} forms can be counted")
    typer.echo(_line("design", "MOS", "SMOS", "listeners", "items"))
    for each in opinions(counted, found):
        mos, smos = (f"{v:.2f} ({low:.2f} to {high:.2f})" for v, low, high in (each.mos, each.smos))
        typer.echo(_line(each.design, mos, smos, str(each.listeners), str(each.items)))
    if len(counted) == 1:
        typer.echo("one listener: the intervals do not tell how listeners differ", err=True)
    if faults:
        raise StageError(f"{len(faults)} of {len(forms)} forms were left out")


def _line(design: str, mos: str, smos: str, listeners: str, items: str) -> str:
    return f"{design:<20} {mos:<22} {smos:<22} {listeners:>9} {items:>5}"
