"""What shows itself in a notebook shows what is there."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import slmkit
from slmkit.api import Aligned, AudioError, Codes, CodeSpec, Result, Speech, Text
from slmkit.data.audio import write_audio
from slmkit.data.sound import Sound
from slmkit.drawing.codes import LONGEST, heat_map, palette
from slmkit.drawing.tables import results_table
from slmkit.lm.grid import Grid

HOSTILE = "<script>alert(1)</script>&\"'"


def pixels(png: bytes) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """The indices and the palette of a picture, read as its format says."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        name = png[place + 4 : place + 8]
        data = png[place + 8 : place + 8 + length]
        (crc,) = struct.unpack(">I", png[place + 8 + length : place + 12 + length])
        assert crc == zlib.crc32(name + data)
        chunks[name], place = data, place + 12 + length
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, kind) == (8, 3)
    lines = zlib.decompress(chunks[b"IDAT"])
    rows = [list(lines[n * (width + 1) + 1 : (n + 1) * (width + 1)]) for n in range(height)]
    colours = [tuple(chunks[b"PLTE"][n : n + 3]) for n in range(0, len(chunks[b"PLTE"]), 3)]
    return rows, colours


def maps(html: str) -> list[list[list[int]]]:
    """The indices of every heat map in some HTML."""
    found = re.findall(r'href="data:image/png;base64,([^"]+)"', html)
    return [pixels(base64.b64decode(data))[0] for data in found]


@settings(max_examples=40)
@given(
    st.integers(1, 4).flatmap(
        lambda books: st.tuples(
            st.lists(st.integers(1, 300), min_size=books, max_size=books), st.integers(1, 30)
        )
    ),
    st.randoms(use_true_random=False),
)
def test_a_heat_map_holds_each_code_at_its_place(shape, draw) -> None:
    sizes, frames = shape
    rows = [[draw.randrange(-1, size) for _ in range(frames)] for size in sizes]
    svg = heat_map(rows, sizes, 50.0, HOSTILE)
    ElementTree.fromstring(svg)
    (drawn,) = maps(svg)
    assert [len(row) for row in drawn] == [frames] * len(sizes)
    for row, shades, size in zip(rows, drawn, sizes, strict=True):
        for code, shade in zip(row, shades, strict=True):
            assert (shade == 0) == (code < 0)
            if code >= 0 and size > 1:
                assert abs((shade - 1) / 254 - code / (size - 1)) < 1 / 254
    assert max(max(row) for row in drawn) < len(palette())


def test_shades_differ_by_lightness_alone() -> None:
    """As the eye weighs the colours (Rec. 709): brighter from each to the next but few."""
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in palette()[1:]]
    assert all(later > earlier - 0.5 for earlier, later in itertools.pairwise(light))
    assert light[-1] - light[0] > 150


def test_codes_show_each_row_without_its_padding() -> None:
    spec = CodeSpec(16000, 320, (10, 20))
    codes = Codes.pad([torch.full((2, 5), 9), torch.zeros(2, 3, dtype=torch.long)], spec)
    html = codes._repr_html_()
    first, second = maps(html)
    assert first == [[255] * 5, [1 + 9 * 254 // 19] * 5]
    assert second == [[1] * 3, [1] * 3]
    assert "5 frames, 0.10 s" in html
    assert f"{spec.bits_per_second:.0f} bit/s" in html


def test_long_and_many_and_empty_codes_stay_small() -> None:
    spec = CodeSpec(16000, 320, (1024,) * 8)
    values = torch.randint(0, 1024, (1, 8, 180_000))
    html = Codes(values, torch.tensor([180_000]), spec)._repr_html_()
    assert len(html) < 60_000
    assert f"of which {LONGEST} are drawn" in html
    assert len(maps(html)[0][0]) == LONGEST
    many = Codes(torch.zeros(50, 8, 2, dtype=torch.long), torch.full((50,), 2), spec)
    assert "and 46 more" in many._repr_html_()
    none = Codes(torch.zeros(1, 8, 0, dtype=torch.long), torch.tensor([0]), spec)
    assert maps(none._repr_html_()) == []


def test_segments_show_what_they_hold() -> None:
    assert "&lt;script&gt;" in Text(HOSTILE)._repr_html_()
    assert "<script>" not in Text(HOSTILE)._repr_html_()
    assert "learnt" in Text("x", learn=True)._repr_html_()
    speech = Speech(np.array([[0, 3]]), ends=False)._repr_html_()
    assert maps(speech) == [[[1, 255]]]
    assert "goes on" in speech
    beside = Aligned(np.array([7, -1]), np.array([[0, 3], [1, 1]]))._repr_html_()
    assert "7 ·" in beside
    assert "2 codebooks, 2 frames" in beside


def test_a_grid_shows_ids_and_what_is_learnt() -> None:
    tokens = np.array([[11, 12, 13], [-1, 21, 22]])
    real = tokens >= 0
    learn = np.array([[False, True, True], [False, False, True]])
    html = Grid(tokens, real, learn)._repr_html_()
    svg = ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    kinds = [box.get("class") for box in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert kinds == ["text", "codes", "codes", "nothing", "text", "codes"]
    long = Grid(np.zeros((1, 500), dtype=int), np.ones((1, 500), bool), np.ones((1, 500), bool))
    assert "500 steps, of which 48 are drawn" in long._repr_html_()


def test_results_stand_where_metric_and_split_meet() -> None:
    rows = [
        Result("wer", "test", 12.34, 10, 15, 30, "%", "lower"),
        Result("wer", "dev", 1.5, 1, 2, 20, "%", "lower"),
        Result(HOSTILE, "test", 0.5, 0.4, 0.6, 30),
    ]
    html = slmkit.show(rows)._repr_html_()
    assert html.count("<table>") == 1
    assert "12.3 %" in html
    assert "10.0 to 15.0, n = 30" in html
    assert "<script>" not in html
    assert "–" in results_table([vars(row) for row in rows])


def test_showing_several_things_shows_all() -> None:
    html = slmkit.show([Text("one"), Speech(np.array([[1, 2]]))], "plain <text>")._repr_html_()
    assert "one" in html
    assert len(maps(html)) == 1
    assert "plain &lt;text&gt;" in html


def test_a_sound_can_be_heard_again() -> None:
    time = np.arange(8000) / 16000
    wav = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    sound = Sound(torch.from_numpy(wav)[None], 16000, HOSTILE)
    html = sound._repr_html_()
    assert "<script>" not in html
    data = re.search(r'src="data:audio/ogg;base64,([^"]+)"', html)
    assert data is not None
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(data[1])))
    assert rate == 16000
    assert len(heard) == len(wav)
    assert np.corrcoef(heard, wav)[0, 1] > 0.95
    for wrong in (torch.zeros(2, 100), torch.zeros(0)):
        with pytest.raises(AudioError, match="one wave"):
            Sound(wrong, 16000)


def test_a_run_shows_results_stages_and_sounds(tmp_path: Path) -> None:
    stage = tmp_path / "stages" / "evaluate-00000000"
    stage.mkdir(parents=True)
    write_audio(stage / "a.flac", np.zeros(1600, dtype=np.float32), 16000)
    (stage / "report.json").write_text("[]")
    row = vars(Result("wer", "test", 3.0, 2, 4, 9, "%", "lower"))
    record = {
        "stage": "evaluate", "part": "speechgpt-evaluate", "status": "done", "fingerprint": "0",
        "made_of": {}, "seconds": 61.0, "peak_memory": 2_000_000_000, "results": [row],
    }  # fmt: skip
    (stage / "stage.json").write_text(json.dumps(record))
    told = {"stage": "evaluate", "status": "done", "folder": "stages/evaluate-00000000"}
    about = {"recipe": {"name": "toy"}, "stages": [told]}
    (tmp_path / "run.json").write_text(json.dumps(about))
    (tmp_path / "results.json").write_text(json.dumps([row]))
    html = slmkit.load(tmp_path)._repr_html_()
    for due in ("3.00 %", "1 min 01 s", "2.00 GB", "a.flac", "data:audio/ogg", "Run toy"):
        assert due in html


def test_showing_text_and_results_imports_no_torch() -> None:
    code = (
        "import sys; from slmkit.api import Result, Text\n"
        "Text('x')._repr_html_(); Result('m', 's', 1, 1, 1, 1)._repr_html_()\n"
        "import slmkit; slmkit.show(Text('x'))\n"
        "print([m for m in ('torch', 'numpy', 'IPython', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
