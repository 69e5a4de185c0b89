"""How things show themselves: SVG and HTML out of plain values, by the standard library alone."""
