"""The figures of a blind comparison as tables and stacked bars for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.grading import MEANING
from studio.insight.grading_report import GradingReport
from studio.insight.report_tables import plain_table
from studio.insight.review_tables import agreement_words, progress_words, share_words
from studio.pool.studies.comparisons import GRADES
from studio.text import display_line

WIDTH = 26
"""With names and counts it fits 80 cells."""
_NAME = 20
_LABEL = 28
_STYLES = ("black on green", "black on bright_green", "black on yellow", "white on red")


def grading_tables(report: GradingReport) -> Group:
    """All figures of a comparison, beside the paper's. Names are cleaned, none of it is markup."""
    return Group(*_parts(report))


def stacked_bar(counts: Sequence[int], width: int = WIDTH) -> Text:
    """Return a bar of `width` cells for the grades A to D, drawn with their letters, so that it needs no colour; empty without grades."""
    total, line, begun, seen = sum(counts), Text(), 0, 0
    for grade, count, style in zip(GRADES, counts, _STYLES, strict=True):
        seen += count
        end = round(seen / total * width) if total else 0
        line.append(grade.value * (end - begun), style)
        begun = end
    return line


def _parts(report: GradingReport) -> Iterator[Text | Table]:
    plan = report.comparison.plan
    what, seed = display_line(report.evaluation, 60), display_line(plan.seed, 40)
    yield Text(f"comparison {report.comparison.id}: {report.items:,} items of {what}, seed {seed}")
    for each in report.progress:
        yield Text(progress_words(each, report.items))
    if report.blind:
        yield Text("still blind: not every rater who began is done; --unblind tells the grades of each contestant all the same")
    elif report.progress:
        yield Text()
        yield _grades(report)
        yield Text("; ".join(f"{grade} {words}" for grade, words in MEANING.items()), style="dim")
        yield Text()
        yield _raters(report)
    if report.agreement:
        yield Text()
        yield _agreement(report)


def _grades(report: GradingReport) -> Table:
    table = plain_table("grades", *(grade.value for grade in GRADES), "")
    table.columns[-1].justify = "left"
    rows = [(each.label, each.counts) for each in report.contestants]
    rows += [(f"paper: {name}", counts) for name, counts in paper.GRADES.items()]
    for name, counts in rows:
        table.add_row(Text(display_line(name, _LABEL)), *(f"{count:,}" for count in counts), stacked_bar(counts))
    return table


def _raters(report: GradingReport) -> Table:
    table = plain_table("by rater", "1: A or B", "2: A or B", "1 better", "equal", "2 better")
    for place, preference in enumerate(report.preferences):
        shares = [share_words(each.raters[place].acceptable) for each in report.contestants]
        counts = (f"{preference.first:,}", f"{preference.equal:,}", f"{preference.second:,}")
        table.add_row(Text(display_line(preference.rater, _NAME)), *shares, *counts)
    first, second = (display_line(each.label, _LABEL) for each in report.contestants)
    table.caption = Text(f"1 is {first}, 2 is {second}; shares with 95 % Wilson intervals")
    table.caption_justify = "left"
    return table


def _agreement(report: GradingReport) -> Table:
    table = plain_table("agreement of two raters", "", "answers", "equal", "Cohen's kappa")
    table.columns[1].justify = "left"
    for pair in report.agreement:
        names = " and ".join(display_line(rater, _NAME) for rater in pair.raters)
        for what, figures in (("grades A to D", pair.grades), ("acceptable or not", pair.acceptable)):
            table.add_row(Text(names), what, *agreement_words(figures))
    return table
