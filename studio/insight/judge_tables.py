"""The figures of judges as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight.judge_report import Comparison, JudgeFigures
from studio.insight.report_tables import plain_table
from studio.insight.review_tables import share_words
from studio.text import display_line

_NAME = 40
_RATER = 20


def judge_tables(judges: Sequence[JudgeFigures]) -> Group:
    """All figures of all judges. Names are cleaned, none of it is markup."""
    return Group(*(part for each in judges for part in _parts(each)))


def _parts(figures: JudgeFigures) -> Iterator[Text | Table]:
    judge = figures.judge
    missing = f", {figures.unanswered} questions without an answer" if figures.unanswered else ""
    yield Text(f"{display_line(judge.name, _NAME)}: {display_line(judge.model.name, _NAME)}, prompts {judge.prompt_version}", style="bold")
    yield Text(f"{figures.instances:,} instances judged{missing}")
    yield Text()
    table = plain_table("share of yes, with 95 % Wilson interval", "judge", "mean probability of yes")
    for row in figures.table:
        table.add_row(row.words, share_words(row.share), "" if row.probability is None else f"{row.probability:.2f}")
    yield table
    yield Text()
    if not any(each.figures.count for each in figures.comparisons):
        yield Text("Nobody has rated any of these instances: studio review POOL. Until then nothing is known of what the judge is worth.")
    else:
        yield _agreement(figures.comparisons)
    yield Text()


def _agreement(comparisons: Sequence[Comparison]) -> Table:
    table = plain_table("rater", "question", "both", "agree", "kappa", "y/y", "y/n", "n/y", "n/n")
    table.columns[1].justify = "left"
    for each in comparisons:
        found = each.figures
        table.add_row(
            Text("all together" if each.rater is None else display_line(each.rater, _RATER)),
            each.row.partition("_")[0],
            str(found.count),
            "" if found.agreement is None else f"{found.agreement:.0%}",
            "" if found.kappa is None else f"{found.kappa:.2f}",
            *(str(count) for count in (each.yes_yes, each.yes_no, each.no_yes, each.no_no)),
        )
    table.caption = "Kappa is 0 for what chance gives. Of y/n the first is the person's answer, the second the judge's."
    table.caption_justify = "left"
    return table
