"""Spreadsheets: what a workbook would take in memory, seen before it is read, and its rows as records."""

from __future__ import annotations

import datetime
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from studio.errors import UsageError, missing_extra, nearest_name
from studio.seeds.csv_file import is_header, repeated_name, table_record
from studio.seeds.inputs import FileFault, Input
from studio.seeds.json_file import RawRecord

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


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


_HEADER_WITHIN = 10
"""Rows of which one may be the header: titles stand above some."""


def parse_sheet(source: Input, columns: Collection[str] = ()) -> Iterator[RawRecord]:
    """Yield the rows of a workbook's sheet, each as an object of its texts; `line` is the number of the row, from 1.

    Numbers, dates and truth values are text as a spreadsheet shows them. The sheet is the one that the file's name says, else the first
    that has a header with a known name, else the first. `columns` are names, in small letters, that a user looks for in the place of
    those. Raises UsageError when the extra is not installed or the file cannot be read.
    """
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise missing_extra(f"{source.path} is a spreadsheet, and these are read", "data") from error
    check_bounds(source.path, source.whole())
    try:
        with calamine.load_workbook(source.whole()) as book:
            yield from _records(book, source, columns)
    except calamine.PasswordError as error:
        raise UsageError(f"{source.path} is protected by a password", "save it without one") from error
    except calamine.CalamineError as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{source.path} is no spreadsheet that can be read: {reason}", "save it as .xlsx or CSV") from error
    except BaseException as error:
        # What the library's Rust did not expect of a damaged file is no Exception in Python.
        if type(error).__name__ != "PanicException":
            raise
        raise UsageError(f"{source.path} is no spreadsheet that can be read: it is damaged", "save it as .xlsx or CSV") from error


def _records(book: CalamineWorkbook, source: Input, columns: Collection[str]) -> Iterator[RawRecord]:
    from python_calamine import SheetTypeEnum

    # Charts and macros have sheets of their own.
    sheets = [each.name for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    if source.sheet and source.sheet not in sheets:
        raise UsageError(f"{source.path}: there is no sheet {source.sheet!r}", nearest_name(source.sheet, sheets))
    headers = ((name, _header(book.get_sheet_by_name(name), columns)) for name in ([source.sheet] if source.sheet else sheets))
    chosen, header = next(((name, found) for name, found in headers if found), (source.sheet, None))
    chosen = chosen or next(iter(sheets), "")
    others = [name for name in sheets if name != chosen]
    if others and not source.sheet:
        source.note(f"read is the sheet {chosen}; not read: {', '.join(others)} (FILE#SHEET names another)")
    if not chosen:
        return
    rows = _rows(book.get_sheet_by_name(chosen))
    if header is None or (twice := repeated_name(header[1])):
        number, row = header or next(((number, row) for number, row in rows if any(row)), (0, []))
        words = f"the header has the column {twice} twice" if header else f"the sheet {chosen} has no header: {_no_header(row)}"
        if row:
            yield RawRecord(number, None, None, (FileFault(number, "", words),), list(row))
        return
    for number, row in rows:
        if number < header[0] and any(row):
            source.note(f"row {number}, above the header, is not taken")
        elif number > header[0] and any(row):
            yield from table_record(header[1], row, number, source)


def _no_header(row: Sequence[str]) -> str:
    listed = ", ".join(filter(None, row))[:120]
    return f"no column is called `instruction`, nor by a name that stands for it: {listed} (--map says which one it is)"


def _header(sheet: CalamineSheet, columns: Collection[str]) -> tuple[int, list[str]] | None:
    """Return the first row that names what a task is made of, and its number."""
    for number, row in islice(_rows(sheet), _HEADER_WITHIN):
        names = [name.strip() for name in row]
        if is_header(names, columns):
            return number, names
    return None


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with their numbers, those above the first that holds something as empty ones."""
    yield from ((number, [_text(cell) for cell in row]) for number, row in enumerate(sheet.iter_rows(), 1))


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)
