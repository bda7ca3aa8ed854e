"""Bringing files of tasks into a pool: all of them or, when one has a fault, nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from studio.pool.importers import detect_importer, find_importer
from studio.pool.importers.api import Importer
from studio.records import Origin, SeedTask
from studio.seeds.faults import FileFault, faulty_file, readable

_NOTHING_IMPORTED = "nothing was imported; correct the file"


class Reader(Protocol):
    """What importing asks of a pool's read side."""

    def instructions(self) -> Iterator[tuple[int, str, bool]]: ...


class Writer(Protocol):
    """What importing asks of a pool; `studio.pool.store.Pool` is one."""

    @property
    def reader(self) -> Reader: ...
    def add_tasks(self, tasks: Iterable[SeedTask], origin: Origin) -> int: ...


@dataclass(slots=True)
class FileReport:
    """What came of one file: its format, the tasks imported, and those skipped because the pool or an earlier line has the instruction."""

    path: Path
    format: str
    imported: int = 0
    duplicates: int = 0


@dataclass(slots=True)
class _Importing:
    files: list[tuple[FileReport, Importer]]
    seen: set[bytes] = field(default_factory=set)

    def tasks(self) -> Iterator[SeedTask]:
        for report, importer in self.files:
            with readable(report.path):
                for parsed in importer.parse(report.path):
                    if parsed.task is None:
                        raise faulty_file(report.path, parsed.faults, _NOTHING_IMPORTED)
                    if self._is_new(parsed.task.instruction):
                        report.imported += 1
                        yield parsed.task
                    else:
                        report.duplicates += 1

    def _is_new(self, instruction: str) -> bool:
        before = len(self.seen)
        self.seen.add(_digest(instruction))
        return len(self.seen) > before


def import_files(pool: Writer, paths: Sequence[Path], format_name: str, origin: Origin) -> list[FileReport]:
    """Add the tasks of `paths` to `pool` in one transaction and return what came of each file.

    `format_name` is a name of `studio.pool.importers` or "auto". Tasks whose instruction the pool has already, white space aside, are
    skipped. Every file is read twice, first to find its faults, so that a long one need not be held. Raises UsageError when one has a fault
    or cannot be read, before anything is written, and PoolError when the pool cannot be written.
    """
    files = []
    for path in paths:
        with readable(path):
            importer = detect_importer(path) if format_name == "auto" else find_importer(format_name)
            count_tasks(path, importer, f"{_NOTHING_IMPORTED} (read as {importer.name}: another one can be named with --format)")
        files.append((FileReport(path, importer.name), importer))
    seen = {_digest(instruction) for _, instruction, _ in pool.reader.instructions()}
    importing = _Importing(files, seen)
    pool.add_tasks(importing.tasks(), origin)
    return [report for report, _ in files]


def count_tasks(path: Path, importer: Importer, hint: str) -> int:
    """Read a file to its end and return how many tasks it has. Raises UsageError with every fault, or that there is no task, and `hint`."""
    faults: list[FileFault] = []
    tasks = 0
    for parsed in importer.parse(path):
        tasks += parsed.task is not None
        faults.extend(parsed.faults)
    if not tasks and not faults:
        faults.append(FileFault(0, "", "the file holds no task"))
    if faults:
        raise faulty_file(path, faults, hint)
    return tasks


def _digest(instruction: str) -> bytes:
    return hashlib.blake2b(" ".join(instruction.split()).encode(errors="replace"), digest_size=16).digest()
