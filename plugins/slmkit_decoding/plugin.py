"""Layouts, heads and decoding strategies."""
