"""`slmkit speak`: let a trained run read a text aloud, in a voice of its own or in a given one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.completing import complete_run


def speak(
    run: Annotated[
        Path,
        typer.Argument(
            help="folder of a finished run of text to speech", autocompletion=complete_run
        ),
    ],
    text: Annotated[str, typer.Argument(help="what is to be said")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="where the speech goes (.wav, .flac)")
    ],
    voice: Annotated[
        Path | None,
        typer.Option(help="sound in whose voice it is said; its first seconds are heard"),
    ] = None,
    voice_text: Annotated[
        str,
        typer.Option(
            help="what is said in that sound, for models that go on from it (USLM); default: what "
            "the run's judge hears"
        ),
    ] = "",
    stage: Annotated[
        str | None, typer.Option(help="whose model speaks; default: the last that can")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the best token always")] = 1.0,
    top_k: Annotated[int, typer.Option(help="keep the k best tokens; 0: all")] = 0,
    top_p: Annotated[float, typer.Option(help="nucleus sampling; 1: all")] = 1.0,
    longest: Annotated[float, typer.Option(help="seconds of the speech at most")] = 20.0,
    retries: Annotated[
        int, typer.Option(help="times that speech is drawn anew which stays empty or never ends")
    ] = 3,
    seed: Annotated[int, typer.Option(help="of the sampling")] = 0,
) -> None:
    """Say a text; what fails is drawn anew, and nothing is written where it fails again."""
    from slmkit.api import SlmkitError
    from slmkit.data.audio import read_audio, write_audio
    from slmkit.generation.sampling import Sampling
    from slmkit.recipe.reader import open_reader

    sampling = Sampling(temperature, top_k, top_p, seed=seed)
    reader = open_reader(run, stage)
    heard = None
    if voice is not None:
        wav = read_audio(voice, reader.tokenizer.spec.sample_rate)
        heard = reader.hear(wav, str(voice), voice_text)
        if reader.reading.goes_on and not voice_text.strip():
            voice_text = reader.words_in(wav, str(voice))
            typer.echo(f"voice: the judge hears '{voice_text}' (or tell: --voice-text)", err=True)
        listened = heard.shape[1] / reader.lm.spec.frame_rate
        if len(wav) > listened * reader.tokenizer.spec.sample_rate:
            typer.echo(f"voice: the first {listened:.1f} s of {voice} are heard", err=True)
    (said,) = reader.read([text], heard, sampling, longest, retries, voice_text)
    if said.failure is not None:
        times = "once" if said.tries == 1 else f"{said.tries} times"
        raise SlmkitError(
            f"the speech was {said.failure}, tried {times}; nothing was written (other seeds, a "
            f"lower temperature or top_p, or more training may help)"
        )
    wave = reader.sound(said.codes)
    write_audio(output, wave.numpy(), reader.vocoder.sample_rate)
    seconds = len(wave) / reader.vocoder.sample_rate
    typer.echo(f"spoken: {output} ({seconds:.2f} s, tries: {said.tries})")
