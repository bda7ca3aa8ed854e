"""Reading a text file line by line, with the faults of its bytes.

Lines end at a line feed and nowhere else: U+2028, U+0085 and their like are ordinary characters inside JSON strings.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.seeds.faults import FileFault


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; `number` counts from 1. `ended` is False for a last line with no line feed after it."""

    number: int
    text: str
    faults: tuple[FileFault, ...]
    ended: bool


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of `path` as they come, a byte order mark removed.

    Bytes that are not UTF-8 come as U+FFFD, together with a fault. A UTF-16 file gives one line with one fault. Raises OSError.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                yield Line(1, "", (FileFault(0, "", "the file is UTF-16; save it as UTF-8"),), ended=True)
                return
            ended = raw.endswith(b"\n")
            body = raw.removesuffix(b"\n").removesuffix(b"\r") if ended else raw
            if number == 1:
                body = body.removeprefix(codecs.BOM_UTF8)
            yield _decode(number, body, ended=ended)


def _decode(number: int, body: bytes, *, ended: bool) -> Line:
    faults = []
    if (nul := body.find(b"\0")) >= 0:
        faults.append(FileFault(number, "", f"NUL byte at column {nul + 1}"))
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        column = len(body[: error.start].decode()) + 1
        faults.append(FileFault(number, "", f"not UTF-8: byte 0x{body[error.start]:02X} at column {column}"))
        text = body.decode(errors="replace")
    return Line(number, text, tuple(faults), ended)
