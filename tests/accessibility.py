"""What a page needs so that everybody can use it, asked of a browser that shows it (WCAG 2.2, AA).

All rules of axe-core (its best practices too) in light and dark; beside them the letters of
drawings, headers of tables, names in the tree that screen readers get, where the keyboard is, and
no sideways scrolling on a phone.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from browser import Browser

NAMED = {"button", "textbox", "searchbox", "combobox", "checkbox", "radio", "link", "image", "img",
         "region", "table", "Audio", "slider", "spinbutton", "DisclosureTriangle"}  # fmt: skip
"""Roles that say nothing without a name."""

LOOK = Path(__file__).with_name("accessibility.js").read_text()

AXE = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations.flatMap(
  (rule) => rule.nodes.map((node) => `${rule.id} (${rule.impact}): ${node.html.slice(0, 90)}`)))"""

FOCUSED = """(() => {
  const e = document.activeElement, style = getComputedStyle(e);
  if (e === document.body) return "";
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return (ring ? "" : "no ring ") + `<${e.tagName.toLowerCase()}> ${e.textContent.slice(0, 30)}`;
})()"""


def axe() -> str:
    """The script of axe-core, from a package that is not imported: it would ask for another."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip(
            "axe-core is not here: pip install --no-deps -r tests/reference/requirements.txt"
        )
    return Path(found.origin).with_name("axe.min.js").read_text()


def faults(browser: Browser, file: Path, opened: bool = True) -> list[str]:
    """Everything that is wrong with a page; `opened`: with its details unfolded."""
    found, script = [], axe()
    for dark in (False, True):
        browser.open(file, dark=dark)
        if opened:
            browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            browser.run("new Promise((go) => setTimeout(go, 50))")
        theme = "dark" if dark else "light"
        browser.run(f"(() => {{ {script} }})()")
        found += [f"{theme}: {fault}" for fault in browser.run(AXE) + browser.run(LOOK)]
    found += _nameless(browser)
    found += _rings(browser)
    browser.open(file, width=320, height=640)
    wide = browser.run("document.documentElement.scrollWidth")
    if wide > 320:
        found.append(f"{wide} pixels wide on a screen of 320")
    return list(dict.fromkeys(found))


def _nameless(browser: Browser) -> list[str]:
    """By the tree that screen readers get."""
    found = []
    for node in browser.send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in NAMED and not node.get("ignored") and not node.get("name", {}).get("value"):
            found.append(f"{role} without a name")
    return found


def _rings(browser: Browser, most: int = 60) -> list[str]:
    """By pressing Tab: what has the focus shows it."""
    found = []
    for _ in range(most):
        browser.press("Tab")
        said = browser.run(FOCUSED)
        if not said:
            break
        if said.startswith("no ring"):
            found.append(said)
    return found
