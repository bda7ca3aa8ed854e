"""What judges said, and what they are worth: how far they agree with people who rated the same instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight.studies.agreement import Agreement, Share, cohen, share_of
from studio.insight.studies.review_report import ALL_FIELDS, ROWS, WORDS, answer, share_words
from studio.insight.tables import plain_table
from studio.pool.pool import Queries
from studio.pool.studies.judges import JudgeRecord, Opinion
from studio.pool.studies.reviews import BLANK, QUESTIONS, Question, Rating
from studio.text import display_line

Answers = Mapping[tuple[int, str], Rating]
"""What somebody says, by instance and the digest of the texts that were seen."""


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """One row of the table: the share of yes, and the mean probability of yes where the engine gave any; None for all fields."""

    row: str
    words: str
    share: Share
    probability: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A judge beside a rater, or beside all of them together (`rater` None), on what both answered. The first word is the person's."""

    rater: str | None
    row: str
    yes_yes: int
    yes_no: int
    no_yes: int
    no_no: int
    figures: Agreement


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """All that is known of one judge. `unanswered` counts questions to which neither yes nor no came."""

    judge: JudgeRecord
    instances: int
    unanswered: int
    table: tuple[JudgeRow, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def beside_people(self) -> tuple[Comparison, ...]:
        """The judge beside everybody who rated the same instances, row by row; empty when nobody did."""
        raters = {each.rater for each in self.comparisons}
        together = self.comparisons if len(raters) == 1 else (each for each in self.comparisons if each.rater is None)
        return tuple(each for each in together if each.figures.count)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def judge_report(pool: Queries) -> tuple[JudgeFigures, ...]:
    """Compute the figures of every judge of a pool."""
    people: dict[str, dict[tuple[int, str], Rating]] = defaultdict(dict)
    for each in pool.human_answers():
        sheet, place = people[each.rater], (each.instance_id, each.seen)
        # Of an instance that two reviews drew, the newer answer to a question counts; no answer takes none away.
        first, second, third = (
            older if newer is None else newer for newer, older in zip(each.answers, sheet.get(place, BLANK).answers, strict=True)
        )
        sheet[place] = Rating((first, second, third))
    return tuple(_figures(judge, list(pool.opinions(judge.id)), people) for judge in pool.judges())


def _figures(judge: JudgeRecord, opinions: Sequence[Opinion], people: Mapping[str, Answers]) -> JudgeFigures:
    said: dict[tuple[int, str], list[bool | None]] = {}
    for each in opinions:
        said.setdefault((each.instance_id, each.seen), [None, None, None])[QUESTIONS.index(each.question)] = each.answer
    ratings = {place: Rating((first, second, third)) for place, (first, second, third) in said.items()}
    return JudgeFigures(
        judge=judge,
        instances=len(ratings),
        unanswered=sum(each.answer is None for each in opinions),
        table=tuple(_row(row, ratings, opinions) for row in ROWS),
        comparisons=tuple(_comparisons(ratings, people)),
    )


def _row(row: str, ratings: Answers, opinions: Sequence[Opinion]) -> JudgeRow:
    answers = [found for rating in ratings.values() if (found := _answer(rating, row)) is not None]
    chances = [
        each.probability for each in opinions if row != ALL_FIELDS and each.question is Question(row) and each.probability is not None
    ]
    return JudgeRow(row, WORDS[row], share_of(answers), sum(chances) / len(chances) if chances else None)


def _comparisons(judge: Answers, people: Mapping[str, Answers]) -> Iterator[Comparison]:
    for row in ROWS:
        together: list[tuple[bool, bool]] = []
        for rater, ratings in people.items():
            pairs = [
                (theirs, ours)
                for place, rating in ratings.items()
                if place in judge and (theirs := _answer(rating, row)) is not None and (ours := _answer(judge[place], row)) is not None
            ]
            together += pairs
            yield _comparison(rater, row, pairs)
        if len(people) > 1:
            yield _comparison(None, row, together)


def _comparison(rater: str | None, row: str, pairs: Sequence[tuple[bool, bool]]) -> Comparison:
    counts = [sum(pair == each for pair in pairs) for each in ((True, True), (True, False), (False, True), (False, False))]
    figures = cohen([theirs for theirs, _ in pairs], [ours for _, ours in pairs])
    return Comparison(rater, row, counts[0], counts[1], counts[2], counts[3], figures)


def _answer(rating: Rating, row: str) -> bool | None:
    """For all fields only of complete ratings, so that its share is of the same instances as the questions'."""
    return answer(rating, row) if row != ALL_FIELDS or rating.complete else None


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
