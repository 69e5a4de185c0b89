"""Corpora read from files: manifests, folders, recorded digits."""
