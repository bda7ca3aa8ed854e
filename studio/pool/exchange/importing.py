"""Bringing files of tasks into a pool: all of them or, when one has a fault, nothing; and what would come of them, for people to see."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from studio.errors import UsageError
from studio.pool.exchange.outputs import complete_files, writing
from studio.pool.exchange.parts import Thinking, begins_with_thoughts, with_thinking
from studio.pool.imports import Added, ImportedFile, TaskImport
from studio.pool.tasks import Tasks
from studio.records import Origin, SeedTask
from studio.seeds.fields import written
from studio.seeds.hub_dataset import is_of_hub
from studio.seeds.inputs import STDIN, FaultyFile, FileFault, Input, ParsedTask, is_regular, located, name_of, readable
from studio.seeds.mapping import FieldMap, paths_in
from studio.seeds.reading import AUTO, Tally, container_of, find_format, parse
from studio.text import counted, display_line

_PROGRESS = 500
"""Records between two reports of progress."""
SAMPLES = 3
"""Tasks of each file that are kept to be shown."""
_LONGEST_PATHS = 1000
_INSTANCES = 2

_THOUGHTS = {
    Thinking.TEXT: "outputs that begin with thoughts, such as <think>…</think>, are taken as they are: {} (--thinking keep|strip)",
    Thinking.KEEP: "thoughts taken apart from the outputs: {}",
    Thinking.STRIP: "thoughts left out, as asked: {}",
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How files are brought in. `instructions_only` leaves their outputs out; `skip_invalid` takes what is sound of a faulty file.

    `mapping` says where the fields of a task stand, in the place of what is known of formats. `licences` are those of files whose licence
    is known. `thinking` says what becomes of thoughts at the beginning of an output.
    """

    format_name: str = AUTO
    origin: Origin = Origin.IMPORTED
    instructions_only: bool = False
    skip_invalid: bool = False
    mapping: FieldMap | None = None
    licences: Mapping[Path, str] = field(default_factory=dict)
    thinking: Thinking = Thinking.TEXT


@dataclass(slots=True)
class FileReport:
    """What came of one file.

    `imported` tasks are new; `joined` instances went to tasks of the same instruction; `duplicates` are records that brought nothing new,
    `refused` instances that could not join the task of their instruction. `worse` answers of pairs are kept, apart from the data.
    `thoughts` counts the instances that had some by what became of them, of `unended` ones they are still text. `left_out` records had
    outputs that nobody wanted. The faulty records have `faults` together and stand in the file `rejected`.
    `samples` are the first tasks as they are taken, `container` is how the records stand in the file, and `paths` lead to what the first
    of them hold, faulty ones too.
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
    thoughts: Counter[Thinking] = field(default_factory=Counter)
    unended: int = 0
    faults: int = 0
    rejected: Path | None = None
    samples: list[SeedTask] = field(default_factory=list)
    container: str = ""
    paths: dict[str, None] = field(default_factory=dict)

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
        for thinking, number in self.thoughts.items():
            yield _THOUGHTS[thinking].format(counted(number, "instance"))
        if self.unended:
            yield f"thoughts without an end, or without an answer behind them, are text still in {counted(self.unended, 'instance')}"
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
        counts["thoughts"] = self.thoughts.total()
        return {"file": str(self.path), "format": self.format, **counts, **self.tally.as_dict(), "rejected_file": rejected}


Progress = Callable[[str, int, int], None]
Told = Callable[[FileReport], None]


class Faults:
    """The faults of files as they are found: each is told when there is a second one, for an error names a single one by itself.

    Memory does not grow with them: `listed` are the first, `FaultyFile.MOST` at the most, of `number`.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _line: None) -> None:
        self.number = 0
        self.listed: list[str] = []
        self._tell = tell

    def add(self, line: str) -> None:
        """Take one fault."""
        self.number += 1
        if len(self.listed) < FaultyFile.MOST:
            self.listed.append(line)
        if self.number == 2:
            self._tell(self.listed[0])
        if self.number > 1:
            self._tell(line)


def import_files(
    tasks: Tasks,
    paths: Sequence[Path],
    options: ImportOptions,
    told: Told = lambda _report: None,
    progress: Progress = lambda _what, _done, _size: None,
    faults: Faults | None = None,
) -> list[FileReport]:
    """Bring the tasks of `paths` into those of a pool in one transaction and return what came of each file.

    An instruction is taken once, white space aside; other instances of it join its task. Every file is opened once. `told` gets each
    report when all files have been read without fault, before anything is stored for good; `progress` what is read, and how many bytes of
    how many; `faults` each fault as it is found, unless they go to a file. Raises UsageError when a file cannot be read, has a fault or
    would lose all its outputs, and PoolError when the pool or the file of faulty records cannot be written; nothing is imported then.
    """
    find_format(options.format_name)
    _check_paths(paths, options)
    reports = [FileReport(path) for path in paths]
    faults = faults or Faults()
    with ExitStack() as rejected, tasks.importing(options.origin) as adding:
        for report in reports:
            _read(report, options, adding, faults, progress, rejected)
        _require_sound(reports, options, faults)
        for report in reports:
            told(report)
    return reports


@dataclass(frozen=True, slots=True)
class Examined:
    """What would come of files without regard to what a pool has, and why nothing would be imported, None where all would be."""

    reports: list[FileReport]
    error: FaultyFile | None


def examine_files(
    paths: Sequence[Path],
    options: ImportOptions,
    progress: Progress = lambda _what, _done, _size: None,
    faults: Faults | None = None,
    most: int | None = None,
) -> Examined:
    """Read `paths` as `import_files` does and write nothing; with `most` only so many records of each. Raises UsageError as it does."""
    find_format(options.format_name)
    reports = [FileReport(path) for path in paths]
    faults = faults or Faults()
    for report in reports:
        _read(report, options, None, faults, progress, ExitStack(), most)
    try:
        _require_sound(reports, options, faults)
    except FaultyFile as error:
        return Examined(reports, error)
    return Examined(reports, None)


def _check_paths(paths: Sequence[Path], options: ImportOptions) -> None:
    for path in paths:
        if str(path) not in STDIN:
            with readable(path):
                located(path).stat()
        if options.skip_invalid and os.path.lexists(beside := _rejected_path(path)):
            raise UsageError(f"{beside} is there already", "it would get the faulty records: move it away, or delete it")


def _rejected_path(path: Path) -> Path:
    """Return where the faulty records of a file go: beside it, or in the current folder for what is no file."""
    if is_of_hub(path):
        return Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', str(path).partition(':')[2])}.rejected.jsonl")
    if is_regular(path):
        return path.with_name(f"{path.name}.rejected.jsonl")
    return Path("stdin.rejected.jsonl" if str(path) in STDIN else "pipe.rejected.jsonl")


def _read(
    report: FileReport,
    options: ImportOptions,
    adding: TaskImport | None,
    faults: Faults,
    progress: Progress,
    rejected: ExitStack,
    most: int | None = None,
) -> None:
    """Read a file; `rejected` closes that of the faulty records. Where `adding` is None nothing is written."""
    source, tally = Input(report.path), report.tally
    report.container = container_of(source, options.format_name, options.mapping.columns if options.mapping else ())
    sink: BinaryIO | None = None
    for parsed in islice(parse(source, options.format_name, options.mapping), most):
        tally.add(parsed)
        if tally.records <= SAMPLES:
            report.paths |= dict.fromkeys(paths_in(parsed.raw))
        if tally.records % _PROGRESS == 0:
            progress(f"reading {report.path.name}", source.done, source.size)
        if parsed.task is not None:
            if options.skip_invalid or not faults.number:
                _add(report, parsed, options, adding)
            continue
        report.faults += len(parsed.faults)
        for fault in parsed.faults:
            faults.add(fault.at(report.path))
        if options.skip_invalid and adding is not None:
            report.rejected = report.rejected or _rejected_path(report.path)
            with writing(report.rejected):
                sink = sink or rejected.enter_context(complete_files([report.rejected]))[0]
                sink.write(_rejected_line(parsed))
    report.remarks = tuple(source.notes)
    if adding is not None and tally.tasks and (options.skip_invalid or not faults.number):
        adding.note(_imported(report, source, options))


def _imported(report: FileReport, source: Input, options: ImportOptions) -> ImportedFile:
    sha256, size = source.stored()
    licence = options.licences.get(report.path, "")
    return ImportedFile(
        name=name_of(report.path),
        origin=options.origin,
        format=report.format,
        sha256=sha256,
        size=size,
        records=report.tally.records,
        tasks=report.imported,
        joined=report.joined,
        mapping=str(options.mapping or ""),
        licence=licence,
    )


def _add(report: FileReport, parsed: ParsedTask, options: ImportOptions, adding: TaskImport | None) -> None:
    task = parsed.task
    assert task is not None
    if options.instructions_only and task.instances:
        report.left_out += 1
        task = replace(task, instances=(), pairs=())
    task, found = with_thinking(task, options.thinking)
    if found:
        report.thoughts[options.thinking] += found
    if options.thinking is not Thinking.TEXT:
        report.unended += sum(map(begins_with_thoughts, task.instances))
    if len(report.samples) < SAMPLES:
        report.samples.append(task)
    added = Added(new=True) if adding is None else adding.add(task)
    report.imported += added.new
    report.joined += added.joined
    report.refused += added.refused
    report.worse += added.worse
    report.duplicates += not added.new and not added.joined and not added.worse
    if added.joined:
        # What a task has that its instances do not take with them to another one.
        left = ("id", task.key), ("name", task.name), ("provenance", task.provenance)
        report.tally.untaken.update(name for name, value in left if value)


def _rejected_line(parsed: ParsedTask) -> bytes:
    first, *more = parsed.faults
    line: dict[str, object] = {"line": parsed.line, "index": parsed.index, "field": first.field, "fault": first.fault}
    if more:
        line["more"] = [{"field": fault.field, "fault": fault.fault} for fault in more]
    # What follows is the record as it was: a corrected file of them can be imported.
    return f'{json.dumps(line)[:-1]}, "record": {written(parsed.raw)}}}\n'.encode()


def _require_sound(reports: Sequence[FileReport], options: ImportOptions, faults: Faults) -> None:
    for report in reports:
        if report.tally.records == 0:
            raise FaultyFile(FileFault(0, "", "the file holds no task").at(report.path), _hint(report, options, "nothing was imported"))
    faulty = [report for report in reports if report.tally.faulty and not (options.skip_invalid and report.tally.tasks)]
    if faulty:
        message = faults.listed[0]
        if faults.number > 1:
            message = "; ".join(
                f"{each.path}: {each.tally.faulty:,} of {counted(each.tally.records, 'record')} with a fault" for each in faulty
            )
        way_out = "correct the file" if options.skip_invalid else "correct the file, or leave those records out with --skip-invalid"
        if options.mapping is None and not any(each.tally.tasks for each in faulty):
            way_out += "; --map says where fields of other names stand"
        raise FaultyFile(message, _hint(faulty[0], options, f"nothing was imported; {way_out}"), faults.listed, faults.number)
    for report in reports:
        if report.tally.lost_outputs and not options.instructions_only and options.format_name != "machine-generated":
            raise FaultyFile(
                f"{report.path}: {report.tally.lost_outputs}",
                "nothing was imported; say where the answers stand with --map, or take the instructions alone with --instructions-only",
            )


def _hint(report: FileReport, options: ImportOptions, words: str) -> str:
    if options.mapping is not None:
        return words
    name = report.format if options.format_name == AUTO else options.format_name
    return f"{words} (read as {name}: another format can be named with --format)" if name else words


def what_it_is(report: FileReport) -> str:
    """Return how a file was read, and how many tasks came of it."""
    tally = report.tally
    read = ", ".join(dict.fromkeys(word for word in (report.container, report.format) if word))
    faulty = f", {counted(tally.faulty, 'record')} with a fault" if tally.faulty else ""
    counts = f"{counted(tally.tasks, 'task')} with {counted(tally.instances, 'instance')} of {counted(tally.records, 'record')}{faulty}"
    return display_line(f"{read}: {counts}")


def preview_lines(report: FileReport, width: int, shown: Collection[str] = ()) -> Iterator[str]:
    """Yield all that should be known of a file before it is imported, but `what_it_is`, as harmless lines; texts are cut to `width`.

    Where the fields of `shown` come from is seen already.
    """
    roles = [(name, f"from {display_line(key, width)}") for name, key in report.tally.roles if name not in shown]
    yield from _aligned(roles)
    yield from (display_line(note) for note in report.notes() if not note.startswith("read as: "))
    if report.tally.faulty and report.paths:
        yield f"there are {display_line(', '.join(report.paths), _LONGEST_PATHS)}"
    for number, task in enumerate(report.samples, 1):
        yield f"task {number}"
        yield from (f"  {line}" for line in _aligned(list(_fields(task, width))))


def _fields(task: SeedTask, width: int) -> Iterator[tuple[str, str]]:
    """Yield the fields of a task that hold something, with their names."""
    yield "instruction", display_line(task.instruction, width)
    for instance in task.instances[:_INSTANCES]:
        turns = f"{len(instance.turns)} more, the next: {instance.turns[0].text}" if instance.turns else ""
        told = (("input", instance.input), ("output", instance.output), ("system", instance.system), ("thoughts", instance.thoughts))
        yield from ((name, display_line(text, width)) for name, text in (*told, ("turns", turns)) if text.strip())
    for _, worse in task.pairs[:_INSTANCES]:
        # The worse one of two conversations differs in what was said last.
        yield "worse", display_line(worse.turns[-1].text if worse.turns else worse.output, width)
    if len(task.instances) > _INSTANCES:
        yield "instances", f"{len(task.instances):,}"
    yield from ((name, display_line(text, width)) for name, text in (("id", task.key), ("name", task.name)) if text)
    if task.is_classification is not None:
        yield "is_classification", str(task.is_classification).lower()


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    longest = max((len(name) for name, _ in rows), default=0)
    yield from (f"{name.ljust(longest)}  {text}".rstrip() for name, text in rows)
