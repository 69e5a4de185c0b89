"""The site: warnings are errors, every link leads somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest

from slmkit.api import KINDS
from slmkit.host import host
from slmkit.recipe.shipped import shipped_recipes
from website import figures, links, messages, notebooks, places
from website.markup import cell, title_of
from website.recipes import recipe_pages
from website.shelves import shelf_pages

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "audio": "src"}
"""Elements that a browser loads by itself, and the attribute that says from where."""


class Page(HTMLParser):
    """What a page names, loads and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in FETCHED and given.get(FETCHED[tag]) and given.get("rel") != "canonical":
            self.loads.append(given[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built in strict mode."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {
        str(file.relative_to(site)): Page(file.read_text()) for file in sorted(site.rglob("*.html"))
    }


@pytest.mark.slow
def test_every_page_has_its_place(site: Path, pages: dict[str, Page]) -> None:
    due = {f"{file.stem}.html" for file in DOCS.glob("*.md")}
    due |= {f"shelves/{kind}.html" for kind in KINDS}
    due |= {f"recipes/{name}.html" for name in shipped_recipes()}
    due |= {f"notebooks/{file.stem}.html" for file in (DOCS / "notebooks").glob("*.ipynb")}
    due |= {"index.html", "contributing.html", "changelog.html", "benchmarks.html", "commands.html"}
    assert due <= set(pages)
    navigation = re.search(r'<nav class="md-nav md-nav--primary.*', pages_text(site), re.DOTALL)
    assert navigation is not None
    shown = {posixpath.normpath(unquote(link)) for link in Page(navigation[0]).links}
    assert due - {"index.html"} <= shown


def pages_text(site: Path) -> str:
    return (site / "index.html").read_text()


@pytest.mark.slow
def test_every_link_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    lost = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            path = posixpath.join(posixpath.dirname(name), unquote(parts.path))
            target = posixpath.normpath(path) if parts.path else name
            if not (site / target).exists():
                lost.append(f"{name}: {link}")
            elif parts.fragment and target in pages:
                known = pages[target].ids | {"__top", "top"}
                if unquote(parts.fragment) not in known:
                    lost.append(f"{name}: {link}")
    assert not lost


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for address in page.loads:
            parts = urlsplit(address)
            assert parts.scheme in ("", "data"), f"{name} loads {address}"
            assert not parts.netloc, f"{name} loads {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style.read_text()), style


@pytest.mark.slow
def test_every_part_and_its_options_are_on_a_page(site: Path) -> None:
    for part in host().parts():
        if part.distribution == "slmkit":
            page = (site / "shelves" / f"{part.kind}.html").read_text()
            assert f'id="{part.name}"' in page
            assert cell(part.declaration.source).split(";")[0][:20] in page


def test_a_page_that_nobody_placed_is_found_among_the_guides() -> None:
    there = ["index.md", "zz-new.md", "decoding.md", "shelves/index.md", "shelves/new-kind.md"]
    there += ["shelves/weights.md", "leaderboard.md"]
    found = {name: pages for section in places.navigation(there) for name, pages in section.items()}
    assert found == {
        "Start": ["index.md"],
        "Guides": ["decoding.md", "zz-new.md"],
        "Shelves": ["shelves/index.md", "shelves/new-kind.md", "shelves/weights.md"],
        "Benchmarks": ["leaderboard.md"],
    }


def test_shelves_say_what_the_declarations_say() -> None:
    text = dict(shelf_pages())
    for part in host().parts("tokenizer"):
        if part.distribution == "slmkit":
            section = (
                text["shelves/tokenizer.md"].split(f"{{: #{part.name} }}")[1].split("\n## ")[0]
            )
            assert cell(part.declaration.licence) in section
            for name in part.declaration.options.__dataclass_fields__:
                assert f"<code>{name}</code>" in section
    assert "facebook/encodec_24khz" in text["shelves/weights.md"]
    assert "MIT" in text["shelves/weights.md"]


def test_a_recipe_page_tells_its_stages_profiles_and_figures() -> None:
    text = dict(recipe_pages())
    page = text["recipes/speechgpt.md"]
    for due in (
        "mel-km",
        "speechgpt-train",
        "as published: needs weights",
        "83.7 %",
        "## Measured",
    ):
        assert due in page
    assert "benchmarks.md#speechgpt" in text["recipes/speechgpt-digits.md"]
    svg = page[page.index("<svg") : page.index("</svg>") + 6]
    ElementTree.fromstring(svg)


def test_links_are_made_of_files_that_the_site_shows() -> None:
    pages = ("decoding.md", "benchmarks.md", "recipes/encodec.md", "index.md")
    titles = {page: page.upper() for page in pages}
    text = "`docs/decoding.md`, `benchmarks/README.md`, `docs/none.md`, `recipes/encodec.yaml`.\n"
    fenced = "```sh\ncat `docs/decoding.md`\n```\n"
    assert links.with_links(text + fenced, "recipes/encodec.md", titles) == (
        "[DECODING.MD](../decoding.md), [BENCHMARKS.MD](../benchmarks.md), "
        "`docs/none.md`, `recipes/encodec.yaml`.\n" + fenced
    )
    assert title_of("```sh\n# not this\n```\n# This\n", "") == "This"


def quoted() -> list[str]:
    """The messages that the page of troubles quotes."""
    page = (DOCS / "troubleshooting.md").read_text()
    return [line[2:] for line in page.splitlines() if line.startswith("> ")]


@pytest.mark.parametrize("said", quoted())
def test_each_message_that_is_explained_can_be_met(said: str) -> None:
    assert any(fits for fits in messages.sources() if fits.fits(said)), said


def test_a_message_of_nobody_is_not_found() -> None:
    for wrong in ("unknown part mini", "the tokenizer has not been fitted", "x: y"):
        assert not [each.text for each in messages.sources() if each.fits(wrong)]
    assert len(messages.messages()) > 300


@pytest.mark.parametrize("name", figures.DRAWN)
def test_the_figures_of_the_ideas_are_what_the_code_draws(name: str) -> None:
    """All but the very codes: another processor may round a tie in k-means the other way."""
    kept = (figures.FIGURES / f"{name}.svg").read_text()
    drawn = figures.DRAWN[name]()
    picture = re.compile(r'href="data:image/png[^"]*"')
    assert picture.sub("", drawn) == picture.sub("", kept), "draw again: python -m website.figures"
    assert len(picture.findall(drawn)) == len(picture.findall(kept))
    assert f"figures/{name}.svg)" in (DOCS / "ideas.md").read_text()


def test_a_changed_vocoder_touches_what_stands_below_it_and_nothing_else() -> None:
    svg = ElementTree.fromstring(figures.stages())
    space = "{http://www.w3.org/2000/svg}"
    boxes = [box.get("fill") for box in svg.iter(f"{space}rect")]
    words = [word.text for word in svg.iter(f"{space}text")]
    changed = {word for word, fill in zip(words, boxes, strict=True) if fill != boxes[0]}
    assert changed == {"vocoder", "compare-vocoders", "evaluate"}


def test_a_notebook_becomes_a_page() -> None:
    import nbformat.v4 as v4

    said = v4.new_output("stream", text="\x1b[31mred\x1b[0m ```\n")
    shown = v4.new_output("display_data", {"text/html": "<b>1</b>\n\n<i>2</i>", "text/plain": "x"})
    cells = [v4.new_markdown_cell("# Title"), v4.new_code_cell("1", outputs=[said, shown])]
    text = notebooks.page(v4.new_notebook(cells=cells), "a.ipynb", fresh=True)
    assert text.startswith("# Title\n\n*This page is the notebook [`a.ipynb`](a.ipynb).*")
    assert "```python\n1\n```" in text
    assert "```text\nred '''\n```" in text
    assert '<div class="output"><b>1</b>\n<i>2</i></div>' in text
    assert "was not run" in notebooks.page(v4.new_notebook(cells=cells), "a.ipynb", fresh=False)
