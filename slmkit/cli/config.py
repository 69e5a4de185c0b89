"""`slmkit config`: the resolved recipe, and where each value comes from."""

from __future__ import annotations

import typer

from slmkit.cli.run import Changes, Profile, RecipeName


def config(recipe: RecipeName, changes: Changes = None, profile: Profile = None) -> None:
    """Print a recipe as it would run, each value with where it comes from."""
    from slmkit.recipe.explain import explain
    from slmkit.recipe.resolve import resolve
    from slmkit.recipe.shipped import find_recipe

    typer.echo(explain(resolve(find_recipe(recipe), profile, changes or ())))
