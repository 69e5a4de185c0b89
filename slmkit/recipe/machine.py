"""The machine and the versions that a run stands on, and the memory it takes. Imports no torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
from pathlib import Path

PACKAGES = ("slmkit", "torch", "lightning", "transformers", "numpy", "omegaconf")


def machine() -> dict[str, object]:
    """CPU, cores, memory in GB, GPUs, system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _line_of("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": cores,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpus": [
            _line_of(str(path), "Model")
            for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        ],
        "system": platform.platform(),
    }


def versions(distributions: set[str]) -> dict[str, str]:
    """Versions of Python, of slmkit and what it stands on, and of these distributions."""
    found = {"python": platform.python_version()}
    for name in [*PACKAGES, *sorted(distributions - {*PACKAGES, "?"})]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def forget_peak_memory() -> None:
    """Start the count of peak memory anew, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # elsewhere the peak is that of the process so far: too high, never too low
        return


def peak_memory() -> tuple[int, int]:
    """Bytes held at most: by this process, and by the largest one it started and saw end."""
    unit = 1 if platform.system() == "Darwin" else 1024
    peak = _line_of("/proc/self/status", "VmHWM")
    own = int(peak.split()[0]) * 1024 if peak else _resident(resource.RUSAGE_SELF) * unit
    return own, _resident(resource.RUSAGE_CHILDREN) * unit


def _resident(who: int) -> int:
    return resource.getrusage(who).ru_maxrss


def _line_of(file: str, name: str) -> str:
    """What stands after `name:` in one of the kernel's tables."""
    try:
        for line in Path(file).read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        return ""
    return ""
