"""A blind comparison: whose answers can be compared, which are drawn, on which sides they stand, a rater's way through them, and the
report: the paper's grades, whom raters preferred, and how far they agree.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.errors import PoolError, UsageError
from studio.insight import paper
from studio.insight.studies.raters import NAME_WIDTH, Agreement, RaterProgress, Share, Walk, agreement_table, cohen, progress_of, share_of
from studio.insight.tables import plain_table
from studio.pool.evaluations import (
    GRADES,
    UNGRADED,
    ComparisonItem,
    ComparisonPlan,
    ComparisonRecord,
    Comparisons,
    ContestantRecord,
    EvaluationRecord,
    Grade,
    Grading,
)
from studio.pool.pool import Queries
from studio.text import display_line, storable

Pair = tuple[ContestantRecord, ContestantRecord]
MEANING: Mapping[Grade, str] = {
    Grade.A: "correct and satisfying",
    Grade.B: "acceptable, with minor faults",
    Grade.C: "relevant, with major faults",
    Grade.D: "irrelevant or invalid",
}
"""The four grades of Wang et al. 2022, section 4.4."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """An evaluation with the contestants, two at least, who have answered all of it, in the order they came."""

    evaluation: EvaluationRecord
    contestants: tuple[ContestantRecord, ...]


def comparable(pool: Queries) -> list[Comparable]:
    """Return the evaluations of which two contestants can be compared, the newest first."""
    found = []
    for record in pool.evaluations.all():
        done = tuple(each for each in pool.evaluations.contestants(record.id) if each.answered >= record.items)
        if len(done) > 1:
            found.append(Comparable(record, done))
    return found


def newest_or_first(pool: Queries, there: Sequence[Comparable]) -> ComparisonPlan | None:
    """Return the plan of the newest comparison, or else of one of all items of the newest of `there`; None where there is neither."""
    if comparisons := pool.comparisons.all():
        return comparisons[0].plan
    if not there:
        return None
    first, second = likely_pair(there[0].contestants) or there[0].contestants[:2]
    return ComparisonPlan(first.id, second.id, "0", there[0].evaluation.items)


def likely_pair(there: Sequence[ContestantRecord]) -> Pair | None:
    """Return the first contestant that has no adapter, as the base, and the last one that has, as the tuned; or the only two there are."""
    base = next((each for each in there if not each.contestant.adapter), None)
    tuned = next((each for each in reversed(there) if each.contestant.adapter), None)
    if base is not None and tuned is not None:
        return base, tuned
    return (there[0], there[1]) if len(there) == 2 else None


def paired(pool: Queries, evaluation: int | None = None, between: tuple[int, int] | None = None) -> Pair:
    """Return the two contestants to compare, of an evaluation or else the newest.

    `between` are their numbers in it, from 1 in the order they came; without it the `likely_pair`. Raises PoolError when there is no
    evaluation, UsageError when the choice is not clear.
    """
    evaluations = pool.evaluations.all()
    if not evaluations:
        raise PoolError("nothing has been evaluated with this pool yet", "studio evaluate POOL --adapter FILE --against MODEL")
    there = pool.evaluations.contestants(pool.evaluations.get(evaluation).id if evaluation is not None else evaluations[0].id)
    if between is not None:
        if between[0] == between[1] or not all(1 <= number <= len(there) for number in between):
            raise UsageError(f"there are no two contestants {between[0]} and {between[1]}", "studio compare POOL --list shows them")
        return there[between[0] - 1], there[between[1] - 1]
    pair = likely_pair(there)
    if pair is None:
        raise UsageError(f"{len(there)} contestants answered: which two?", "studio compare POOL --list shows them, --between 1 2 chooses")
    return pair


def plan_for(pool: Queries, pair: Pair, seed: str, size: int | None) -> ComparisonPlan:
    """Return the plan of a comparison of `size` items, None being all. Raises PoolError when one of the two is not done answering."""
    total = pool.evaluations.get(pair[0].evaluation_id).items
    for each in pair:
        if each.answered < total:
            raise PoolError(
                f"{each.contestant.label} has answered {each.answered} of {total} items", "let it finish: studio evaluate, as before"
            )
    return ComparisonPlan(pair[0].id, pair[1].id, storable(seed), min(size or total, total))


class GradingWalk(Walk[ComparisonItem, Grading]):
    """A rater's way through a comparison: a grade for each answer, the left one first."""

    @property
    def order(self) -> tuple[int, ...]:
        """Whose answer stands on the left, and whose on the right."""
        return self.item.sides


def begin_grading(pool: Queries, comparisons: Comparisons, plan: ComparisonPlan, rater: str) -> GradingWalk:
    """Open the comparison of `plan`, drawn if need be, where `rater` left off. Raises PoolError."""
    return resume_grading(pool, open_comparison(pool, comparisons, plan), rater)


def resume_grading(pool: Queries, comparison: ComparisonRecord, rater: str) -> GradingWalk:
    """Go on with a comparison. Of the other raters' grades nothing is read."""
    said = pool.comparisons.said(comparison.id, rater)
    return GradingWalk(comparison.id, rater, pool.comparisons.items(comparison.id), said, UNGRADED)


def open_comparison(pool: Queries, comparisons: Comparisons, plan: ComparisonPlan) -> ComparisonRecord:
    """Return the comparison of `plan`, drawn now if the pool has none. Raises PoolError."""
    return comparisons.find(plan) or comparisons.add(plan, draw(pool, plan))


def draw(pool: Queries, plan: ComparisonPlan) -> list[ComparisonItem]:
    """Draw `plan.size` items that both contestants have answered, shuffled, and for each whose answer stands on the left.

    Equal answers and plans give equal comparisons. Raises PoolError when there is no such item.
    """
    first, second = pool.evaluations.answers(plan.first), pool.evaluations.answers(plan.second)
    both = first.keys() & second.keys()
    items = [each for each in pool.evaluations.items(pool.evaluations.contestant(plan.first).evaluation_id) if each.position in both]
    if not items:
        raise PoolError("there is no item that both contestants have answered", "studio evaluate POOL lets them answer")
    chosen = random.Random(f"{plan.seed}/comparison/items").sample(items, min(plan.size, len(items)))
    return [
        ComparisonItem(
            place,
            each.position,
            each.instruction,
            each.input,
            (first[each.position].completion.text, second[each.position].completion.text),
            # Drawn for each item alone: which others are compared changes nothing.
            random.Random(f"{plan.seed}/comparison/side/{each.position}").random() < 0.5,
        )
        for place, each in enumerate(chosen)
    ]


ACCEPTABLE = frozenset({Grade.A, Grade.B})

Sheet = Mapping[int, Grading]
"""One rater's gradings by position."""
WIDTH = 26
"""With names and counts it fits 80 cells."""
_LABEL = 28
_STYLES = ("black on green", "black on bright_green", "black on yellow", "white on red")


@dataclass(frozen=True, slots=True)
class GradeRow:
    """How often one rater gave a contestant each grade, A to D, and the share of A or B."""

    rater: str
    counts: tuple[int, int, int, int]
    acceptable: Share


@dataclass(frozen=True, slots=True)
class ContestantGrades:
    """What raters gave one contestant. `counts` are over all raters together."""

    label: str
    counts: tuple[int, int, int, int]
    raters: tuple[GradeRow, ...]


@dataclass(frozen=True, slots=True)
class Preference:
    """On how many items a rater gave the first contestant the better grade, the same, or the second; `second` of those that differ."""

    rater: str
    first: int
    equal: int
    second: int
    share: Share


@dataclass(frozen=True, slots=True)
class GradeAgreement:
    """Two raters over all answers that both graded: in the four grades, and in whether an answer is acceptable (A or B)."""

    raters: tuple[str, str]
    grades: Agreement
    acceptable: Agreement


@dataclass(frozen=True, slots=True)
class GradingReport:
    """All figures of one comparison. While `blind`, some rater is not done, and nothing is told of either contestant's grades."""

    comparison: ComparisonRecord
    evaluation: str
    items: int
    progress: tuple[RaterProgress, ...]
    blind: bool
    contestants: tuple[ContestantGrades, ...]
    preferences: tuple[Preference, ...]
    agreement: tuple[GradeAgreement, ...]


def grading_report(pool: Queries, comparison: ComparisonRecord, *, unblind: bool = False) -> GradingReport:
    """Compute the figures of a comparison from what its raters have said so far.

    Which contestant got which grades is told when every rater who began is done, or with `unblind`. Raises PoolError.
    """
    items = pool.comparisons.items(comparison.id)
    sheets = pool.comparisons.sheets(comparison.id)
    pair = (pool.evaluations.contestant(comparison.plan.first), pool.evaluations.contestant(comparison.plan.second))
    progress = tuple(progress_of(rater, sheet) for rater, sheet in sheets.items())
    blind = not unblind and any(each.complete + each.skipped < len(items) for each in progress)
    return GradingReport(
        comparison=comparison,
        evaluation=pool.evaluations.get(pair[0].evaluation_id).name,
        items=len(items),
        progress=progress,
        blind=blind,
        contestants=() if blind else tuple(_contestant(place, each, sheets) for place, each in enumerate(pair)),
        preferences=() if blind else tuple(_preference(rater, sheet) for rater, sheet in sheets.items()),
        agreement=tuple(_agreements(sheets, len(items))),
    )


def grading_lines(pool: Queries, comparison: ComparisonRecord) -> Iterator[dict[str, Any]]:
    """Yield every grading of a comparison as plain values, rater by rater, each with the item as it was graded."""
    labels = [pool.evaluations.contestant(each).contestant.label for each in (comparison.plan.first, comparison.plan.second)]
    items = pool.comparisons.items(comparison.id)
    for rater, sheet in pool.comparisons.sheets(comparison.id).items():
        yield from (_line(comparison, labels, item, rater, sheet[item.position]) for item in items if item.position in sheet)


def _line(comparison: ComparisonRecord, labels: list[str], item: ComparisonItem, rater: str, grading: Grading) -> dict[str, Any]:
    answers = [
        {
            "contestant": labels[place],
            "side": "left" if item.sides[0] == place else "right",
            "answer": item.answers[place],
            "grade": grading.answers[place],
        }
        for place in (0, 1)
    ]
    return {
        "comparison": comparison.id,
        "seed": comparison.plan.seed,
        "position": item.position,
        "item": item.item,
        "instruction": item.instruction,
        "input": item.input,
        "answers": answers,
        "rater": rater,
        "skipped": grading.skipped,
        "note": grading.note,
    }


def _counted(sheet: Sheet) -> list[tuple[Grade, Grade]]:
    """The grades of complete items only, so that both contestants' figures are of the same items."""
    found = []
    for each in sheet.values():
        first, second = each.answers
        if not each.skipped and first is not None and second is not None:
            found.append((first, second))
    return found


def _contestant(place: int, record: ContestantRecord, sheets: Mapping[str, Sheet]) -> ContestantGrades:
    rows = []
    for rater, sheet in sheets.items():
        given = [pair[place] for pair in _counted(sheet)]
        rows.append(GradeRow(rater, _counts(given), share_of([grade in ACCEPTABLE for grade in given])))
    together = _counts([pair[place] for sheet in sheets.values() for pair in _counted(sheet)])
    return ContestantGrades(record.contestant.label, together, tuple(rows))


def _counts(given: Sequence[Grade]) -> tuple[int, int, int, int]:
    first, second, third, fourth = (sum(each is grade for each in given) for grade in GRADES)
    return first, second, third, fourth


def _preference(rater: str, sheet: Sheet) -> Preference:
    pairs = _counted(sheet)
    first = sum(GRADES.index(one) < GRADES.index(other) for one, other in pairs)
    second = sum(GRADES.index(one) > GRADES.index(other) for one, other in pairs)
    return Preference(rater, first, len(pairs) - first - second, second, share_of([True] * second + [False] * first))


def _agreements(sheets: Mapping[str, Sheet], items: int) -> Iterator[GradeAgreement]:
    graded = {rater: _grades(sheet, items) for rater, sheet in sheets.items()}
    fine = {rater: [None if grade is None else grade in ACCEPTABLE for grade in grades] for rater, grades in graded.items()}
    for first, second in combinations(sheets, 2):
        yield GradeAgreement((first, second), cohen(graded[first], graded[second]), cohen(fine[first], fine[second]))


def _grades(sheet: Sheet, items: int) -> list[Grade | None]:
    """The grades of both answers of every item, None of those that are not complete."""
    gradings = (sheet.get(position, UNGRADED) for position in range(items))
    return [grade if grading.complete else None for grading in gradings for grade in grading.answers]


def stacked_bar(counts: Sequence[int]) -> Text:
    """Return a bar of `WIDTH` cells for the grades A to D, drawn with their letters, so that it needs no colour; empty without grades."""
    total, line, begun, seen = sum(counts), Text(), 0, 0
    for grade, count, style in zip(GRADES, counts, _STYLES, strict=True):
        seen += count
        end = round(seen / total * WIDTH) if total else 0
        line.append(grade.value * (end - begun), style)
        begun = end
    return line


def grading_tables(report: GradingReport) -> Group:
    """All figures of a comparison, beside the paper's, for a terminal. Names are cleaned, none of it is markup."""
    plan = report.comparison.plan
    what, seed = display_line(report.evaluation, 60), display_line(plan.seed, 40)
    parts: list[Text | Table] = [Text(f"comparison {report.comparison.id}: {report.items:,} items of {what}, seed {seed}")]
    parts += [Text(each.words(report.items)) for each in report.progress]
    if report.blind:
        parts.append(Text("still blind: not every rater who began is done; --unblind tells the grades of each contestant all the same"))
    elif report.progress:
        grades = plain_table("grades", *(grade.value for grade in GRADES), "", rows=_grade_rows(report), left=(0, 5))
        meaning = Text("; ".join(f"{grade} {words}" for grade, words in MEANING.items()), style="dim")
        parts += [Text(), grades, meaning, Text(), _raters(report)]
    if report.agreement:
        rows = [
            row
            for pair in report.agreement
            for row in ((pair.raters, "grades A to D", pair.grades), (pair.raters, "acceptable or not", pair.acceptable))
        ]
        parts += [Text(), agreement_table("answers", rows)]
    return Group(*parts)


def _grade_rows(report: GradingReport) -> Iterator[tuple[str | Text, ...]]:
    papers = ((f"paper: {name}", counts) for name, counts in paper.GRADES.items())
    for name, counts in (*((each.label, each.counts) for each in report.contestants), *papers):
        yield display_line(name, _LABEL), *(f"{count:,}" for count in counts), stacked_bar(counts)


def _raters(report: GradingReport) -> Table:
    rows = []
    for place, each in enumerate(report.preferences):
        shares = (contestant.raters[place].acceptable.words for contestant in report.contestants)
        rows.append((display_line(each.rater, NAME_WIDTH), *shares, f"{each.first:,}", f"{each.equal:,}", f"{each.second:,}"))
    first, second = (display_line(each.label, _LABEL) for each in report.contestants)
    caption = f"1 is {first}, 2 is {second}; shares with 95 % Wilson intervals"
    return plain_table("by rater", "1: A or B", "2: A or B", "1 better", "equal", "2 better", rows=rows, caption=caption)
