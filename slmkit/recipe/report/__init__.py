"""`report.html`: a run on one page that needs no other file.

A stage may add to it by leaving `report.json` in its folder, a list of blocks:

    {"type": "sounds", "title": str, "note": str, "rows": [
        {"title": str, "texts": {label: str | null}, "sounds": {label: "relative/path.flac"},
         "spectrogram": label of one of the sounds | null}]}
    {"type": "table", "title": str, "note": str, "columns": [str], "rows": [[str | number]]}
    {"type": "figure", "title": str, "note": str, "image": "relative/path.png | .svg"}

A stage that leaves the scores of every item in `items.json` (`slmkit.recipe.report.items`) can be
compared with the same stage of another run, item by item.
"""

from slmkit.recipe.report.comparison import write_comparison
from slmkit.recipe.report.page import write_report

__all__ = ["write_comparison", "write_report"]
