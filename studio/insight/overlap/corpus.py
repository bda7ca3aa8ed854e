"""Tasks to compare, from a pool or from a file in any format that import knows, read as a stream and as often as asked."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from studio.errors import UsageError
from studio.pool.pool import Queries
from studio.records import Instance, Origin
from studio.seeds.inputs import FaultyFile, FileFault, Input, faulty_file, is_regular, located, readable
from studio.seeds.reading import Tally, parse

_SQLITE = b"SQLite format 3\0"
_AT_A_TIME = 5_000


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """A task and where it stands: `task 176` of a pool, `line 12` or `entry 3` of a file."""

    label: str
    instruction: str
    instances: tuple[Instance, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All that the task says: its instruction, the inputs and outputs of its instances, and what was said after them.

        System turns are none of it: many tasks that have nothing else in common share one.
        """
        return (self.instruction, *(text for each in self.instances for text in _said(each) if text))


def _said(instance: Instance) -> Iterator[str]:
    yield from (instance.input, instance.output)
    yield from (turn.text for turn in instance.turns)


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file without fault, how many tasks it has, and what of it is not taken.

    Iterating goes through it anew, in constant memory for formats with a task a line; it was opened once.
    """

    file: Input
    format: str
    tasks: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.tasks

    def __iter__(self) -> Iterator[CorpusTask]:
        for parsed in parse(self.file):
            if parsed.task is None:
                raise faulty_file(self.file.path, parsed.faults, "correct the file")
            label = f"line {parsed.line}" if parsed.index is None else f"entry {parsed.index + 1}"
            yield CorpusTask(label, parsed.task.instruction, parsed.task.instances)


@dataclass(frozen=True, slots=True)
class PoolTasks:
    """The active tasks of a pool as it was when it was opened. Iterating reads them anew, some thousands at a time."""

    path: Path
    ids: array[int] = field(repr=False)
    format: str = "pool"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[CorpusTask]:
        with Queries.open(self.path) as reader:
            for start in range(0, len(self.ids), _AT_A_TIME):
                for task in reader.tasks.many(self.ids[start : start + _AT_A_TIME]):
                    yield CorpusTask(f"task {task.id}", task.instruction, task.instances)


Corpus = TaskFile | PoolTasks


def open_corpus(path: Path, origin: Origin | None = None) -> Corpus:
    """Look at `path` once, to its end, and return it as something to iterate.

    `origin` leaves out a pool's tasks of other origins, and says nothing about files. Raises UsageError, naming the first fault, for a file
    that is missing, faulty or without a task, and PoolError for a pool that cannot be read.
    """
    if not is_pool(path):
        return _file(path)
    with Queries.open(path) as reader:
        ids = reader.tasks.ids(origin=origin)
    if not ids:
        kind = f"{origin} task" if origin else "task"
        raise UsageError(f"pool {path} has no {kind}", "leave --origin out, or generate some first")
    return PoolTasks(path, ids)


def is_pool(path: Path) -> bool:
    """Return whether `path` is an SQLite database, and so perhaps a pool. Raises UsageError when it cannot be read."""
    if not is_regular(path):
        # A pipe gives its bytes once, and holds no pool.
        return False
    with readable(path), located(path).open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _file(path: Path) -> TaskFile:
    source, tally = Input(path), Tally()
    faults: list[FileFault] = []
    number = 0
    for parsed in parse(source):
        tally.add(parsed)
        number += len(parsed.faults)
        faults += parsed.faults[: FaultyFile.MOST - len(faults)]
    if not tally.records:
        faults.append(FileFault(0, "", "the file holds no task"))
    if faults:
        raise faulty_file(path, faults, f"it was read as {tally.format}; list every fault with: studio seeds check {path}", number)
    notes = (*source.notes, *tally.notes())
    source.notes.clear()
    return TaskFile(source, tally.format, tally.tasks, notes)


def at_places(corpus: Iterable[CorpusTask], places: Iterable[int]) -> dict[int, CorpusTask]:
    """Return the tasks at some places of `corpus`, counted from 0; it is read until the last of them."""
    wanted = set(places)
    end = max(wanted, default=-1) + 1
    return {place: task for place, task in enumerate(islice(corpus, end)) if place in wanted}
