"""The notebooks run from top to bottom, and runs inside them show a bar."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from slmkit.recipe.notebook import bar, in_notebook
from website.notebooks import NOTEBOOKS, SHOWN, run_notebook

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
SHOWS = {
    "tokenizers": {"<audio": 10, "data:image/png": 4, "<table": 2},
    "decoding": {"<svg": 8, "streams, ": 1, "<table": 1},
    "benchmark": {"<table": 5, "not told apart": 1, ">real<": 1, "no decoder": 1},
    "speechgpt": {"<audio": 6, "judge-wer": 1, "would run": 2},
}
"""What must be found in the outputs of each, and how often at least."""


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_runs_and_shows(file: Path, tmp_path: Path) -> None:
    run_notebook(file, tmp_path / file.name)
    made = nbformat.read(tmp_path / file.name, as_version=4)
    outputs = [each for cell in made.cells if cell.cell_type == "code" for each in cell.outputs]
    said = "".join(
        str(each.get("text", ""))
        + "".join(str(each.get("data", {}).get(kind, "")) for kind in SHOWN[:2])
        for each in outputs
    )
    for due, least in SHOWS[file.stem].items():
        assert said.count(due) >= least, f"{due}: {said.count(due)}"
    assert "Traceback" not in said
    assert "Warning" not in said


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_is_kept_without_outputs(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            ast.parse(cell.source)


def test_there_are_notebooks_and_each_is_described() -> None:
    assert {file.stem for file in FILES} == set(SHOWS)
    page = (NOTEBOOKS.parent / "notebooks.md").read_text()
    assert all(f"docs/notebooks/{file.name}" in page for file in FILES)


def test_progress_moves_a_bar_and_takes_it_away(tmp_path: Path) -> None:
    """In a kernel: lines stay, the bar is drawn anew in place, and nothing of it is left."""
    source = """
import slmkit
import slmkit.recipe.notebook as room
from IPython.display import HTML

assert room.in_notebook()
room.PAUSE = 0
watch = room.NotebookWatch()
drawn = []
room.bar = lambda *told: drawn.append(told) or ""
watch.say("begun")
with watch.progress("training", 4) as progress:
    progress(1)
    progress(2, text="loss 1.5")
watch.say("done")
assert drawn == [("training", 0, 4, ""), ("training", 1, 4, ""), ("training", 2, 4, "loss 1.5")]
"""
    file = tmp_path / "a.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source)]), file)
    run_notebook(file, tmp_path / "made.ipynb")
    (cell,) = nbformat.read(tmp_path / "made.ipynb", as_version=4).cells
    lines = "".join(each.text for each in cell.outputs if each.output_type == "stream")
    assert lines == "begun\ndone\n"
    left = [each.data["text/html"] for each in cell.outputs if each.output_type == "display_data"]
    assert left == [""]


def test_a_bar_says_how_far_it_is() -> None:
    assert 'value="3" max="9"' in bar("training", 3, 9, "<loss>")
    assert "&lt;loss&gt;" in bar("training", 3, 9, "<loss>")
    assert "<progress></progress> 3 " in bar("reading", 3, None, "")
    assert not in_notebook()
