"""Files that pages name in code type become links to the pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from website.markup import outside_fences

NAMED = re.compile(
    r"(?<!\[)`(?P<path>(?:docs|benchmarks|recipes)/[\w./-]+|(?:README|CONTRIBUTING|CHANGELOG)\.md)`"
)
"""A path in code type that is no link yet."""
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}


def page_of(path: str) -> str:
    """The page of the site that shows a file of the repository, whether there is one or not."""
    path = path.removeprefix("./")
    if path in MOVED:
        return MOVED[path]
    path = path.removeprefix("docs/")
    return re.sub(r"^(recipes/.*)\.yaml$|^(notebooks/.*)\.ipynb$", r"\1\2.md", path)


def with_links(text: str, page: str, titles: Mapping[str, str]) -> str:
    """A page's Markdown in which files that the site shows are links under their titles."""

    def link(found: re.Match[str]) -> str:
        target = page_of(found["path"])
        if target not in titles or target == page:
            return found[0]
        address = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"[{titles[target]}]({address})"

    return "".join(
        NAMED.sub(link, piece) if prose else piece for piece, prose in outside_fences(text)
    )
