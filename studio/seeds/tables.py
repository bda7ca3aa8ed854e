"""Tables and plain text: a header with the names of the fields and a record a row, as CSV or in a spreadsheet; or an instruction a line."""

from __future__ import annotations

import csv
import datetime
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from studio.errors import UsageError, missing_extra, nearest_name
from studio.seeds.conversations import TURNS
from studio.seeds.fields import INPUT, INSTRUCTION, OUTPUT
from studio.seeds.inputs import FileFault, Input
from studio.seeds.json_file import RawRecord, faulty
from studio.text import counted

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


DELIMITERS = (",", ";", "\t", "|")
_ASKED = {*INSTRUCTION, "input", "chosen", "messages", "conversations", "conversation"}
_KNOWN = {*_ASKED, *INPUT, *OUTPUT, *TURNS, "is_classification"}
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_QUOTED_NAME = re.compile(r"([^\w\s,;|])(?:(?!\1).)+\1")
_BACKSLASH_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')

# The limit of the csv module is 128 KiB a field; a document is longer.
csv.field_size_limit(2**31 - 1)


def parse_text(source: Input) -> Iterator[RawRecord]:
    """Yield the lines of `source` as instructions, white space at their ends removed; blank lines are skipped."""
    for line in source.lines():
        instruction = line.text.removeprefix("\ufeff").strip()
        if line.faults:
            yield RawRecord(line.number, None, None, line.faults, line.text)
        elif instruction:
            yield RawRecord(line.number, None, {"instruction": instruction}, raw=instruction)


@dataclass(slots=True)
class _CsvLines:
    """The decoded lines of a file for `csv.reader`, the faults of their bytes, and how many lines were taken.

    At the beginning of a row a byte order mark is no text: files joined one behind the other have them in the middle.
    """

    input: Input
    faults: list[FileFault]
    backslashes: bool = False
    taken: int = 0
    at_row: bool = True

    def __iter__(self) -> Iterator[str]:
        for line in self.input.lines():
            self.faults.extend(line.faults)
            self.taken = line.number
            text = line.text.replace("\0", "\ufffd")
            if self.at_row:
                text = text.removeprefix("\ufeff")
                self.at_row = False
            yield (_BACKSLASH_QUOTE.sub(r'\1""', text) if self.backslashes else text) + line.end


def parse_csv(source: Input, columns: Collection[str] = ()) -> Iterator[RawRecord]:
    """Yield the rows of `source` as they come, each as an object of its texts.

    `columns` are names, in small letters, that a user looks for in the header, in the place of those that are known. Raises UsageError when
    it cannot be read to its end.
    """
    read = _CsvLines(source, [], _has_backslash_quotes(source.head_text))
    if read.backslashes:
        source.note('quotes within fields are written \\"')
    lines = iter(read)
    first = next((line for line in lines if line.strip()), "")
    separator = _SEPARATOR.fullmatch(first.strip("\r\n"))
    if separator:
        first = next((line for line in lines if line.strip()), "")
    while first.count('"') % 2 and (more := next(lines, "")):
        first += more
    header = header_columns(first.rstrip("\r\n"), separator[1] if separator else "", columns)
    if header is None or (twice := repeated_name(header.names)):
        words = f"the header has the column {twice} twice" if header else f"the header has {_no_instruction(first.split(',')[:8])}"
        yield RawRecord(read.taken, None, None, tuple(read.faults) or (FileFault(read.taken, "", words),), first)
        return
    quote = _quote_mark(source.head_text, header)
    if quote != '"':
        source.note(f"fields are quoted with {quote}")
    reader = csv.reader(lines, delimiter=header.delimiter, quotechar=quote, strict=True)
    row: list[str] | None = []
    while row is not None:
        line, read.at_row = read.taken + 1, True
        try:
            row = next(reader, None)
        except csv.Error as error:
            words = "a quote is opened and never closed" if "unexpected end" in str(error) else str(error)
            read.faults.append(FileFault(line, "", f"broken CSV: {words}"))
        if read.faults:
            yield RawRecord(line, None, None, tuple(read.faults), row)
            read.faults.clear()
        elif row and any(value.strip() for value in row):
            yield from table_record(header.names, row, line, source)


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table's columns as they are written, what stands between them, and what each is quoted with, if all are alike."""

    delimiter: str
    names: list[str]
    quote: str = ""


def is_header(names: Collection[str], columns: Collection[str] = ()) -> bool:
    """Return whether a row names a column that can be an instruction, or one of `columns`."""
    return not {name.lower() for name in names}.isdisjoint(columns or _ASKED)


def header_columns(line: str, delimiter: str = "", columns: Collection[str] = ()) -> Header | None:
    """Return what a header line says; None when no column can be an instruction. With `columns` any line is one: they may be misspelt."""
    found = []
    for each in (delimiter,) if delimiter else DELIMITERS:
        try:
            names = [" ".join(name.strip("\ufeff").split()) for name in next(csv.reader([line], delimiter=each), [])]
        except csv.Error:
            continue
        marks = [match[1] for name in names if (match := _QUOTED_NAME.fullmatch(name))]
        quote = marks[0] if len(marks) == len(names) > 0 and len(set(marks)) == 1 else ""
        if quote:
            names = [name.strip(quote).strip() for name in names]
        if columns or is_header(names):
            found.append((_known(names, columns), len(names) if columns else 0, Header(each, names, quote)))
    best = max(found, key=lambda each: each[:2], default=None)
    return None if best is None else best[2]


def _known(names: Collection[str], columns: Collection[str] = ()) -> int:
    return len({name.lower() for name in names} & set(columns or _KNOWN))


def is_table(head: str, known: int, columns: Collection[str] = ()) -> bool:
    """Return whether a text that begins with `head` is a table: its first line is a header with `known` columns of a task or more.

    With `columns` it is one with any of those.
    """
    first = next((line for line in head.splitlines() if line.strip()), "")
    if _SEPARATOR.fullmatch(first):
        return True
    header = header_columns(first, columns=columns)
    if header is None or columns:
        return header is not None and is_header(header.names, columns)
    return ("instruction" in map(str.lower, header.names) or known > 1) and _known(header.names) >= known


def _quote_mark(head: str, header: Header) -> str:
    """Return what fields are quoted with: what the header's are, else single quotes where the rows have as many fields only then."""
    if header.quote:
        return header.quote
    if "'" not in head:
        return '"'
    whole = _whole_lines(head)
    return "'" if not _is_even(whole, header, '"') and _is_even(whole, header, "'") else '"'


def _is_even(text: str, header: Header, quote: str) -> bool:
    """Return whether all rows have as many fields as the header, a last one that is cut aside."""
    rows = _strict_rows(text, header.delimiter, quote)
    return rows is not None and all(not any(row) or len(row) == len(header.names) or _SEPARATOR.fullmatch("".join(row)) for row in rows)


def _strict_rows(text: str, delimiter: str, quote: str = '"') -> list[list[str]] | None:
    """Return the rows of a text without a last one that is cut; None where they break."""
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, quotechar=quote, strict=True))
    except csv.Error as error:
        return rows if "unexpected end" in str(error) else None
    return rows


def _whole_lines(head: str) -> str:
    return head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head


def _no_instruction(names: Sequence[str]) -> str:
    listed = ", ".join(filter(None, map(str.strip, names)))
    return f"no column `instruction`, nor one that stands for it: {listed[:120]} (--map says which one it is)"


def repeated_name(names: Sequence[str]) -> str:
    """Return a name that stands twice in a header; empty where there is none."""
    return next((name for name in names if name and names.count(name) > 1), "")


def table_record(names: Sequence[str], row: list[str], line: int, source: Input) -> Iterator[RawRecord]:
    """Yield what a row is under a header of `names`: an object of its texts, or nothing for the header once more."""
    if len(row) == len(names) and all(value.strip().lower() == name.lower() for value, name in zip(row, names, strict=True)):
        source.note(f"line {line} is the header once more and was passed over")
        return
    fields = len(row)
    while fields < len(names) and not names[fields]:
        row.append("")
        fields += 1
    if any(value.strip() for value in row[len(names) :]) or len(row) < len(names):
        yield faulty(line, f"{counted(fields, 'field')} where the header has {len(names)}", row)
        return
    # A column without a name is counted like any other that is not taken.
    values = {name or f"column {place}": value for place, (name, value) in enumerate(zip(names, row, strict=False), 1)}
    yield RawRecord(line, None, values, raw=values)


def _has_backslash_quotes(head: str) -> bool:
    """Return whether quotes within quoted fields are escaped with a backslash: read the usual way the rows break, read so they do not."""
    if '\\"' not in head:
        return False
    whole = _whole_lines(head)
    return _breaks(whole) and not _breaks(_BACKSLASH_QUOTE.sub(r'\1""', whole))


def _breaks(text: str) -> bool:
    header = header_columns(text.splitlines()[0])
    return _strict_rows(text, header.delimiter if header else ",") is None


_MOST_CELLS = 50_000_000
"""Cells of a sheet, empty ones among them, each some 32 bytes there."""
_MOST_BYTES = 1 << 30
"""Of a workbook, unpacked."""
_PIECE = 1 << 20
_HEADER_WITHIN = 10
"""Rows of which one may be the header: titles stand above some."""
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
    """Return how many rows and columns there are from the first cell to the outermost ones, those of an OpenDocument sheet as repeated."""
    most_rows = most_columns = 0
    row = rows = column = 0
    text = b""
    with archive.open(member) as file:
        while piece := file.read(_PIECE):
            text += piece
            for letters, number in {found.groups() for found in _CELL.finditer(text)}:
                most_rows, most_columns = max(most_rows, int(number or 0)), max(most_columns, _column(letters))
            for tag in _REPEATED.finditer(text):
                said = tag[2] or b""
                times = {key: min(int(number), _MOST_CELLS) for key, number in _TIMES.findall(said)}
                if tag[1] == b"table":
                    row = rows = column = 0
                elif tag[1] == b"table-row":
                    row, rows, column = row + rows, times.get(b"rows", 1), 0
                else:
                    column += times.get(b"columns", 1)
                    if b"value-type" in said:
                        most_rows, most_columns = max(most_rows, row + rows), max(most_columns, column)
            # A tag that is cut is looked at with what follows.
            cut = text.rfind(b"<")
            text = text[cut:] if cut >= 0 and b">" not in text[cut:] and len(text) - cut < _PIECE else b""
    return most_rows, most_columns


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


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
        words = f"the header has the column {twice} twice" if header else f"the sheet {chosen} has no header: {_no_instruction(row)}"
        if row:
            yield faulty(number, words, list(row))
        return
    for number, row in rows:
        if number < header[0] and any(row):
            source.note(f"row {number}, above the header, is not taken")
        elif number > header[0] and any(row):
            yield from table_record(header[1], row, number, source)


def _header(sheet: CalamineSheet, columns: Collection[str]) -> tuple[int, list[str]] | None:
    """Return the first row that names what a task is made of, and its number."""
    for number, row in islice(_rows(sheet), _HEADER_WITHIN):
        names = [name.strip() for name in row]
        if is_header(names, columns):
            return number, names
    return None


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    """Return the rows with their numbers, those above the first that holds something as empty ones."""
    return ((number, [_text(cell) for cell in row]) for number, row in enumerate(sheet.iter_rows(), 1))


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
