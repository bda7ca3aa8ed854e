"""Pools in memory for the lints that need a whole pool."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from studio.insight.lint.api import LintOptions
from studio.insight.lint.run import LINTS, Found, run_lints
from studio.insight.tables import Progress, silent
from studio.pool.stream import LintInstance, LintTask


class MemoryPool:
    """Tasks in a list, as a source of lints."""

    def __init__(self, tasks: Iterable[LintTask]) -> None:
        self.list = list(tasks)

    def active_tasks(self) -> int:
        return len(self.list)

    def lint_tasks(self, *, with_instances: bool = True) -> Generator[LintTask, None, None]:
        yield from self.list if with_instances else (replace(task, instances=()) for task in self.list)


def numbered_tasks(*rows: tuple[str, str, str] | str, classification: bool = False) -> list[LintTask]:
    """Tasks 1, 2, ... of one instance each, whose ids are 101, 102, ...; a bare instruction has none."""
    tasks = []
    for number, row in enumerate(rows, 1):
        instruction, *rest = (row,) if isinstance(row, str) else row
        instances = (LintInstance(100 + number, rest[0], rest[1]),) if rest else ()
        tasks.append(LintTask(number, instruction, classification, instances))
    return tasks


def found_by(
    code: str,
    tasks: Sequence[LintTask],
    *,
    near: float = 0.8,
    overlap: float = 0.7,
    against: tuple[Path, ...] = (),
    progress: Progress = silent,
) -> Found:
    """What one lint finds in `tasks`."""
    return run_lints(MemoryPool(tasks), [LINTS[code]], LintOptions(near, overlap, against), progress).found[0]
