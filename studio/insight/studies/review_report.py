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
from studio.insight.studies.agreement import Agreement, Share, cohen, share_of
from studio.insight.studies.review import positions_of
from studio.insight.tables import plain_table
from studio.pool.pool import Queries
from studio.pool.studies.reviews import BLANK, QUESTIONS, Question, Rating, ReviewItem, ReviewRecord, Strata
from studio.pool.studies.sheets import Said
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
class RaterProgress:
    """How far a rater is: items with all questions answered, skipped ones, and those begun but neither."""

    rater: str
    complete: int
    skipped: int
    begun: int


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
    sheets = {rater: pool.ratings(review.id, rater) for rater in pool.raters(review.id)}
    return ReviewReport(
        review=review,
        items=len(items),
        progress=tuple(progress_of(rater, sheet) for rater, sheet in sheets.items()),
        table=tuple(Row(row, WORDS[row], paper.QUALITY[row], _shares(row, sheets, range(len(items)))) for row in ROWS),
        agreement=tuple(_agreements(sheets, len(items))),
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


def progress_of(rater: str, sheet: Mapping[int, Said[Any]]) -> RaterProgress:
    """Return how far a rater is, from what was said of each item by position."""
    complete = sum(rating.complete for rating in sheet.values())
    skipped = sum(rating.skipped for rating in sheet.values())
    begun = sum(not rating.settled and any(each is not None for each in rating.answers) for rating in sheet.values())
    return RaterProgress(rater, complete, skipped, begun)


def _shares(row: str, sheets: Mapping[str, Sheet], positions: Sequence[int]) -> dict[str, Share]:
    return {rater: share_of([each for each in _answers(row, sheet, positions) if each is not None]) for rater, sheet in sheets.items()}


def _answers(row: str, sheet: Sheet, positions: Sequence[int]) -> list[bool | None]:
    """One answer a position; for all fields only of complete ratings, so that its share is of the same items as the questions'."""
    answers = []
    for position in positions:
        rating = sheet.get(position, BLANK)
        answers.append(answer(rating, row) if row != ALL_FIELDS or rating.complete else None)
    return answers


def _agreements(sheets: Mapping[str, Sheet], items: int) -> Iterator[PairAgreement]:
    for row in ROWS:
        for first, second in combinations(sheets, 2):
            both = [
                (one, other)
                for one, other in zip(_answers(row, sheets[first], range(items)), _answers(row, sheets[second], range(items)), strict=True)
                if one is not None and other is not None
            ]
            yield PairAgreement(row, (first, second), cohen([one for one, _ in both], [other for _, other in both]))


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
