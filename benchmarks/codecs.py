"""Bars of the speech tokenizers: `python -m benchmarks.codecs [--minutes 60] [--only NAME ...]`.

Needs the packages `encodec` and `speechtokenizer` (`tests/reference/requirements.txt`). All weights
are random. Everything runs on two threads of the processor; where there is a GPU, once more there,
with `--bf16` and `--compile` as variants of ours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import codecs_long, codecs_speed
from benchmarks.rows import Row, publish

GPU_BATCHES = (1, 8, 32, 64)


def encodec(given: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Speed against the package and transformers, streaming, an hour."""
    contest = codecs_speed.encodec(folder)
    yield from codecs_speed.on_processor(contest, given.rounds, given.batches)
    yield from codecs_speed.streaming(contest)
    yield from codecs_long.against_the_whole(contest, causal=True)
    values = {"weights": str(folder / "encodec.th"), "kbps": codecs_speed.KBPS}
    yield from codecs_long.hour("EnCodec", "encodec", values, given.minutes)
    yield from _on_gpu(given, contest)


def speechtokenizer(given: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Speed against the package, an hour."""
    contest = codecs_speed.speechtokenizer(folder)
    yield from codecs_speed.on_processor(contest, given.rounds, given.batches)
    yield from codecs_long.against_the_whole(contest, causal=False)
    values = {"weights": str(folder / "speechtokenizer.pt")}
    yield from codecs_long.hour("SpeechTokenizer", "speechtokenizer", values, given.minutes)
    yield from _on_gpu(given, contest)


def _on_gpu(given: argparse.Namespace, contest: codecs_speed.Contest) -> Iterator[Row]:
    if torch.cuda.is_available():
        variants = [name for name in ("bf16", "compile") if getattr(given, name)]
        device = torch.device("cuda")
        yield from codecs_speed.on_device(contest, device, given.rounds, GPU_BATCHES, variants)


def folder(given: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """A finished folder of 1,000 files."""
    yield from codecs_long.finished_folder(folder)


def hubert(given: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """HuBERT units and k-means."""
    from benchmarks.codecs_hubert import rows

    yield from rows()


CHAPTERS: dict[str, Callable[[argparse.Namespace, Path], Iterator[Row]]] = {
    "encodec": encodec,
    "speechtokenizer": speechtokenizer,
    "folder": folder,
    "hubert": hubert,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CHAPTERS, default=list(CHAPTERS))
    parser.add_argument("--minutes", type=float, default=60, help="length of the long file")
    parser.add_argument("--rounds", type=int, default=5, help="counted repeats of each work")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="on the processor")
    parser.add_argument("--bf16", action="store_true", help="ours in bfloat16 too, on a GPU")
    parser.add_argument("--compile", action="store_true", help="and by torch.compile")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    # the packages use torch's older weight norm
    warnings.simplefilter("ignore", FutureWarning)
    rows = []
    for chapter in given.only:
        if chapter in ("encodec", "speechtokenizer") and find_spec(chapter) is None:
            print(f"{chapter} is not installed (tests/reference/requirements.txt): left out")
            continue
        with tempfile.TemporaryDirectory() as made:
            for row in CHAPTERS[chapter](given, Path(made)):
                print(f"... {row.what}: {row.value:.4g} {row.unit}", file=sys.stderr)
                rows.append(row)
    command = " ".join(["python -m benchmarks.codecs", *sys.argv[1:]])
    publish("codecs", rows, command)


if __name__ == "__main__":
    main()
