"""The laws that every part must keep, for our parts and for strangers'.

A part that is declared is held to the laws of its kind by name; most take a folder to save it in:

    check_part("tokenizer", "my-codec", tmp_path, {"clusters": 16})

The laws themselves take a function that builds the part:

    tokenizer_laws(lambda: MyTokenizer(MyOptions()), tmp_path)

For tokenizers one line does, and says what was found; `slmkit.pytest_plugin` makes it a fixture:

    print(check_tokenizer(lambda: MyTokenizer(MyOptions())))

A decoding strategy is put to work with a tiny model:

    check_decoding(MyStrategy(MyOptions()))
"""

from slmkit.testing.backbones import backbone_laws
from slmkit.testing.corpora import corpus_laws
from slmkit.testing.decodings import decoding_laws, head_laws
from slmkit.testing.metrics import metric_laws
from slmkit.testing.options import options_laws
from slmkit.testing.parts import check_part
from slmkit.testing.refiners import refiner_laws
from slmkit.testing.speakers import speaker_encoder_laws
from slmkit.testing.strategies import check_decoding
from slmkit.testing.tally import Tally
from slmkit.testing.texts import text_laws
from slmkit.testing.tokenizers import check_tokenizer, tokenizer_laws
from slmkit.testing.transcribers import transcriber_laws
from slmkit.testing.vocoders import vocoder_laws, vocoder_streaming_laws

__all__ = [
    "Tally",
    "backbone_laws",
    "check_decoding",
    "check_part",
    "check_tokenizer",
    "corpus_laws",
    "decoding_laws",
    "head_laws",
    "metric_laws",
    "options_laws",
    "refiner_laws",
    "speaker_encoder_laws",
    "text_laws",
    "tokenizer_laws",
    "transcriber_laws",
    "vocoder_laws",
    "vocoder_streaming_laws",
]
