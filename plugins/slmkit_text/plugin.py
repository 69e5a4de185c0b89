"""Text tokenizers."""

from dataclasses import dataclass

from slmkit.api import Declaration, hookimpl, option


@dataclass(frozen=True)
class BpeOptions:
    """Options of `bpe`."""

    size: int = option(512, "most ids; the 256 bytes are always among them")


@dataclass(frozen=True)
class CharactersOptions:
    """Options of `characters`."""

    alphabet: str | None = option(None, "the characters, in the order of their ids; else fitted")


@dataclass(frozen=True)
class HfTextOptions:
    """Options of `hf`."""

    model: str = option(help="folder or hub id of a tokenizer of transformers")


BOS, EOS = "<bos>", "<eos>"


@dataclass(frozen=True)
class PhonemesOptions:
    """Options of `phonemes`."""

    language: str = option("en-us", "as espeak-ng names it")
    symbols: list[str] = option(
        help="symbols in the order of their ids; none: those of English, and what is fitted",
        default_factory=list,
    )
    rows: int = option(0, "ids, of which the last stand for nothing; 0: one for each symbol")
    ends: bool = option(False, "<bos> before and <eos> behind a text, two of the symbols")

    def __post_init__(self) -> None:
        if self.ends and not {BOS, EOS} <= set(self.symbols):
            raise ValueError(f"with ends, {BOS} and {EOS} are among the symbols")
        if self.rows and not 0 < len(self.symbols) <= self.rows:
            raise ValueError("rows are as many as the symbols that are given, or more")


@hookimpl
def slmkit_texts() -> list[Declaration]:
    return [
        Declaration(
            name="bpe",
            summary="byte-level byte-pair encoding, trained on the corpus; writes any text",
            target="slmkit_text.bpe:Bpe",
            options=BpeOptions,
            requires=("tokenizers",),
            source="BPE (Sennrich et al. 2016), over bytes (GPT-2, Radford et al. 2019)",
        ),
        Declaration(
            name="characters",
            summary="an id for each character, of the corpus or of a given alphabet",
            target="slmkit_text.characters:Characters",
            options=CharactersOptions,
        ),
        Declaration(
            name="hf",
            summary="any tokenizer of transformers, by folder or hub id",
            target="slmkit_text.hf:HfText",
            options=HfTextOptions,
            source="Hugging Face transformers; licence and terms are the model's",
        ),
        Declaration(
            name="phonemes",
            summary="phonemes by espeak-ng (GPL-3, extra), as VALL-E and USLM read text; one way",
            target="slmkit_text.phonemes:Phonemes",
            options=PhonemesOptions,
            requires=("phonemizer", "espeakng_loader"),
            source="espeak-ng through phonemizer; symbols as in USLM (Zhang et al. 2024)",
        ),
    ]
