"""What must be there before anything is measured, as tasks for other processes: a judge that was
trained, and the codes of a tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from slmkit.api import SlmkitError
from slmkit.benchmark.data import Prepared
from slmkit.benchmark.pieces import Subject
from slmkit.benchmark.protocol import Judge
from slmkit.recipe.chosen import Chosen
from slmkit.recipe.seeding import seed_all

UNFINISHED = ".unfinished"


def judge_task(
    judge: Chosen, settings: Judge, prepared: Prepared, seed: int, folder: Path
) -> Callable[[], Any]:
    """Trains a judge into a folder; answers as `code_task` does."""
    return partial(_judge, judge.to_dict(), settings, prepared, seed, folder)


def code_task(subject: Subject, prepared: Prepared) -> Callable[[], Any]:
    """Codes the speech with a tokenizer; answers what was left out, or in words why nothing could
    be coded."""
    return partial(_code, subject, prepared)


def _judge(
    chosen: dict[str, Any], settings: Judge, prepared: Prepared, seed: int, folder: Path
) -> dict[str, Any] | str:
    import shutil

    from slmkit.benchmark.judges import train_judge

    seed_all(seed)
    known = prepared.utterances()
    train, dev = ([known[id] for id in prepared.subsets[name]] for name in ("train", "dev"))
    work = folder.with_name(folder.name + UNFINISHED)
    try:
        train_judge(chosen, settings, train, dev, seed, folder, work)
    except SlmkitError as error:
        return str(error)
    shutil.rmtree(work, ignore_errors=True)
    return {"faults": {}}


def _code(subject: Subject, prepared: Prepared) -> dict[str, Any] | str:
    from slmkit.benchmark.coding import make_codes

    seed_all(0)
    try:
        return make_codes(
            subject.chosen,
            subject.fingerprint,
            prepared,
            subject.protocol.fit,
            subject.codes,
            _quiet,
        )
    except SlmkitError as error:
        return str(error).splitlines()[0]
    except Exception as error:
        # a stranger's tokenizer may raise anything, and must not take the others with it
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _quiet(done: int, total: int | None = None, text: str = "") -> None:
    """Several tokenizers may code side by side."""
