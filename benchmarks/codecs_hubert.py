"""Bars of HuBERT units, side by side with transformers and scikit-learn in one process.

hubert-base's dimensions with random weights; the ratio of two times is the median of rounds in
which both run one after the other, so that what else the machine does weighs on both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.rows import Row
from slmkit.codecs.kmeans import assign
from slmkit.host import build

LAYER, CLUSTERS, RATE = 9, 500, 16000
CLOSE = 1e-5
"""Relative difference of two squared distances below which either centroid is right."""


def rows(utterances: int = 100, threads: int = 2, rounds: int = 3) -> Iterator[Row]:
    """Encoding against transformers one by one, k-means against scikit-learn, long sounds."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = random_model(Path(folder))
            yield from encoding(model, Path(folder), utterances, threads, rounds)
            yield from long_sounds(model, Path(folder))
    finally:
        torch.set_num_threads(before)


def random_model(folder: Path) -> Path:
    """hubert-base up to the layer that is used, with random weights."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    HubertModel(HubertConfig(num_hidden_layers=LAYER)).save_pretrained(folder / "hubert")
    return folder / "hubert"


def encoding(
    model: Path, folder: Path, utterances: int, threads: int, rounds: int
) -> Iterator[Row]:
    """Utterances of 1 to 15 s: codes, speed, and the share of k-means in it."""
    from transformers import HubertModel

    theirs: Any = HubertModel.from_pretrained(model).eval()
    waves = mixed(utterances)
    with torch.inference_mode():
        hidden = [theirs(wave[None]).last_hidden_state[0] for wave in waves]
    ours = tokenizer(model, centroids(torch.cat(hidden), folder))
    different, close, frames = compared(ours, waves, hidden)

    @torch.inference_mode()
    def reference() -> None:
        for wave in waves:
            predicted(theirs(wave[None]).last_hidden_state[0], ours.centroids)

    def batched() -> None:
        for some in batches(waves, 8):
            ours.encode(*some)

    def singly() -> None:
        for wave in waves:
            ours.encode(wave[None], torch.tensor([len(wave)]))

    times = side_by_side([reference, batched, singly], rounds)
    seconds = sum(map(len, waves)) / RATE
    note = f"{utterances} utterances of 1-15 s, {threads} threads"
    speed = median_ratio(times[0], times[1])
    yield Row(
        f"HuBERT units, {note}: times as fast as transformers stopped at the layer, one by one",
        speed, "x", 1.3, "at least", n=rounds, peer="transformers", ratio=speed,
    )  # fmt: skip
    yield Row("HuBERT units: seconds of sound a second", seconds / min(times[1]), "s")
    speed = median_ratio(times[2], times[1])
    yield Row("HuBERT units: batches of eight against singles", speed, "x", 1, "at least")
    yield Row("HuBERT units: other than transformers' by more than a tie", different, "frames", 0,
              n=frames)  # fmt: skip
    yield Row("HuBERT units: ties (relative difference under 1e-5)", close, "frames", n=frames)
    yield from assignment(torch.cat(hidden), ours.centroids, min(times[1]), threads)


def assignment(hidden: Tensor, to: Tensor, encoding_time: float, threads: int) -> Iterator[Row]:
    """K-means of all frames, float32, against scikit-learn's `predict`."""
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    peer = MiniBatchKMeans(len(to), n_init=1, max_iter=1).fit(hidden[: 4 * len(to)].numpy())
    peer.cluster_centers_ = to.numpy()
    frames = hidden.numpy()
    with threadpool_limits(threads):
        peer.predict(frames)
        assign(hidden, to)
        times = side_by_side([lambda: peer.predict(frames), lambda: assign(hidden, to)], 7)
    speed = median_ratio(times[0], times[1])
    yield Row("k-means assignment: times as fast as scikit-learn's predict", speed, "x", 1,
              "at least", n=len(frames), peer="scikit-learn", ratio=speed)  # fmt: skip
    share = 100 * min(times[1]) / encoding_time
    yield Row("k-means assignment: share of the encoding time", share, "%", 5)


def long_sounds(model: Path, folder: Path, seconds: int = 150) -> Iterator[Row]:
    """Units in windows of 100 s and of 30 s against those of the whole."""
    (wave,) = mixed(1, least=seconds, most=seconds)
    given = wave[None], torch.tensor([len(wave)])
    file = folder / "km.safetensors"
    whole = tokenizer(model, file, window=2.0 * seconds).encode(*given).values
    for window in (100.0, 30.0):
        cut = tokenizer(model, file, window=window).encode(*given).values
        share = 100 * float((cut == whole).double().mean())
        yield Row(f"HuBERT units of {seconds} s in windows of {window:g} s: as in the whole",
                  share, "%", n=whole.shape[-1])  # fmt: skip


def mixed(count: int, least: float = 1, most: float = 15) -> list[Tensor]:
    """Noise and tones that swell and fade, of lengths drawn evenly from `least` to `most` s."""
    generator = torch.Generator().manual_seed(0)
    waves = []
    for _ in range(count):
        drawn = torch.rand(3, generator=generator).tolist()
        time_ = torch.arange(int(RATE * (least + drawn[0] * (most - least)))) / RATE
        tone = torch.sin(2 * torch.pi * (100 + 300 * drawn[1]) * time_ * (1 + time_.remainder(0.7)))
        noise = torch.randn(len(time_), generator=generator)
        waves.append((0.2 * noise + tone) * (0.02 + 0.3 * torch.sin((3 + 4 * drawn[2]) * time_)))
    return waves


def batches(waves: list[Tensor], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """In the order of their lengths, as a folder is coded."""
    ordered = sorted(waves, key=len)
    for start in range(0, len(ordered), size):
        some = ordered[start : start + size]
        padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        yield padded, torch.tensor([len(wave) for wave in some])


def centroids(hidden: Tensor, folder: Path) -> Path:
    """Frames of the sounds themselves, moved a little: a random model's frames are much alike."""
    from safetensors.torch import save_file

    torch.manual_seed(1)
    picked = hidden[torch.randperm(len(hidden))[:CLUSTERS]]
    moved = picked + 0.5 * hidden.std(dim=0) * torch.randn_like(picked)
    save_file({"centroids": moved.contiguous()}, folder / "km.safetensors")
    return folder / "km.safetensors"


def tokenizer(model: Path, kmeans: Path, window: float = 100.0) -> Any:
    """`hubert-km` of these files."""
    values = {"model": str(model), "layer": LAYER, "clusters": CLUSTERS, "kmeans": str(kmeans)}
    return build("tokenizer", "hubert-km", {**values, "window": window})


def predicted(hidden: Tensor, to: Tensor) -> Tensor:
    """Units as the published scripts find them: squares and a product, float32."""
    return (to.square().sum(dim=1) - 2 * hidden @ to.T).argmin(dim=1)


def compared(ours: Any, waves: list[Tensor], hidden: list[Tensor]) -> tuple[int, int, int]:
    """Frames with another unit, of them and of all those that are ties; and all frames."""
    different = close = frames = 0
    for wave, theirs in zip(waves, hidden, strict=True):
        units = ours.encode(wave[None], torch.tensor([len(wave)])).values[0, 0]
        near = torch.cdist(theirs.double(), ours.centroids.double()).square()
        least, second = near.topk(2, largest=False).values.T
        ties = (second - least) / second < CLOSE
        different += int(((units != near.argmin(dim=1)) & ~ties).sum())
        close += int(ties.sum())
        frames += len(units)
    return different, close, frames


def side_by_side(works: list[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """Seconds of each work in each round; all are warm already."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, found in zip(works, times, strict=True):
            begun = time.perf_counter()
            work()
            found.append(time.perf_counter() - begun)
    return times


def median_ratio(one: list[float], other: list[float]) -> float:
    """Of the times of two works, round by round."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
