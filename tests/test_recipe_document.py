"""Reading recipes: values, lines, layers, and every fault at once with its place."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from toy_plugin import toys  # noqa: F401

from slmkit.api import MisfitError, MissingDependencyError, OptionsError, UnknownNameError
from slmkit.recipe import graph
from slmkit.recipe.document import read_document, read_value
from slmkit.recipe.explain import explain
from slmkit.recipe.fit import check_available, check_fit
from slmkit.recipe.resolve import resolve

pytestmark = pytest.mark.usefixtures("toys")

PLAIN = """\
name: plain
parts:
  corpus: {part: toy, sentences: 3}
  tokenizer: {part: toy, clusters: 200}
stages:
  prepare: {stage: write}
  fit-tokenizer: {stage: fit, slot: tokenizer}
  measure: {stage: measure}
"""


def written(text: str, name: str = "r.yaml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def faults(text: str, *overrides: str, profile: str | None = None) -> list[str]:
    with pytest.raises(OptionsError) as caught:
        resolve(written(text), profile, overrides)
    return list(caught.value.faults)


def changed(old: str, new: str) -> str:
    assert old in PLAIN
    return PLAIN.replace(old, new)


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("3", 3),
            ("-3", -3),
            ("010", 10),
            ("0x1f", 31),
            ("1e-4", 1e-4),
            ("1.", 1.0),
            (".5", 0.5),
            (".inf", float("inf")),
            ("1:30", "1:30"),
            ("no", "no"),
            ("on", "on"),
            ("True", True),
            ("~", None),
            ("", None),
            ("'3'", "3"),
            ("2026-11-20", "2026-11-20"),
            ("[1, a, 2.0]", [1, "a", 2.0]),
            ("{a: {b: 1}}", {"a": {"b": 1}}),
            ("16-mixed", "16-mixed"),
        ],
    )
    def test_scalars_follow_yaml_1_2(self, text, value):
        found = read_value(text)
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize("text", ["[1", "!!python/object:os.system x", "{a: 1, a: 2}", "*x"])
    def test_what_is_no_value_is_refused(self, text):
        with pytest.raises(ValueError):
            read_value(text)

    def test_lines_of_keys(self):
        document = read_document(written(PLAIN))
        assert document.place(("parts", "tokenizer", "clusters")) == "r.yaml:4"
        assert document.place(("stages", "measure", "no", "such")) == "r.yaml:8"
        assert document.place(("nothing",)) == "r.yaml:1"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "r.yaml:1: a recipe is a mapping"),
            ("- a\n", "a recipe is a mapping"),
            ("a: [1\nb: 2\n", "r.yaml:2: not YAML"),
            ("a: 1\n---\nb: 2\n", "r.yaml:2: not YAML"),
            ("a: \x01", "not YAML"),
            ("a: !mystery 1\n", "r.yaml:1: key 'a': the tag '!mystery' means nothing here"),
            ("a: &x [*x]\nparts: {}\n", "an alias that holds itself"),
            ("a: {b: ${c}}", "write '${...}' in quotes"),
            ("? [1]\n: 2\n", "a key must be a word"),
            ("a: " + "9" * 5000, "is not of type int"),
        ],
    )
    def test_broken_files_in_one_line(self, text, words):
        assert words in "\n".join(faults(text))

    def test_missing_and_undecodable_files(self):
        with pytest.raises(OptionsError, match=r"gone\.yaml: cannot be read"):
            read_document(Path("gone.yaml"))
        Path("latin.yaml").write_bytes(b"name: \xe9t\xe9\n")
        with pytest.raises(OptionsError, match="not UTF-8"):
            read_document(Path("latin.yaml"))

    def test_aliases_cannot_blow_up(self):
        rows = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
        text = "a0: &a0 [1, 2]\n" + "\n".join(rows)
        assert "far too many aliases" in "\n".join(faults(text))


class TestFaults:
    def test_all_faults_at_once_each_with_its_line(self):
        found = faults(
            "name: bad\n"
            "sede: 3\n"
            "parts:\n"
            "  corpus: {part: toi}\n"
            "  tokenizer: {part: toy, clusterz: 100, rate: fast}\n"
            "  tokeniser: {part: toy}\n"
            "  tokenizer: {part: toy}\n"
            "stages:\n"
            "  prepare: {stage: writ}\n"
            "  fit: {stage: fit, needs: [prepar]}\n"
            "trainer: {max_step: 3}\n"
        )
        assert found == [
            "r.yaml:2: key 'sede': a recipe has no such key; did you mean 'seed'?",
            "r.yaml:4: key 'parts.corpus.part': unknown corpus 'toi'; did you mean toy?",
            "r.yaml:5: key 'parts.tokenizer.clusterz': tokenizer 'toy' has no such option; "
            "did you mean 'clusters'?",
            "r.yaml:5: key 'parts.tokenizer.rate': 'fast' is not float",
            "r.yaml:6: key 'parts.tokeniser': is no kind of part; did you mean 'tokenizer'? "
            "Or give `kind:`",
            "r.yaml:7: key 'parts.tokenizer': given twice, first in line 5",
            "r.yaml:9: key 'stages.prepare.stage': unknown stage 'writ'; did you mean write?",
            "r.yaml:10: key 'stages.fit.needs': no stage 'prepar'; did you mean 'prepare'?",
            "r.yaml:11: key 'trainer.max_step': lightning.Trainer has no such option; "
            "did you mean 'max_steps'?",
        ]

    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            ("clusters: 200", "clusters: many", "'many' is not int"),
            ("clusters: 200", "clusters: 2.5", "2.5 is not int"),
            ("clusters: 200", "clusters: true", "True is not int"),
            ("clusters: 200", "clusters: [1]", "[1] is not int"),
            ("clusters: 200", "layers: 3", "3 is not list[int]"),
            ("clusters: 200", "layers: [a]", "['a'] is not list[int]"),
            ("clusters: 200", "label: {a: 1}", "{'a': 1} is not str | None"),
            ("clusters: 200", "clusters: null", "None is not int"),
            ("clusters: 200", "clusters: '${parts.corpus.sentencez}'", "cannot be filled in"),
            ("clusters: 200", "clusters: '${'", "cannot be filled in"),
            ("clusters: 200", "clusters: '${parts.tokenizer.clusters}'", "cannot be filled in"),
            ("part: toy, clusters: 200", "part: needy", "tokenizer 'needy' needs this option"),
            ("part: toy, clusters: 200", "clusters: 200", "must name its part"),
            ("{part: toy, clusters: 200}", "3", "holds a mapping with 'part'"),
            ("{part: toy, clusters: 200}", "{part: toy, kind: coder}", "unknown kind 'coder'"),
            ("slot: tokenizer", "slot: vocoder", "needs the slot 'vocoder'"),
            ("slot: tokenizer", "needs: [measure]", "stages need each other: "),
            ("slot: tokenizer", "needs: {a: 1}", "holds a list of stages"),
            ("slot: tokenizer", "slots: {tokenizr: x}", "has no such slot; did you mean"),
            ("slot: tokenizer", "slots: [x]", "holds its slots"),
            ("{stage: measure}", "{needs: []}", "must name its stage"),
            ("  measure:", "  ../measure:", "a name is letters"),
            ("name: plain", "name: ../plain", "is not a name"),
            ("name: plain", "seed: -1", "-1 is not a whole number"),
            ("name: plain", "seed: x", "'x' is not a whole number"),
            ("name: plain", "trainer: 3", "holds a mapping"),
            ("name: plain", "profiles: [a]", "holds a mapping for each profile"),
        ],
    )
    def test_one_fault(self, old, new, fault):
        found = faults(changed(old, new))
        assert any(fault in line for line in found), found
        assert len(found) <= 2
        assert all(line.startswith("r.yaml:") for line in found)

    def test_cycles_name_the_round(self):
        text = changed("{stage: write}", "{stage: write, needs: [measure]}")
        assert faults(text) == [
            "r.yaml:6: key 'stages.prepare.needs': stages need each other: "
            "prepare -> measure -> fit-tokenizer -> prepare"
        ]

    def test_faults_of_a_profile_stand_at_the_profiles_lines(self):
        text = PLAIN + "profiles:\n  smoke:\n    parts: {tokenizer: {clusters: x}}\n"
        assert faults(text, profile="smoke") == [
            "r.yaml:11: key 'parts.tokenizer.clusters': 'x' is not int"
        ]

    def test_an_unknown_profile(self):
        text = PLAIN + "profiles:\n  smoke: {}\n"
        with pytest.raises(UnknownNameError, match="unknown profile 'smok'; did you mean smoke"):
            resolve(written(text), "smok")

    def test_faults_of_overrides(self):
        assert faults(
            PLAIN, "tokenizr.clusters=3", "tokenizer.cluster=3", "nonsense", "seed=[", "fit.x=1"
        ) == [
            "on the command line: 'nonsense': an override is KEY=VALUE",
            "on the command line: key 'seed': not YAML: expected the node content, "
            "but found '<stream end>'",
            "on the command line: key 'tokenizr.clusters': unknown slot or stage 'tokenizr'; "
            "did you mean tokenizer or fit-tokenizer?",
            "on the command line: key 'fit.x': unknown slot or stage 'fit'; "
            "did you mean fit-tokenizer?",
            "on the command line: key 'parts.tokenizer.cluster': tokenizer 'toy' has no such "
            "option; did you mean 'clusters'?",
        ]


class TestLayers:
    def test_recipe_then_profile_then_overrides(self):
        text = PLAIN + "profiles:\n  smoke: {parts: {tokenizer: {clusters: 5, rate: 2}}}\n"
        recipe = resolve(written(text), "smoke", ["tokenizer.clusters=7", "prepare.text=y"])
        options = recipe.slots["tokenizer"].options
        assert (options.clusters, options.rate, options.layers) == (7, 2.0, [1, 2])
        assert recipe.slots["corpus"].options.sentences == 3
        assert recipe.stages["prepare"].options.text == "y"

    def test_a_name_that_is_slot_and_stage(self):
        text = PLAIN + "  tokenizer: {stage: write}\n"
        recipe = resolve(written(text), None, ["tokenizer.clusters=7", "tokenizer.text=y"])
        assert recipe.slots["tokenizer"].options.clusters == 7
        assert recipe.stages["tokenizer"].options.text == "y"
        recipe = resolve(written(text), None, ["tokenizer.needs=[prepare]", "tokenizer.part=wide"])
        assert recipe.stages["tokenizer"].needs == ("prepare",)
        assert recipe.slots["tokenizer"].shelved.name == "wide"
        assert faults(text, "tokenizer.cluster=7") == [
            "on the command line: key 'parts.tokenizer.cluster': tokenizer 'toy' has no such "
            "option; did you mean 'clusters'?"
        ]
        text = PLAIN.replace("stages:", "  prepare: {kind: text, part: toy}\nstages:")
        assert faults(text, "prepare.text=y") == [
            "on the command line: key 'prepare.text': a slot and a stage have it; "
            "write parts.prepare.text or stages.prepare.text"
        ]

    def test_overrides_from_python(self):
        recipe = resolve(
            written(PLAIN),
            None,
            {"tokenizer.clusters": 9, "seed": 4},
            {"corpus": {"source": Path("a/b")}, "tokenizer": {"layers": (3, 4)}},
        )
        assert recipe.slots["tokenizer"].options.clusters == 9
        assert recipe.slots["tokenizer"].options.layers == [3, 4]
        assert recipe.slots["corpus"].options.source == "a/b"
        assert recipe.seed == 4

    def test_another_part_drops_the_old_options(self):
        recipe = resolve(written(PLAIN), None, ["tokenizer.part=wide", "tokenizer.rate=3"])
        slot = recipe.slots["tokenizer"]
        assert (slot.shelved.name, slot.options.clusters, slot.options.rate) == ("wide", 8, 3.0)
        assert (
            resolve(written(PLAIN), None, ["tokenizer=wide"]).slots["tokenizer"].options.clusters
            == 8
        )

    def test_a_removed_stage_is_bridged(self):
        text = changed("{stage: measure}", "{stage: measure, needs: [fit-tokenizer]}")
        recipe = resolve(written(text + "profiles:\n  p: {stages: {fit-tokenizer: null}}\n"), "p")
        assert list(recipe.stages) == ["prepare", "measure"]
        assert recipe.stages["measure"].needs == ("prepare",)

    def test_needs_default_to_the_stage_above(self):
        recipe = resolve(written(PLAIN))
        assert recipe.needs == {
            "prepare": (),
            "fit-tokenizer": ("prepare",),
            "measure": ("fit-tokenizer",),
        }

    def test_stages_run_after_what_they_need(self):
        text = (
            changed("{stage: write}", "{stage: write, needs: [early]}")
            + "  early: {stage: measure, needs: []}\n"
        )
        assert list(resolve(written(text)).stages) == [
            "early",
            "prepare",
            "fit-tokenizer",
            "measure",
        ]

    def test_interpolations_reach_defaults_and_overrides(self):
        text = changed("clusters: 200", "clusters: '${parts.corpus.sentences}', label: 'a${seed}'")
        recipe = resolve(written(text), None, ["corpus.sentences=21", "seed=5"])
        assert recipe.slots["tokenizer"].options.clusters == 21
        assert recipe.slots["tokenizer"].options.label == "a5"
        text = changed("sentences: 3", "sentences: '${parts.tokenizer.layers[1]}'")
        assert resolve(written(text)).slots["corpus"].options.sentences == 2

    def test_slots_under_names_of_their_own(self):
        text = changed("stages:", "  second: {kind: tokenizer, part: wide}\nstages:").replace(
            "slot: tokenizer", "slots: {tokenizer: second}"
        )
        stage = resolve(written(text)).stages["fit-tokenizer"]
        assert stage.uses == ("tokenizer",)
        assert stage.touched == ["second"]

    def test_yaml_numbers_in_exponents_reach_floats(self):
        recipe = resolve(written(changed("clusters: 200", "rate: 1e-4")))
        assert recipe.slots["tokenizer"].options.rate == 1e-4


class TestExplain:
    TEXT = (
        changed("clusters: 200", "clusters: 200, label: 'no', rate: 1.0e-9, layers: [4]")
        + "trainer: {max_time: '00:01:00:00', devices: 2}\n"
        + "profiles:\n  smoke: {stages: {prepare: {text: 'a: b # c'}}}\n"
    )

    def test_it_says_where_values_come_from(self):
        told = explain(resolve(written(self.TEXT), "smoke", ["tokenizer.clusters=7"]))
        origins = {
            line.split(":")[0].strip(): line.partition("  # ")[2] for line in told.splitlines()
        }
        assert origins["clusters"] == "command line"
        assert origins["sentences"] == "r.yaml:3"
        assert origins["text"] == "profile smoke, r.yaml:11"
        assert origins["source"] == "default"

    def test_what_it_prints_is_the_same_recipe(self):
        recipe = resolve(written(self.TEXT), "smoke", ["tokenizer.clusters=7"])
        again = resolve(written(explain(recipe), "again.yaml"))
        assert again.plain() == recipe.plain()
        assert yaml.safe_load(explain(recipe)) == recipe.plain()


class TestFit:
    TEXT = PLAIN.replace("stages:", "  vocoder: {part: toy}\nstages:") + "  speak: {stage: speak}\n"

    def misfit(self, *overrides: str, text: str | None = None) -> str:
        with pytest.raises(MisfitError) as caught:
            check_fit(resolve(written(text or self.TEXT), None, overrides))
        return str(caught.value)

    def test_what_fits_passes(self):
        check_fit(resolve(written(self.TEXT)))

    def test_codebooks_and_rates_are_told_with_both_names(self):
        told = self.misfit("tokenizer=wide").splitlines()
        assert told == [
            "r.yaml: tokenizer 'wide' gives codes of 8 codebooks, vocoder 'toy' takes 1",
            "r.yaml: tokenizer 'wide' codes sound of 24000 Hz, vocoder 'toy' speaks at 16000 Hz",
            "r.yaml: tokenizer 'wide' gives 75 frames a second, vocoder 'toy' takes 50",
        ]

    def test_abilities_follow_options(self):
        assert "merges equal units" in self.misfit("tokenizer.merge=true")

    def test_a_vocoder_meets_the_only_tokenizer_without_a_common_stage(self):
        text = self.TEXT.replace("  speak: {stage: speak}", "  voice: {stage: voice}")
        assert "gives codes of 8" in self.misfit("tokenizer=wide", text=text)

    def test_of_two_tokenizers_the_one_in_the_stage_counts(self):
        text = self.TEXT.replace("stages:", "  second: {kind: tokenizer, part: wide}\nstages:")
        check_fit(resolve(written(text)))
        text = text.replace("{stage: speak}", "{stage: speak, slots: {tokenizer: second}}")
        assert "tokenizer 'wide' (slot 'second') gives codes of 8" in self.misfit(text=text)

    def test_a_stage_asks_for_dialogue(self):
        text = self.TEXT + "  chat: {stage: chat}\n"
        check_fit(resolve(written(text)))
        told = self.misfit("corpus.dialogue=false", text=text)
        assert (
            told == "r.yaml: stage 'chat' needs questions with answers, and corpus 'toy' has none"
        )

    def test_missing_packages_are_told_before_any_work(self):
        recipe = resolve(written(self.TEXT), None, ["tokenizer=absent"])
        check_available(recipe, ["prepare"])
        with pytest.raises(MissingDependencyError, match="needs no_such_pkg: pip install"):
            check_available(recipe, ["prepare", "fit-tokenizer"])


class TestGraph:
    NEEDS: ClassVar = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": []}

    def test_above_is_nearest_first_and_later_first(self):
        assert graph.above("d", self.NEEDS) == ["c", "b", "a"]

    def test_below(self):
        assert graph.below("a", self.NEEDS) == {"b", "c", "d"}
        assert graph.below("e", self.NEEDS) == set()

    def test_bridging_goes_through_several(self):
        assert graph.bridged(["x", "b"], {"x": ["y"], "y": ["a", "b"]}) == ["a", "b"]
        assert graph.bridged(["x"], {"x": ["x"]}) == []

    def test_a_cycle_is_found_behind_a_tail(self):
        needs = {"a": ["c"], "b": ["a"], "c": ["b"], "tail": ["a"]}
        assert graph.cycle(needs) == ["a", "c", "b", "a"]
        assert graph.cycle(self.NEEDS) == []


def test_a_mapping_takes_over_another(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "a: &a {x: 1, y: {z: 2}}\nb:\n  <<: *a\n  x: 3\nc: {x: 4, <<: *a}\nd: {'<<': 5}\n"
    )
    document = read_document(path)
    assert document.values["b"] == {"x": 3, "y": {"z": 2}}
    assert document.values["c"] == {"x": 4, "y": {"z": 2}}
    assert document.values["d"] == {"<<": 5}
    assert not document.faults
    assert document.lines["b", "x"] == 4
    assert document.lines["b", "y"] == 1


@pytest.mark.parametrize("text", ["a: &a {<<: *a}", "a: {<<: 3}", "a: &a [1]\nb: {<<: *a}"])
def test_what_takes_over_no_mapping_is_a_fault(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    assert "takes another mapping" in " ".join(read_document(path).faults)
