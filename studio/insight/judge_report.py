"""What judges said, as figures, and what they are worth: how far they agree with people who rated the same instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from studio.insight.agreement import Agreement, Share, cohen, share_of
from studio.insight.review import ALL_FIELDS, ROWS, WORDS, answer
from studio.pool.pool import Queries
from studio.pool.studies.judges import JudgeRecord, Opinion
from studio.pool.studies.reviews import BLANK, QUESTIONS, Question, Rating

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
