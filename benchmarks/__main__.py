"""`python -m benchmarks [NAME ...]`: run every script of this folder, or those named."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent
PIECES = {
    "__init__",
    "__main__",
    "rows",
    "tables",
    "timing",
    "codecs_speed",
    "codecs_long",
    "codecs_hubert",
    "decoding_peers",
    "decoding_training",
    "vocoder_plain",
}


def main() -> int:
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in PIECES)
    wanted = sys.argv[1:] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no benchmark '{unknown[0]}'; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in wanted:
        sys.argv = [name]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
