"""Findings and lints as text for a terminal. Everything a model wrote passes through `display_line` and is never markup."""

from __future__ import annotations

from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint
from studio.insight.lint.run import LintReport
from studio.text import display_line

_WIDTH = 100


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
