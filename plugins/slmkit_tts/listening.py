"""The stage `listening-form`."""

from __future__ import annotations
