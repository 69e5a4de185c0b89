"""`slmkit resynth`: sound into codes and back, to hear what a tokenizer keeps."""

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
    split,
)

if TYPE_CHECKING:
    from slmkit.api import CodeSpec
    from slmkit.data.speaking import Copied


def resynth(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [KEY=VALUE]...",
            help="Files, folders, globs, manifests (.jsonl); options of the tokenizer.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="A .wav or .flac file for one sound, else a folder."),
    ],
    tokenizer: TokenizerName = None,
    saved: Saved = None,
    vocoder: VocoderName = None,
    voice: VoiceName = None,
) -> None:
    """Code sound, speak the codes, and print what that costs.

    Frame rate, codebooks and bits per second; how far the copies' durations are off; and the
    real-time factor, the time that it takes for a second of sound, reading and writing included.
    """
    from slmkit.api import SlmkitError
    from slmkit.data.sources import find_utterances
    from slmkit.recipe.chosen import choose
    from slmkit.recipe.watch import default_watch

    names, values = split(inputs)
    spoken_by, values = choose_vocoder(vocoder, values)
    chosen = choose("tokenizer", tokenizer, saved, values)
    utterances = find_utterances(names)
    single = output.suffix.lower() in (".wav", ".flac")
    if single and len(utterances) > 1:
        raise SlmkitError(f"{output}: one file for {len(utterances)} sounds: give a folder")
    if spoken_by is None:
        must_decode(chosen)
    from slmkit.data.speaking import Voice, place_in, resynthesize, voice_of

    coder = chosen.build()
    part = coder if spoken_by is None else spoken_by.build(spec=coder.spec)
    speaker = Voice(part, voice_of(part, voice))
    speaker.check(coder.spec, f"tokenizer '{chosen.name}'")
    copies = []
    with default_watch().progress("copying", len(utterances)) as progress:
        for utterance in utterances:
            file = output if single else place_in(output, utterance.id)
            copies.append(resynthesize(utterance, coder, speaker, file))
            progress(len(copies))
    typer.echo("\n".join(_account(coder.spec, copies)))


def _account(spec: CodeSpec, copies: list[Copied]) -> list[str]:
    sound = sum(copy.sound_s for copy in copies)
    factor = sum(copy.seconds for copy in copies) / sound
    errors = [1000 * (copy.copy_s - copy.sound_s) for copy in copies]
    worst = max(errors, key=abs)
    sizes = sorted(set(spec.codebook_sizes))
    facts = {
        "frame rate": f"{spec.frame_rate:g} Hz",
        "codebooks": f"{spec.codebooks} x {' or '.join(map(str, sizes))}",
        "bit rate": f"{spec.bits_per_second:.0f} bits per second",
        "sounds": f"{len(copies)}, {sound:.1f} s",
        "duration": f"off by {worst:+.1f} ms{' at most' if len(copies) > 1 else ''}",
        "real time": f"factor {factor:.3f}",
    }
    return [f"{name:<11} {value}" for name, value in facts.items()]
