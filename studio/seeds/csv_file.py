"""Tables and plain text: a header with the names of the fields and a record a row, or an instruction a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from studio.seeds.conversations import TURNS
from studio.seeds.fields import INPUT, INSTRUCTION, OUTPUT
from studio.seeds.inputs import FileFault, Input
from studio.seeds.json_file import RawRecord

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
class _Source:
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
    read = _Source(source, [], _has_backslash_quotes(source.head_text))
    if read.backslashes:
        source.notes.append('quotes within fields are written \\"')
    lines = iter(read)
    first = next((line for line in lines if line.strip()), "")
    separator = _SEPARATOR.fullmatch(first.strip("\r\n"))
    if separator:
        first = next((line for line in lines if line.strip()), "")
    while first.count('"') % 2 and (more := next(lines, "")):
        first += more
    header = header_columns(first.rstrip("\r\n"), separator[1] if separator else "", columns)
    if header is None or (twice := repeated_name(header.names)):
        words = f"the header has the column {twice} twice" if header else _no_header(first)
        yield RawRecord(read.taken, None, None, tuple(read.faults) or (FileFault(read.taken, "", words),), first)
        return
    quote = _quote_mark(source.head_text, header)
    if quote != '"':
        source.notes.append(f"fields are quoted with {quote}")
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
    whole = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    return "'" if not _is_even(whole, header, '"') and _is_even(whole, header, "'") else '"'


def _is_even(text: str, header: Header, quote: str) -> bool:
    """Return whether all rows have as many fields as the header, a last one that is cut aside."""
    reader = csv.reader(text.splitlines(keepends=True), delimiter=header.delimiter, quotechar=quote, strict=True)
    try:
        for row in reader:
            if any(row) and len(row) != len(header.names) and not _SEPARATOR.fullmatch("".join(row)):
                return False
    except csv.Error as error:
        return "unexpected end" in str(error)
    return True


def _no_header(line: str) -> str:
    listed = ", ".join(name.strip() for name in line.split(",")[:8])
    return f"the header has no column `instruction`, nor one that stands for it: {listed[:120]} (--map says which one it is)"


def repeated_name(names: Sequence[str]) -> str:
    """Return a name that stands twice in a header; empty where there is none."""
    return next((name for name in names if name and names.count(name) > 1), "")


def table_record(names: Sequence[str], row: list[str], line: int, source: Input) -> Iterator[RawRecord]:
    """Yield what a row is under a header of `names`: an object of its texts, or nothing for the header once more."""
    if len(row) == len(names) and all(value.strip().lower() == name.lower() for value, name in zip(row, names, strict=True)):
        source.notes.append(f"line {line} is the header once more and was passed over")
        return
    fields = len(row)
    while fields < len(names) and not names[fields]:
        row.append("")
        fields += 1
    if any(value.strip() for value in row[len(names) :]) or len(row) < len(names):
        plural = "field" if fields == 1 else "fields"
        yield RawRecord(line, None, None, (FileFault(line, "", f"{fields} {plural} where the header has {len(names)}"),), row)
        return
    # A column without a name is counted like any other that is not taken.
    values = {name or f"column {place}": value for place, (name, value) in enumerate(zip(names, row, strict=False), 1)}
    yield RawRecord(line, None, values, raw=values)


def _has_backslash_quotes(head: str) -> bool:
    """Return whether quotes within quoted fields are escaped with a backslash: read the usual way the rows break, read so they do not."""
    if '\\"' not in head:
        return False
    whole = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    return _breaks(whole) and not _breaks(_BACKSLASH_QUOTE.sub(r'\1""', whole))


def _breaks(text: str) -> bool:
    lines = text.splitlines(keepends=True)
    header = header_columns(lines[0].rstrip("\r\n")) if lines else None
    reader = csv.reader(lines, delimiter=header.delimiter if header else ",", strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error as error:
        return "unexpected end" not in str(error)
    return False
