"""The lints there are; running them over a pool, telling what they found, and leaving that out of exports.

Lints that look at a task alone share one pass, each of the others has its own. To add one, write a `Lint` where others of its kind are, and
name it in `LINTS`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from studio.errors import UsageError, nearest_name
from studio.insight.lint.api import Finding, Lint, LintedPool, LintOptions, Tasks
from studio.insight.lint.instances import MISSING_INPUT, PLACEHOLDER, REFUSAL, REPEATS, TEMPLATE, TRUNCATED
from studio.insight.lint.language import LANGUAGE
from studio.insight.lint.pairs import CONTAMINATION, CONTRADICTION, NEAR_DUPLICATE
from studio.insight.lint.privacy import ACCOUNT, EMAIL, PHONE, SECRET
from studio.insight.tables import Progress, silent
from studio.pool.browse import ALL, Keep
from studio.pool.exchange.export import ExportOptions
from studio.pool.pool import Queries
from studio.pool.stream import ExportTask
from studio.text import display_line

EXAMPLES = 3
"""Findings of a lint that are kept whole; of the others the ids are kept, 16 bytes a finding."""

_WIDTH = 100


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


def run_lints(
    pool: LintedPool, lints: Sequence[Lint], options: LintOptions, progress: Progress = silent, only: Sequence[int] | None = None
) -> LintReport:
    """Look for the faults of `lints` in the active tasks of a pool; with `only`, in those of these ids, ascending.

    `progress` is told of a step for each task and pass. Raises UsageError when a file of `options.against` cannot be read, PoolError as
    reading does, and what `progress` raises.
    """
    tasks = pool.active_tasks() if only is None else len(only)
    checks = [(lint.code, lint.check) for lint in lints if lint.check is not None]
    passes = bool(checks) + sum(lint.passes for lint in lints if lint.search is not None)
    work = Tasks(pool, tasks * passes, progress, only)
    found = {lint.code: Found(lint) for lint in lints}
    for task in work() if checks else ():
        for code, check in checks:
            for finding in check(task):
                found[code].add(finding)
    for lint in lints:
        if lint.search is not None:
            for finding in lint.search(work, options):
                found[lint.code].add(finding)
    return LintReport(tasks, tuple(found[lint.code] for lint in lints))


def report_lines(report: LintReport) -> Iterator[str]:
    """Yield the counts by lint, then examples of each that found something."""
    total = sum(len(found) for found in report.found)
    flagged = len({task_id for found in report.found for task_id in found.task_ids})
    yield f"{total:,} findings in {flagged:,} of {report.tasks:,} active tasks"
    width = max((len(found.lint.code) for found in report.found), default=0)
    for found in report.found:
        tasks = f"in {len(found.tasks):,} tasks" if len(found) else ""
        yield f"  {found.lint.code:<{width}}  {len(found):>9,}  {tasks:<18}  {found.lint.title}"
    for found in report.found:
        if len(found):
            yield ""
            yield f"{found.lint.code}: {found.lint.title}"
            yield from (f"  {_finding(each)}" for each in found.examples)
            if len(found) > len(found.examples):
                yield f"  … and {len(found) - len(found.examples):,} more"


def _finding(finding: Finding) -> str:
    place = f"task {finding.task_id}" + (f", instance {finding.instance_id}" if finding.instance_id is not None else "")
    other = f" (task {finding.other})" if finding.other is not None else ""
    words = display_line(finding.words, _WIDTH)
    return f"{place}, {finding.part}{other}" + (f": {words}" if words else "")


def explanation(lint: Lint) -> Iterator[str]:
    """Yield what a lint looks for, how far to trust it, and examples."""
    yield f"{lint.code}: {lint.title}"
    yield ""
    yield lint.help
    yield ""
    yield f"How far to trust it: {lint.note}"
    found, faulty, wrong, sound = lint.measured
    right = f"{found / (found + wrong):.0%}" if found + wrong else "nothing"
    yield (
        f"On the hand-made table of its test it finds {found} of {faulty} faulty tasks and reports {wrong} of {sound} sound ones: "
        f"{right} of what it reports there is right. The table holds its known weaknesses; a pool has others in other shares."
    )
    yield ""
    yield from (f"reported: {display_line(each)}" for each in lint.faulty)
    yield from (f"not reported: {display_line(each)}" for each in lint.sound)


def without_findings(pool: Queries, lints: Sequence[Lint], options: LintOptions, export: ExportOptions, progress: Progress) -> LeavingOut:
    """Look for faults in what `export` would write of `pool`, and return the pool without them.

    Only those tasks are looked at: a near-duplicate of one that is not exported stays. Lint and export see one state of the pool within
    `Queries.one_state`.
    """
    ids = array("q", (task.id for task in pool.stream.export_tasks(export.include_seeds, export.keep)))
    return LeavingOut(pool, run_lints(pool.stream, lints, options, progress, ids))


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

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False, paired: bool = False) -> Iterator[ExportTask]:
        """Yield what is to be exported, without the findings."""
        self.tasks_kept = self.tasks_left_out = self.instances_left_out = 0
        for task in self._source.stream.export_tasks(include_seeds, keep, made=made, paired=paired):
            places = [] if task.id in self._tasks else [n for n, each in enumerate(task.instance_ids) if each not in self._instances]
            if not places:
                self.tasks_left_out += 1
                continue
            self.tasks_kept += 1
            self.instances_left_out += len(task.instances) - len(places)
            instances = tuple(task.instances[n] for n in places)
            scores = tuple(task.scores[n] for n in places)
            yield replace(task, instances=instances, scores=scores, instance_ids=tuple(task.instance_ids[n] for n in places))


LINTS: Mapping[str, Lint] = {
    lint.code: lint
    for lint in (
        NEAR_DUPLICATE,
        REPEATS,
        MISSING_INPUT,
        CONTRADICTION,
        REFUSAL,
        PLACEHOLDER,
        TEMPLATE,
        TRUNCATED,
        EMAIL,
        PHONE,
        SECRET,
        ACCOUNT,
        LANGUAGE,
        CONTAMINATION,
    )
}


def find_lint(code: str) -> Lint:
    """Return the lint called `code`. Raises UsageError with the nearest name."""
    if code not in LINTS:
        raise UsageError(f"there is no lint {code!r}", nearest_name(code, LINTS))
    return LINTS[code]


def chosen_lints(codes: Iterable[str], *, with_file: bool) -> list[Lint]:
    """Return the lints called `codes`, in the order of the registry; without any, all that need no file or have one.

    Raises UsageError for an unknown code, and for one that needs a file where none is named.
    """
    wanted = {find_lint(code).code for code in codes}
    if not wanted:
        return [lint for lint in LINTS.values() if with_file or not lint.needs_file]
    chosen = [lint for lint in LINTS.values() if lint.code in wanted]
    for lint in chosen:
        if lint.needs_file and not with_file:
            raise UsageError(f"the lint {lint.code} compares the pool with a file, and none is named", "add --against FILE")
    return chosen
