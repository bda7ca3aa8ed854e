"""Reviews: samples of tasks that people rate by three questions, the tags and notes they hang on tasks, and what is kept by that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.errors import PoolError
from studio.pool.core.database import Reader, Row, chunks, explained
from studio.pool.core.files import now
from studio.pool.studies.sheets import Said, Sheets, raters_of, said
from studio.text import storable


class Question(StrEnum):
    """The three questions of Wang et al. 2022, section 3.3, as columns of `ratings`."""

    INSTRUCTION = "instruction_valid"
    INPUT = "input_appropriate"
    OUTPUT = "output_acceptable"


QUESTIONS: tuple[Question, ...] = tuple(Question)


class Strata(StrEnum):
    """By what a sample is stratified: each stratum gets its share of the sample."""

    NONE = "none"
    ROUND = "round"
    CLASS = "class"
    DEPTH = "depth"


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """Which sample: equal plans are one review. `size` is what was asked for; a small pool has fewer."""

    size: int = 200
    seed: str = "0"
    strata: Strata = Strata.NONE


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """A review; `created_at` is an ISO 8601 time in UTC."""

    id: int
    plan: ReviewPlan
    created_at: str


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A task of a sample with one of its instances, as both were when the sample was drawn."""

    position: int
    task_id: int
    instance_id: int
    stratum: str
    instruction: str
    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Rating(Said[bool]):
    """What one rater says of one task of a review. `answers` are in the order of `QUESTIONS`."""

    answers: tuple[bool | None, bool | None, bool | None] = (None, None, None)


BLANK = Rating()


@dataclass(frozen=True, slots=True)
class Annotation:
    """What people hung on a task: tags in the order they were given, and a note."""

    tags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """Which tasks are wanted by what people said of them; without anything set, all.

    `min_quality` is the least share of yes among all answers to a task, 0 to 1, compared after rounding to two decimals, so that 0.67 means
    two of three. All raters, questions and reviews count alike, skipped items and those whose text was changed since do not. Tasks nobody
    has rated are left out, unless `unrated`. `tags`: tasks with any of them. `noted`: tasks with a note.
    """

    min_quality: float | None = None
    unrated: bool = False
    tags: tuple[str, ...] = ()
    noted: bool = False


ALL = Keep()
"""Every task."""


_YES = " + ".join(f"coalesce({question}, 0)" for question in QUESTIONS)
_ANSWERED = " + ".join(f"({question} IS NOT NULL)" for question in QUESTIONS)
# An answer counts while the texts are what the rater saw.
RATED = (
    "FROM review_items JOIN ratings USING (review_id, position)"
    " JOIN tasks AS judged ON judged.id = review_items.task_id AND judged.instruction = review_items.instruction"
    " JOIN instances ON instances.id = review_items.instance_id AND instances.verdict = 'accepted'"
    " AND instances.input = review_items.input AND instances.output = review_items.output"
    f" WHERE NOT skipped GROUP BY review_items.task_id HAVING sum({_ANSWERED}) > 0"
)
QUALITY = f"CAST(sum({_YES}) AS REAL) / sum({_ANSWERED})"


def keep_conditions(keep: Keep) -> Iterator[tuple[str, list[Any]]]:
    """Yield the conditions, each with its values, that hold for the tasks that are kept; none when all are."""
    if keep.min_quality is not None:
        # Two decimals, so that 0.67 is what it says: two answers of three.
        condition = f"tasks.id IN (SELECT review_items.task_id {RATED} AND round({QUALITY}, 2) >= round(?, 2))"
        if keep.unrated:
            condition = f"({condition} OR tasks.id NOT IN (SELECT review_items.task_id {RATED}))"
        yield condition, [keep.min_quality]
    if keep.tags:
        places = ", ".join("?" * len(keep.tags))
        yield f"tasks.id IN (SELECT task_id FROM task_tags WHERE tag IN ({places}))", [storable(tag) for tag in keep.tags]
    if keep.noted:
        yield "tasks.id IN (SELECT task_id FROM task_notes)", []


class Reviews(Sheets[Rating]):
    """The write side of the reviews of one pool."""

    study = "review"
    items = "review_items"
    ratings = "ratings"
    steps = "rating_steps"
    columns = (*(question.value for question in QUESTIONS), "skipped", "note")

    def add(self, plan: ReviewPlan, items: Sequence[ReviewItem]) -> int:
        """Store a sample and return the review's id. Raises PoolError when the pool has this review already."""
        database = self._database
        with database.transaction():
            sql = "INSERT INTO reviews (seed, size, strata, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
            row = database.execute(sql, (storable(plan.seed), plan.size, plan.strata.value, now())).fetchone()
            if row is None:
                raise PoolError("this sample has been drawn already", "go on with it, or choose another seed")
            columns = ("review_id", "position", "task_id", "instance_id", "stratum", "instruction", "input", "output")
            database.insert("review_items", columns, ((row[0], *_item_values(item)) for item in items))
        return int(row[0])

    @staticmethod
    def as_values(rating: Rating) -> list[Any]:
        """Return a rating as the values of `columns`."""
        answers = [None if answer is None else int(answer) for answer in rating.answers]
        return [*answers, int(rating.skipped), storable(rating.note)]

    @staticmethod
    def rating_of(values: Sequence[Any] | None) -> Rating:
        """Return the rating that the values of `columns` stand for; a blank one for None."""
        if values is None:
            return BLANK
        *answers, skipped, note = values
        first, second, third = (None if answer is None else bool(answer) for answer in answers)
        return Rating((first, second, third), bool(skipped), note)


def _item_values(item: ReviewItem) -> tuple[Any, ...]:
    texts = (storable(item.instruction), storable(item.input), storable(item.output))
    return (item.position, item.task_id, item.instance_id, item.stratum, *texts)


_REVIEW = "SELECT id, size, seed, strata, created_at FROM reviews"
_TAGS = "SELECT tag, count(*) FROM task_tags GROUP BY tag ORDER BY tag"


class ReviewQueries(Reader):
    """What the review screen, its report and the samples are made of."""

    def reviews(self) -> list[ReviewRecord]:
        """Return all reviews, the newest first."""
        return [_review(row) for row in self._database.rows(f"{_REVIEW} ORDER BY id DESC")]

    def find_review(self, plan: ReviewPlan) -> ReviewRecord | None:
        """Return the review of this plan, None while it is not drawn."""
        row = self._database.row(
            f"{_REVIEW} WHERE seed = ? AND size = ? AND strata = ?", (storable(plan.seed), plan.size, plan.strata.value)
        )
        return None if row is None else _review(row)

    def review_items(self, review_id: int) -> list[ReviewItem]:
        """Return the items of a sample in their order; positions count from 0."""
        sql = (
            "SELECT position, task_id, instance_id, stratum, instruction, input, output"
            " FROM review_items WHERE review_id = ? ORDER BY position"
        )
        return [ReviewItem(*row) for row in self._database.rows(sql, (review_id,))]

    def raters(self, review_id: int) -> list[str]:
        """Return who says anything of a review, in the order they came; not who took everything back."""
        return raters_of(self._database, Reviews, review_id)

    def ratings(self, review_id: int, rater: str) -> dict[int, Rating]:
        """Return what one rater said, by position; of the others' answers nothing."""
        return said(self._database, Reviews, review_id, rater)

    def strata_values(self, strata: Strata) -> Iterator[tuple[int, int]]:
        """Yield (task id, round number or classification flag) of the active generated tasks, in the order of ids.

        Nothing for the other strata: depth is of the whole family, see `parents_of_all`.
        """
        column = {Strata.ROUND: "number", Strata.CLASS: "coalesce(is_classification, 0)"}.get(strata)
        if column is not None:
            yield from self._pairs(
                f"SELECT tasks.id, {column} FROM tasks CROSS JOIN rounds ON rounds.id = round_id"
                " WHERE state = 'active' AND origin = 'generated' ORDER BY tasks.id"
            )

    def parents_of_all(self) -> Iterator[tuple[int, int]]:
        """Yield (task id, id of a parent) for every task that has parents, in the order of ids."""
        yield from self._pairs(
            "SELECT tasks.id, request_parents.task_id FROM tasks JOIN candidates ON candidates.id = tasks.candidate_id"
            " JOIN request_parents ON request_parents.request_id = candidates.request_id ORDER BY tasks.id"
        )

    def quality(self, task_ids: Sequence[int]) -> dict[int, float]:
        """Return the quality of those of these tasks that were rated, as `Keep` defines it but not rounded."""
        found: dict[int, float] = {}
        for piece, places in chunks(task_ids):
            sql = f"SELECT review_items.task_id, {QUALITY} {RATED} AND review_items.task_id IN ({places})"
            found.update((task_id, share) for task_id, share in self._database.rows(sql, piece))
        return found

    def annotation(self, task_id: int) -> Annotation:
        """Return the tags and the note of a task."""
        tags = self._database.rows("SELECT tag FROM task_tags WHERE task_id = ? ORDER BY place", (task_id,))
        note = self._database.row("SELECT note FROM task_notes WHERE task_id = ?", (task_id,))
        return Annotation(tuple(tag for (tag,) in tags), note[0] if note else "")

    def tags(self) -> dict[str, int]:
        """Return every tag in use and the number of tasks that have it, in the order of the alphabet."""
        rows: list[tuple[str, int]] = [(tag, number) for tag, number in self._database.rows(_TAGS)]
        return dict(rows)

    def _pairs(self, sql: str) -> Iterator[tuple[int, int]]:
        with explained(self._database.path):
            yield from self._database.connection.execute(sql)


def _review(row: Row) -> ReviewRecord:
    found, size, seed, strata, created_at = row
    return ReviewRecord(found, ReviewPlan(size, seed, Strata(strata)), created_at)
