"""How good a codec is: its copies, its codebooks, the voices in it, and the text in its codes."""
