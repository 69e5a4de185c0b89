"""Transcribers that judge speech."""
