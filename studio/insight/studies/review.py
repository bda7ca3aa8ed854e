"""A review: which tasks raters judge, a rater's way through them, and what they said as figures and as tables for a terminal.

The sample is drawn at random from a seed, in proportion to strata if asked; the figures are the paper's table 2 with intervals, and how far
the raters agree.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.errors import PoolError
from studio.insight import paper
from studio.insight.studies.raters import NAME_WIDTH, Agreement, RaterProgress, Share, Walk, agreement_table, cohen, progress_of, share_of
from studio.insight.tables import plain_table
from studio.pool.pool import Queries
from studio.pool.reviews import BLANK, QUESTIONS, Question, Rating, ReviewItem, ReviewPlan, ReviewRecord, Reviews, Strata
from studio.records import Origin, Verdict
from studio.seeds.reading import allocate
from studio.text import display_line, spoken, storable

ROUND_BANDS = 5
"""A sample stratified by round has that many bands of equally many rounds."""
DEEPEST = 5
"""Tasks of this generation depth and beyond are one stratum."""
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


def open_review(pool: Queries, reviews: Reviews, plan: ReviewPlan) -> ReviewRecord:
    """Return the review of `plan`, drawn now if the pool has none.

    Raises PoolError when there is nothing to draw from or the pool cannot be written.
    """
    return reviews.find(plan) or reviews.add(plan, draw(pool, plan))


def draw(pool: Queries, plan: ReviewPlan) -> list[ReviewItem]:
    """Draw `plan.size` active generated tasks that have an accepted instance, or all if there are fewer, with one instance each.

    Equal pools and plans give equal samples, in equal order. Each stratum gets its proportional share, so the plain share of answers is
    an estimate for the whole pool. Raises PoolError when there is no such task.
    """
    frame = pool.tasks.ids(origin=Origin.GENERATED, with_instances=True)
    if not frame:
        raise PoolError("nothing to review: the pool has no generated tasks with instances yet", "generate some with studio run")
    rng = random.Random(f"{storable(plan.seed)}/review/tasks")
    named = strata_of(pool, plan.strata)
    if named is None:
        chosen = [(task_id, "") for task_id in rng.sample(frame, min(plan.size, len(frame)))]
    else:
        chosen = _stratified(frame, named, plan.size, rng)
    return [_item(pool, plan, position, task_id, stratum) for position, (task_id, stratum) in enumerate(chosen)]


def strata_of(pool: Queries, strata: Strata) -> Mapping[int, str] | None:
    """Return the stratum of each task by id, in words; None where the sample is not stratified."""
    match strata:
        case Strata.CLASS:
            return {task: "classification" if flag else "not classification" for task, flag in pool.reviews.strata_values(strata)}
        case Strata.ROUND:
            return _bands(pool)
        case Strata.DEPTH:
            return {task: f"depth {depth}" if depth < DEEPEST else f"depth {DEEPEST}+" for task, depth in depths(pool).items()}
        case _:
            return None


def depths(pool: Queries) -> dict[int, int]:
    """Return the generation depth of every task with parents: 1 for children of seeds and imports only, else one more than the deepest."""
    found: dict[int, int] = {}
    # In the order of ids: a parent was in the pool, with a lower id, before its child.
    for task, parent in pool.lineage.parent_pairs():
        found[task] = max(found.get(task, 1), found.get(parent, 0) + 1)
    return found


def _bands(pool: Queries) -> dict[int, str]:
    rounds = dict(pool.reviews.strata_values(Strata.ROUND))
    last = max(rounds.values(), default=1)
    width = -(-last // ROUND_BANDS)

    def name(number: int) -> str:
        first = (number - 1) // width * width + 1
        end = min(first + width - 1, last)
        return f"round {first}" if first == end else f"rounds {first} to {end}"

    names = {number: name(number) for number in set(rounds.values())}
    return {task: names[number] for task, number in rounds.items()}


def _stratified(frame: array[int], named: Mapping[int, str], size: int, rng: random.Random) -> list[tuple[int, str]]:
    # Accepted by a person after its round, a task may have no round or parents of its own.
    stratum = {task_id: named.get(task_id, "none") for task_id in frame}
    shares = allocate(Counter(stratum.values()), size)
    chosen = []
    for name in sorted(shares):
        members = [task_id for task_id in frame if stratum[task_id] == name]
        chosen += [(task_id, name) for task_id in rng.sample(members, shares[name])]
    # Shuffled, so that who stops halfway has seen all strata.
    rng.shuffle(chosen)
    return chosen


def _item(pool: Queries, plan: ReviewPlan, position: int, task_id: int, stratum: str) -> ReviewItem:
    accepted = [each for each in pool.instances.of_task(task_id) if each.verdict is Verdict.ACCEPTED]
    # Drawn for each task alone: which other tasks are in the sample changes nothing.
    instance = random.Random(f"{storable(plan.seed)}/review/instance/{task_id}").choice(accepted)
    return ReviewItem(position, task_id, instance.id, stratum, pool.tasks.get(task_id).instruction, instance.input, instance.output)


def positions_of(items: Sequence[ReviewItem]) -> dict[str, list[int]]:
    """Return the positions of each stratum's items, strata in the order of their names; empty where there are none."""
    found: dict[str, list[int]] = {}
    for item in sorted(items, key=lambda item: item.stratum):
        if item.stratum:
            found.setdefault(item.stratum, []).append(item.position)
    return found


def newest_plan(pool: Queries) -> ReviewPlan:
    """Return the plan of the newest review, or the paper's when there is none yet: 200 tasks."""
    reviews = pool.reviews.all()
    return reviews[0].plan if reviews else ReviewPlan()


Reviewing = Walk[ReviewItem, Rating]
"""A rater's way through a sample: three questions a task."""


def begin_reviewing(pool: Queries, reviews: Reviews, plan: ReviewPlan, rater: str) -> Reviewing:
    """Open the review of `plan`, drawn if need be, where `rater` left off. Raises PoolError."""
    return resume_reviewing(pool, open_review(pool, reviews, plan), rater)


def resume_reviewing(pool: Queries, review: ReviewRecord, rater: str) -> Reviewing:
    """Go on with a review. Of the other raters' answers nothing is read."""
    return Reviewing(review.id, rater, pool.reviews.items(review.id), pool.reviews.said(review.id, rater), BLANK)


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


def review_report(pool: Queries, review: ReviewRecord) -> ReviewReport:
    """Compute the figures of a review from what its raters have said so far."""
    items = pool.reviews.items(review.id)
    everywhere = range(len(items))
    sheets = pool.reviews.sheets(review.id)
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
    items = pool.reviews.items(review.id)
    for rater, sheet in pool.reviews.sheets(review.id).items():
        yield from (_line(review, item, rater, sheet[item.position]) for item in items if item.position in sheet)


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
