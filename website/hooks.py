"""What mkdocs calls when it builds the site: pages that are generated, navigation, links."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from benchmarks.tables import README, renewed
from slmkit.host import host
from website.api import api_pages
from website.commands import command_page
from website.links import page_of, with_links
from website.markup import title_of
from website.messages import message_page
from website.notebooks import notebook_pages
from website.places import navigation
from website.recipes import recipe_pages
from website.shelves import shelf_pages

ROOT = Path(__file__).resolve().parents[1]
WARN = logging.getLogger("mkdocs.hooks.slmkit").warning


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and place all."""
    for broken in host().broken:
        WARN("plugin %s is broken, and its parts are on no page: %s", broken.plugin, broken.reason)
    for path, text in generated():
        files.append(File.generated(config, path, content=text))
    config.nav = navigation(file.src_uri for file in files.documentation_pages())
    return files


def generated() -> Iterator[tuple[str, str]]:
    """(path, Markdown) of every page that is not a file of docs/."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        yield page_of(name), (ROOT / name).read_text()
    yield "benchmarks.md", renewed(README.read_text())
    yield "commands.md", command_page()
    yield "messages.md", message_page()
    yield from shelf_pages()
    yield from recipe_pages()
    yield from api_pages()
    yield from notebook_pages()


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Link the files that a page names."""
    titles = {
        file.src_uri: title_of(file.content_string, file.src_uri)
        for file in files.documentation_pages()
    }
    return with_links(markdown, page.file.src_uri, titles)
