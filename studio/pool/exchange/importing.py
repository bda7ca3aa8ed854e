"""Bringing files of tasks into a pool: all of them or, when one has a fault, nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from studio.errors import UsageError
from studio.pool.bringing import TaskImport
from studio.pool.exchange.outputs import complete_files
from studio.pool.imports import ImportedFile
from studio.records import Origin, SeedTask
from studio.seeds.fields import written
from studio.seeds.inputs import STDIN, FaultyFile, FileFault, Input, ParsedTask, is_regular, name_of, readable
from studio.seeds.reading import AUTO, Tally, counted, find_format, parse

_PROGRESS = 500
"""Records between two reports of progress."""


class Writer(Protocol):
    """What importing asks of a pool; `studio.pool.tasks.Tasks` is one."""

    def importing(self, origin: Origin) -> AbstractContextManager[TaskImport]: ...


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How files are brought in. `instructions_only` leaves their outputs out; `skip_invalid` takes what is sound of a faulty file."""

    format_name: str = AUTO
    origin: Origin = Origin.IMPORTED
    instructions_only: bool = False
    skip_invalid: bool = False


@dataclass(slots=True)
class FileReport:
    """What came of one file.

    `imported` tasks are new; `joined` instances went to tasks of the same instruction; `duplicates` are records that brought nothing new,
    `refused` instances that could not join the task of their instruction. `worse` answers of pairs are kept, apart from the data.
    `left_out` records had outputs that nobody wanted. The faulty records have `faults` together and stand in the file `rejected`.
    """

    path: Path
    tally: Tally = field(default_factory=Tally)
    remarks: tuple[str, ...] = ()
    imported: int = 0
    joined: int = 0
    duplicates: int = 0
    refused: int = 0
    worse: int = 0
    left_out: int = 0
    faults: int = 0
    rejected: Path | None = None

    @property
    def format(self) -> str:
        return self.tally.format

    def notes(self) -> Iterator[str]:
        """Yield in words what a user should know of the file beside the numbers of tasks."""
        yield from self.remarks
        yield from self.tally.notes()
        if self.worse:
            yield (
                f"{counted(self.worse, 'worse answer')} of pairs kept, as dispreferred: they are not in the data, "
                "export --format preference writes the pairs"
            )
        if self.left_out:
            yield f"the outputs of {counted(self.left_out, 'record')} left out, as asked"
        if self.refused:
            yield (
                f"{counted(self.refused, 'output')} left out: the pool has the instruction as a task that is no active one of this origin"
            )
        if self.rejected:
            yield f"{counted(self.tally.faulty, 'faulty record')} left out, with line, field and fault in {self.rejected}"

    def as_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        counts = {name: getattr(self, name) for name in ("imported", "joined", "duplicates", "refused", "worse")}
        rejected = str(self.rejected) if self.rejected else None
        return {"file": str(self.path), "format": self.format, **counts, **self.tally.as_dict(), "rejected_file": rejected}


Progress = Callable[[str, int, int], None]
Told = Callable[[FileReport], None]


def import_files(
    pool: Writer,
    paths: Sequence[Path],
    options: ImportOptions,
    told: Told = lambda _report: None,
    progress: Progress = lambda _what, _done, _size: None,
) -> list[FileReport]:
    """Bring the tasks of `paths` into `pool` in one transaction and return what came of each file.

    An instruction is taken once, white space aside; other instances of it join its task. Every file is opened once. `told` gets each
    report when all files have been read without fault, before anything is stored for good; `progress` what is read, and how many bytes of
    how many. Raises UsageError when a file cannot be read, has a fault or would lose all its outputs, and PoolError when the pool or the
    file of faulty records cannot be written; nothing is imported then.
    """
    find_format(options.format_name)
    _check_paths(paths, options)
    reports = [FileReport(path) for path in paths]
    listed: list[str] = []
    with ExitStack() as rejected, pool.importing(options.origin) as adding:
        for report in reports:
            _read(report, options, adding, rejected, listed, progress)
        _require_sound(reports, options, listed)
        for report in reports:
            told(report)
    return reports


def _check_paths(paths: Sequence[Path], options: ImportOptions) -> None:
    for path in paths:
        if str(path) not in STDIN:
            with readable(path):
                path.stat()
        if options.skip_invalid and os.path.lexists(beside := _rejected_path(path)):
            raise UsageError(f"{beside} is there already", "it would get the faulty records: move it away, or delete it")


def _rejected_path(path: Path) -> Path:
    """Return where the faulty records of a file go: beside it, or in the current folder for what is no file."""
    if is_regular(path):
        return path.with_name(f"{path.name}.rejected.jsonl")
    return Path("stdin.rejected.jsonl" if str(path) in STDIN else "pipe.rejected.jsonl")


def _read(
    report: FileReport, options: ImportOptions, adding: TaskImport, rejected: ExitStack, listed: list[str], progress: Progress
) -> None:
    source, tally = Input(report.path), report.tally
    sink: BinaryIO | None = None
    for parsed in parse(source, options.format_name):
        tally.add(parsed)
        if tally.records % _PROGRESS == 0:
            progress(f"reading {report.path.name}", source.done, source.size)
        if parsed.task is None:
            report.faults += len(parsed.faults)
            listed += (fault.at(report.path) for fault in parsed.faults[: FaultyFile.MOST - len(listed)])
            if options.skip_invalid:
                if sink is None:
                    report.rejected = _rejected_path(report.path)
                    [sink] = rejected.enter_context(complete_files([report.rejected]))
                sink.write(_rejected_line(parsed))
        elif options.skip_invalid or not listed:
            _add(report, parsed, options, adding)
    report.remarks = tuple(source.notes)
    if report.tally.tasks:
        adding.note(_imported(report, source, options))


def _imported(report: FileReport, source: Input, options: ImportOptions) -> ImportedFile:
    sha256, size = source.stored()
    return ImportedFile(
        name=name_of(report.path),
        origin=options.origin,
        format=report.format,
        sha256=sha256,
        size=size,
        records=report.tally.records,
        tasks=report.imported,
        joined=report.joined,
    )


def _add(report: FileReport, parsed: ParsedTask, options: ImportOptions, adding: TaskImport) -> None:
    task = parsed.task
    assert task is not None
    if options.instructions_only and task.instances:
        report.left_out += 1
        task = replace(task, instances=(), pairs=())
    added = adding.add(task)
    report.imported += added.new
    report.joined += added.joined
    report.refused += added.refused
    report.worse += added.worse
    report.duplicates += not added.new and not added.joined and not added.worse
    if added.joined:
        report.tally.untaken.update(name for name, value in _of_task(task) if value)


def _of_task(task: SeedTask) -> tuple[tuple[str, str], ...]:
    """What a task has that its instances do not take with them to another one."""
    return ("id", task.key), ("name", task.name), ("provenance", task.provenance)


def _rejected_line(parsed: ParsedTask) -> bytes:
    first, *more = parsed.faults
    line: dict[str, object] = {"line": parsed.line, "index": parsed.index, "field": first.field, "fault": first.fault}
    if more:
        line["more"] = [{"field": fault.field, "fault": fault.fault} for fault in more]
    # What follows is the record as it was: a corrected file of them can be imported.
    return f'{json.dumps(line)[:-1]}, "record": {written(parsed.raw)}}}\n'.encode()


def _require_sound(reports: Sequence[FileReport], options: ImportOptions, listed: Sequence[str]) -> None:
    for report in reports:
        if report.tally.records == 0:
            raise FaultyFile(FileFault(0, "", "the file holds no task").at(report.path), _hint(report, options, "nothing was imported"))
    faulty = [report for report in reports if report.tally.faulty and not (options.skip_invalid and report.tally.tasks)]
    if faulty:
        message, faults = listed[0], sum(each.faults for each in reports)
        if faults > 1:
            message = "; ".join(
                f"{each.path}: {each.tally.faulty:,} of {counted(each.tally.records, 'record')} with a fault" for each in faulty
            )
        way_out = "correct the file" if options.skip_invalid else "correct the file, or leave those records out with --skip-invalid"
        raise FaultyFile(message, _hint(faulty[0], options, f"nothing was imported; {way_out}"), listed, faults)
    for report in reports:
        if report.tally.lost_outputs and not options.instructions_only and options.format_name != "machine-generated":
            raise FaultyFile(
                f"{report.path}: {report.tally.lost_outputs}",
                "nothing was imported; name the answers `output`, or take the instructions alone with --instructions-only",
            )


def _hint(report: FileReport, options: ImportOptions, words: str) -> str:
    name = report.format if options.format_name == AUTO else options.format_name
    return f"{words} (read as {name}: another format can be named with --format)" if name else words
