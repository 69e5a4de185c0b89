"""Fixtures for whoever tests parts of their own; pytest finds them where slmkit is installed.

    def test_my_tokenizer(slmkit_check_tokenizer):
        slmkit_check_tokenizer(lambda: MyTokenizer(MyOptions()))

    def test_my_part(slmkit_check_part):
        slmkit_check_part("vocoder", "my-vocoder", {"rounds": 3})

What was found about a tokenizer (near ties, the speed of batches) ends pytest's report.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slmkit.api import Tokenizer
    from slmkit.testing import Tally

SECTION = "slmkit"


@pytest.fixture
def slmkit_check_tokenizer(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[Tokenizer | Callable[[], Tokenizer]], Tally]:
    """`slmkit.testing.check_tokenizer` in a folder of the test's own."""

    def check(tokenizer: Tokenizer | Callable[[], Tokenizer]) -> Tally:
        from slmkit.testing import check_tokenizer

        found = check_tokenizer(tokenizer, tmp_path / "saved")
        request.node.add_report_section("call", SECTION, str(found))
        return found

    return check


@pytest.fixture
def slmkit_check_part(tmp_path: Path) -> Callable[..., None]:
    """`slmkit.testing.check_part` in a folder of the test's own: (kind, name, options)."""

    def check(kind: str, name: str, values: dict[str, Any] | None = None) -> None:
        from slmkit.testing import check_part

        check_part(kind, name, tmp_path / "saved", values)

    return check


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each tokenizer that keeps the laws."""
    lines = [
        f"{report.nodeid}: {text}"
        for report in terminalreporter.getreports("passed")
        for title, text in report.sections
        if SECTION in title.split()
    ]
    if lines:
        terminalreporter.section("slmkit: tokenizers")
        for line in lines:
            terminalreporter.write_line(line)
