"""The laws that every part must keep, for our parts and for strangers'.

Each takes a function that builds the part, and a folder to save it in:

    tokenizer_laws(lambda: MyTokenizer(MyOptions()), tmp_path)
"""

from slmkit.testing.tokenizers import tokenizer_laws
from slmkit.testing.transcribers import transcriber_laws
from slmkit.testing.vocoders import vocoder_laws

__all__ = ["tokenizer_laws", "transcriber_laws", "vocoder_laws"]
