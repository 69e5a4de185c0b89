"""Discovery of plugins, the registry, and what is broken and why."""

from slmkit.host.build import build, load_part, make_options, save_part
from slmkit.host.registry import Broken, Host, Shelved, host

__all__ = [
    "Broken",
    "Host",
    "Shelved",
    "build",
    "host",
    "load_part",
    "make_options",
    "save_part",
]
