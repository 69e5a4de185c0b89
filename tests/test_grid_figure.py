"""`slmkit show decoding NAME --figure`: what it draws is what the strategy lays."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from slmkit.api import Decoding, Generator, MisfitError
from slmkit.cli import drawing
from slmkit.cli.main import app
from slmkit.drawing.grid import LABEL, Cell, colour, draw_grid
from slmkit.drawing.style import INK
from slmkit.host import build, host
from slmkit.lm.example import example_grid, letter

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
SHOWN = ("flat", "delay", "depth", "coarse-first")
SVG = "{http://www.w3.org/2000/svg}"
STRATEGIES = [part.name for part in host().parts("decoding") if part.distribution == "slmkit"]

Command = Callable[..., subprocess.CompletedProcess[str]]


def drawn(svg: str) -> list[list[str]]:
    """The labels [s][l] that stand in the boxes of a drawing, by where they stand."""
    root = ElementTree.fromstring(svg)
    boxes = [(float(box.get("y", 0)), float(box.get("x", 0))) for box in root.iter(f"{SVG}rect")]
    down, across = (sorted({place[axis] for place in boxes}) for axis in (0, 1))
    assert len(boxes) == len(down) * len(across), "a box for every place, and no two in one"
    cells = [["." for _ in across] for _ in down]
    for word in root.iter(f"{SVG}text"):
        if word.get("fill") == LABEL:
            x, y = float(word.get("x", 0)), float(word.get("y", 0))
            row = max(n for n, top in enumerate(down) if top < y)
            column = max(n for n, left in enumerate(across) if left < x)
            assert cells[row][column] == ".", "two labels in one box"
            cells[row][column] = word.text or ""
    return cells


def labels(name: str, codebooks: int, frames: int) -> list[list[str]]:
    rows = example_grid(build("decoding", name), codebooks, frames)
    return [[cell.label or "." for cell in row] for row in rows]


@pytest.mark.parametrize("name", SHOWN)
def test_the_figures_of_the_docs_are_what_the_command_draws(name: str, tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "figure.svg"
    run = CliRunner().invoke(app, ["show", "decoding", name, "--figure", str(file)])
    assert run.exit_code == 0, run.output
    assert run.output.splitlines()[0].startswith(f"{name} (decoding): ")
    assert run.output.splitlines()[-1].startswith(f"{file}: ")
    assert file.read_text() == (FIGURES / f"{name}.svg").read_text(), (
        f"draw it again: slmkit show decoding {name} --figure docs/figures/{name}.svg"
    )
    assert f"figures/{name}.svg)" in (ROOT / "docs" / "decoding.md").read_text()


def test_a_drawing_has_the_grid_of_the_docs() -> None:
    """Two frames of three codebooks, as docs/decoding.md writes them out."""
    page = (ROOT / "docs" / "decoding.md").read_text()
    figure = re.search(r"```\n(flatten .*?)```", page, re.DOTALL)
    assert figure is not None
    written: dict[str, list[list[str]]] = {}
    name = ""
    for line in filter(None, figure[1].splitlines()):
        head = line[:16].strip()
        name = {"flatten": "flat", "delay 0 1 2": "delay"}.get(head, head) or name
        written.setdefault(name, []).append(line[16:].split())
    assert set(written) == {"flat", "coarse-first", "delay"}
    for name, cells in written.items():
        assert drawn(draw_grid(example_grid(build("decoding", name), 3, 2), name)) == cells


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_nothing_lies_outside_the_drawing(streams: int) -> None:
    root = ElementTree.fromstring(draw_grid([[Cell("special", "<sosp>")]] * streams, "t"))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for word in root.iter(f"{SVG}text"):
        x, y = float(word.get("x", 0)), float(word.get("y", 0))
        long, high = 3.65 * len(word.text or ""), 9
        if word.get("transform"):
            assert y - long >= 0
            assert y + long <= height
        else:
            assert x - long >= 0
            assert x + long <= width
            assert high <= y <= height - 3


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(STRATEGIES), st.integers(2, 30), st.integers(1, 5))
def test_every_code_stands_in_it_once(name: str, codebooks: int, frames: int) -> None:
    cells = [cell for row in labels(name, codebooks, frames) for cell in row]
    # what a refiner completes is on no grid
    on_it = 1 if name in ("ar-nar", "soundstorm") else codebooks
    due = [f"{letter(k)}{t}" for k in range(on_it) for t in range(frames)]
    assert sorted(filter(re.compile(r"[a-z]+\d+").fullmatch, cells)) == sorted(due)
    assert [cells.count(word) for word in ("h", "i", "<sosp>", "<eosp>")] == [1, 1, 1, 1]
    assert len(set(due)) == on_it * frames


def test_it_is_as_large_as_it_was_asked_to_be(command: Command, tmp_path: Path) -> None:
    run = command("show", "--kind", "decoding", "delay", "--figure", "delay.svg",
                  "--codebooks", "2", "--frames", "5")  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("\ndelay.svg: 9 steps, 2 streams\n")
    assert drawn((tmp_path / "delay.svg").read_text()) == [
        ["h", "i", "<sosp>", "a0", "a1", "a2", "a3", "a4", "<eosp>"],
        [".", ".", ".", ".", "b0", "b1", "b2", "b3", "b4"],
    ]


def test_a_name_of_several_kinds_is_told_by_its_kind() -> None:
    for words in (["head", "depth"], ["depth", "--kind", "head"]):
        run = CliRunner().invoke(app, ["show", *words])
        assert run.output.startswith("depth (head): ")
        assert "(decoding)" not in run.output
    run = CliRunner().invoke(app, ["show", "head", "depth", "--kind", "head"])
    assert (run.exit_code, "its kind once" in run.output) == (2, True)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["delya"], "did you mean delay"),
        (["head", "depth"], "decoding strategies, not a head"),
        (["mel-km"], "unknown decoding 'mel-km'"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    words: list[str], reason: str, command: Command, tmp_path: Path
) -> None:
    run = command("show", *words, "--figure", "it.svg")
    assert (run.returncode, run.stdout) == (2, "")
    (line,) = run.stderr.splitlines()
    assert reason in line
    assert list(tmp_path.iterdir()) == []


def test_a_figure_of_another_format_is_refused(command: Command) -> None:
    run = command("show", "decoding", "flat", "--figure", "flat.png")
    assert (run.returncode, run.stdout) == (2, "")
    assert (
        run.stderr == "error: --figure flat.png: figures are SVG: give a name that ends in .svg\n"
    )


class OneVoice(Decoding):
    """Of one codebook; and a second generator, of which no figure speaks."""

    def plan(self, spec):  # type: ignore[no-untyped-def]
        if spec.codebooks > 1:
            raise MisfitError(f"one voice takes one codebook, not {spec.codebooks}")
        return Generator("flatten", "linear"), Generator("no layout", "no head")


def test_a_strategy_that_does_not_fit_leaves_no_figure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("slmkit.host.build_part", lambda *_: OneVoice())
    file, part = tmp_path / "flat.svg", host().find("decoding", "flat")
    with pytest.raises(MisfitError, match="one codebook, not 4") as error:
        drawing.draw(part, file, codebooks=4, frames=3)
    assert error.value.exit_code == 2
    assert not file.exists()
    assert drawing.draw(part, file, codebooks=1, frames=3) == f"{file}: 7 steps, 1 stream"


def luminance(hexed: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [int(hexed[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("books", [1, 2, 4, 32])
def test_labels_can_be_read_on_a_light_and_on_a_dark_page(books: int) -> None:
    cells = [Cell("text"), Cell("special"), *(Cell("codes", codebook=k) for k in range(books))]
    fills = [colour(cell, books) for cell in cells]
    assert all(contrast(LABEL, fill) >= 4.5 for fill in fills)
    assert len(set(fills)) == len(fills), "each kind has a colour of its own"
    for page in ("#fdfdfc", "#14181e"):
        assert contrast(INK, page) >= 3.5
