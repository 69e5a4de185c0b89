"""Whistled notes as a language: what a package outside slmkit looks like."""
