"""Parts made of log-mel frames: the `mel-km` tokenizer and the `griffin-lim` vocoder."""
