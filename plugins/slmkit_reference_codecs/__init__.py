"""The packages `encodec` and `speechtokenizer` as they are, for cross-checks of our own codecs."""
