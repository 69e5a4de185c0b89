"""Text and speech of an answer together: one after the other, in turn, or side by side."""
