"""Codecs of transformers as tokenizers, through one adapter."""
