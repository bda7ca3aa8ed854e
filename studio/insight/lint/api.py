"""What a lint is: a fault with a code, how to find it, and how far to trust what it finds."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from studio.insight.tables import Progress
from studio.pool.stream import LintTask

_STEP = 200
EXCERPT = 80
"""Characters of the words that a finding shows."""


class Part(StrEnum):
    """Where in a task a fault is."""

    INSTRUCTION = "instruction"
    INPUT = "input"
    OUTPUT = "output"
    SYSTEM = "system"
    TURN = "turn"


class Finding(NamedTuple):
    """One fault. `instance_id` is None when the task itself is at fault; `words` are those at fault, as they were written.

    `other` is the task that this one is too much like, or at odds with.
    """

    task_id: int
    instance_id: int | None
    part: Part
    words: str
    other: int | None = None


class Measured(NamedTuple):
    """How a lint did on the hand-made table of its test: faults found of all faults, and sound tasks reported of all sound ones."""

    found: int
    faulty: int
    wrong: int
    sound: int


@dataclass(frozen=True, slots=True)
class LintOptions:
    """`near` is the Jaccard index from which instructions count as near-duplicates, `overlap` the ROUGE-L F1 from which one counts as
    contaminated by a file of `against`."""

    near: float = 0.8
    overlap: float = 0.7
    against: tuple[Path, ...] = ()


class LintedPool(Protocol):
    """What linting asks of a pool; `studio.pool.stream.Stream` is one."""

    def active_tasks(self) -> int: ...
    def lint_tasks(self, *, with_instances: bool = True) -> Generator[LintTask, None, None]: ...


class Tasks:
    """The pool, for lints that need all of it: it can be read as often as they like, and is told how the work goes on.

    `steps` is how much there is to do; with `only` the tasks of these ids, ascending, are all there are.
    """

    def __init__(self, pool: LintedPool, steps: int, progress: Progress, only: Sequence[int] | None) -> None:
        self._pool = pool
        self._only = only
        self._steps = steps
        self._progress = progress
        self._done = 0

    def __call__(self, *, with_instances: bool = True) -> Iterator[LintTask]:
        """Yield all tasks in the order of their ids; one pass of the work."""
        with closing(self._pool.lint_tasks(with_instances=with_instances)) as tasks:
            for task in tasks:
                if self._only is None or _has(self._only, task.id):
                    self.advance()
                    yield task

    def advance(self) -> None:
        """Say that one more task is done, in a pass that reads nothing."""
        self._done += 1
        if self._done % _STEP == 0:
            # Tasks that joined meanwhile make it more than was thought.
            self._progress("looking", min(self._done, self._steps), self._steps)


def _has(ids: Sequence[int], wanted: int) -> bool:
    place = bisect_left(ids, wanted)
    return place < len(ids) and ids[place] == wanted


Check = Callable[[LintTask], Iterator[Finding]]
"""Finds the faults that a task shows by itself."""

Search = Callable[[Tasks, LintOptions], Iterator[Finding]]
"""Finds the faults that only the whole pool shows, in the order of task ids."""


@dataclass(frozen=True, slots=True)
class Lint:
    """A fault to look for, by exactly one of `check` and `search`.

    `note` says what it misses and what it reports wrongly; `measured` is checked by its test. `faulty` and `sound` are examples.
    `passes` is how often `search` goes over all tasks; `needs_file` says that it compares them with files that the user names.
    """

    code: str
    title: str
    help: str
    note: str
    measured: Measured
    faulty: tuple[str, ...]
    sound: tuple[str, ...]
    check: Check | None = None
    search: Search | None = None
    passes: int = 1
    needs_file: bool = False


def texts_of(task: LintTask) -> Iterator[tuple[Part, int | None, str]]:
    """Yield every text of a task with its place: the instruction, then each instance's input, unless it is empty, output, and what was said
    around them."""
    yield Part.INSTRUCTION, None, task.instruction
    for instance in task.instances:
        if instance.input:
            yield Part.INPUT, instance.id, instance.input
        yield Part.OUTPUT, instance.id, instance.output
        if instance.system:
            yield Part.SYSTEM, instance.id, instance.system
        for turn in instance.turns:
            yield Part.TURN, instance.id, turn.text


def in_texts(find: Callable[[str], str]) -> Check:
    """Return a check that reports every text of a task in which `find` finds words at fault; it returns those, empty for none."""

    def check(task: LintTask) -> Iterator[Finding]:
        for part, instance_id, text in texts_of(task):
            if words := find(text):
                yield Finding(task.id, instance_id, part, words[:EXCERPT])

    return check


def matches(task: LintTask, pattern: re.Pattern[str], *parts: Part) -> Iterator[Finding]:
    """Yield the first match of `pattern` in each text of a task; only in those of `parts` when there are any."""
    for part, instance_id, text in texts_of(task):
        if (not parts or part in parts) and (found := pattern.search(text)):
            yield Finding(task.id, instance_id, part, excerpt(text, found))


def excerpt(text: str, found: re.Match[str]) -> str:
    """Return what was matched, and the text after it as far as there is room."""
    start, end = found.start(), max(found.end(), found.start() + EXCERPT // 2)
    return text[start:end].strip()[:EXCERPT]
