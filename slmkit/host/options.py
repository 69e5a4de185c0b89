"""Option values held to the dataclass that a part declares, every fault at once."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from slmkit.api import BrokenPluginError, OptionsError, SlmkitError, nearest
from slmkit.api.declare import parts_of
from slmkit.host.registry import Shelved, host

MISSING = "???"
"""How OmegaConf writes a value that has to be given."""

SLOT_WORDS = ("part", "kind")
"""What a part's entry holds beside its options; one taken over from a slot brings its kind."""


@dataclasses.dataclass(frozen=True)
class OptionFault:
    """What is wrong with one option: which, and in words that follow its place."""

    name: str
    problem: str


def default_options(shelved: Shelved) -> dict[str, Any]:
    """Every option with its default, `MISSING` where there is none.

    Raises BrokenPluginError for an options class that OmegaConf cannot hold.
    """
    return dict(_defaults(shelved))


def check_options(
    shelved: Shelved, values: Mapping[str, Any]
) -> tuple[Any | None, list[OptionFault]]:
    """The options dataclass, filled and type-checked by OmegaConf, or None; and the faults."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    defaults = default_options(shelved)
    options = shelved.declaration.options
    faults = [OptionFault(name, _unknown(shelved, name)) for name in values if name not in defaults]
    filled = OmegaConf.structured(options)
    OmegaConf.set_readonly(filled, False)
    for name, default in defaults.items():
        value = values.get(name, default)
        if lacking := list(_unfilled(name, value)):
            needs = f"{shelved.kind} '{shelved.name}' needs this option"
            faults += [OptionFault(each, needs) for each in lacking]
        elif name in values:
            try:
                filled[name] = value
            except (OmegaConfBaseException, TypeError, ValueError):
                faults.append(_mistyped(options, name, value))
    if faults:
        return None, faults
    try:
        made = OmegaConf.to_object(filled)
    except (ValueError, TypeError) as error:
        # an options class may refuse a value in its __post_init__
        return None, [OptionFault("", str(error))]
    # OmegaConf lets a mapping through among the numbers of a list
    hints = typing.get_type_hints(options)
    wrong = [name for name in values if not _fits(getattr(made, name), hints[name])]
    faults = [_mistyped(options, name, values[name]) for name in wrong]
    if not faults:
        faults = [fault for name in parts_of(options) for fault in _inner_faults(made, name)]
    return (None, faults) if faults else (made, [])


def inner_parts(options: Any) -> dict[str, tuple[Shelved, Any]]:
    """The parts that checked options hold: for each option that is one, the part and its options.

    Those may hold parts in turn. Raises UnknownNameError and OptionsError.
    """
    found = {}
    for name, kind in parts_of(type(options)).items():
        values = getattr(options, name)
        inner = host().find(kind, values.get("part", ""), f"option '{name}'")
        own = {k: v for k, v in values.items() if k not in SLOT_WORDS}
        found[name] = inner, make_options(inner, own)
    return found


def _unfilled(name: str, value: Any) -> Iterator[str]:
    """The options, also of a part that an option holds, that have to be given."""
    if value == MISSING:
        yield name
    elif isinstance(value, Mapping):
        for inner, held in value.items():
            yield from _unfilled(f"{name}.{inner}", held)


def _inner_faults(options: Any, name: str) -> list[OptionFault]:
    """What is wrong with the part that an option holds."""
    values = {k: v for k, v in getattr(options, name).items() if k not in SLOT_WORDS}
    part = getattr(options, name).get("part")
    if not isinstance(part, str):
        return [OptionFault(name, "must name its part: {part: NAME}")]
    try:
        inner = host().find(parts_of(type(options))[name], part)
    except SlmkitError as error:
        return [OptionFault(name, str(error))]
    _, faults = check_options(inner, values)
    return [OptionFault(f"{name}.{f.name}".rstrip("."), f.problem) for f in faults]


def make_options(shelved: Shelved, values: Mapping[str, Any]) -> Any:
    """The part's options dataclass from option values. Raises OptionsError with every fault."""
    made, faults = check_options(shelved, values)
    if faults:
        where = f"{shelved.kind} '{shelved.name}'"
        raise OptionsError([f"{where}: option '{f.name}': {f.problem}" for f in faults])
    return made


@cache
def _defaults(shelved: Shelved) -> Mapping[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    options = shelved.declaration.options
    try:
        container = OmegaConf.to_container(OmegaConf.structured(options))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise BrokenPluginError(
            f"{shelved.kind} '{shelved.name}' of {shelved.distribution}: its options "
            f"{options.__name__} cannot be read: {str(error).splitlines()[0]}"
        ) from error
    assert isinstance(container, dict)
    return {str(name): value for name, value in container.items()}


def _unknown(shelved: Shelved, name: str) -> str:
    names = [f.name for f in dataclasses.fields(shelved.declaration.options)]
    near = nearest(name, names)
    known = f"did you mean '{near[0]}'?" if near else f"it has: {', '.join(names) or 'none'}"
    return f"{shelved.kind} '{shelved.name}' has no such option; {known}"


def option_type(options: type[Any], name: str) -> str:
    """The type of an option as it stands in the source: `int`, `list[str]`, `str | None`."""
    hint = typing.get_type_hints(options)[name]
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type as options have them: plain, optional, or a container."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, inner[1]) for v in value.values())
    if origin in (list, tuple):
        return isinstance(value, origin) and all(_fits(each, inner[0]) for each in value)
    return isinstance(value, hint)


def _mistyped(options: type[Any], name: str, value: Any) -> OptionFault:
    text = repr(value)
    shown = text if len(text) <= 40 else text[:37] + "..."
    return OptionFault(name, f"{shown} is not {option_type(options, name)}")
