"""Protocols of SLMTokBench: what ships can be carried out, what is wrong is told by its line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from slmkit.api import OptionsError, UnknownNameError
from slmkit.benchmark.candidate import part_of
from slmkit.benchmark.pieces import selections_of
from slmkit.benchmark.protocol import Protocol, changed, load_protocol
from slmkit.recipe.shipped import shipped_protocols

NAMES = list(yaml.safe_load(shipped_protocols().read_text())["protocols"])


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_protocol_can_be_carried_out(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.name == name
    assert part_of("transcriber", protocol.judge.part).name
    assert part_of("speaker-encoder", protocol.voices).name
    if protocol.data.corpus is not None:
        assert part_of("corpus", protocol.data.corpus).name
        carried = protocol.judge.part == {"part": "ctc-mini"}
        assert protocol.judge.trained or carried, "what needs no download fetches no judge"


def test_the_published_protocol_has_the_published_settings() -> None:
    """Zhang et al. 2024, as far as the paper says."""
    protocol = load_protocol("librispeech")
    probe = protocol.alignment
    assert (probe.width, probe.steps, probe.lr) == (1024, 200_000, 1e-4)
    parts = [getattr(protocol.data, name).part for name in ("train", "information", "test")]
    assert parts == ["train-clean-100", "dev-clean", "test-clean"]
    assert protocol.preservation.items == 300
    assert "whisper-medium.en" in protocol.judge.part["model"]


def shipped() -> dict:
    return yaml.safe_load(shipped_protocols().read_text())


def written(folder: Path, values: dict) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def paths(kind: type, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every setting of a protocol."""
    found = []
    for field in dataclasses.fields(kind):
        inner = Protocol.__annotations__.get(field.name) if kind is Protocol else None
        section = getattr(__import__("slmkit.benchmark.protocol", fromlist=["x"]), str(inner), None)
        here = (*above, field.name)
        found += paths(section, here) if dataclasses.is_dataclass(section) else [here]
    return found


@pytest.mark.parametrize("path", [p for p in paths(Protocol) if p[0] not in ("name", "summary")])
def test_every_setting_is_in_the_hash(path: tuple[str, ...]) -> None:
    protocol = load_protocol("smoke")

    def other(value: object, way: tuple[str, ...]) -> object:
        if way:
            inner = getattr(value, way[0])
            return dataclasses.replace(value, **{way[0]: other(inner, way[1:])})  # type: ignore
        return ["another"]

    assert other(protocol, path).hash != protocol.hash


def test_a_name_is_not_in_the_hash() -> None:
    protocol = load_protocol("smoke")
    assert dataclasses.replace(protocol, name="x", summary="y").hash == protocol.hash
    assert changed(protocol, seeds=[0, 1]).hash == protocol.hash
    assert changed(protocol, seeds=[1, 2]).hash != protocol.hash


def test_all_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    values = shipped()
    smoke = values["protocols"]["smoke"]
    smoke["alignment"]["step"] = 3
    smoke["alignment"]["lr"] = "fast"
    del smoke["phones"]["triples"]
    smoke["seeds"] = [0, "one"]
    smoke["cost"] = 3
    smoke["invariance"]["items"] = True
    path = written(tmp_path, values)
    with pytest.raises(OptionsError) as caught:
        load_protocol("smoke", path)
    lines = path.read_text().splitlines()
    faults = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 6
    assert "did you mean 'steps'?" in faults
    for fault in caught.value.faults:
        number, key = int(fault.split(":")[1]), fault.split("'")[1]
        assert key.split(".")[-1] in lines[number - 1] or "is missing" in fault, fault


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": [0]}, "two or more"),
        ({"seeds": [1, 1]}, "each once"),
        ({"selections": ["1", "0:3"]}, "books '0:3'"),
        ({"voices": {}}, "must name its part"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, change: dict, said: str) -> None:
    values = shipped()
    values["protocols"]["smoke"] |= change
    with pytest.raises(OptionsError, match=said):
        load_protocol("smoke", written(tmp_path, values))


def test_data_comes_from_one_place(tmp_path: Path) -> None:
    values = shipped()
    values["protocols"]["smoke"]["data"]["public"] = "librispeech"
    with pytest.raises(OptionsError, match="one of 'corpus' and 'public'"):
        load_protocol("smoke", written(tmp_path, values))
    with pytest.raises(UnknownNameError, match="did you mean mini"):
        load_protocol("minni")


def test_selections_end_where_a_tokenizer_does() -> None:
    asked = ["1", "1:8", "2:8"]
    assert selections_of(asked, 1) == {"1": (0,)}
    assert selections_of(asked, 2) == {"1": (0,), "1:2": (0, 1), "2": (1,)}
    assert list(selections_of(asked, 8)) == ["1", "1:8", "2:8"]
    assert list(selections_of(asked, 32)) == ["1", "1:8", "2:8"]
