"""A picture of few colours as PNG: a pixel for each value, however many there are."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

Colour = tuple[int, int, int]


def png(rows: Sequence[bytes], palette: Sequence[Colour]) -> bytes:
    """Rows of palette indices, from the top; index 0 is transparent."""
    width, height = len(rows[0]), len(rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    # each line begins with the number of its filter: none
    lines = b"".join(b"\0" + row for row in rows)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            _chunk(b"PLTE", b"".join(bytes(colour) for colour in palette)),
            _chunk(b"tRNS", b"\0"),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def data_uri(data: bytes, kind: str) -> str:
    """Bytes of a media type as the address of an image or a sound."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
