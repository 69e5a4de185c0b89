"""Two tokenizers as one: semantic units, and below them the codes of a codec."""
