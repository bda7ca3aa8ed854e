"""Running lints over a pool: those that look at a task alone share one pass, each of the others has its own."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from studio.insight.lint.api import Finding, Lint, LintOptions, LintTask

EXAMPLES = 3
"""Findings of a lint that are kept whole; of the others the ids are kept, 16 bytes a finding."""

_STEP = 200

Progress = Callable[[int, int], None]
"""Told how many steps are done, of how many: one for each task and pass. What it raises ends the work."""


class Source(Protocol):
    """What linting asks of a pool; `studio.pool.pool.Queries` is one."""

    def active_tasks(self) -> int: ...
    def lint_tasks(self, *, with_instances: bool = True) -> Generator[LintTask, None, None]: ...


@dataclass(slots=True)
class Found:
    """The findings of one lint in the order of task ids. An instance id of 0 stands for the task itself."""

    lint: Lint
    task_ids: array[int] = field(default_factory=lambda: array("q"))
    instance_ids: array[int] = field(default_factory=lambda: array("q"))
    examples: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Take in a finding."""
        self.task_ids.append(finding.task_id)
        self.instance_ids.append(finding.instance_id or 0)
        if len(self.examples) < EXAMPLES:
            self.examples.append(finding)

    def __len__(self) -> int:
        return len(self.task_ids)

    @property
    def tasks(self) -> list[int]:
        """The ids of the tasks that have a finding, in order, each once."""
        return sorted(set(self.task_ids))

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON; the two lists of ids belong together, null stands for the task itself."""
        return {
            "title": self.lint.title,
            "findings": len(self),
            "tasks": len(set(self.task_ids)),
            "task_ids": list(self.task_ids),
            "instance_ids": [instance_id or None for instance_id in self.instance_ids],
            "examples": [each._asdict() for each in self.examples],
        }


@dataclass(frozen=True, slots=True)
class LintReport:
    """What lints found among `tasks` active tasks."""

    tasks: int
    found: tuple[Found, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {"tasks": self.tasks, "lints": {each.lint.code: each.as_dict() for each in self.found}}


def run_lints(pool: Source, lints: Sequence[Lint], options: LintOptions, progress: Progress = lambda _done, _all: None) -> LintReport:
    """Look for the faults of `lints` in the active tasks of a pool.

    Raises UsageError when a file of `options.against` cannot be read, PoolError as reading does, and what `progress` raises.
    """
    tasks = pool.active_tasks()
    checks = [lint for lint in lints if lint.check is not None]
    passes = bool(checks) + sum(lint.passes for lint in lints if lint.search is not None)
    work = _Work(pool, tasks * passes, progress)
    found = {lint.code: Found(lint) for lint in lints}
    if checks:
        _check_all(work, [found[lint.code] for lint in checks])
    for lint in lints:
        if lint.search is not None:
            for finding in lint.search(work, options):
                found[lint.code].add(finding)
    return LintReport(tasks, tuple(found[lint.code] for lint in lints))


def _check_all(work: _Work, found: Sequence[Found]) -> None:
    checks = [(each.add, each.lint.check) for each in found if each.lint.check is not None]
    for task in work():
        for add, check in checks:
            for finding in check(task):
                add(finding)


class _Work:
    """The pool as the lints see it, and how far the work has come."""

    def __init__(self, pool: Source, steps: int, progress: Progress) -> None:
        self._pool = pool
        self._steps = steps
        self._progress = progress
        self._done = 0

    def __call__(self, *, with_instances: bool = True) -> Iterator[LintTask]:
        with closing(self._pool.lint_tasks(with_instances=with_instances)) as tasks:
            for task in tasks:
                self.advance()
                yield task

    def advance(self) -> None:
        self._done += 1
        if self._done % _STEP == 0:
            # Tasks that joined meanwhile make it more than was thought.
            self._progress(min(self._done, self._steps), self._steps)
