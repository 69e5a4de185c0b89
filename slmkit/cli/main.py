"""The command `slmkit`, and the one place where errors become a line and an exit code.

0 done, 1 partly failed, 2 wrong input, 3 broken plugin, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

import slmkit
from slmkit.api import SlmkitError
from slmkit.cli.ask import ask
from slmkit.cli.bench import bench
from slmkit.cli.check import check
from slmkit.cli.compare import compare
from slmkit.cli.completion import PROGRAM, completion, prepare_completion
from slmkit.cli.config import config
from slmkit.cli.convert_voice import convert_voice
from slmkit.cli.decode import decode
from slmkit.cli.doctor import doctor
from slmkit.cli.encode import encode
from slmkit.cli.export import export
from slmkit.cli.leaderboard import leaderboard
from slmkit.cli.list import list_parts
from slmkit.cli.new import new
from slmkit.cli.prepare import prepare
from slmkit.cli.recipes import recipes
from slmkit.cli.report import report
from slmkit.cli.results import results
from slmkit.cli.resynth import resynth
from slmkit.cli.run import run
from slmkit.cli.score import score
from slmkit.cli.serve import serve
from slmkit.cli.show import show
from slmkit.cli.speak import speak
from slmkit.cli.start import START
from slmkit.cli.talking import colour, open_streams, set_talk

FAILED = 1
WRONG_INPUT = 2
DEBUG = "SLMKIT_DEBUG"

app = typer.Typer(
    name="slmkit",
    help="A toolkit for speech language models.",
    epilog="Start with: slmkit run speechgpt",
    add_completion=False,
    pretty_exceptions_enable=False,
    # plain help is there in half the time that boxed help takes, and survives a pipe
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "color": colour()},
)
app.command()(run)
app.command()(ask)
app.command()(speak)
app.command()(serve)
app.command()(score)
app.command()(encode)
app.command()(decode)
app.command()(resynth)
app.command("convert-voice")(convert_voice)
app.command()(config)
app.command("list")(list_parts)
app.command()(show)
app.command()(export)
app.command()(report)
app.command()(compare)
app.command()(check)
app.command()(doctor)
app.command()(results)
app.command()(prepare)
app.command()(completion)
app.add_typer(bench, name="bench")
app.add_typer(recipes, name="recipes")
app.add_typer(leaderboard, name="leaderboard")
app.add_typer(new, name="new")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slmkit {slmkit.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _global_options(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but results, warnings and errors.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say more: progress each second, what libraries log."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show the traceback of errors (or {DEBUG}=1).")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"
    set_talk(quiet, verbose)
    if context.invoked_subcommand is None:
        typer.echo(START)


def main() -> None:
    """Run the command line; ends the process with an exit code."""
    open_streams()
    prepare_completion()
    try:
        # typer itself ends wrong usage with 2, Ctrl-C with 130 and a closed pipe quietly
        app(prog_name=PROGRAM)
    except SlmkitError as error:
        _end(error, str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _end(error, f"{place}{error.strerror or error}", WRONG_INPUT)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        _end(error, f"{what} (a fault of slmkit or a plugin; {DEBUG}=1 shows where)", FAILED)


def _end(error: Exception, message: str, exit_code: int) -> None:
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)
    mark = typer.style("error:", fg=typer.colors.RED)
    for line in message.splitlines():
        typer.echo(f"{mark} {line}", err=True, color=colour())
    sys.exit(exit_code)
