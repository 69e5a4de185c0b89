"""`slmkit decode`: kept codes into sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slmkit.cli.choosing import (
    Saved,
    TokenizerName,
    VocoderName,
    VoiceName,
    choose_vocoder,
    must_decode,
)

if TYPE_CHECKING:
    from slmkit.api import Tokenizer, Vocoder
    from slmkit.data.archive import CodeArchive
    from slmkit.data.store import TokenStore


def decode(
    codes: Annotated[Path, typer.Argument(help="A token store, or an .npz file of 'encode'.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of the tokenizer."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the sounds, .flac each.")
    ] = Path("decoded"),
    tokenizer: TokenizerName = None,
    saved: Saved = None,
    vocoder: VocoderName = None,
    voice: VoiceName = None,
) -> None:
    """Make kept codes audible, with the tokenizer that made them unless another is named."""
    from slmkit.data.archive import SUFFIX, CodeArchive
    from slmkit.data.store import TokenStore
    from slmkit.recipe.watch import default_watch

    kept = CodeArchive.open(codes) if codes.suffix == SUFFIX else TokenStore.open(codes)
    part = _speaker(kept, tokenizer, saved, vocoder, values or [])
    from slmkit.data.speaking import Voice, speak_rows, voice_of

    spoken_by = Voice(part, voice_of(part, voice))

    count, seconds = 0, 0.0
    with default_watch().progress("decoding", len(kept.ids())) as progress:
        for _, length in speak_rows(kept.rows(), kept.spec, spoken_by, output, codes):
            count, seconds = count + 1, seconds + length
            progress(count)
    typer.echo(
        f"{output}: {count} sounds, {seconds / 3600:.2f} hours at {spoken_by.sample_rate} Hz"
    )


def _speaker(
    kept: TokenStore | CodeArchive,
    tokenizer: str | None,
    saved: Path | None,
    vocoder: str | None,
    values: list[str],
) -> Tokenizer | Vocoder:
    """What is to speak; said before anything is built if it cannot."""
    from slmkit.recipe.chosen import Chosen, choose

    chosen_vocoder, values = choose_vocoder(vocoder, values)
    if chosen_vocoder is not None:
        built: Vocoder = chosen_vocoder.build(spec=kept.spec)
        return built
    if tokenizer is not None or saved is not None:
        chosen = choose("tokenizer", tokenizer, saved, values)
    elif kept.made_by is not None:
        chosen = Chosen.from_dict("tokenizer", kept.made_by, values)
    else:
        from slmkit.api import DataError

        raise DataError(f"{kept.folder}: it does not say what made its codes: give -t or --from")
    if chosen.fingerprint() != kept.fingerprint:
        text = f"{kept.folder}: made by another tokenizer, or with other options or weights"
        typer.echo(f"warning: {text}; decoding as told", err=True)
    must_decode(chosen)
    decoder: Tokenizer = chosen.build()
    return decoder
