"""The leaderboard: what may be ranked together, which differences are real, and its page in use."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import faults
from browser import Browser

from slmkit.api import DataError
from slmkit.benchmark.published import published
from slmkit.benchmark.row import Failed, Named, Row, Tokenizer, Value
from slmkit.benchmark.row_file import write_row
from slmkit.benchmark.significance import matrix, standings
from slmkit.benchmark.site import markdown, page
from slmkit.benchmark.standing import find_rows, read_rows, same_name, tables
from slmkit.data.intervals import bootstrap, paired_difference

SUBMITTED = Path(__file__).parents[1] / "benchmarks" / "leaderboard" / "rows"
HOSTILE = "</script><script>document.title='taken'</script>|[x](http://x)"
NAMES = [f"utt{i}" for i in range(80)]
HARD = np.random.default_rng(5).normal(0, 5, len(NAMES))


def measured(mean: float, seed: int, names: list[str] = NAMES) -> tuple[Value, dict[str, Any]]:
    """A WER whose utterances are as hard for one as for the other, and a little chance."""
    noise = np.random.default_rng(seed).normal(0, 0.5, len(names))
    noise -= noise.mean()
    tops = {name: float(mean + HARD[NAMES.index(name)] + e)
            for name, e in zip(names, noise, strict=True)}  # fmt: skip
    value, low, high = bootstrap(list(tops.values()), [1.0] * len(tops))
    return Value(value, low, high, len(tops), "%", "lower"), {n: (t, 1.0) for n, t in tops.items()}


def a_row(name: str, wer: float, seed: int = 0, **changes: Any) -> Row:
    first, items = measured(wer, seed)
    all_of_them, more = measured(wer - 4, seed + 100)
    fields: dict[str, Any] = {
        "tokenizer": Tokenizer(name, "part-of-" + name, {"n": 8}, f"weights-of-{name}"),
        "protocol": Named("mini", "p1"),
        "data": Named("spoken-qa", "d1"),
        "judges": {"transcriber": Named("ctc", "j1"), "speaker-encoder": Named("voices", "s1")},
        "seeds": (0,),
        "values": {
            "wer/1": first,
            "wer/1:8": all_of_them,
            "similarity/1": Value(0.7 + seed / 100, 0.6, 0.95, 80, "", "higher"),
            "pesq/1": Failed(f"no module named 'pesq' {HOSTILE}"),
        },
        "items": {"wer/1": items, "wer/1:8": more},
        "machine": {"cores": 2},
        "versions": {"slmkit": "0.1"},
        "wall_seconds": 60.0,
    }
    return Row(**{**fields, **changes})


@pytest.fixture(scope="module")
def three() -> list[Row]:
    """Two that cannot be told apart, and one that is worse."""
    return [a_row("beta", 20.0, 1), a_row("alpha", 20.02, 2), a_row("gamma", 22.0, 3)]


def test_rows_share_a_table_only_if_all_that_judges_them_is_the_same(three: list[Row]) -> None:
    other = [
        replace(three[0], protocol=Named("mini", "p2")),
        replace(three[0], data=Named("spoken-qa", "d2")),
        replace(three[0], judges={**three[0].judges, "transcriber": Named("ctc", "j2")}),
        replace(three[0], judges={"transcriber": three[0].judges["transcriber"]}),
    ]
    found = tables([*three, *other])
    assert [len(table.rows) for table in found] == [3, 1, 1, 1, 1]
    # as in the paper's table: it matters who listens, and who speaks is part of what is measured
    spoken = replace(three[2], vocoder=Named("hifigan", "v1"))
    (table,) = tables([*three[:2], spoken])
    assert "gamma + hifigan 1:8" in [line.name for line in table.lines]
    # names are for people: the hash decides
    renamed = replace(three[1], protocol=Named("small", "p1"))
    assert len(tables([three[0], renamed])) == 1
    assert len(tables([three[0], three[0]])[0].rows) == 1, "a row given twice is one row"


def test_lines_stand_best_first_and_failures_last(three: list[Row]) -> None:
    (table,) = tables(three)
    assert [line.name for line in table.lines][:2] == ["beta 1:8", "alpha 1:8"]
    assert table.metrics == ("wer", "similarity", "pesq")
    assert table.first("pesq") is None


def test_what_is_of_whole_tokenizers_or_of_recordings_stands_apart(three: list[Row]) -> None:
    def more(row: Row, speed: float, cores: int = 2) -> Row:
        values = {
            "frame-rate/all": Value(50.0, 50.0, 50.0, 9, "Hz", "lower"),
            "real-time-factor/all": Value(speed, speed, speed, 9, "", "lower"),
            "abx/1": Value(speed, speed, speed, 9, "%", "lower"),
            **row.values,
            "wer/original": Value(1.0, 0.5, 2.0, 80, "%", "lower"),
            "wer-shuffled/1": Value(100.0 + speed, 99.0, 130.0, 80, "%", "lower"),
        }
        return replace(row, values=values, machine={"cores": cores})

    rows = [more(row, float(n)) for n, row in enumerate(three, 1)]
    codebooks, whole = tables(rows)
    assert codebooks.metrics == ("wer", "similarity", "abx", "pesq", "wer-shuffled")
    assert whole.metrics == ("frame-rate", "real-time-factor")
    assert [line.selection for line in whole.lines] == ["all"] * 3
    assert [line.name for line in codebooks.lines].count("recordings original") == 1
    assert codebooks.lines[0].reference, "best by far"
    of_wer = standings(codebooks, "wer", matrix(codebooks, "wer"))
    assert of_wer[:2] == ["", "best"], "and not ranked"
    assert set(standings(codebooks, "wer-shuffled", matrix(codebooks, "wer-shuffled"))) == {""}
    speeds = [line.row.tokenizer.name for line in whole.lines]
    found = dict(zip(speeds, standings(whole, "real-time-factor", [[None] * 3] * 3), strict=True))
    assert found == {"beta": "best", "alpha": "behind", "gamma": "behind"}
    _, unlike = tables([*rows[:2], more(three[2], 0.1, cores=64)])
    assert set(standings(unlike, "real-time-factor", [[None] * 3] * 3)) == {""}
    assert set(standings(unlike, "frame-rate", [[None] * 3] * 3)) == {"best"}
    assert "whole tokenizers" in page([codebooks, whole], [])
    assert "on unlike machines" in markdown([unlike], [])


def test_differences_are_those_of_the_paired_bootstrap(three: list[Row]) -> None:
    (table,) = tables(three)
    found = matrix(table, "wer")
    for i, one in enumerate(table.lines):
        for j, other in enumerate(table.lines):
            if i == j:
                assert found[i][j] is None
                continue
            ours, theirs = one.items("wer"), other.items("wer")
            wanted = paired_difference([ours[n] for n in sorted(ours)],
                                       [theirs[n] for n in sorted(ours)])  # fmt: skip
            cell = found[i][j]
            assert cell is not None
            assert (cell.value, cell.low, cell.high) == pytest.approx(wanted, abs=1e-9)
    assert matrix(table, "similarity") == [[None] * 6 for _ in range(6)], "no items, no test"


def test_standings_say_what_is_real(three: list[Row]) -> None:
    (table,) = tables(three)
    place = {line.name: i for i, line in enumerate(table.lines)}
    found = standings(table, "wer", matrix(table, "wer"))
    assert found[place["beta 1:8"]] == "best"
    assert found[place["alpha 1:8"]] == "level"
    assert found[place["gamma 1:8"]] == "behind", "intervals overlap; the pairs tell them apart"
    gamma, best = (table.lines[place[name]].get("wer") for name in ("gamma 1:8", "beta 1:8"))
    assert isinstance(gamma, Value)
    assert isinstance(best, Value)
    assert gamma.low < best.high
    of_voices = standings(table, "similarity", matrix(table, "similarity"))
    assert sorted(of_voices) == ["", "", "", "best", "unknown", "unknown"]


def test_utterances_that_not_all_have_are_left_out_of_the_comparison() -> None:
    value, items = measured(20.0, 1, NAMES[:50])
    few = a_row("few", 0.0, values={"wer/1": value}, items={"wer/1": items})
    (table,) = tables([a_row("all", 20.0, 2), few])
    place = {line.name: i for i, line in enumerate(table.lines)}
    found = matrix(table, "wer")
    one, back = found[place["few 1"]][place["all 1"]], found[place["all 1"]][place["few 1"]]
    assert one is not None
    assert back is not None
    assert one.n == back.n == 50
    assert (one.value, one.low, one.high) == (-back.value, -back.high, -back.low)
    assert not one.real, "the utterances that are left are as hard for both"
    stranger = replace(few, items={"wer/1": {f"x{n}": pair for n, pair in items.items()}})
    (table,) = tables([a_row("all", 20.0, 2), stranger])
    place = {line.name: i for i, line in enumerate(table.lines)}
    assert matrix(table, "wer")[place["few 1"]][place["all 1"]] is None


def test_what_does_not_fit_together_is_named(tmp_path: Path, three: list[Row]) -> None:
    good = write_row(three[0], tmp_path)
    again = write_row(replace(three[0], seeds=(7,)), tmp_path)
    rows, wrong = read_rows([good, again])
    assert len(rows) == 2
    assert len(wrong) == 1
    assert f"measured in the same way in {good}" in wrong[0]
    value = replace(three[1].values["wer/1"], direction="higher")  # type: ignore[type-var]
    turned = replace(three[1], values={**three[1].values, "wer/1": value})
    _, wrong = read_rows([good, write_row(turned, tmp_path)])
    assert re.search("alpha.*wer/1: unit or direction", wrong[0])
    broken = tmp_path / "broken.json"
    broken.write_text(good.read_text().replace('"mini"', '"maxi"'))
    rows, wrong = read_rows([good, broken])
    assert list(rows) == [good]
    assert wrong[0].startswith(str(broken))


def test_one_name_with_two_weights_is_refused_or_told_apart(
    tmp_path: Path, three: list[Row]
) -> None:
    twin = replace(three[0], tokenizer=replace(three[0].tokenizer, weights="other-weights"))
    files = {tmp_path / "a": three[0], tmp_path / "b": twin}
    assert len(same_name(files)) == 1
    assert "--tell-apart" in same_name(files)[0]
    (table,) = tables(files.values(), tell_apart=True)
    assert {line.label for line in table.lines} == {
        "beta (weights weights-)", "beta (weights other-we)",
    }  # fmt: skip


def test_rows_are_found_in_folders_and_once(tmp_path: Path, three: list[Row]) -> None:
    file = write_row(three[0], tmp_path / "run" / "rows")
    (tmp_path / "run" / "cache.json").write_text("{}")
    assert find_rows([tmp_path / "run", tmp_path / "run" / "rows", file]) == [file]
    with pytest.raises(DataError, match="no rows"):
        find_rows([tmp_path])
    with pytest.raises(DataError, match="no such file"):
        find_rows([tmp_path / "elsewhere"])


def test_what_was_published_is_told_as_such_and_not_ranked(three: list[Row]) -> None:
    paper = published()
    assert {len(values) for _, _, values in paper.rows} == {len(paper.metrics)}
    for text in (markdown(tables(three), [paper]), page(tables(three), [paper])):
        assert "As published, not measured here" in text
        assert "61.52" in text
    html = page(tables(three), [paper])
    assert "61.52" not in html[: html.index('class="published"')]


def test_markdown_holds_the_table_whatever_is_in_it(three: list[Row]) -> None:
    text = markdown(tables(three), [])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "★ **" in text
    assert "1. beta 1" in text or "1. alpha 1" in text
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\[x", text), "a link"


def test_submitted_rows_are_good() -> None:
    rows, wrong = read_rows(sorted(SUBMITTED.glob("*.json")))
    assert not wrong
    assert not same_name(rows)
    assert {file.name for file in SUBMITTED.iterdir()} <= {
        "README.md", *(row.file_name for row in rows.values())
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, three: list[Row]) -> Path:
    """The page of three tokenizers, and of two under another protocol."""
    other = [replace(row, protocol=Named("librispeech", "p9")) for row in three[:2]]
    hostile = a_row(HOSTILE, 30.0, 9)
    file = tmp_path_factory.mktemp("site") / "index.html"
    file.write_text(page(tables([*three, hostile, *other]), [published()]))
    return file


@pytest.fixture(scope="module")
def tab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium, tmp_path_factory.mktemp("profile")) as found:
        yield found


def order(tab: Browser) -> list[str]:
    """The lines that are shown, from above."""
    return tab.run(  # type: ignore[no-any-return]
        "[...document.querySelectorAll('#table-1 table.ranked tbody tr')]"
        ".filter((row) => !row.hidden).map((row) => row.cells[0].textContent)"
    )


def head(column: int) -> str:
    return f"#table-1 table.ranked thead th:nth-child({column + 1}) button"


def test_the_page_needs_nothing_else(site: Path) -> None:
    text = site.read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)|url\(|@import|fetch\(|XMLHttp', text)
    assert "<script>document.title" not in text


@pytest.mark.browser
def test_a_click_sorts_and_another_turns_it_round(tab: Browser, site: Path) -> None:
    tab.open(site)
    best_first = order(tab)
    assert [name.split()[0] for name in best_first[:3]] == ["beta", "alpha", "gamma"]
    tab.click(head(1))
    assert order(tab) == best_first[::-1]
    assert tab.run(f"document.querySelector('{head(1)}').closest('th').ariaSort") == "descending"
    tab.click(head(0))
    assert [name.split()[0] for name in order(tab)] == sorted(
        (name.split()[0] for name in best_first), key=str.lower
    )
    tab.click(head(2))
    assert order(tab)[0].startswith(HOSTILE[:9])
    assert all("1:8" in name for name in order(tab)[4:]), "what has no value stands last"
    tab.click(head(2))
    assert all("1:8" in name for name in order(tab)[4:]), "last either way"
    assert not tab.run(f"!!document.querySelector('{head(3)}')"), "failed everywhere"


@pytest.mark.browser
def test_the_keyboard_does_what_the_mouse_does(tab: Browser, site: Path) -> None:
    tab.open(site)
    for column, key in ((1, "Enter"), (2, " ")):
        tab.run(
            f"document.querySelector('{head(column)}').closest('table').closest('.wide').focus()"
        )
        for _ in range(column + 1):
            tab.press("Tab")
        assert tab.run(f"document.activeElement === document.querySelector('{head(column)}')")
        before = order(tab)
        tab.press(key)
        assert order(tab) != before
        said = tab.run("document.querySelector('#table-1 .status').textContent")
        assert said.startswith("Sorted by "), said


@pytest.mark.browser
def test_filters_leave_what_fits(tab: Browser, site: Path) -> None:
    tab.open(site)
    tab.run("document.querySelector('#table-1 .words').focus()")
    tab.type("part-of-g")
    assert {name.split()[0] for name in order(tab)} == {"gamma"}
    assert "2 of 8 lines" in tab.run("document.querySelector('#table-1 .status').textContent")
    tab.run(
        "(() => { const s = document.querySelector('#table-1 .selection'); s.value = '1:8';"
        "s.dispatchEvent(new Event('change')); })()"
    )
    assert order(tab) == ["gamma 1:8"]
    tab.click("#table-1 .picker summary")
    tab.click("#table-1 .picker input")
    shown = "[...document.querySelectorAll('#table-1 .ranked thead th')].map((h) => !h.hidden)"
    assert tab.run(shown) == [True, False, True, True]
    other = "document.querySelectorAll('#table-2 table.ranked tbody tr:not([hidden])').length"
    assert tab.run(other) == 4, "other tables stay as they are"


@pytest.mark.browser
def test_the_matrix_says_which_differences_are_real(tab: Browser, site: Path) -> None:
    tab.open(site)
    tab.click("#table-1 .differences summary")
    tab.run("new Promise((go) => setTimeout(go, 50))")
    text = tab.run(
        "(() => { const t = document.querySelector('#table-1 .matrix'), found = {};"
        "const names = [...t.tHead.rows[0].cells].map((c) => c.textContent);"
        "for (const row of t.tBodies[0].rows) {"
        "  const cells = [...row.cells].slice(1).map((c, i) => [names[i + 1], c.textContent]);"
        "  found[row.cells[0].textContent] = Object.fromEntries(cells);"
        "} return found; })()"
    )
    assert text["gamma 1:8"]["beta 1:8"].startswith("▼ +")
    assert text["beta 1:8"]["gamma 1:8"].startswith("▲ −")
    assert text["beta 1:8"]["alpha 1:8"].startswith("≈")
    assert "n = 80" in text["beta 1:8"]["alpha 1:8"]
    assert tab.run("document.title") == "SLMTokBench leaderboard · slmkit"


@pytest.mark.browser
def test_everybody_can_use_the_page(tab: Browser, site: Path) -> None:
    assert faults(tab, site) == []
    tab.open(site, width=390, height=844)
    assert tab.run("document.documentElement.scrollWidth") == 390
    # the names stay in sight while the figures go past
    tab.run("document.querySelector('#table-1 .wide').scrollLeft = 200")
    left = "document.querySelector('#table-1 tbody th').getBoundingClientRect().left"
    assert 0 <= tab.run(left) < 30


@pytest.mark.browser
def test_the_check_of_pages_finds_what_is_wrong(tab: Browser, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text(
        "<!doctype html><html><head><meta name='viewport' content='width=device-width'></head>"
        "<body><h1>a</h1><h3 id='x'>b</h3><p id='x' style='color:#999'>grey</p><input>"
        "<table><tr><th>a</th><th scope='col'></th></tr></table><button tabindex='2'></button>"
        "<button style='outline:none'>b</button><img src='data:,'>"
        "<div style='overflow:auto;width:9rem'><div style='width:20rem'>w</div></div>"
        "<div style='width:500px'>wide</div></body></html>"
    )
    found = " ".join(faults(tab, file))
    for fault in ("color-contrast (serious)", "heading-order", "no scope", "empty-table-header",
                  "tabindex (serious)", "no ring", "textbox without a name", "button-name",
                  "html-has-lang", "document-title", "landmark-one-main", "image-alt (critical)",
                  "label (critical)", "508 pixels wide", "without a name"):  # fmt: skip
        assert fault in found, fault


Command = Callable[..., subprocess.CompletedProcess[str]]


def test_build_makes_both_pages(command: Command, tmp_path: Path, three: list[Row]) -> None:
    for row in three:
        write_row(row, tmp_path / "rows")
    done = command("leaderboard", "build", tmp_path, "-o", "page")
    assert done.returncode == 0, done.stderr
    assert "tables 1, rows 3, lines 6" in done.stdout
    assert (tmp_path / "page" / "index.html").stat().st_size < 400_000
    assert "| beta | 1:8 |" in (tmp_path / "page" / "leaderboard.md").read_text()
    (tmp_path / "rows" / "torn.json").write_text("{")
    done = command("leaderboard", "build", "rows", "-o", "other")
    assert done.returncode == 2
    assert "torn.json: not JSON" in done.stderr
    assert not (tmp_path / "other").exists(), "of a wrong row no page is made"


def test_check_ends_with_what_it_found(command: Command, tmp_path: Path, three: list[Row]) -> None:
    files = [write_row(row, tmp_path / "rows") for row in three]
    done = command("leaderboard", "check", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert "beta, mini on spoken-qa, 3 values, 1 failed" in done.stdout
    wrong = json.loads(files[0].read_text())
    wrong["values"]["wer/1"]["value"] += 0.01
    files[0].write_text(json.dumps(wrong))
    done = command("leaderboard", "check", "rows")
    assert done.returncode == 1, "some of them are good"
    assert len(done.stderr.splitlines()) == 1
    assert "changed after it was measured" in done.stderr
    assert command("leaderboard", "check", files[0]).returncode == 2
    assert command("leaderboard", "check", "nowhere").returncode == 2
