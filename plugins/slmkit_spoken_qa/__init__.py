"""The embedded corpus: spoken questions and answers over a small world."""
