"""`slmkit recipes`: the recipes that come with slmkit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.run import RecipeName

recipes = typer.Typer(help="The recipes that come with slmkit.", no_args_is_help=True)


@recipes.command("list")
def list_recipes() -> None:
    """List the shipped recipes, with their profiles."""
    from slmkit.recipe.document import read_document
    from slmkit.recipe.shipped import shipped_recipes

    for name, file in shipped_recipes().items():
        values = read_document(file).values
        profiles = ", ".join(values.get("profiles") or {})
        typer.echo(f"{name}: {values.get('summary', file)}")
        if profiles:
            typer.echo(f"  profiles: {profiles}")


@recipes.command("copy")
def copy_recipe(
    name: RecipeName,
    destination: Annotated[
        Path, typer.Argument(metavar="[DEST]", help="A file or folder; by default this folder.")
    ] = Path("."),
) -> None:
    """Copy a shipped recipe, to change it."""
    from slmkit.api import DataError
    from slmkit.recipe.shipped import find_recipe

    source = find_recipe(name)
    target = destination / source.name if destination.is_dir() else destination
    if target.exists():
        raise DataError(f"{target}: is there already; give another place to copy to")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    typer.echo(f"{target}: change it, then: slmkit run {target}")
