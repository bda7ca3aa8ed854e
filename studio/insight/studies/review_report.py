"""What raters said of a sample: the paper's table 2 with intervals, and how far the raters agree, as figures and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.studies.agreement import NAME_WIDTH, Agreement, RaterProgress, Share, agreement_table, cohen, progress_of, share_of
from studio.insight.studies.review import positions_of
from studio.insight.tables import plain_table
from studio.pool.pool import Queries
from studio.pool.studies.reviews import BLANK, QUESTIONS, Question, Rating, ReviewItem, ReviewRecord, Strata
from studio.text import display_line, spoken

ALL_FIELDS = "all_fields_valid"
"""The fourth row of the paper's table: yes to all three questions."""

WORDS: Mapping[str, str] = {
    Question.INSTRUCTION: "Does the instruction describe a valid task?",
    Question.INPUT: "Is the input appropriate for the instruction?",
    Question.OUTPUT: "Is the output a correct and acceptable response to the instruction and input?",
    ALL_FIELDS: "All fields are valid",
}
"""The rows of the paper's table 2."""

ROWS: tuple[str, ...] = tuple(WORDS)

Sheet = Mapping[int, Rating]
"""One rater's ratings by position."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: the share of yes by rater, beside the paper's."""

    row: str
    words: str
    paper: float
    raters: dict[str, Share]


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two raters on one row of the table, over the items that both answered."""

    row: str
    raters: tuple[str, str]
    figures: Agreement


@dataclass(frozen=True, slots=True)
class StratumRow:
    """The share of items with all fields valid in one stratum, by rater."""

    stratum: str
    items: int
    raters: dict[str, Share]


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """All figures of one review. `items` is the size of the sample as it was drawn."""

    review: ReviewRecord
    items: int
    progress: tuple[RaterProgress, ...]
    table: tuple[Row, ...]
    agreement: tuple[PairAgreement, ...]
    strata: tuple[StratumRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def review_report(pool: Queries, review: ReviewRecord) -> ReviewReport:
    """Compute the figures of a review from what its raters have said so far."""
    items = pool.review_items(review.id)
    everywhere = range(len(items))
    sheets = {rater: pool.ratings(review.id, rater) for rater in pool.raters(review.id)}
    return ReviewReport(
        review=review,
        items=len(items),
        progress=tuple(progress_of(rater, sheet) for rater, sheet in sheets.items()),
        table=tuple(Row(row, WORDS[row], paper.QUALITY[row], _shares(row, sheets, everywhere)) for row in ROWS),
        agreement=tuple(
            PairAgreement(row, (first, second), cohen(_answers(row, sheets[first], everywhere), _answers(row, sheets[second], everywhere)))
            for row in ROWS
            for first, second in combinations(sheets, 2)
        ),
        strata=tuple(
            StratumRow(stratum, len(positions), _shares(ALL_FIELDS, sheets, positions))
            for stratum, positions in positions_of(items).items()
        ),
    )


def answer(rating: Rating, row: str) -> bool | None:
    """Return what a rating says in a row of the table; None while it says nothing, or is skipped.

    `ALL_FIELDS` is no as soon as one answer is, and yes only when all three are.
    """
    if rating.skipped:
        return None
    if row != ALL_FIELDS:
        return rating.answers[QUESTIONS.index(Question(row))]
    if False in rating.answers:
        return False
    return None if None in rating.answers else True


def counted_answer(rating: Rating, row: str) -> bool | None:
    """Return the answer that the figures count: for all fields only of complete ratings, so that the share is of the questions' items."""
    return answer(rating, row) if row != ALL_FIELDS or rating.complete else None


def rating_lines(pool: Queries, review: ReviewRecord) -> Iterator[dict[str, Any]]:
    """Yield every rating of a review as plain values, rater by rater, each with the item as it was rated."""
    items = pool.review_items(review.id)
    for rater in pool.raters(review.id):
        sheet = pool.ratings(review.id, rater)
        for item in items:
            if (rating := sheet.get(item.position, BLANK)) != BLANK:
                yield _line(review, item, rater, rating)


def _line(review: ReviewRecord, item: ReviewItem, rater: str, rating: Rating) -> dict[str, Any]:
    return {
        "review": review.id,
        "seed": review.plan.seed,
        "stratum": item.stratum,
        "position": item.position,
        "task": item.task_id,
        "instance": item.instance_id,
        "instruction": item.instruction,
        "input": item.input,
        "output": item.output,
        "rater": rater,
        **{question.value: rating.answers[place] for place, question in enumerate(QUESTIONS)},
        ALL_FIELDS: answer(rating, ALL_FIELDS),
        "skipped": rating.skipped,
        "note": rating.note,
    }


def _shares(row: str, sheets: Mapping[str, Sheet], positions: Sequence[int]) -> dict[str, Share]:
    return {rater: share_of(_answers(row, sheet, positions)) for rater, sheet in sheets.items()}


def _answers(row: str, sheet: Sheet, positions: Sequence[int]) -> list[bool | None]:
    return [counted_answer(sheet.get(position, BLANK), row) for position in positions]


def review_tables(report: ReviewReport) -> Group:
    """All figures of a review, beside the paper's, for a terminal. Names of raters are cleaned, none of it is markup."""
    raters = [each.rater for each in report.progress]
    names = [display_line(rater, NAME_WIDTH) for rater in raters]
    parts: list[Text | Table] = [Text(sample_words(report)), *(Text(each.words(report.items)) for each in report.progress), Text()]
    table_2 = ((row.words, *(row.raters[rater].words for rater in raters), f"{row.paper:.0%}") for row in report.table)
    parts.append(plain_table("share of yes, with 95 % Wilson interval", *names, f"paper ({paper.QUALITY_TASKS})", rows=table_2))
    if report.strata:
        rows = ((row.stratum, str(row.items), *(row.raters[rater].words for rater in raters)) for row in report.strata)
        parts += [Text(), plain_table("all fields valid, by stratum", "tasks", *names, rows=rows)]
    if report.agreement:
        parts += [Text(), agreement_table("items", ((pair.raters, spoken(pair.row), pair.figures) for pair in report.agreement))]
    return Group(*parts)


def sample_words(report: ReviewReport) -> str:
    """Return in words which sample it is."""
    plan = report.review.plan
    strata = "" if plan.strata is Strata.NONE else f", stratified by {plan.strata}"
    fewer = f" of {plan.size:,} asked for" if report.items < plan.size else ""
    return f"review {report.review.id}: {report.items:,} tasks{fewer}, seed {display_line(plan.seed, 40)}{strata}"
