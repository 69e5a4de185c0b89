"""Codecs learn from sound, and what is said from a teacher."""
