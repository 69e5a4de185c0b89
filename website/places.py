"""Where each page stands in the navigation.

A page of docs/ that nobody has placed is found among the guides, under its own title.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from typing import Any

UNPLACED = "Guides"
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Start": ("index.md", "first-ten-minutes.md", "ideas.md", "troubleshooting.md"),
    "Guides": (
        "tokenizers.md",
        "tokenizers-use.md",
        "codec-training.md",
        "evaluation.md",
        "vocoders.md",
        "web-page.md",
        "decoding.md",
        "training.md",
        "several-devices.md",
    ),
    "Notebooks": ("notebooks.md", "notebooks/*"),
    "Recipes": ("recipes/index.md", "recipes/*"),
    "Shelves": (
        "shelves/index.md",
        "shelves/corpus.md",
        "shelves/text.md",
        "shelves/tokenizer.md",
        "shelves/vocoder.md",
        "shelves/backbone.md",
        "shelves/decoding.md",
        "shelves/*",
        "shelves/weights.md",
    ),
    "Benchmarks": ("benchmarks.md", "leaderboard*.md", "slmtokbench*.md"),
    "Reference": ("commands.md", "api/slmkit.md", "api/*", "messages.md"),
    "Project": ("architecture.md", "write-a-plugin.md", "contributing.md", "changelog.md"),
}


def navigation(pages: Iterable[str]) -> list[dict[str, Any]]:
    """The navigation as mkdocs takes it: sections with the pages that there are."""
    left = sorted(pages)
    found: dict[str, list[str]] = {section: [] for section in SECTIONS}
    # a page that is named goes before a pattern that it fits as well
    named = {page for patterns in SECTIONS.values() for page in patterns}
    for section, patterns in SECTIONS.items():
        for pattern in patterns:
            fitting = [p for p in left if p == pattern or (fnmatch(p, pattern) and p not in named)]
            found[section] += fitting
            left = [page for page in left if page not in fitting]
    found[UNPLACED] += left
    return [{section: there} for section, there in found.items() if there]
