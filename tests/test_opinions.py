"""Opinion scores: the form in a browser, what is refused of what it saved, and the means."""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browser import dumped
from slmkit_tts.listening import RECORDING, Sample, make_form, samples_of

from slmkit.api import DataError
from slmkit.data.audio import write_audio
from slmkit.data.intervals import crossed_bootstrap
from slmkit.data.opinions import Form, Key, opinions, read_forms

HOSTILE = '</script><script>document.title = "taken"</script>'
DESIGNS = ("acoustic", "unified", RECORDING)
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def samples(folder: Path, texts: int = 3) -> list[Sample]:
    """Tones of different pitch for each text and design."""
    found = []
    for text in range(texts):
        paths = {}
        for at, name in enumerate((*DESIGNS, "prompt")):
            wav = 0.3 * np.sin(2 * np.pi * (200 + 40 * at + 100 * text) * np.arange(8000) / 16000)
            paths[name] = folder / f"{text}-{name}.flac"
            write_audio(paths[name], wav.astype(np.float32), 16000)
        said = HOSTILE if text == 0 else f"text {text}"
        found += [
            Sample(design, f"u{text}", said, paths[design], paths["prompt"]) for design in DESIGNS
        ]
    return found


@pytest.fixture
def made(tmp_path: Path) -> tuple[Key, str]:
    return make_form(samples(tmp_path), 0)


def saved(
    folder: Path,
    key: Key,
    name: str = "a",
    score: Callable[[str], tuple[float, float]] | None = None,
) -> Path:
    """A form as a listener would have saved it."""
    score = score or (lambda code: (4.5, 3.0))
    form = Form(name, f"listener {name}", {code: score(code) for code in key.designs})
    record = {
        "slmkit": "listening-scores", "test": key.test,
        "form": form.name, "listener": form.listener,
        "scores": {code: {"mos": mos, "smos": smos} for code, (mos, smos) in form.scores.items()},
        "check": form.check(key.test),
    }  # fmt: skip
    path = folder / f"scores-{name}.json"
    path.write_text(json.dumps(record))
    return path


# --- the form


def test_a_form_tells_of_no_design_and_needs_no_other_file(made: tuple[Key, str]) -> None:
    key, page = made
    assert sorted(key.designs.values()) == sorted(3 * DESIGNS)
    plain = re.sub(r"data:audio/flac;base64,[A-Za-z0-9+/=]*", "", page)
    for word in (*DESIGNS, "u1", "u2", "flac"):
        assert word not in plain, word
    assert not re.search(r"https?://|url\(|@import|src=\"(?!data:)", plain)
    assert "<script>document.title" not in page
    assert page.count("data:audio/flac") == 9 + 3, "each sample, and each prompt once"


def test_sounds_travel_as_they_are(tmp_path: Path) -> None:
    given = samples(tmp_path)
    key, page = make_form(given, 0)
    test = json.loads(re.search(r'id="test">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert test["test"] == key.test
    for item in test["items"]:
        design, id = key.designs[item["code"]], key.texts[item["code"]]
        (sample,) = [each for each in given if (each.design, each.id) == (design, id)]
        for uri, path in (
            (item["sample"], sample.sound),
            (test["voices"][item["voice"]], sample.prompt),
        ):
            assert base64.b64decode(uri.partition(",")[2]) == path.read_bytes()
        assert item["text"] == sample.text


def test_codes_follow_from_the_seed_and_hide_the_order(tmp_path: Path) -> None:
    given = samples(tmp_path)
    again, other = make_form(given, 0), make_form(given, 1)
    assert make_form(given, 0) == again
    assert again[0].test != other[0].test
    # items stand in the order of codes: designs would come in turn if that were theirs
    orders = {tuple(make_form(given, seed)[0].designs.values()) for seed in range(5)}
    assert len(orders) > 1


def test_texts_that_a_design_has_not_said_are_left_out() -> None:
    whole = {"prompt": "p", "true": "t", "spoken": "s"}
    silent = {"prompt": "p", "true": "t"}

    def items(*sounds: dict[str, str]) -> list[dict[str, object]]:
        return [{"id": str(n), "text": "x", "sounds": s} for n, s in enumerate(sounds)]

    records = [
        {"items": items(whole, whole, {}, silent)},
        {"items": items(whole, silent, {}, whole)},
    ]
    found, failed = samples_of(["one", "two"], records, [Path("a"), Path("b")])
    assert failed == 2
    assert [(s.design, s.id, str(s.sound)) for s in found] == [
        ("one", "0", "a/s"), ("two", "0", "b/s"), (RECORDING, "0", "a/t")
    ]  # fmt: skip


FILL = """<script>
  URL.createObjectURL = blob => {
    blob.text().then(text => { document.body.dataset.saved = text; });
    return "#saved";
  };
  const heard = [], button = document.getElementById("save");
  const press = () => { button.click(); heard.push(document.getElementById("told").textContent); };
  press();
  document.getElementById("listener").value = " Zoë ";
  press();
  for (const input of document.querySelectorAll("input[type=radio]")) {
    const [code, measure] = input.name.split(" ");
    const score = 1 + (parseInt(code, 16) % (measure === "mos" ? 9 : 5)) / 2;
    if (input.value === String(score)) input.click();
  }
  press();
  document.body.dataset.told = JSON.stringify(heard);
  document.body.dataset.order = [...document.querySelectorAll("section")].map(s => s.id).join(" ");
  document.body.dataset.wide = document.documentElement.scrollWidth <= innerWidth;
  const sounds = [...document.querySelectorAll("audio")];
  sounds.forEach(s => { s.preload = "auto"; s.onloadedmetadata = () => {
    document.body.dataset.sounds = sounds.filter(s => s.duration === 0.5).length; }; s.load(); });
</script></body>"""


def opened(page: str, chromium: str, folder: Path) -> dict[str, str]:
    """What a browser makes of the page, filled in by a script."""
    file = folder / "form.html"
    file.write_text(page.replace("</body>", FILL))
    seen = dumped(chromium, file, folder / "profile")
    body = re.search(r"<body [^>]*>", seen)
    assert body is not None, seen[-600:]
    assert "<title>Listening test</title>" in seen
    return {k: html.unescape(v) for k, v in re.findall(r'data-(\w+)="([^"]*)"', body[0])}


@pytest.mark.browser
def test_a_form_filled_in_a_browser_is_read_back(
    made: tuple[Key, str], chromium: str, tmp_path: Path, command: Command
) -> None:
    key, page = made
    first = opened(page, chromium, tmp_path)
    told = json.loads(first["told"])
    assert "name is missing" in told[0]
    assert "9 of 9 items are not scored" in told[1]
    assert told[2].startswith("Saved as scores-")
    assert first["sounds"] == "18", "the browser decodes every sample and every other voice"
    assert first["wide"] == "true", "nothing is cut off on a narrow screen"
    second = opened(page, chromium, tmp_path)
    assert sorted(first["order"].split()) == sorted(second["order"].split()) == sorted(key.designs)
    assert first["order"] != second["order"], "each listener hears the items in another order"
    key.save(tmp_path / "test" / "key.json")
    for number, each in enumerate((first, second)):
        (tmp_path / "test" / f"{number}.json").write_text(each["saved"])
    form = Form.load(tmp_path / "test" / "0.json", key)
    assert form.listener == "Zoë"
    assert form.scores == {
        code: (1 + int(code, 16) % 9 / 2, 1 + int(code, 16) % 5 / 2) for code in key.designs
    }
    done = command("score", tmp_path / "test" / "0.json", tmp_path / "test" / "1.json")
    assert done.returncode == 0, done.stderr
    mine = [form.scores[code] for code, name in key.designs.items() if name == "unified"]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("unified")]
    mos, smos = (f"{np.mean([each[at] for each in mine]):.2f} (" for at in (0, 1))
    assert mos in line
    assert smos in line
    assert line.split()[-2:] == ["2", "3"], "two listeners, three items"


# --- what is refused


def changed(path: Path, **fields: object) -> Path:
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **fields}))
    return path


def scores(path: Path) -> dict[str, dict[str, object]]:
    return json.loads(path.read_text())["scores"]  # type: ignore[no-any-return]


def incomplete(path: Path, key: Key) -> Path:
    kept = dict(list(scores(path).items())[2:])
    return changed(path, scores=kept)


def scored(value: object) -> Callable[[Path, Key], Path]:
    def change(path: Path, key: Key) -> Path:
        every = scores(path)
        every[next(iter(every))]["mos"] = value
        return changed(path, scores=every)

    return change


FAULTS: dict[str, tuple[Callable[[Path, Key], Path], str]] = {
    "another test": (lambda p, k: changed(p, test="abc"), "another listening test"),
    "no form": (lambda p, k: changed(p, slmkit="else"), "not a saved form"),
    "incomplete": (incomplete, "2 of 9 items are not scored"),
    "no scores": (lambda p, k: changed(p, scores=None), "9 of 9 items are not scored"),
    "a strange item": (
        lambda p, k: changed(p, scores={**scores(p), "zzz": {"mos": 1, "smos": 1}}), "'zzz'"),
    "altered": (scored(1.0), "was changed after it was saved"),
    "another listener": (lambda p, k: changed(p, listener="me"), "was changed after"),
    "between steps": (scored(4.3), "4.3 is no score"),
    "too good": (scored(5.5), "5.5 is no score"),
    "a word": (scored("5"), "'5' is no score"),
    "nothing": (scored(None), "None is no score"),
    "true": (scored(True), "True is no score"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_counted_is_refused_in_a_line(
    fault: str, made: tuple[Key, str], tmp_path: Path
) -> None:
    key, _ = made
    change, message = FAULTS[fault]
    path = saved(tmp_path, key)
    assert Form.load(path, key).scores, "as it was saved it counts"
    with pytest.raises(DataError, match=message) as refused:
        Form.load(change(path, key), key)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "nonsense", "[" * 100_000, "\x00"])
def test_what_is_no_form_at_all_is_refused(
    text: str, made: tuple[Key, str], tmp_path: Path
) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(DataError, match="not a saved form"):
        Form.load(path, made[0])
    with pytest.raises(DataError, match="not the key"):
        Key.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a saved form"):
        Form.load(path, made[0])


def test_a_key_comes_back_and_one_that_was_changed_does_not(
    made: tuple[Key, str], tmp_path: Path
) -> None:
    key, _ = made
    key.save(tmp_path / "key.json")
    assert Key.load(tmp_path / "key.json") == key
    other = {**key.designs, next(iter(key.designs)): "another"}
    for designs in (other, [], None, {}):
        changed(tmp_path / "key.json", designs=designs)
        with pytest.raises(DataError, match="this key was changed"):
            Key.load(tmp_path / "key.json")


def test_the_same_form_counts_once(made: tuple[Key, str], tmp_path: Path) -> None:
    key, _ = made
    paths = [saved(tmp_path, key, "a"), saved(tmp_path, key, "b")]
    copy = tmp_path / "copy.json"
    copy.write_bytes(paths[0].read_bytes())
    forms, faults = read_forms([*paths, copy], key)
    assert len(forms) == 2
    assert [str(fault) for fault in faults] == [
        f"{copy}: this form of 'listener a' is here twice; it counts once"
    ]


def test_the_command_counts_what_it_can(
    made: tuple[Key, str], tmp_path: Path, command: Command
) -> None:
    key, _ = made
    folder = tmp_path / "test"
    key.save(folder / "key.json")
    good = saved(folder, key, "a")
    bad = changed(saved(folder, key, "b"), test="other")
    alone = command("score", good)
    assert alone.returncode == 0
    assert "4.50 (4.50 to 4.50)" in alone.stdout
    assert "one listener" in alone.stderr
    partly = command("score", good, bad)
    assert partly.returncode == 1
    assert partly.stdout == alone.stdout
    assert f"left out {bad}: a form of another listening test" in partly.stderr
    assert "1 of 2 forms were left out" in partly.stderr
    none = command("score", bad, "--key", folder / "key.json")
    assert none.returncode == 2
    assert none.stdout == ""
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(good.read_bytes())
    assert "--key" in command("score", elsewhere).stderr


# --- means and intervals


def test_each_design_is_scored_by_its_own_items(made: tuple[Key, str], tmp_path: Path) -> None:
    key, _ = made
    right = {"acoustic": (2.0, 1.5), "unified": (3.5, 4.0), RECORDING: (5.0, 4.5)}
    paths = [saved(tmp_path, key, n, lambda code: right[key.designs[code]]) for n in "abc"]
    forms, faults = read_forms(paths, key)
    assert not faults
    found = {each.design: each for each in opinions(forms, key)}
    assert {name: (each.mos[0], each.smos[0]) for name, each in found.items()} == right
    assert all(each.mos == (each.mos[0],) * 3 for each in found.values()), "none differ"
    assert {(each.listeners, each.items) for each in found.values()} == {(3, 3)}


def test_an_interval_covers_listeners_and_items() -> None:
    """Of means with known spread: listeners and items both move it, and 95% of such intervals hold
    the true mean."""
    draw = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        listeners = draw.normal(0, 0.5, (12, 1))
        items = draw.normal(0, 0.5, (1, 15))
        value, low, high = crossed_bootstrap(
            3 + listeners + items + draw.normal(0, 0.3, (12, 15)), seed=trial, resamples=300
        )
        assert low <= value <= high
        held += low <= 3 <= high
    assert 180 <= held <= 199, held
    same = crossed_bootstrap(np.tile(draw.normal(3, 1, (1, 20)), (10, 1)))
    assert same[2] - same[1] > 0.3, "listeners agree, and items differ"
    other = crossed_bootstrap(np.tile(draw.normal(3, 1, (20, 1)), (1, 10)))
    assert other[2] - other[1] > 0.3, "items are alike, and listeners differ"
    for nothing in ([], [[]]):
        with pytest.raises(DataError, match="no listener"):
            crossed_bootstrap(nothing)
