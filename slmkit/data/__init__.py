"""Utterances, audio, manifests, batching, and the token store."""
