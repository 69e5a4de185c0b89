"""Utterances as lhotse cuts and back, in the JSON layout that lhotse itself reads and writes.

lhotse imports torch, which takes seconds, so its layout is written here; the tests hold it to
lhotse's own reader and writer. One utterance is one cut with one supervision, whose times count
from the start of the cut. Own fields (split, role, reply_to, topic, and `extra`) lie in `custom`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Interval, Utterance
from slmkit.data.audio import Probe

OWN_FIELDS = ("split", "role", "reply_to", "topic")
_TIERS = {"words": "word", "phones": "phone"}


def is_cut(row: Mapping[str, Any]) -> bool:
    """Whether a row of JSON is a lhotse cut."""
    return str(row.get("type", "")).endswith("Cut") or "supervisions" in row


def cut_of(utterance: Utterance, probed: Probe, source: str) -> dict[str, Any]:
    """The cut of an utterance with sound, whose file is `probed` and named `source`.

    A file of several channels becomes a MultiCut of all of them, unless the utterance picks one.
    """
    duration = utterance.duration
    if duration is None:
        duration = round(probed.duration - utterance.start, 9)
    every = list(range(probed.channels))
    picked = utterance.extra.get("channel", 0 if probed.channels == 1 else None)
    channel = every if picked is None else picked
    supervision: dict[str, Any] = {
        "id": utterance.id,
        "recording_id": utterance.id,
        "start": 0.0,
        "duration": duration,
        "channel": channel,
        "text": utterance.text,
        "speaker": utterance.speaker,
    }
    alignment = {
        tier: [[i.label, i.start, round(i.end - i.start, 9), None] for i in intervals]
        for name, tier in _TIERS.items()
        if (intervals := getattr(utterance, name))
    }
    if alignment:
        supervision["alignment"] = alignment
    recording = {
        "id": utterance.id,
        "sources": [{"type": "file", "channels": every, "source": source}],
        "sampling_rate": probed.sample_rate,
        "num_samples": probed.samples,
        "duration": probed.duration,
        "channel_ids": every,
    }
    return {
        "id": utterance.id,
        "start": utterance.start,
        "duration": duration,
        "channel": channel,
        "supervisions": [_known(supervision)],
        "recording": recording,
        "custom": _custom(utterance),
        "type": "MultiCut" if picked is None else "MonoCut",
    }


def utterances_of(cut: Mapping[str, Any], folder: Path) -> list[Utterance]:
    """The utterances of a cut: itself where it has at most one supervision, else one for each.

    A relative file is looked for in `folder`, then (as lhotse does) in the working directory.
    Raises DataError for what cannot be read as a plain range of a plain file.
    """
    kind = cut.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut", "Cut"):
        raise DataError(f"cuts of type {kind} are made while they are read: save their audio first")
    recording = cut.get("recording")
    if recording is None:
        raise DataError("the cut names no recording")
    if recording.get("transforms"):
        raise DataError("the recording is changed while it is read: save its audio first")
    audio, channel = _source(recording, cut["channel"], folder)
    extra = dict(cut.get("custom") or {})
    if channel is not None:
        extra["channel"] = channel
    whole = Utterance(
        cut["id"], audio, start=cut["start"], duration=cut["duration"], extra=_others(extra)
    )
    whole = replace(whole, **_own(extra))
    supervisions = cut.get("supervisions") or []
    if len(supervisions) <= 1:
        return [_described(whole, supervision, 0.0) for supervision in supervisions] or [whole]
    return [
        replace(
            _described(whole, supervision, supervision["start"]),
            id=supervision["id"],
            start=whole.start + supervision["start"],
            duration=supervision["duration"],
        )
        for supervision in supervisions
    ]


def _described(whole: Utterance, supervision: Mapping[str, Any], shift: float) -> Utterance:
    """What a supervision says of a cut; its times are shifted to count from `shift`."""
    extra = {key: supervision[key] for key in ("language", "gender") if supervision.get(key)}
    extra.update(supervision.get("custom") or {})
    alignment = supervision.get("alignment") or {}
    words, phones = (
        tuple(
            Interval(label, round(begin - shift, 9), round(begin - shift + length, 9))
            for label, begin, length, *_ in alignment.get(tier, ())
        )
        for tier in _TIERS.values()
    )
    described = replace(
        whole,
        text=supervision.get("text"),
        speaker=supervision.get("speaker"),
        words=words,
        phones=phones,
        extra={**_others(extra), **whole.extra},
    )
    return replace(described, **_own(extra))


def _source(
    recording: Mapping[str, Any], channel: int | list[int], folder: Path
) -> tuple[Path, int | None]:
    """The file of a cut and the channel to take from it, None for the mean of all of them."""
    wanted = channel if isinstance(channel, list) else [channel]
    for source in recording["sources"]:
        if not set(wanted) <= set(source["channels"]):
            continue
        if source["type"] != "file":
            raise DataError(f"the recording is no file but of type '{source['type']}'")
        path = _located(Path(source["source"]), folder)
        if len(wanted) == len(source["channels"]):
            return path, None
        if len(wanted) == 1:
            return path, source["channels"].index(wanted[0])
    raise DataError(f"no file of the recording holds just the channels {wanted}, or one of them")


def _located(path: Path, folder: Path) -> Path:
    if path.is_absolute() or (folder / path).exists() or not path.exists():
        return folder / path
    return path.absolute()


def _custom(utterance: Utterance) -> dict[str, Any]:
    return {**utterance.extra, **_known({name: getattr(utterance, name) for name in OWN_FIELDS})}


def _own(custom: Mapping[str, Any]) -> dict[str, Any]:
    return {name: custom[name] for name in OWN_FIELDS if isinstance(custom.get(name), str)}


def _others(custom: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in custom.items() if key not in OWN_FIELDS}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
