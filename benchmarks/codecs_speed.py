"""Speed of EnCodec and SpeechTokenizer beside their packages and transformers, in one process.

Everyone has the same random weights, whose codes vary (`tests/oracles.py`), and the same sounds.
Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from slmkit_reference_codecs.speechtokenizer import PUBLISHED
from slmkit_reference_codecs.stand_in import load_reference
from torch import Tensor

from benchmarks.rows import Row
from benchmarks.timing import faster_peer, in_turn, threads
from slmkit.api import Codes
from slmkit.host import build
from tests import oracles

SECONDS = 10
KBPS = 6.0
CHUNK_S = 0.08


@dataclass(frozen=True)
class Peer:
    """Somebody else's codec: waves [b, n] to codes [b, k, t] and back to [b, n]."""

    name: str
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contest:
    """One codec of ours, and those it is measured against; the first of `models` is the package's.

    `peers` are the models' names and functions, in the order of `models`.
    """

    name: str
    part: Any
    peers: tuple[Peer, ...]
    models: tuple[Any, ...]

    def to(self, device: torch.device) -> None:
        """Move everyone to another device."""
        for model in (self.part, *self.models):
            model.to(device)

    def differing(self, wav: Tensor, ours: Tensor, theirs: Tensor) -> tuple[int, int]:
        """Frames of one wave [n] whose codes [k, t] differ by more than a tie, and by a tie."""
        package = self.models[0]
        latents = package.encoder(wav[None, None])[0].T
        return oracles.differing(package, latents, ours, theirs)


def encodec(folder: Path) -> Contest:
    """EnCodec 24 kHz at 6 kbps: ours, the package's, transformers'."""
    model: Any = oracles.encodec_24khz(load_reference("encodec"))
    model.set_target_bandwidth(KBPS)
    torch.save(model.state_dict(), folder / "encodec.th")
    theirs: Any = oracles.encodec_of_transformers(model)
    package = Peer(
        "encodec",
        lambda wav: model.encode(wav[:, None])[0][0],
        lambda codes: model.decode([(codes, None)])[:, 0],
    )
    transformers = Peer(
        "transformers",
        lambda wav: theirs.encode(wav[:, None], bandwidth=KBPS).audio_codes[0],
        lambda codes: theirs.decode(codes[None], [None]).audio_values[:, 0],
    )
    part = build("tokenizer", "encodec", {"weights": str(folder / "encodec.th"), "kbps": KBPS})
    return Contest("EnCodec 24 kHz 6 kbps", part, (package, transformers), (model, theirs))


def speechtokenizer(folder: Path) -> Contest:
    """SpeechTokenizer at its published sizes: ours and the package's."""
    model: Any = oracles.speech_tokenizer(load_reference("speechtokenizer"), PUBLISHED)
    torch.save(model.state_dict(), folder / "speechtokenizer.pt")
    package = Peer(
        "speechtokenizer",
        lambda wav: model.encode(wav[:, None]).transpose(0, 1),
        lambda codes: model.decode(codes.transpose(0, 1))[:, 0],
    )
    part = build("tokenizer", "speechtokenizer", {"weights": str(folder / "speechtokenizer.pt")})
    return Contest("SpeechTokenizer", part, (package,), (model,))


def on_processor(contest: Contest, rounds: int, batches: Sequence[int] = (1, 8)) -> Iterator[Row]:
    """Encode and decode on two threads, fp32, against the bars."""
    with threads(2), torch.inference_mode():
        for size in batches:
            yield from _against_peers(contest, size, rounds, torch.device("cpu"), 1.3)


def on_device(
    contest: Contest,
    device: torch.device,
    rounds: int,
    batches: Sequence[int],
    variants: Sequence[str],
) -> Iterator[Row]:
    """The same on another device, no bars; then ours in bfloat16 and compiled, where asked for."""
    contest.to(device)
    with torch.inference_mode():
        for size in batches:
            yield from _against_peers(contest, size, rounds, device, None)
            for variant in variants:
                yield from _variant(contest, size, rounds, device, variant)


def _against_peers(
    contest: Contest, size: int, rounds: int, device: torch.device, bar: float | None
) -> Iterator[Row]:
    part = contest.part
    wav, lengths = sounds(part.spec.sample_rate, size)
    wav = wav.to(device)
    codes = part.encode(wav, lengths)
    encoding = in_turn(
        {"ours": lambda: part.encode(wav, lengths)}
        | {peer.name: lambda peer=peer: peer.encode(wav) for peer in contest.peers},
        rounds,
    )
    decoding = in_turn(
        {"ours": lambda: part.decode(codes)}
        | {peer.name: lambda peer=peer: peer.decode(codes.values) for peer in contest.peers},
        rounds,
    )
    where = f"{contest.name}, {SECONDS} s, batch {size}, {device.type}"
    for what, times in (("encode", encoding), ("decode", decoding)):
        peer, ratio = faster_peer(times, "ours")
        yield Row(
            f"{where}: {what}, times as fast as the faster peer",
            ratio, "x", bar, "at least", n=rounds, peer=peer, ratio=ratio,
        )  # fmt: skip
        for name, found in times.items():
            speed = SECONDS * size / statistics.median(found)
            yield Row(f"{where}: {what}, {name}, seconds of sound a second", speed, "s")
    for peer in contest.peers:
        yield from _agreement(contest, peer, where, wav, codes)


def _agreement(
    contest: Contest, peer: Peer, where: str, wav: Tensor, codes: Codes
) -> Iterator[Row]:
    """Our codes in the batch against the peer's of each row alone, and our waves of those."""
    counted = [
        contest.differing(row, ours, peer.encode(row[None])[0])
        for row, ours in zip(wav, codes.values, strict=True)
    ]
    yield from frames_that_differ(
        f"{where}, against {peer.name}", counted, int(codes.lengths.sum())
    )
    spoken = contest.part.decode(codes)[0]
    theirs = torch.cat([peer.decode(row[None]) for row in codes.values])
    apart = float((theirs - spoken).abs().max() / max(1.0, float(theirs.abs().max())))
    yield Row(f"{where}, against {peer.name}: waves differ, of the peak, by", apart, "", 1e-5)


def frames_that_differ(what: str, counted: Sequence[tuple[int, int]], frames: int) -> Iterator[Row]:
    """Rows of what `Contest.differing` counted of several waves."""
    wrong, ties = (sum(each) for each in zip(*counted, strict=True))
    yield Row(f"{what}: frames of other codes", wrong, "frames", 0, n=frames)
    yield Row(f"{what}: frames of other codes by a tie", ties, "frames", n=frames)


def _variant(
    contest: Contest, size: int, rounds: int, device: torch.device, variant: str
) -> Iterator[Row]:
    """Ours in bfloat16 (`bf16`) or by torch.compile (`compile`): speed, and how many codes stay."""
    part = contest.part
    wav, lengths = sounds(part.spec.sample_rate, size)
    wav = wav.to(device)
    plain = part.encode(wav, lengths).values
    if variant == "compile":
        for network in (part.codec.encoder, part.codec.decoder):
            network.compile(dynamic=False)
    context = torch.autocast(device.type, torch.bfloat16) if variant == "bf16" else nullcontext()
    with context:
        times = in_turn({variant: lambda: part.encode(wav, lengths)}, rounds)[variant]
        codes = part.encode(wav, lengths).values
    if variant == "compile":
        for network in (part.codec.encoder, part.codec.decoder):
            network._compiled_call_impl = None
    where = f"{contest.name}, {SECONDS} s, batch {size}, {device.type}, {variant}"
    speed = SECONDS * size / statistics.median(times)
    yield Row(f"{where}: encode, seconds of sound a second", speed, "s", n=rounds)
    same = 100 * float((codes == plain).double().mean())
    yield Row(f"{where}: codes as in float32", same, "%", n=codes.numel())
    same = 100 * float((codes[:, 0] == plain[:, 0]).double().mean())
    yield Row(
        f"{where}: codes of the first codebook as in float32", same, "%", n=codes[:, 0].numel()
    )


def streaming(contest: Contest) -> Iterator[Row]:
    """EnCodec chunk by chunk on one core: time a chunk, and whether the codes are the whole's."""
    part = contest.part
    rate = part.spec.sample_rate
    wav, lengths = sounds(rate, 1)
    whole = part.encode(wav, lengths).values
    state, times, found = part.empty_state(1), [], []
    with threads(1), torch.inference_mode():
        for chunk in wav.split(round(CHUNK_S * rate), dim=1):
            begun = time.perf_counter()
            codes, state = part.step(chunk, state)
            times.append(time.perf_counter() - begun)
            found.append(codes.values)
    found.append(part.finish(state).values)
    heard = torch.cat(found, dim=2)
    counted = sorted(1000 * seconds for seconds in times[5:])
    what = f"EnCodec streaming, a chunk of {1000 * CHUNK_S:.0f} ms on one core"
    yield Row(f"{what}, median", statistics.median(counted), "ms", 20, n=len(counted))
    yield Row(f"{what}, 95th percentile", counted[int(0.95 * len(counted))], "ms", n=len(counted))
    if heard.shape != whole.shape:
        raise ValueError(f"{what}: codes {tuple(heard.shape)}, not {tuple(whole.shape)}")
    with torch.inference_mode():
        differing = contest.differing(wav[0], heard[0], whole[0])
    yield from frames_that_differ(
        "EnCodec streaming, against the whole", [differing], whole.shape[2]
    )


def sounds(sample_rate: int, size: int) -> tuple[Tensor, Tensor]:
    """Test sounds one after the other, cut into rows of equal length: (wav [b, n], lengths)."""
    samples = SECONDS * sample_rate
    joined = torch.cat(
        [wav[0] for first in (0, 4, 6) for wav in oracles.sounds(sample_rate, first=first)]
    )
    rows = [joined.roll(-row * sample_rate * 3).repeat(SECONDS)[:samples] for row in range(size)]
    return torch.stack(rows), torch.full((size,), samples)
