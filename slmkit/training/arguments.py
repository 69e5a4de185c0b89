"""The arguments of `lightning.Trainer`, without the seconds that importing Lightning takes."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

HARMLESS = frozenset(
    {
        "barebones",
        "default_root_dir",
        "detect_anomaly",
        "enable_model_summary",
        "enable_progress_bar",
        "log_every_n_steps",
        "logger",
        "num_sanity_val_steps",
        "profiler",
    }
)
"""Arguments that change nothing of what is learnt; they are left out of fingerprints."""


@cache
def trainer_arguments() -> tuple[str, ...]:
    """The names of the arguments, read from Lightning's source."""
    spec = importlib.util.find_spec("lightning")
    assert spec is not None, "lightning is a dependency of slmkit"
    source = Path(spec.origin or "").parent / "pytorch" / "trainer" / "trainer.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == "Trainer":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    arguments = [*method.args.args, *method.args.kwonlyargs]
                    return tuple(argument.arg for argument in arguments if argument.arg != "self")
    raise AssertionError(f"no lightning.Trainer in {source}")
