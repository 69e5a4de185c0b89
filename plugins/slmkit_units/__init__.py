"""Shorter sequences of units: merged neighbours, and byte-pair encoding over them."""
