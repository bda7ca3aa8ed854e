"""Tables and plain text: a header with the names of the fields and a record a row, or an instruction a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio.seeds.conversations import TURNS
from studio.seeds.fields import INPUT, INSTRUCTION, OUTPUT
from studio.seeds.inputs import FileFault, Input
from studio.seeds.json_file import RawRecord

DELIMITERS = (",", ";", "\t", "|")
_ASKED = {*INSTRUCTION, "input", "chosen"}
_KNOWN = {*_ASKED, *INPUT, *OUTPUT, *TURNS, "is_classification"}
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
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


def parse_csv(source: Input) -> Iterator[RawRecord]:
    """Yield the rows of `source` as they come, each as an object of its texts. Raises UsageError when it cannot be read to its end."""
    read = _Source(source, [], _has_backslash_quotes(source.head_text))
    if read.backslashes:
        source.notes.append('quotes within fields are written \\"')
    lines = iter(read)
    first = next((line for line in lines if line.strip()), "")
    separator = _SEPARATOR.fullmatch(first.strip("\r\n"))
    if separator:
        first = next((line for line in lines if line.strip()), "")
    columns = header_columns(first.rstrip("\r\n"), separator[1] if separator else "")
    if columns is None or (twice := repeated_name(columns[1])):
        words = f"the header has the column {twice} twice" if columns else _no_header(first)
        yield RawRecord(read.taken, None, None, tuple(read.faults) or (FileFault(read.taken, "", words),), first)
        return
    delimiter, names = columns
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
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
            yield from table_record(names, row, line, source)


def is_header(names: Sequence[str]) -> bool:
    """Return whether a row, in small letters, names a column that can be an instruction."""
    return bool(_ASKED & set(names))


def header_columns(line: str, delimiter: str = "") -> tuple[str, list[str]] | None:
    """Return the delimiter and the column names, in small letters, of a header line; None when no column can be an instruction."""
    found = []
    for each in (delimiter,) if delimiter else DELIMITERS:
        try:
            names = [name.strip("\ufeff \t").lower() for name in next(csv.reader([line], delimiter=each), [])]
        except csv.Error:
            continue
        if is_header(names):
            found.append((len(_KNOWN & set(names)), each, names))
    best = max(found, key=lambda each: each[0], default=None)
    return None if best is None else (best[1], best[2])


def is_table(head: str, known: int) -> bool:
    """Return whether a text that begins with `head` is a table: its first line is a header with `known` columns of a task or more."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    if _SEPARATOR.fullmatch(first):
        return True
    columns = header_columns(first)
    return columns is not None and ("instruction" in columns[1] or known > 1) and len(_KNOWN & set(columns[1])) >= known


def _no_header(line: str) -> str:
    listed = ", ".join(name.strip() for name in line.split(",")[:8])
    return f"the header has no column `instruction`, nor one that stands for it: {listed[:120]}"


def repeated_name(names: Sequence[str]) -> str:
    """Return a name that stands twice in a header; empty where there is none."""
    return next((name for name in names if name and names.count(name) > 1), "")


def table_record(names: Sequence[str], row: list[str], line: int, source: Input) -> Iterator[RawRecord]:
    """Yield what a row is under a header of `names`, in small letters: an object of its texts, or nothing for the header once more."""
    if [value.strip().lower() for value in row] == names:
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
    columns = header_columns(lines[0].rstrip("\r\n")) if lines else None
    reader = csv.reader(lines, delimiter=columns[0] if columns else ",", strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error as error:
        return "unexpected end" not in str(error)
    return False
