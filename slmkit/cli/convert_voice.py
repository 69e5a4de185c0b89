"""`slmkit convert-voice`: what one sound says, as another sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.choosing import Saved, TokenizerName, must_decode


def convert_voice(
    source: Annotated[Path, typer.Argument(help="Says the words (audio file).")],
    reference: Annotated[Path, typer.Argument(help="Has the voice (audio file).")],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of the tokenizer."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where the sound goes (.wav, .flac).")
    ] = Path("converted.wav"),
    tokenizer: TokenizerName = None,
    saved: Saved = None,
) -> None:
    """Speak the words of one sound in the voice of another, without training.

    The first codebook comes from the source, the others from the reference, which are repeated or
    cut to the source's length. This takes a tokenizer whose first codebook holds what is said.
    """
    from slmkit.api import MisfitError
    from slmkit.recipe.chosen import choose

    chosen = choose("tokenizer", tokenizer, saved, values or ())
    must_decode(chosen)
    if not chosen.can.semantic_first:
        raise MisfitError(
            f"tokenizer '{chosen.name}' does not keep what is said in its first codebook: take one "
            f"that does, such as speechtokenizer ('semantic first' in 'slmkit show')"
        )
    import torch

    from slmkit.codecs.conversion import convert_voice as exchange
    from slmkit.data.audio import read_audio, write_blocks
    from slmkit.data.speaking import Voice

    coder = chosen.build()
    rate = coder.spec.sample_rate
    waves = [torch.from_numpy(read_audio(path, rate)) for path in (source, reference)]
    with torch.inference_mode():
        codes = [coder.encode(wav[None], torch.tensor([len(wav)])) for wav in waves]
    voice = Voice(coder)
    written = write_blocks(output, voice.blocks(exchange(*codes)), voice.sample_rate)
    typer.echo(f"{output}: {written / voice.sample_rate:.2f} s")
