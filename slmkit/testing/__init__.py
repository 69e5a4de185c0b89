"""The laws that every part must keep, for our parts and for strangers'."""
