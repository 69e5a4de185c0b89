"""Writes a package that offers a part of its own, to begin with."""
