"""What raters thought of two contestants' answers: the paper's grades, which one they preferred, and how far they agree."""

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
from studio.insight.studies.comparison import MEANING
from studio.insight.tables import plain_table
from studio.pool.pool import Queries
from studio.pool.studies.comparisons import GRADES, UNGRADED, ComparisonItem, ComparisonRecord, Grade, Grading
from studio.pool.studies.evaluations import ContestantRecord
from studio.text import display_line

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

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def grading_report(pool: Queries, comparison: ComparisonRecord, *, unblind: bool = False) -> GradingReport:
    """Compute the figures of a comparison from what its raters have said so far.

    Which contestant got which grades is told when every rater who began is done, or with `unblind`. Raises PoolError.
    """
    items = pool.comparisons.items(comparison.id)
    sheets = {rater: pool.comparisons.said(comparison.id, rater) for rater in pool.comparisons.raters(comparison.id)}
    pair = (pool.evaluations.contestant(comparison.plan.first), pool.evaluations.contestant(comparison.plan.second))
    progress = tuple(progress_of(rater, sheet) for rater, sheet in sheets.items())
    blind = not unblind and is_blind(progress, len(items))
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


def is_blind(progress: Sequence[RaterProgress], items: int) -> bool:
    """Whether some rater has begun and is not done."""
    return any(each.complete + each.skipped < items for each in progress)


def grading_lines(pool: Queries, comparison: ComparisonRecord) -> Iterator[dict[str, Any]]:
    """Yield every grading of a comparison as plain values, rater by rater, each with the item as it was graded."""
    labels = [pool.evaluations.contestant(each).contestant.label for each in (comparison.plan.first, comparison.plan.second)]
    items = pool.comparisons.items(comparison.id)
    for rater in pool.comparisons.raters(comparison.id):
        sheet = pool.comparisons.said(comparison.id, rater)
        for item in items:
            if (grading := sheet.get(item.position, UNGRADED)) != UNGRADED:
                yield _line(comparison, labels, item, rater, grading)


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


def stacked_bar(counts: Sequence[int], width: int = WIDTH) -> Text:
    """Return a bar of `width` cells for the grades A to D, drawn with their letters, so that it needs no colour; empty without grades."""
    total, line, begun, seen = sum(counts), Text(), 0, 0
    for grade, count, style in zip(GRADES, counts, _STYLES, strict=True):
        seen += count
        end = round(seen / total * width) if total else 0
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
