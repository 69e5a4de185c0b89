"""`slmkit run`: run a recipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.completing import complete_recipe

INTERRUPTED = 130

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe file, or the name of a shipped recipe.",
        autocompletion=complete_recipe,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Changed values: tokenizer.clusters=100, trainer.devices=2, seed=1.",
    ),
]
Profile = Annotated[str | None, typer.Option(help="A profile of the recipe.")]


def run(
    recipe: RecipeName,
    changes: Changes = None,
    profile: Profile = None,
    from_stage: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Run this stage and all below it anew."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Run this stage and no other.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run all of it anew.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="The run's folder; by default runs/NAME[-PROFILE].")
    ] = None,
) -> None:
    """Run a recipe. What is done already is kept, and what was broken off goes on."""
    from slmkit.recipe.engine import run as run_recipe
    from slmkit.recipe.interrupt import ending_in_time
    from slmkit.recipe.watch import PlainWatch

    try:
        with ending_in_time(INTERRUPTED):
            run_recipe(
                recipe,
                profile=profile,
                overrides=changes or (),
                output=output,
                from_stage=from_stage,
                only=only,
                force=force,
                dry_run=dry_run,
                # what would run is then no talk, but all that was asked for
                watch=PlainWatch(sys.stdout) if dry_run else None,
            )
    except KeyboardInterrupt as interrupt:
        typer.echo(f"interrupted {interrupt}".rstrip() + GO_ON, err=True)
        raise typer.Exit(INTERRUPTED) from None


GO_ON = "; run the same command again (without --force and --from): it goes on where it stopped"
