"""Parts made of log-mel frames: the tokenizers `mel-km`, `mel-rvq`, the vocoder `griffin-lim`."""
