"""The figures of a review as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.agreement import Agreement, Share
from studio.insight.report_tables import plain_table
from studio.insight.review import RaterProgress, ReviewReport
from studio.pool.studies.reviews import Strata
from studio.text import display_line, spoken

_NAME = 20


def review_tables(report: ReviewReport) -> Group:
    """All figures of a review, beside the paper's. Names of raters are cleaned, none of it is markup."""
    return Group(*_parts(report))


def sample_words(report: ReviewReport) -> str:
    """Return in words which sample it is."""
    plan = report.review.plan
    strata = "" if plan.strata is Strata.NONE else f", stratified by {plan.strata}"
    fewer = f" of {plan.size:,} asked for" if report.items < plan.size else ""
    return f"review {report.review.id}: {report.items:,} tasks{fewer}, seed {display_line(plan.seed, 40)}{strata}"


def progress_words(progress: RaterProgress, items: int) -> str:
    """Return how far a rater is in a study of that many items."""
    begun = f", {progress.begun} begun" if progress.begun else ""
    left = items - progress.complete - progress.skipped
    return f"  {display_line(progress.rater, _NAME)}: {progress.complete} complete, {progress.skipped} skipped{begun}, {left} to go"


def _parts(report: ReviewReport) -> Iterator[Text | Table]:
    yield Text(sample_words(report))
    for each in report.progress:
        yield Text(progress_words(each, report.items))
    yield Text()
    yield _table_2(report)
    if report.strata:
        yield Text()
        yield _strata(report)
    if report.agreement:
        yield Text()
        yield _kappa(report)


def _raters(report: ReviewReport) -> list[str]:
    return [each.rater for each in report.progress]


def _table_2(report: ReviewReport) -> Table:
    names = [display_line(rater, _NAME) for rater in _raters(report)]
    table = plain_table("share of yes, with 95 % Wilson interval", *names, f"paper ({paper.QUALITY_TASKS})")
    for row in report.table:
        table.add_row(row.words, *(share_words(row.raters[rater]) for rater in _raters(report)), f"{row.paper:.0%}")
    return table


def _strata(report: ReviewReport) -> Table:
    table = plain_table("all fields valid, by stratum", "tasks", *(display_line(rater, _NAME) for rater in _raters(report)))
    for row in report.strata:
        table.add_row(row.stratum, str(row.items), *(share_words(row.raters[rater]) for rater in _raters(report)))
    return table


def _kappa(report: ReviewReport) -> Table:
    table = plain_table("agreement of two raters", "", "items", "equal", "Cohen's kappa")
    for pair in report.agreement:
        names = " and ".join(display_line(rater, _NAME) for rater in pair.raters)
        table.add_row(Text(names), spoken(pair.row), *agreement_words(pair.figures))
    return table


def share_words(share: Share) -> str:
    """Return a share as a line shows it: `58% (51-65) of 200`, or a dash without answers."""
    if share.share is None or share.low is None or share.high is None:
        return "-"
    return f"{share.share:.0%} ({100 * share.low:.0f}-{100 * share.high:.0f}) of {share.count}"


def agreement_words(figures: Agreement) -> tuple[str, str, str]:
    """Return an agreement as a line shows it: how many, the share of equal ones, kappa."""
    equal = "" if figures.agreement is None else f"{figures.agreement:.0%}"
    return f"{figures.count:,}", equal, "undefined" if figures.kappa is None else f"{figures.kappa:.2f}"
