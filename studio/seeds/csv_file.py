"""CSV files: a header with `instruction`, then a task or a further instance of it on each row.

Rows with the same instruction are instances of one task: a table has no other way to say so.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from studio.records import Instance, SeedTask
from studio.seeds.faults import FileFault, ParsedTask
from studio.seeds.lines import read_lines

DELIMITERS = (",", ";", "\t", "|")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


@dataclass(slots=True)
class _Source:
    """The decoded lines of a file for `csv.reader`, the faults of their bytes, and how many lines were taken."""

    path: Path
    faults: list[FileFault]
    taken: int = 0

    def __iter__(self) -> Iterator[str]:
        for line in read_lines(self.path):
            self.faults.extend(line.faults)
            self.taken = line.number
            yield line.text.replace("\0", "\ufffd") + ("\n" if line.ended else "")


def parse_csv(path: Path) -> Iterator[ParsedTask]:
    """Yield the tasks of `path` in the order of their first rows, then the faults of rows that gave none.

    All tasks are held until the end, because a later row may belong to an earlier task. Raises OSError.
    """
    tasks: dict[str, ParsedTask] = {}
    faulty: list[ParsedTask] = []
    for row in _rows(path):
        first = tasks.get(_same(row.task)) if row.task else None
        if row.task is None:
            faulty.append(row)
        elif first is None or first.task is None:
            tasks[_same(row.task)] = row
        elif new := [instance for instance in row.task.instances if instance not in first.task.instances]:
            merged = replace(first.task, instances=(*first.task.instances, *new))
            tasks[_same(row.task)] = replace(first, task=merged)
        else:
            faulty.append(ParsedTask(row.line, None, (FileFault(row.line, "instruction", f"the same as on line {first.line}"),)))
    yield from tasks.values()
    yield from faulty


def header_columns(line: str) -> tuple[str, list[str]] | None:
    """Return the delimiter and the column names of a header line, or None when no delimiter gives a column `instruction`."""
    for delimiter in DELIMITERS:
        try:
            names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
        except csv.Error:
            continue
        if "instruction" in names:
            return delimiter, names
    return None


def _same(task: SeedTask) -> str:
    return " ".join(task.instruction.split())


def _rows(path: Path) -> Iterator[ParsedTask]:
    source = _Source(path, [])
    lines = iter(source)
    columns = header_columns(next((line for line in lines if line.strip()), "").rstrip("\n"))
    if columns is None:
        faults = source.faults or [FileFault(source.taken, "", "the header has no column `instruction`")]
        yield ParsedTask(source.taken, None, tuple(faults))
        return
    delimiter, names = columns
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    row: list[str] | None = []
    while row is not None:
        line = source.taken + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            source.faults.append(FileFault(line, "", f"broken CSV: {error}"))
        if source.faults:
            yield ParsedTask(line, None, tuple(source.faults))
            source.faults.clear()
        elif row and any(value.strip() for value in row):
            yield _task(names, row, line)


def _task(names: Sequence[str], row: Sequence[str], line: int) -> ParsedTask:
    if len(row) != len(names):
        fault = FileFault(line, "", f"{len(row)} fields where the header has {len(names)}")
        return ParsedTask(line, None, (fault,))
    values = dict(zip(names, row, strict=True))
    faults = []
    if not values["instruction"].strip():
        faults.append(FileFault(line, "instruction", "empty"))
    given, output = values.get("input", ""), values.get("output", "")
    if given.strip() and not output.strip():
        faults.append(FileFault(line, "output", "empty, though there is an input"))
    flag = values.get("is_classification", "").strip().lower()
    if flag not in _FLAGS:
        faults.append(FileFault(line, "is_classification", "neither true nor false"))
    if faults:
        return ParsedTask(line, None, tuple(faults))
    instances = (Instance(given, output),) if output.strip() else ()
    task = SeedTask(values.get("id", "").strip(), values.get("name", "").strip(), values["instruction"], instances, _FLAGS[flag])
    return ParsedTask(line, task)
