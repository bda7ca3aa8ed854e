"""Reading a seed file of any format: which format it has, its tasks, and every fault in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.records import SeedTask
from studio.seeds.csv_file import header_columns, parse_csv
from studio.seeds.faults import FileFault, ParsedTask, faulty_file, readable
from studio.seeds.jsonl_file import parse_jsonl
from studio.seeds.lines import read_lines
from studio.seeds.text_file import parse_text

Parser = Callable[[Path], Iterator[ParsedTask]]

FORMATS: Mapping[str, Parser] = {"jsonl": parse_jsonl, "csv": parse_csv, "text": parse_text}
"""The formats of seed files and what reads them."""

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".txt": "text"}


@dataclass(frozen=True, slots=True)
class SeedFile:
    """What a seed file holds: its tasks with the lines they begin on, and its faults in the order of lines."""

    path: Path
    format: str
    tasks: tuple[SeedTask, ...]
    lines: tuple[int, ...]
    faults: tuple[FileFault, ...]


def detect_format(path: Path) -> str:
    """Return the name of the format of `path`: by its suffix, else by its first line that is not blank. Raises OSError."""
    if known := _SUFFIXES.get(path.suffix.lower()):
        return known
    first = next((line.text.strip() for line in read_lines(path) if line.text.strip()), "")
    if first.startswith(("{", "[")):
        return "jsonl"
    return "csv" if header_columns(first) else "text"


def inspect_file(path: Path) -> SeedFile:
    """Read `path` to its end and return its tasks and all its faults. Raises UsageError only when it cannot be read at all."""
    with readable(path):
        name = detect_format(path)
        parsed = list(FORMATS[name](path))
    found = [(record.line, record.task) for record in parsed if record.task is not None]
    faults = [fault for record in parsed for fault in record.faults]
    faults += _duplicates(found)
    if not found and not faults:
        faults = [FileFault(0, "", "the file holds no task")]
    faults.sort(key=lambda fault: fault.line)
    return SeedFile(path, name, tuple(task for _, task in found), tuple(line for line, _ in found), tuple(faults))


def read_tasks(path: Path) -> list[SeedTask]:
    """Return the tasks of a seed file: JSONL in the original's schema, CSV, or plain text with one instruction a line.

    Raises UsageError, naming the first fault and how many more there are, when the file is not without fault.
    """
    contents = inspect_file(path)
    if contents.faults:
        raise faulty_file(path, contents.faults, f"list every fault with: studio seeds check {path}")
    return list(contents.tasks)


def _duplicates(found: list[tuple[int, SeedTask]]) -> Iterator[FileFault]:
    keys: dict[str, int] = {}
    instructions: dict[str, int] = {}
    for line, task in found:
        if task.key and (earlier := keys.setdefault(task.key, line)) != line:
            yield FileFault(line, "id", f"{task.key!r} is the id of line {earlier} too")
        same = " ".join(task.instruction.split())
        if (earlier := instructions.setdefault(same, line)) != line:
            yield FileFault(line, "instruction", f"the same as on line {earlier}")
