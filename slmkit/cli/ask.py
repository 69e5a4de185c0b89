"""`slmkit ask`: put a question to a trained run, by voice or in writing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.choosing import VoiceName
from slmkit.cli.completing import complete_run


def ask(
    run: Annotated[
        Path,
        typer.Argument(
            help="folder of a finished run, such as runs/speechgpt", autocompletion=complete_run
        ),
    ],
    question: Annotated[Path | None, typer.Argument(help="a spoken question (audio file)")] = None,
    text: Annotated[str | None, typer.Option(help="a written question instead")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="where the spoken answer goes (.wav, .flac)"),
    ] = None,
    prompting: Annotated[
        str, typer.Option(help="chain (transcribe, think, speak) or direct")
    ] = "chain",
    temperature: Annotated[float, typer.Option(help="0 takes the best token always")] = 0.0,
    top_k: Annotated[int, typer.Option(help="keep the k best tokens; 0: all")] = 0,
    top_p: Annotated[float, typer.Option(help="nucleus sampling; 1: all")] = 1.0,
    longest: Annotated[int, typer.Option(help="most tokens of the answer")] = 512,
    seed: Annotated[int, typer.Option(help="of the sampling")] = 0,
    voice: VoiceName = None,
) -> None:
    """Ask a trained run; with `-o` it speaks, without it writes."""
    from slmkit.api import SlmkitError, UnknownNameError

    if (question is None) == (text is None):
        raise SlmkitError('give one question: an audio file, or --text "..."')
    if prompting not in ("chain", "direct"):
        raise UnknownNameError("prompting", prompting, ("chain", "direct"))
    import torch

    from slmkit.data.audio import read_audio, write_audio
    from slmkit.generation.sampling import Sampling
    from slmkit.recipe.assistant import open_assistant

    sound = None if question is None else read_audio(question)
    assistant = open_assistant(run, prompting)
    format = f"{'text' if sound is None else 'speech'}-{'text' if output is None else 'speech'}"
    sampling = Sampling(
        temperature, top_k, top_p, most=longest, stop=assistant.style.stop, seed=seed
    )
    asked = text or "" if sound is None else assistant.hear(torch.from_numpy(sound))
    (reply,) = assistant.ask_many([asked], format, sampling)
    if reply.transcript is not None:
        typer.echo(f"heard:  {reply.transcript}")
    if reply.text is not None:
        typer.echo(f"answer: {reply.text}")
    if output is None:
        return
    if reply.codes is None:
        raise SlmkitError("the model gave no speech to this question; nothing was written")
    from slmkit.data.speaking import voice_of

    (wav,) = assistant.speak([reply.codes], voice_of(assistant.vocoder, voice))
    write_audio(output, wav.numpy(), assistant.vocoder.sample_rate)
    typer.echo(f"spoken: {output}")
