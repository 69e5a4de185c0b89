"""Discovery of plugins, the registry, and what is broken and why."""

from slmkit.host.build import Origin, build, build_part, is_part, load_part, part_record, save_part
from slmkit.host.options import (
    MISSING,
    OptionFault,
    check_options,
    default_options,
    inner_parts,
    make_options,
    option_type,
)
from slmkit.host.registry import Broken, Host, Shelved, host

__all__ = [
    "MISSING",
    "Broken",
    "Host",
    "OptionFault",
    "Origin",
    "Shelved",
    "build",
    "build_part",
    "check_options",
    "default_options",
    "host",
    "inner_parts",
    "is_part",
    "load_part",
    "make_options",
    "option_type",
    "part_record",
    "save_part",
]
