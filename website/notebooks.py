"""Notebooks: run (`python -m website.notebooks`), and shown as pages of the site.

They lie in docs/notebooks without outputs. Run ones lie in build/notebooks, and the site shows
those where they are newer.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "docs" / "notebooks"
RUN = ROOT / "build" / "notebooks"
LONGEST_CELL = 300
"""Seconds."""
SHOWN = ("text/html", "image/svg+xml", "image/png", "text/plain")
"""Kinds of output, the best first."""


def run_notebook(file: Path, target: Path) -> None:
    """Run a notebook from top to bottom in an empty folder, and write it with its outputs."""
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    folder = Path(tempfile.mkdtemp(prefix="notebook-"))
    try:
        client = NotebookClient(
            notebook,
            timeout=LONGEST_CELL,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        )
        # what one of the libraries says of its own progress bars is no output of a notebook
        client.execute(env={**os.environ, "PYTHONWARNINGS": "ignore:IProgress"})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def notebook_pages() -> Iterator[tuple[str, str]]:
    """(path, Markdown) of every notebook, with its outputs where it was run."""
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        made = RUN / file.name
        fresh = made.exists() and made.stat().st_mtime >= file.stat().st_mtime
        notebook = nbformat.read(made if fresh else file, as_version=4)
        yield f"notebooks/{file.stem}.md", page(notebook, file.name, fresh)


def page(notebook: Any, name: str, fresh: bool) -> str:
    """A notebook as Markdown: cells as they are, outputs as HTML."""
    first, *rest = notebook.cells
    about = f"*This page is the notebook [`{name}`]({name}).*"
    if not fresh:
        about += " *Its outputs are not shown here: it was not run before this site was built.*"
    pieces = [first.source, about]
    for cell in rest:
        if cell.cell_type == "markdown":
            pieces.append(cell.source)
        elif cell.source.strip():
            pieces.append(f"```python\n{cell.source}\n```")
            pieces += _outputs(cell.outputs)
    return "\n\n".join(pieces)


def _outputs(outputs: list[Any]) -> Iterator[str]:
    """What stands below a cell; lines of one stream are one block."""
    said = "".join(each.text for each in outputs if each.output_type == "stream")
    if said.strip():
        yield f"```text\n{_plain(said)}\n```"
    for each in outputs:
        data = each.get("data", {})
        kind = next((kind for kind in SHOWN if kind in data), None)
        if kind is None:
            continue
        if kind == "text/plain":
            yield f"```text\n{_plain(data[kind])}\n```"
        elif kind == "image/png":
            yield f'<div class="output"><img alt="" src="data:{kind};base64,{data[kind]}"></div>'
        else:
            # Markdown would end a block of HTML at an empty line
            lines = "\n".join(line for line in data[kind].splitlines() if line.strip())
            if lines:
                yield f'<div class="output">{lines}</div>'


def _plain(text: str) -> str:
    """Without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).rstrip().replace("```", "'''")


if __name__ == "__main__":
    for name in sys.argv[1:] or [str(file) for file in sorted(NOTEBOOKS.glob("*.ipynb"))]:
        run_notebook(Path(name), RUN / Path(name).name)
