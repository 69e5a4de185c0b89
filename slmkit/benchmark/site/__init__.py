"""The pages of a leaderboard."""

from slmkit.benchmark.site.markdown import markdown
from slmkit.benchmark.site.page import page

__all__ = ["markdown", "page"]
