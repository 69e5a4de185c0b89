"""Plugins that are broken in every way, each of which takes only itself off the shelves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

import slmkit
from slmkit.api import (
    HOOK_OF_KIND,
    KINDS,
    BrokenPluginError,
    DataError,
    MissingDependencyError,
    SlmkitError,
    UnknownNameError,
)
from slmkit.api import hooks as hook_specifications
from slmkit.api.declare import help_of
from slmkit.host import Host, default_options, load_part
from slmkit.host import registry as registry_module
from slmkit.host.registry import host, wanted

Plugin = Callable[..., EntryPoint]

GOOD = """
    from slmkit.api import Declaration, NoOptions, Tokenizer, hookimpl

    class Fine(Tokenizer):
        def __init__(self, options):
            self.options = options
        def encode(self, wav, lengths):
            raise AssertionError("not called here")

    @hookimpl
    def slmkit_tokenizers():
        return [Declaration(name="fine", summary="works", target=__name__ + ":Fine")]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Write a module and give the entry point of a distribution that offers it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def write(name: str, source: str, distribution: str = "stranger") -> EntryPoint:
        module = name.replace("-", "_") + "_module"
        (tmp_path / f"{module}.py").write_text(dedent(source))
        made.append(module)
        return entry_point(name, module, distribution)

    yield write
    for module in made:
        sys.modules.pop(module, None)


class Installed(Distribution):
    """A distribution of which only the metadata is there."""

    def __init__(self, name: str, requires: Sequence[str] = ()) -> None:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.2"]
        self.text = "\n".join([*lines, *(f"Requires-Dist: {each}" for each in requires), ""])

    def read_text(self, filename: str) -> str | None:
        return self.text if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        raise AssertionError("it has no files")


def entry_point(
    name: str, module: str, distribution: str, requires: Sequence[str] = ()
) -> EntryPoint:
    point = EntryPoint(name=name, value=module, group="slmkit")
    vars(point).update(dist=Installed(distribution, requires))
    return point


def declares(*arguments: str, hook: str = "slmkit_tokenizers") -> str:
    """The source of a plugin whose one hook declares a part with these arguments."""
    return (
        "from slmkit.api import Declaration, hookimpl\n"
        "@hookimpl\n"
        f"def {hook}():\n"
        f"    return [{', '.join(f'Declaration({a})' for a in arguments)}]\n"
    )


BROKEN = {
    "raises": (
        "raise RuntimeError('no licence\\nfor today')",
        "RuntimeError: no licence for today",
    ),
    "lacks": (
        "import a_package_that_is_not_there",
        "No module named 'a_package_that_is_not_there'",
    ),
    "ends": ("import sys; sys.exit(7)", "SystemExit: 7"),
    "misspelt": (
        "from slmkit.api import hookimpl\n@hookimpl\ndef slmkit_tokeniser():\n    return []",
        "unknown hook 'slmkit_tokeniser'; did you mean slmkit_tokenizers",
    ),
    "foreign-hook": (
        "from slmkit.api import hookimpl\n@hookimpl\ndef tokenizers():\n    return []",
        "unknown hook 'tokenizers'",
    ),
    "wrong-argument": (
        "from slmkit.api import hookimpl\n@hookimpl\ndef slmkit_texts(registry):\n    return []",
        "'registry'",
    ),
    "unmarked": ("def slmkit_tokenizers():\n    return []", "not marked with @slmkit.api.hookimpl"),
    "not-a-declaration": (
        "from slmkit.api import hookimpl\n@hookimpl\ndef slmkit_texts():\n    return ['bpe']",
        "slmkit_texts gave 'bpe', not a Declaration",
    ),
    "not-a-list": (
        "from slmkit.api import Declaration, hookimpl\n@hookimpl\ndef slmkit_texts():\n"
        "    return Declaration(name='x', summary='', target='a:B')",
        "not a list of declarations",
    ),
    "raising-hook": (
        "from slmkit.api import hookimpl\n@hookimpl\ndef slmkit_texts():\n    return 1 // 0",
        "ZeroDivisionError",
    ),
    "bad-name": (declares("name='Bad_Name', summary='', target='a:B'"), "lower case"),
    "bad-target": (declares("name='x', summary='', target='a.B'"), "not 'module:name'"),
    "bad-options": (declares("name='x', summary='', target='a:B', options=dict"), "dataclass"),
    "declared-twice": (
        declares("name='x', summary='', target='a:B'", "name='x', summary='', target='a:C'"),
        "'x' is declared twice",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_with_its_reason_and_the_others_stay(
    name: str, plugin: Plugin
) -> None:
    source, reason = BROKEN[name]
    before = plugin("a-good", GOOD.replace("fine", "before"), "a-package")
    after = plugin("z-good", GOOD.replace("fine", "after"), "z-package")
    found = Host([after, plugin(name, source), before])

    assert [part.name for part in found.parts()] == ["after", "before"]
    (broken,) = found.broken
    assert (broken.plugin, broken.distribution) == (name, "stranger")
    assert reason in broken.reason
    assert "\n" not in broken.reason


def test_a_part_is_built_from_a_plugin_that_works(plugin: Plugin) -> None:
    found = Host([plugin("good", GOOD)])
    part = found.find("tokenizer", "fine")
    assert (part.plugin, part.distribution, part.version) == ("good", "stranger", "1.2")
    assert part.load().__name__ == "Fine"
    assert not found.broken


def test_two_packages_with_one_name_are_both_named_and_neither_is_used(plugin: Plugin) -> None:
    found = Host(
        [
            plugin("one", GOOD, "first-package"),
            plugin("two", GOOD, "second-package"),
            plugin("three", GOOD.replace("fine", "other")),
        ]
    )
    with pytest.raises(BrokenPluginError, match=r"first-package.*second-package.*SLMKIT_PLUGINS"):
        found.find("tokenizer", "fine")
    first = next(part for part in found.parts() if part.distribution == "first-package")
    assert [part.distribution for part in found.rivals(first)] == ["second-package"]
    assert found.find("tokenizer", "other").load() is not None


def test_one_name_may_stand_on_shelves_of_two_kinds(plugin: Plugin) -> None:
    text = declares("name='fine', summary='', target='a:B'", hook="slmkit_texts")
    found = Host([plugin("one", GOOD), plugin("two", text)])
    assert [part.kind for part in found.named("fine")] == ["text", "tokenizer"]
    assert found.find("text", "fine").plugin == "two"
    assert not found.rivals(found.find("text", "fine"))


def test_an_unknown_name_brings_the_nearest_ones(plugin: Plugin) -> None:
    found = Host([plugin("good", GOOD.replace("fine", "mel-km"))])
    with pytest.raises(UnknownNameError, match=r"recipe\.yaml:4: .*'mel-kn'; did you mean mel-km"):
        found.find("tokenizer", "mel-kn", "recipe.yaml:4")
    with pytest.raises(UnknownNameError, match="did you mean mel-km"):
        found.named("melkm")
    with pytest.raises(UnknownNameError, match="kind of part 'tokenizr'; did you mean tokenizer"):
        found.find("tokenizr", "mel-km")
    with pytest.raises(UnknownNameError, match="kind of part"):
        list(found.parts("plugin"))


def test_an_unknown_name_points_at_broken_plugins_that_may_have_offered_it(plugin: Plugin) -> None:
    found = Host([plugin("good", GOOD), plugin("bad", "raise ImportError('x')")])
    with pytest.raises(SlmkitError, match=r"broken plugins.*slmkit doctor.*bad"):
        found.find("tokenizer", "quite-another")


WRONG_CLASSES = {
    "Nothing": ("", "cannot be loaded.*no attribute 'Nothing'"),
    "Plain": ("class Plain: pass", "is not a slmkit.api.Tokenizer"),
    "function": ("def function(options): pass", "is not a slmkit.api.Tokenizer"),
    "Other": (
        "from slmkit.api import Metric\nclass Other(Metric):\n    def score(self, *a): pass",
        "is not a slmkit.api.Tokenizer",
    ),
    "Half": ("from slmkit.api import Tokenizer\nclass Half(Tokenizer): pass", "lacks encode"),
}


@pytest.mark.parametrize("name", WRONG_CLASSES)
def test_a_part_that_breaks_its_contract_is_refused_when_loaded(name: str, plugin: Plugin) -> None:
    source, reason = WRONG_CLASSES[name]
    declared = declares(f"name='wrong', summary='', target=__name__ + ':{name}'")
    found = Host([plugin("p", source + "\n" + declared)])
    assert not found.broken
    with pytest.raises(BrokenPluginError, match=reason) as caught:
        found.find("tokenizer", "wrong").load()
    assert caught.value.exit_code == 3
    assert "stranger" in str(caught.value)


@pytest.mark.parametrize("source", ["raise OSError('libfoo.so')", "def (", "import nowhere_at_all"])
def test_a_part_whose_module_does_not_import_is_refused_with_the_reason(
    source: str, plugin: Plugin
) -> None:
    working = plugin("working-file", source)
    declared = declares(f"name='wrong', summary='', target='{working.value}:X'")
    found = Host([plugin("p", declared)])
    with pytest.raises(BrokenPluginError, match="cannot be loaded from") as caught:
        found.find("tokenizer", "wrong").load()
    assert "\n" not in str(caught.value)


def test_a_stage_has_to_be_a_function(plugin: Plugin) -> None:
    declared = declares("name='wrong', summary='', target='math:pi'", hook="slmkit_stages")
    with pytest.raises(BrokenPluginError, match="not a function"):
        Host([plugin("p", declared)]).find("stage", "wrong").load()


@pytest.mark.parametrize(
    ("installed_by", "command"),
    [
        ("extra=None", "pip install absent_one"),
        ("extra='eval'", r"pip install 'stranger\[eval\]'"),
        ("mend='pip install --no-deps absent-1'", "pip install --no-deps absent-1"),
    ],
)
def test_a_missing_dependency_comes_with_the_command_that_mends_it(
    installed_by: str, command: str, plugin: Plugin
) -> None:
    declared = declares(
        f"name='x', summary='', target='a:B', requires=('json', 'absent_one'), {installed_by}"
    )
    part = Host([plugin("p", declared)]).find("tokenizer", "x")
    assert part.missing == ("absent_one",)
    with pytest.raises(MissingDependencyError, match=f"needs absent_one: {command}"):
        part.load()


def test_a_dependency_inside_an_absent_package_is_missing_too(plugin: Plugin) -> None:
    declared = declares("name='x', summary='', target='a:B', requires=('absent.inside',)")
    assert Host([plugin("p", declared)]).find("tokenizer", "x").missing == ("absent.inside",)


def test_the_prefix_of_the_built_in_packages_is_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slmkit_intruder.py").write_text("raise SystemError('imported after all')")
    found = Host([entry_point("intruder", "slmkit_intruder", "stranger")])
    assert "reserved" in found.broken[0].reason
    ours = Host([entry_point("intruder", "slmkit_intruder", "slmkit")])
    assert "imported after all" in ours.broken[0].reason


@pytest.fixture
def installed(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three plugins of two distributions, in place of those that are really installed."""
    points = [
        plugin("one", GOOD.replace("fine", "one"), "first"),
        plugin("two", GOOD.replace("fine", "two"), "first"),
        plugin("three", GOOD.replace("fine", "three"), "second"),
    ]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
    monkeypatch.delenv("SLMKIT_PLUGINS", raising=False)
    host.cache_clear()
    yield
    host.cache_clear()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("switch", "names"),
    [
        (None, ["one", "three", "two"]),
        ("", []),
        ("two", ["two"]),
        (" two , one,", ["one", "two"]),
        ("first", ["one", "two"]),
        ("second,one", ["one", "three"]),
    ],
)
def test_the_rescue_switch_names_plugins_or_distributions(
    switch: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if switch is not None:
        monkeypatch.setenv("SLMKIT_PLUGINS", switch)
    assert [part.name for part in host().parts()] == names


def test_the_rescue_switch_knows_its_names() -> None:
    points = [entry_point("hubert", "x", "slmkit")]
    with pytest.raises(UnknownNameError, match=r"SLMKIT_PLUGINS: .*'hubrt'; did you mean hubert"):
        wanted(points, "hubrt")


def test_every_kind_has_a_hook_and_every_hook_a_kind() -> None:
    offered = {n for n in vars(hook_specifications) if n.startswith("slmkit_")}
    assert set(HOOK_OF_KIND) == set(KINDS)
    assert set(HOOK_OF_KIND.values()) == offered


def test_everything_that_comes_with_slmkit_can_be_loaded() -> None:
    found = Host(registry_module.entry_points(group="slmkit"))
    ours = [part for part in found.parts() if part.distribution == "slmkit"]
    assert ours
    assert not [broken for broken in found.broken if broken.distribution == "slmkit"]
    for part in ours:
        assert part.declaration.summary
        assert all(help_of(part.declaration.options).values()), part.name
        assert set(default_options(part)) == set(help_of(part.declaration.options))
        if not part.missing:
            part.load()


ANOTHER = (
    ["slmkit>=1,<2"],
    ["numpy", "slmkit >=5"],
    ["SLMKIT==0.0.1; python_version > '3'"],
    ["slmkit>=0.1", "slmkit<0.1"],
)
THIS = (
    [],
    ["slmkit"],
    ["slmkit>=0.1,<1"],
    ["slmkit[eval]>=0.1.0,<2"],
    ["slmkit>=5; extra == 'later'"],
    ["slmkit>=5; python_version < '3'"],
    ["slmkit-zoo>=5", "this is no requirement"],
)


@pytest.mark.parametrize("requires", ANOTHER)
def test_a_plugin_made_for_another_slmkit_is_refused_and_never_imported(
    requires: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "dated_module.py").write_text("raise SystemError('imported after all')")
    found = Host([entry_point("dated", "dated_module", "dated-parts", requires)])
    (broken,) = found.broken
    assert "made for slmkit" in broken.reason
    assert f"this is slmkit {slmkit.__version__}" in broken.reason
    assert "pip install --upgrade dated-parts" in broken.reason
    assert "imported" not in broken.reason
    assert "dated_module" not in sys.modules


@pytest.mark.parametrize("requires", THIS)
def test_a_plugin_made_for_this_slmkit_or_any_is_taken(requires: list[str], plugin: Plugin) -> None:
    module = plugin("good", GOOD).value
    found = Host([entry_point("good", module, "stranger", requires)])
    assert not found.broken
    assert found.find("tokenizer", "fine").version == "1.2"


@pytest.mark.parametrize(
    ("version", "taken"), [("0.9.1", True), ("1.0.0rc1", False), ("1.0", False), ("0.0.9", False)]
)
def test_bounds_are_held_to_the_version_that_runs(
    version: str, taken: bool, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slmkit, "__version__", version)
    module = plugin("good", GOOD).value
    found = Host([entry_point("good", module, "stranger", ["slmkit>=0.1,<1"])])
    assert bool(found.broken) is not taken


@pytest.mark.parametrize("record", ["[]", "{}", '{"kind": "tokenizer", "name": "mel-km"}', "{"])
def test_a_broken_record_of_a_part_is_named(record: str, tmp_path: Path) -> None:
    (tmp_path / "part.json").write_text(record)
    with pytest.raises(DataError, match="not a part's record"):
        load_part(tmp_path)
