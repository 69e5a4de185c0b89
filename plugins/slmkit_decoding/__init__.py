"""Layouts, heads, refiners and decoding strategies."""
