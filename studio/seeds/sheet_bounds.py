"""What a workbook would take in memory, seen before it is read: its library makes room for all cells between the outermost ones."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from studio.errors import UsageError

_MOST_CELLS = 50_000_000
"""Cells of a sheet, empty ones among them, each some 32 bytes there."""
_MOST_BYTES = 1 << 30
"""Of a workbook, unpacked."""
_PIECE = 1 << 20
_CELL = re.compile(rb"""<(?:\w+:)?(?:c|row)\s[^<>]*?\br\s*=\s*["']([A-Z]{0,3})([0-9]{0,7})["']""")


def check_bounds(path: Path, stream: BinaryIO) -> None:
    """Raise UsageError where reading a workbook could take all memory: it is packed tightly, or a cell is far from the others."""
    if not zipfile.is_zipfile(stream):
        return
    with zipfile.ZipFile(stream) as archive:
        size = sum(each.file_size for each in archive.infolist())
        if size > _MOST_BYTES:
            raise UsageError(f"{path}: its sheets are {size / 1e9:.1f} GB when unpacked", "save the sheet as CSV")
        for member in archive.infolist():
            try:
                rows, columns = _extent(archive, member)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
                # The library says what is wrong with it.
                continue
            if rows * columns > _MOST_CELLS:
                words = f"{path}: a sheet reaches over {rows:,} rows and {columns:,} columns"
                raise UsageError(words, "there may be a cell far from the others: delete its row and column, or save the sheet as CSV")


def _extent(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, int]:
    """Return how many rows and columns there are from the first cell to the outermost ones."""
    rows, columns = 0, 0
    for row, column in _cells(archive, member):
        rows, columns = max(rows, row), max(columns, column)
    return rows, columns


def _cells(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[tuple[int, int]]:
    with archive.open(member) as file:
        text = b""
        while piece := file.read(_PIECE):
            text += piece
            names = {found.groups() for found in _CELL.finditer(text)}
            yield from ((int(digits or 0), _column(letters)) for letters, digits in names)
            # A tag that is cut is looked at with what follows.
            text = text[-200:].rpartition(b"<")[2]
            text = b"<" + text if text else b""


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
