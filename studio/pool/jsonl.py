"""One line of JSON, in the form every reader takes."""

from __future__ import annotations

import json

from studio.pool.formats.api import Record
from studio.text import storable

# Line ends to Python's splitlines() and to some readers; ordinary characters in JSON, so that an escape means the same.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def encode_line(record: Record) -> bytes:
    """Return `record` as one line of UTF-8 JSON with its line feed.

    Text stays unescaped but for control characters and the three characters that some readers take for line ends; lone surrogates, which
    UTF-8 has no bytes for, become U+FFFD.
    """
    return storable(json.dumps(record, ensure_ascii=False)).translate(_LINE_ENDS).encode() + b"\n"
