"""slmkit: a toolkit for speech language models whose every part is a plug-in."""

__version__ = "0.1.0"
