"""A pool without what lints find in it, as a source of exports."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from studio.insight.lint.api import Lint, LintOptions, LintTask
from studio.insight.lint.run import LintReport, Progress, run_lints
from studio.pool.exchange.export import ExportOptions
from studio.pool.pool import Queries
from studio.pool.records import ExportTask
from studio.pool.studies.reviews import ALL, Keep


def without_findings(pool: Queries, lints: Sequence[Lint], options: LintOptions, export: ExportOptions, progress: Progress) -> LeavingOut:
    """Look for faults in what `export` would write of `pool`, and return the pool without them.

    Only those tasks are looked at: a near-duplicate of one that is not exported stays. Lint and export see one state of the pool within
    `Queries.one_state`.
    """
    ids = array("q", (task.id for task in pool.export_tasks(export.include_seeds, export.keep)))
    return LeavingOut(pool, run_lints(_Only(pool, ids), lints, options, progress))


class _Only:
    """The tasks of some ids, in ascending order, as a source of lints."""

    def __init__(self, pool: Queries, ids: array[int]) -> None:
        self._pool = pool
        self._ids = ids

    def active_tasks(self) -> int:
        return len(self._ids)

    def lint_tasks(self, *, with_instances: bool = True) -> Generator[LintTask, None, None]:
        for task in self._pool.lint_tasks(with_instances=with_instances):
            place = bisect_left(self._ids, task.id)
            if place < len(self._ids) and self._ids[place] == task.id:
                yield task


class LeavingOut:
    """A pool without the findings of `report`: tasks with a finding of their own, instances with one, and tasks that have none left.

    The counts are those of the last export: tasks kept, tasks left out, and instances left out of tasks that were kept.
    """

    def __init__(self, source: Queries, report: LintReport) -> None:
        pairs = [(task, instance) for found in report.found for task, instance in zip(found.task_ids, found.instance_ids, strict=True)]
        self._source = source
        self._tasks = frozenset(task for task, instance in pairs if not instance)
        self._instances = frozenset(instance for _, instance in pairs if instance)
        self.tasks_kept = self.tasks_left_out = self.instances_left_out = 0

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False) -> Iterator[ExportTask]:
        """Yield what is to be exported, without the findings."""
        self.tasks_kept = self.tasks_left_out = self.instances_left_out = 0
        for task in self._source.export_tasks(include_seeds, keep, made=made):
            places = [] if task.id in self._tasks else [n for n, each in enumerate(task.instance_ids) if each not in self._instances]
            if not places:
                self.tasks_left_out += 1
                continue
            self.tasks_kept += 1
            self.instances_left_out += len(task.instances) - len(places)
            instances = tuple(task.instances[n] for n in places)
            yield replace(task, instances=instances, instance_ids=tuple(task.instance_ids[n] for n in places))
