"""Reviews: samples of tasks that people rate by three questions, and which tasks are kept by what people said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from studio.errors import PoolError
from studio.pool.core.database import Row, record_of
from studio.pool.core.files import now
from studio.pool.studies.sheets import Said, Sheets
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
class Keep:
    """Which tasks are wanted by what people said of them, and by the scores of what a model wrote; without anything set, all.

    `min_quality` is the least share of yes among all answers to a task, 0 to 1, compared after rounding to two decimals, so that 0.67 means
    two of three. All raters, questions and reviews count alike, skipped items and those whose text was changed since do not. Tasks nobody
    has rated are left out, unless `unrated`. `tags`: tasks with any of them. `noted`: tasks with a note.

    `max_nats`: tasks whose instruction has at most so many nats a token as a user's turn. `min_agreement` and `max_answer_nats`: instances
    whose answer agrees so much with the others drawn (ROUGE-L F1, 0 to 1), and has at most so many nats a token; a task needs one of them.
    What has no such score, or has lost it as a person changed the text, is kept, unless `scored`.
    """

    min_quality: float | None = None
    unrated: bool = False
    tags: tuple[str, ...] = ()
    noted: bool = False
    max_nats: float | None = None
    min_agreement: float | None = None
    max_answer_nats: float | None = None
    scored: bool = False

    @property
    def by_score(self) -> tuple[str, ...]:
        """The scores that decide, by the names of their fields."""
        return tuple(name for name in SCORES if getattr(self, name) is not None)


SCORES = ("max_nats", "min_agreement", "max_answer_nats")
_NATS = (
    "(SELECT CASE WHEN edited IS NULL THEN nats END FROM candidates JOIN verdicts ON verdicts.candidate_id = candidates.id"
    " WHERE candidates.id = tasks.candidate_id)"
)
ALL = Keep()
"""Every task."""


def keep_conditions(keep: Keep) -> Iterator[tuple[str, list[Any]]]:
    """Yield the conditions, each with its values, that hold for the tasks that are kept; none when all are."""
    if keep.min_quality is not None:
        # Two decimals, so that 0.67 is what it says: two answers of three.
        condition = "tasks.id IN (SELECT task_id FROM quality WHERE round(quality, 2) >= round(?, 2))"
        if keep.unrated:
            condition = f"({condition} OR tasks.id NOT IN (SELECT task_id FROM quality))"
        yield condition, [keep.min_quality]
    if keep.tags:
        places = ", ".join("?" * len(keep.tags))
        yield f"tasks.id IN (SELECT task_id FROM task_tags WHERE tag IN ({places}))", [storable(tag) for tag in keep.tags]
    if keep.noted:
        yield "tasks.id IN (SELECT task_id FROM task_notes)", []
    if keep.max_nats is not None:
        yield (f"{_NATS} <= ?" if keep.scored else f"coalesce({_NATS}, -1) <= ?"), [keep.max_nats]
    if found := list(instance_conditions(keep)):
        conditions = " AND ".join(condition for condition, _ in found)
        exists = f"EXISTS (SELECT 1 FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted' AND {conditions})"
        yield exists, [value for _, value in found]


def instance_conditions(keep: Keep) -> Iterator[tuple[str, float]]:
    """Yield the conditions, each with its value, that hold for the instances that are kept of a task; none when all are."""
    for column, unscored, compared, value in (("agreement", 1, ">=", keep.min_agreement), ("nats", -1, "<=", keep.max_answer_nats)):
        if value is not None:
            score = f"CASE WHEN instances.reason = 'edited' THEN NULL ELSE instances.{column} END"
            yield (f"{score} {compared} ?" if keep.scored else f"coalesce({score}, {unscored}) {compared} ?"), value


class Reviews(Sheets[Rating]):
    """The reviews of a pool: samples of its tasks, and what raters say of them."""

    study = "review"
    item_table = "review_items"
    rating_table = "ratings"
    columns = (*QUESTIONS, "skipped", "note")

    def all(self) -> list[ReviewRecord]:
        """Return all reviews, the newest first."""
        return [_review(row) for row in self._database.rows("SELECT * FROM reviews ORDER BY id DESC")]

    def find(self, plan: ReviewPlan) -> ReviewRecord | None:
        """Return the review of this plan, None while it is not drawn."""
        sql = "SELECT * FROM reviews WHERE seed = ? AND size = ? AND strata = ?"
        row = self._database.row(sql, (storable(plan.seed), plan.size, plan.strata))
        return None if row is None else _review(row)

    def items(self, review_id: int) -> list[ReviewItem]:
        """Return the items of a sample in their order; positions count from 0."""
        return self._database.records(ReviewItem, "SELECT * FROM review_items WHERE review_id = ? ORDER BY position", (review_id,))

    def strata_values(self, strata: Strata) -> Iterator[tuple[int, int]]:
        """Yield (task id, round number or classification flag) of the active generated tasks, in the order of ids.

        Nothing for the other strata: depth is of the whole family, see `Lineage.parent_pairs`.
        """
        column = {Strata.ROUND: "number", Strata.CLASS: "coalesce(is_classification, 0)"}.get(strata)
        if column is not None:
            yield from self._database.stream(
                f"SELECT tasks.id, {column} FROM tasks CROSS JOIN rounds ON rounds.id = round_id"
                " WHERE state = 'active' AND origin = 'generated' ORDER BY tasks.id"
            )

    def add(self, plan: ReviewPlan, items: Sequence[ReviewItem]) -> int:
        """Store a sample and return the review's id. Raises PoolError when the pool has this review already."""
        database = self._database
        with database.transaction():
            values = {"seed": storable(plan.seed), "size": plan.size, "strata": plan.strata, "created_at": now()}
            review_id = database.insert_new("reviews", values)
            if review_id is None:
                raise PoolError("this sample has been drawn already", "go on with it, or choose another seed")
            texts = ("instruction", "input", "output")
            rows = ({**asdict(each), "review_id": review_id, **{name: storable(getattr(each, name)) for name in texts}} for each in items)
            database.insert("review_items", rows)
        return review_id

    @staticmethod
    def as_values(rating: Rating) -> list[Any]:
        """Return a rating as the values of `columns`."""
        return [*rating.answers, rating.skipped, storable(rating.note)]

    @staticmethod
    def rating_of(values: Sequence[Any] | None) -> Rating:
        """Return the rating that the values of `columns` stand for; a blank one for None."""
        if values is None:
            return BLANK
        *answers, skipped, note = values
        first, second, third = (None if answer is None else bool(answer) for answer in answers)
        return Rating((first, second, third), bool(skipped), note)


def _review(row: Row) -> ReviewRecord:
    return record_of(ReviewRecord, row, plan=record_of(ReviewPlan, row))
