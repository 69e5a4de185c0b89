"""Vocabulary, segments on a grid, and the speech language model."""
