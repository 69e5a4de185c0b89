"""Whether a package's parts keep the laws, and what mends those that do not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Literal

from slmkit.api import SlmkitError, nearest
from slmkit.host import MISSING, Shelved, default_options, host
from slmkit.host.registry import GROUP, distribution_of, parts_of
from slmkit.testing.mending import advice
from slmkit.testing.projects import no_entry_point

Status = Literal["kept", "broken", "unchecked"]


@dataclass(frozen=True)
class Verdict:
    """What was found of one part.

    Attributes:
        status: "kept" (all laws), "broken", or "unchecked" where it cannot be built as it is.
        law: the first law that is broken, or why nothing was checked.
        mend: what to do about it; empty where the law says so itself.
        where: file and line in the package, where it failed by an exception of its own.
        seconds: that it took.
    """

    kind: str
    name: str
    status: Status
    law: str = ""
    mend: str = ""
    where: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a plugin before any of its parts is looked at."""

    plugin: str
    text: str
    mend: str


@dataclass
class Examination:
    """What was found of a package."""

    distribution: str
    version: str
    faults: list[Fault] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is broken, and something was checked."""
        statuses = {verdict.status for verdict in self.verdicts}
        return not self.faults and "kept" in statuses and "broken" not in statuses


def examine(name: str, tell: Callable[[Verdict], None] = lambda _: None) -> Examination:
    """Hold every part of an installed package to the laws of its kind.

    `tell` hears of each verdict as soon as it is there. Raises SlmkitError for a package that is
    not installed, or that offers slmkit nothing.
    """
    points = _points(name)
    found = Examination(distribution_of(points[0]), points[0].dist.version)  # type: ignore[union-attr]
    parts: list[Shelved] = []
    for point in points:
        try:
            parts += parts_of(point)
        except (Exception, SystemExit) as error:
            # what a stranger's module does on import is its own
            found.faults.append(_not_read(point, error))
            continue
        if _imports_torch(point.value):
            text = f"{point.value} imports torch, which makes 'slmkit list' slow for everybody"
            mend = "import it in the modules of the parts, not beside the hooks"
            found.faults.append(Fault(point.name, text, mend))
    if not parts and not found.faults:
        text = "none of its hooks offers a part"
        found.faults.append(Fault(points[0].name, text, "return a list of Declaration from one"))
    for part in parts:
        verdict = judge(part)
        found.verdicts.append(verdict)
        tell(verdict)
    return found


def _points(name: str) -> list[EntryPoint]:
    """The entry points of a package by the name of its distribution."""
    every = list(entry_points(group=GROUP))
    wanted = _plain(name)
    points = [point for point in every if _plain(distribution_of(point)) == wanted]
    if points:
        return points
    try:
        installed = distribution(name)
    except (PackageNotFoundError, ValueError):
        near = nearest(name, {distribution_of(point) for point in every})
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise SlmkitError(
            f"no package '{name}' is installed; {hint}pip install it, or give the folder of its "
            f"pyproject.toml"
        ) from None
    raise SlmkitError(no_entry_point(f"{installed.metadata['Name']} {installed.version}"))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _not_read(point: EntryPoint, error: BaseException) -> Fault:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, SlmkitError):
        return Fault(point.name, " ".join(str(error).split()), "")
    place = _place(error, point.value.partition(":")[0])
    mend = f"python -c 'import {point.value.partition(':')[0]}' shows it{place and f', at {place}'}"
    return Fault(point.name, f"cannot be imported: {text}", mend)


def _imports_torch(module: str) -> bool:
    """Seen in a process of its own: this one has it already."""
    code = f"import sys, {module.partition(':')[0]}; sys.exit(7 * ('torch' in sys.modules))"
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return (
        subprocess.run([sys.executable, "-c", code], env=place, capture_output=True).returncode == 7
    )


def judge(part: Shelved) -> Verdict:
    """Hold one part to the laws of its kind."""
    rivals = [
        other.distribution
        for other in host().parts(part.kind)
        if other.name == part.name and other.distribution != part.distribution
    ]
    if rivals:
        law = f"{', '.join(rivals)} offers a {part.kind} of this name too: neither can be used"
        return Verdict(part.kind, part.name, "broken", law, "choose another name for it")
    if part.missing:
        law = f"needs {', '.join(part.missing)}"
        return Verdict(part.kind, part.name, "unchecked", law, part.mend)
    try:
        required = [n for n, value in default_options(part).items() if value == MISSING]
    except SlmkitError as error:
        return Verdict(part.kind, part.name, "broken", str(error))
    if required:
        law = f"has no default for {', '.join(required)}"
        values = ", ".join(f'"{name}": ...' for name in required)
        mend = f'check it in a test: slmkit_check_part("{part.kind}", "{part.name}", {{{values}}})'
        return Verdict(part.kind, part.name, "unchecked", law, mend)
    return _held_to_laws(part)


def _held_to_laws(part: Shelved) -> Verdict:
    from slmkit.testing.parts import check_part

    started = time.perf_counter()
    status: Status = "kept"
    law = mend = where = ""
    try:
        # what a part prints is talk, and no part of the verdict
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stdout(sys.stderr),
        ):
            check_part(part.kind, part.name, Path(folder) / "saved")
    except (Exception, SystemExit) as error:
        status = "broken"
        module = part.declaration.target.partition(":")[0]
        own = isinstance(error, AssertionError) and str(error)
        # behind the first line pytest, where it runs this, puts what it makes of an assertion
        law = str(error).splitlines()[0] if own else f"{type(error).__name__}: {error}"
        law = " ".join(law.split())
        mend, where = advice(law) if own else "", _place(error, module)
    return Verdict(
        part.kind, part.name, status, law, mend, where, round(time.perf_counter() - started, 2)
    )


def _place(error: BaseException, module: str) -> str:
    """File and line of the last step within a package that led to an error, or nothing."""
    top = module.split(".")[0]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).split(".")[0] == top:
            return f"{frame.f_code.co_filename}:{line}"
    return ""
