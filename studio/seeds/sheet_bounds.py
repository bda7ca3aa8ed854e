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
_REPEATED = re.compile(rb"<(?:\w+:)?(table|table-row|table-cell|covered-table-cell)(\s[^<>]*)?>")
_TIMES = re.compile(rb"""number-(rows|columns)-repeated\s*=\s*["']([0-9]{1,12})["']""")


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
    """Yield the places of cells, those of an OpenDocument sheet as they are repeated."""
    repeated = _Repeated()
    with archive.open(member) as file:
        text = b""
        while piece := file.read(_PIECE):
            text += piece
            for found in {found.groups() for found in _CELL.finditer(text)}:
                yield int(found[1] or 0), _column(found[0])
            yield from map(repeated.place, _REPEATED.finditer(text))
            # A tag that is cut is looked at with what follows.
            cut = text.rfind(b"<")
            text = text[cut:] if cut >= 0 and b">" not in text[cut:] and len(text) - cut < _PIECE else b""


class _Repeated:
    """Where one is in an OpenDocument sheet."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._row, self._rows, self._column = 0, 0, 0

    def place(self, tag: re.Match[bytes]) -> tuple[int, int]:
        """Go on to a tag; return the row and the column that its last cell has, zeros where it holds nothing."""
        name, said = tag[1], tag[2] or b""
        times = {key: min(int(number), _MOST_CELLS) for key, number in _TIMES.findall(said)}
        if name == b"table":
            self._begin()
        elif name == b"table-row":
            self._row, self._rows, self._column = self._row + self._rows, times.get(b"rows", 1), 0
        else:
            self._column += times.get(b"columns", 1)
            if b"value-type" in said:
                return self._row + self._rows, self._column
        return 0, 0


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
