"""`slmkit doctor`: what this machine has, what is wrong, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

import typer

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}
GB = 1e9
LITTLE_DISK_GB = 3.0
LITTLE_MEMORY_GB = 6.0
TORCH_AT_LEAST = (2, 6)


class Finding(NamedTuple):
    """One line of the examination: `bad` means that slmkit cannot be used."""

    what: str
    level: Literal["ok", "warn", "bad"]
    text: str
    mend: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Examine this machine.

    Each line is ok, warn or bad, and says how to mend it; the exit code is 1 if anything is bad.
    """
    findings = []
    for examine in EXAMINATIONS:
        for finding in _safely(examine):
            findings.append(finding)
            if not as_json:
                _show(finding)
    usable = all(finding.level != "bad" for finding in findings)
    if as_json:
        listed = [finding._asdict() for finding in findings]
        typer.echo(json.dumps({"usable": usable, "findings": listed}, indent=1))
    if not usable:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    level = typer.style(f"{finding.level:<4}", fg=COLOURS[finding.level])
    mend = f"\n{'':<19}mend: {finding.mend}" if finding.mend else ""
    typer.echo(f"{level}  {finding.what:<12} {finding.text}{mend}")


def _safely(examine: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of one examination; one that fails is a finding itself."""
    try:
        yield from examine()
    except Exception as error:
        name = examine.__name__.strip("_")
        yield Finding(name, "bad", " ".join(f"{type(error).__name__}: {error}".split()))


def _python() -> Iterator[Finding]:
    import platform
    import sys

    import slmkit

    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Finding("slmkit", "ok", f"{slmkit.__version__} at {slmkit.__path__[0]}")


def _torch() -> Iterator[Finding]:
    import torch

    version = tuple(int(n) for n in torch.__version__.split("+")[0].split(".")[:2])
    text = f"{torch.__version__}, {torch.get_num_threads()} threads"
    if version >= TORCH_AT_LEAST:
        yield Finding("torch", "ok", text)
    else:
        yield Finding("torch", "bad", text, "pip install --upgrade torch")
    widest = torch.backends.cpu.get_cpu_capability()
    # mixed precision in bfloat16 pays only where tiles multiply it
    amx = "with" if torch.cpu._is_amx_tile_supported() else "without"
    yield Finding("processor", "ok", f"{widest}, {amx} AMX tiles for bfloat16")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        count, memory = torch.cuda.device_count(), properties.total_memory / GB
        yield Finding("device", "ok", f"{count} x {properties.name}, {memory:.0f} GB")
    elif torch.backends.mps.is_available():
        yield Finding("device", "ok", "mps")
    else:
        yield Finding("device", "ok", "cpu; the embedded recipes need no more")


def _requirements() -> Iterator[Finding]:
    """What slmkit's own distribution asks for: the core must be there, extras may."""
    from importlib.metadata import metadata, requires

    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("slmkit") or ()]
    core = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    unmet = [fault for r in core if (fault := _unmet(r.name, r.specifier))]
    if unmet:
        yield Finding("packages", "bad", ", ".join(unmet), "pip install --upgrade slmkit")
    else:
        yield Finding("packages", "ok", f"all {len(core)} of the core")
    offered = metadata("slmkit").get_all("Provides-Extra") or []
    for extra in (name for name in offered if name not in ("dev", "all")):
        optional = [r for r in wanted if r not in core and r.marker]
        of_extra = [r for r in optional if r.marker and r.marker.evaluate({"extra": extra})]
        unmet = [fault for r in of_extra if (fault := _unmet(r.name, r.specifier))]
        if unmet:
            mend = f"pip install 'slmkit[{extra}]'"
            yield Finding(f"extra {extra}", "warn", ", ".join(unmet), mend)
        else:
            yield Finding(f"extra {extra}", "ok", ", ".join(r.name for r in of_extra))


def _unmet(name: str, specifier: object) -> str:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.specifiers import SpecifierSet

    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    if SpecifierSet(str(specifier)).contains(found, prereleases=True):
        return ""
    return f"{name} {found} is not {specifier}"


def _torchaudio() -> Iterator[Finding]:
    import subprocess
    import sys
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("torchaudio")
    except PackageNotFoundError:
        yield Finding("torchaudio", "ok", "absent, as it should be")
        return
    # in a process of its own: a library that does not match may end the one that loads it
    probe = subprocess.run([sys.executable, "-c", "import torchaudio"], capture_output=True)
    if probe.returncode == 0:
        yield Finding("torchaudio", "ok", f"{found} fits this torch; slmkit does not use it")
        return
    text = f"{found} does not import beside this torch, and breaks transformers' speech models"
    yield Finding("torchaudio", "bad", text, "pip uninstall torchaudio")


def _sound() -> Iterator[Finding]:
    import soundfile

    library = f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}"
    formats = soundfile.available_formats()
    lacking = [name for name in ("WAV", "FLAC", "OGG") if name not in formats]
    if lacking:
        mend = "pip install --force-reinstall soundfile"
        yield Finding("sound files", "bad", f"{library} lacks {', '.join(lacking)}", mend)
    else:
        yield Finding("sound files", "ok", library)


def _espeak() -> Iterator[Finding]:
    import ctypes

    mend = "pip install 'slmkit[text]'"
    try:
        import espeakng_loader
    except ImportError:
        yield Finding("espeak", "warn", "not installed; the corpus spoken-qa needs it", mend)
        return
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except OSError as error:
        yield Finding("espeak", "warn", f"does not load: {error}", f"{mend} --force-reinstall")
        return
    library.espeak_Info.restype = ctypes.c_char_p
    version = (library.espeak_Info(None) or b"?").decode().split(" ")[0]
    yield Finding("espeak", "ok", f"espeak-ng {version} from the package espeakng-loader")


def _place() -> Iterator[Finding]:
    """Whether a run's folder could be made here, and would have room."""
    import shutil
    import tempfile
    from pathlib import Path

    here = Path.cwd()
    try:
        with tempfile.TemporaryFile(dir=here):
            yield Finding("this folder", "ok", f"{here} can be written to")
    except OSError as error:
        mend = "go to a folder of your own, or give --output"
        yield Finding("this folder", "bad", f"{here}: {error.strerror}", mend)
    free = shutil.disk_usage(here).free / GB
    if free >= LITTLE_DISK_GB:
        yield Finding("disk", "ok", f"{free:.0f} GB free here")
    else:
        mend = f"free {LITTLE_DISK_GB:.0f} GB, or give --output on another disk"
        yield Finding("disk", "warn", f"only {free:.1f} GB free here", mend)


def _memory() -> Iterator[Finding]:
    import os
    from pathlib import Path

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.is_file() else "max"
    memory = (total if allowed == "max" else min(total, int(allowed))) / GB
    if memory >= LITTLE_MEMORY_GB:
        yield Finding("memory", "ok", f"{memory:.0f} GB")
    else:
        text = f"{memory:.1f} GB; the recipe speechgpt takes up to {LITTLE_MEMORY_GB:.0f} GB"
        yield Finding("memory", "warn", text, "close other programs")


def _parts() -> Iterator[Finding]:
    """A broken plugin of a stranger takes only itself away; a broken one of ours is bad."""
    from slmkit.cli.list import status_of
    from slmkit.host import host

    found = host()
    parts = list(found.parts())
    faults = [(part, status_of(found, part)) for part in parts]
    faults = [(part, status) for part, status in faults if status != "available"]
    yield Finding("parts", "ok", f"{len(parts) - len(faults)} of {len(parts)} can be used")
    for part, status in faults:
        text, _, mend = status.partition(": ")
        yield Finding("part", "warn", f"{part.kind} '{part.name}' {text}", mend)
    for broken in found.broken:
        level: Literal["bad", "warn"] = "bad" if broken.distribution == "slmkit" else "warn"
        text = f"'{broken.plugin}' of {broken.distribution} is broken: {broken.reason}"
        mend = f"pip install --upgrade {broken.distribution}, or pip uninstall it"
        yield Finding("plugin", level, text, mend)


EXAMINATIONS = (
    _python,
    _torch,
    _requirements,
    _torchaudio,
    _sound,
    _espeak,
    _place,
    _memory,
    _parts,
)
