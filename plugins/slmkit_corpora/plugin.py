"""Corpora read from files: manifests, folders, and questions composed of recorded digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slmkit.api import Can, Declaration, hookimpl, option, part_option


@dataclass
class ManifestOptions:
    """Which manifest, and what becomes of rows without sound."""

    manifest: str = option(
        help="path of a lhotse CutSet or of plain JSON lines (.jsonl, .jsonl.gz)"
    )
    on_error: str = option(
        "stop",
        "what a missing or broken file does: 'stop' (checks headers), or 'skip' (reads every file "
        "to its end, names and counts what is left out)",
    )
    splits: dict[str, str] = option(
        help="splits by other names: {extra: train}", default_factory=dict
    )


@dataclass
class UnionOptions:
    """Which two corpora."""

    one: dict[str, Any] = part_option(
        "corpus", "manifest", "a corpus: {part: NAME, ...options}; its utterances come first"
    )
    other: dict[str, Any] = part_option("corpus", "spoken-qa", "another one")


@dataclass
class FolderOptions:
    """Which folder."""

    path: str = option(
        help="folder of audio files, each with its text beside it as .txt; a top folder named "
        "train, dev or test gives the split, the folder around a file its speaker"
    )


@dataclass
class SpokenDigitsOptions:
    """How many questions are composed, and of which recordings."""

    manifest: str = option(help="manifest with recordings of single digits (text zero to nine)")
    questions: int = option(2000, "spoken questions to learn from")
    dev: int = option(60, "held-out questions for development, of recordings of split dev")
    test: int = option(240, "held-out questions, of recordings of split test")
    words: int = option(1500, "utterances of random digits, for judges")
    seed: int = option(0, "decides what is held out, who asks, and which recordings are used")
    assistant: str | None = option(
        None, "speaker who answers; unset: the one with most recordings, then by name"
    )
    gap_ms: int = option(80, "silence between two digits, milliseconds")


@hookimpl
def slmkit_corpora() -> list[Declaration]:
    return [
        Declaration(
            name="manifest",
            summary="utterances listed in a file: lhotse cuts, or plain JSON lines",
            target="slmkit_corpora.manifest:Manifest",
            options=ManifestOptions,
            can=Can(audio=True, dialogue=True),
            source="lhotse's CutSet (Zelasko et al. 2021, arXiv:2110.12561)",
        ),
        Declaration(
            name="folder",
            summary="audio files in a folder, each with its text beside it as .txt",
            target="slmkit_corpora.folder:Folder",
            options=FolderOptions,
        ),
        Declaration(
            name="union",
            summary="two corpora as one: recorded speech beside synthesized, or several manifests",
            target="slmkit_corpora.union:Union",
            options=UnionOptions,
            can=Can(audio=True, dialogue=True),
        ),
        Declaration(
            name="spoken-digits",
            summary="questions and answers composed of recorded single digits",
            target="slmkit_corpora.spoken_digits:SpokenDigits",
            options=SpokenDigitsOptions,
            can=Can(audio=True, dialogue=True),
            source="made for the Free Spoken Digit Dataset; takes any manifest of digits",
        ),
    ]
