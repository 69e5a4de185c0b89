"""From a recipe file, a profile and overrides to a checked recipe, or to all their faults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmkit.api import KINDS, Can, OptionsError, SlmkitError, UnknownNameError, nearest
from slmkit.host import Shelved, check_options, default_options, host
from slmkit.recipe import graph
from slmkit.recipe.document import Key, read_document
from slmkit.recipe.interpolate import interpolate
from slmkit.recipe.layers import Origin, Tree, profile_layer, recipe_layer
from slmkit.recipe.model import Recipe, Slot, Stage
from slmkit.recipe.overrides import Overrides, lay_overrides, read_overrides
from slmkit.training.arguments import trainer_arguments

TOP = ("name", "summary", "seed", "parts", "stages", "trainer", "profiles")
SLOT_WORDS = ("part", "kind")
STAGE_WORDS = ("stage", "needs", "slots")


def resolve(path: Path, profile: str | None = None, *overrides: Overrides) -> Recipe:
    """Read and check a recipe. Raises OptionsError with every fault, a line each."""
    document = read_document(path)
    tree = Tree(origins={(): Origin(str(path), "recipe")})
    tree.lay(*recipe_layer(document))
    profiles = document.values.get("profiles") or {}
    if not isinstance(profiles, dict) or any(not isinstance(p, dict) for p in profiles.values()):
        place = document.place(("profiles",))
        raise OptionsError([f"{place}: key 'profiles': holds a mapping for each profile"])
    if profile == "default" and profile not in profiles:
        profile = None
    if profile is not None:
        if profile not in profiles:
            raise UnknownNameError("profile", profile, profiles, str(path))
        tree.lay(*profile_layer(document, profile))
    faults = list(document.faults)
    for each in overrides:
        changes, unreadable = read_overrides(each)
        faults += [*unreadable, *lay_overrides(tree, changes)]
    return _Resolver(tree, faults).recipe(path, profile)


class _Resolver:
    """Checks one merged tree, collecting faults instead of stopping at the first."""

    def __init__(self, tree: Tree, faults: list[str]) -> None:
        self.tree = tree
        self.values = tree.values
        self.faults = faults
        self.unfilled: set[Key] = set()

    def fault(self, key: Key, problem: str) -> None:
        """Note what is wrong at a key, with its place."""
        self.faults.append(f"{self.tree.origin(key).place}: key '{'.'.join(key)}': {problem}")

    def recipe(self, path: Path, profile: str | None) -> Recipe:
        """The whole recipe. Raises OptionsError where anything is wrong."""
        self._top()
        shelved = {
            section: self._shelved(section, words)
            for section, words in (("parts", SLOT_WORDS), ("stages", STAGE_WORDS))
        }
        self._interpolate()
        slots = self._slots(shelved["parts"])
        stages = self._stages(shelved["stages"])
        trainer = self._trainer()
        name = self._word("name", path.stem)
        seed = self.values.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
            self.fault(("seed",), f"{seed!r} is not a whole number of 0 to 2**32 - 1")
        if self.faults:
            raise OptionsError(sorted_faults(self.faults))
        values = {"name": name, "seed": seed, **self.values}
        return Recipe(path, profile, name, seed, values, self.tree.origins, slots, stages, trainer)

    def _top(self) -> None:
        """Names of the sections, and that they are mappings."""
        for name in list(self.values):
            if name not in TOP:
                self.fault((name,), f"a recipe has no such key; {_meant(name, TOP)}")
                del self.values[name]
        for section in ("parts", "stages", "trainer"):
            if self.values.get(section) is None:
                self.values[section] = {}
            if not isinstance(self.values[section], dict):
                self.fault((section,), "holds a mapping")
                self.values[section] = {}
        self._word("summary", "")
        if not self.values["stages"]:
            self.fault(("stages",), "a recipe needs at least one stage")

    def _word(self, key: str, default: str) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str) or (key == "name" and not _is_name(value)):
            self.fault((key,), f"{value!r} is not a name" if key == "name" else "is not text")
            return default
        return value

    def _shelved(self, section: str, words: tuple[str, ...]) -> dict[str, Shelved]:
        """The part of each entry whose part is known; its defaults are filled in."""
        found = {}
        for name, entry in list(self.values[section].items()):
            key = (section, name)
            if not _is_name(name):
                self.fault(key, "a name is letters, digits, '-' and '_'")
            elif not isinstance(entry, dict):
                self.fault(key, f"holds a mapping with '{words[0]}' and options")
            elif not isinstance(entry.get(words[0]), str):
                self.fault(key, f"must name its {words[0]}: {{{words[0]}: NAME}}")
            elif (kind := self._kind(section, name, entry)) is not None:
                try:
                    part = host().find(kind, entry[words[0]])
                    defaults = default_options(part)
                except SlmkitError as error:
                    self.fault((*key, words[0]), str(error))
                    continue
                found[name] = part
                given = {k: entry[k] for k in words if k in entry}
                entry_values = {**given, **defaults, **entry}
                entry.clear()
                entry.update(entry_values)
        return found

    def _kind(self, section: str, name: str, entry: dict[str, Any]) -> str | None:
        """The kind of an entry's part: of a slot its own name, or what `kind` says."""
        if section == "stages":
            return "stage"
        kinds = [kind for kind in KINDS if kind != "stage"]
        kind = entry.get("kind", name)
        if kind in kinds:
            return str(kind)
        if "kind" in entry:
            self.fault((section, name, "kind"), f"unknown kind {kind!r}; {_meant(kind, kinds)}")
        else:
            self.fault(
                (section, name), f"is no kind of part; {_meant(name, kinds)} Or give `kind:`"
            )
        return None

    def _interpolate(self) -> None:
        for key, problem in interpolate(self.values):
            self.fault(key, problem)
            self.unfilled.add(key)

    def _slots(self, shelved: Mapping[str, Shelved]) -> dict[str, Slot]:
        slots = {}
        for name, part in shelved.items():
            options = self._options(("parts", name), part, SLOT_WORDS)
            if options is not None:
                slots[name] = Slot(name, part, options, self._can(("parts", name), part, options))
        return slots

    def _options(self, key: Key, part: Shelved, words: tuple[str, ...]) -> Any:
        entry = self.values[key[0]][key[1]]
        skipped = [*words, *(inner[-1] for inner in self.unfilled if inner[:-1] == key)]
        given = {name: value for name, value in entry.items() if name not in skipped}
        options, faults = check_options(part, given)
        for fault in faults:
            if fault.name in skipped:
                continue
            self.fault((*key, fault.name) if fault.name else key, fault.problem)
        return options

    def _can(self, key: Key, part: Shelved, options: Any) -> Can:
        try:
            return part.declaration.abilities(options)
        except Exception as error:
            self.fault(key, f"what {part.kind} '{part.name}' can do is not known: {error!r}")
            return part.declaration.can

    def _touched(self, key: Key, part: Shelved, options: Any) -> tuple[tuple[str, ...], ...]:
        """The slots that a stage uses, and those that it gives."""
        try:
            return part.declaration.slots(options)
        except Exception as error:
            self.fault(key, f"which slots stage '{part.name}' uses is not known: {error!r}")
            return (), ()

    def _stages(self, shelved: Mapping[str, Shelved]) -> dict[str, Stage]:
        needs = self._needs()
        stages = {}
        for name, part in shelved.items():
            key = ("stages", name)
            options = self._options(key, part, STAGE_WORDS)
            if options is None:
                continue
            uses, gives = self._touched(key, part, options)
            slots = self._renamed(key, part, (*uses, *gives))
            can = self._can(key, part, options)
            stage = Stage(name, part, options, can, tuple(needs[name]), uses, gives, slots)
            for slot in stage.touched:
                if slot not in self.values["parts"]:
                    known = _meant(slot, self.values["parts"])
                    self.fault(key, f"needs the slot '{slot}', which `parts` has not; {known}")
            self._readable(key, stage, needs, shelved)
            stages[name] = stage
        return {name: stages[name] for name in graph.in_order(needs) if name in stages}

    def _readable(
        self,
        key: Key,
        stage: Stage,
        needs: Mapping[str, list[str]],
        shelved: Mapping[str, Shelved],
    ) -> None:
        """Fault what the stage reads and no stage above it leaves."""
        above = graph.above(stage.name, needs)
        if any(name not in shelved for name in above):
            # what an unknown stage leaves is not known; it has a fault of its own
            return
        left = {name for upper in above for name in shelved[upper].declaration.leaves}
        for name in stage.shelved.declaration.reads:
            if name not in left:
                makers = [p.name for p in host().parts("stage") if name in p.declaration.leaves]
                self.fault(
                    key,
                    f"stage '{stage.shelved.name}' reads '{name}', which no stage it needs leaves; "
                    f"stages that leave it: {', '.join(makers) or 'none'}",
                )

    def _renamed(self, key: Key, part: Shelved, known: tuple[str, ...]) -> dict[str, str]:
        slots = self.values[key[0]][key[1]].get("slots") or {}
        if not isinstance(slots, dict) or any(not isinstance(s, str) for s in slots.values()):
            self.fault((*key, "slots"), "holds its slots and the recipe's: {vocoder: baseline}")
            return {}
        for name in slots:
            if name not in known:
                meant = _meant(name, known)
                self.fault((*key, "slots", name), f"stage '{part.name}' has no such slot; {meant}")
        return dict(slots)

    def _needs(self) -> dict[str, list[str]]:
        """What each stage needs: by default the one just above it in the recipe."""
        stages: dict[str, Any] = self.values["stages"]
        removed = {
            key[1]: self._list_of_needs(key, entry)
            for key, entry in self.tree.removed.items()
            if key[0] == "stages" and key[1] not in stages
        }
        needs: dict[str, list[str]] = {}
        previous: list[str] = []
        for name, entry in stages.items():
            given = entry.get("needs") if isinstance(entry, dict) else None
            wanted = previous if given is None else self._list_of_needs(("stages", name), entry)
            needs[name] = graph.bridged(wanted, removed)
            for need in list(needs[name]):
                if need not in stages:
                    self.fault(
                        ("stages", name, "needs"), f"no stage '{need}'; {_meant(need, stages)}"
                    )
                    needs[name].remove(need)
            previous = [name]
        if round_trip := graph.cycle(needs):
            where = ("stages", round_trip[0], "needs")
            self.fault(where, f"stages need each other: {' -> '.join(round_trip)}")
        return needs

    def _list_of_needs(self, key: Key, entry: dict[str, Any]) -> list[str]:
        needs = entry.get("needs") or []
        if isinstance(needs, str):
            return [needs]
        if not isinstance(needs, list) or any(not isinstance(need, str) for need in needs):
            self.fault((*key, "needs"), "holds a list of stages")
            return []
        return list(dict.fromkeys(needs))

    def _trainer(self) -> dict[str, Any]:
        given: dict[str, Any] = self.values["trainer"]
        known = trainer_arguments() if given else ()
        for name in given:
            if name not in known:
                self.fault(
                    ("trainer", name),
                    f"lightning.Trainer has no such option; {_meant(name, known)}",
                )
        return dict(given)


def sorted_faults(faults: list[str]) -> list[str]:
    """Faults by file and line, each once; those of the command line come last."""

    def place(fault: str) -> tuple[int, str, int]:
        file, _, rest = fault.partition(":")
        line = rest.partition(":")[0]
        return (0, file, int(line)) if line.isdigit() else (1, "", 0)

    return sorted(dict.fromkeys(faults), key=place)


def _is_name(text: Any) -> bool:
    """Whether a text can be a name of folders."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= 100
        and text[0] not in "-."
        and all(c.isascii() and (c.isalnum() or c in "-_.") for c in text)
    )


def _meant(name: Any, known: Any) -> str:
    near = nearest(str(name), known)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(known) or 'none'}"
