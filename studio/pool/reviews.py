"""Reviews: samples of tasks that people rate by three questions, and judges, models that answer the same.

What raters say of the items of any study is stored key by key: each key press is one action of that rater, and can be undone by him alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from studio.errors import PoolError
from studio.pool.changes import LISTS, ListChange
from studio.pool.database import Entity, Row, record_of
from studio.pool.files import now
from studio.pool.ledger import Note, acting, turn
from studio.pool.rounds import MODEL_COLUMNS, model_id, model_of
from studio.records import ModelIdentity
from studio.text import storable

A = TypeVar("A")
R = TypeVar("R", bound="Said[Any]")


@dataclass(frozen=True, slots=True)
class Said(Generic[A]):
    """What one rater says of one item of a study: answers, None where not yet given.

    A skipped item counts nowhere, whatever was answered before.
    """

    answers: tuple[A | None, ...]
    skipped: bool = False
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether it counts: every question answered, and not skipped."""
        return not self.skipped and None not in self.answers

    @property
    def settled(self) -> bool:
        """Whether the rater is done with the item."""
        return self.skipped or self.complete


@dataclass(frozen=True, slots=True)
class KeyPress(Generic[R]):
    """Where a key press, done, taken back or done again, changes something, and what holds there from then on."""

    position: int
    rating: R


class Sheets(Entity, Generic[R]):
    """One kind of study; a subclass says which tables it has and what its answers are.

    Every method that writes raises PoolError when the pool cannot be written; nothing is stored then.
    """

    study: ClassVar[str]
    """What a study is called: the column that points at one is its name with `_id`, its items stand in its name with `_items`."""
    rating_table: ClassVar[str]
    """What raters say of its items now."""
    blank: R
    """What a rater says who says nothing."""
    answer: ClassVar[type[Any]]
    """What an answer is."""

    def said(self, study_id: int, rater: str) -> dict[int, R]:
        """Return what one rater said, by position; of the others' answers nothing."""
        sql = f"""
            SELECT position, {", ".join(LISTS[self.rating_table].values)} FROM {self.rating_table} JOIN raters ON raters.id = rater_id
            WHERE {self.study}_id = ? AND name = ? ORDER BY position"""
        return {position: self._rating(values) for position, *values in self._database.rows(sql, (study_id, rater))}

    def sheets(self, study_id: int) -> dict[str, dict[int, R]]:
        """Return what everybody said, by rater and position, raters in the order they came; not who took everything back."""
        sql = f"SELECT name FROM raters WHERE id IN (SELECT rater_id FROM {self.rating_table} WHERE {self.study}_id = ?) ORDER BY id"
        return {name: self.said(study_id, name) for (name,) in self._database.rows(sql, (study_id,))}

    def put(self, study_id: int, rater: str, position: int, rating: R) -> None:
        """Let `rating` be what `rater` says of an item from now on. Raises PoolError when the study has no such item."""
        database, words = self._database, f"{self.study} {study_id}, item {position}"
        with acting(database, Note(self.rating_table, words), self._scope(study_id, rater)) as journal:
            if not database.row(f"SELECT 1 FROM {self.study}_items WHERE {self.study}_id = ? AND position = ?", (study_id, position)):
                raise PoolError(f"{self.study} {study_id} has no item {position}")
            # A row with nothing in it would look as if the rater had something to say.
            entries = [] if rating == self.blank else [[*rating.answers, rating.skipped, rating.note]]
            journal.list(self.rating_table, [study_id, position, database.lookup("raters", {"name": rater})], entries)

    def undo(self, study_id: int, rater: str) -> KeyPress[R] | None:
        """Take back the rater's newest key press in this study, whenever it was; None when there is none."""
        return self._turn(study_id, rater, forward=False)

    def redo(self, study_id: int, rater: str) -> KeyPress[R] | None:
        """Do again what the rater took back last; None when there is nothing, or when something else was done since."""
        return self._turn(study_id, rater, forward=True)

    def _turn(self, study_id: int, rater: str, *, forward: bool) -> KeyPress[R] | None:
        turned = turn(self._database, self._scope(study_id, rater), forward=forward)
        if turned is None:
            return None
        [change] = turned.changes
        assert isinstance(change, ListChange)
        entries = change.after if forward else change.before
        return KeyPress(change.owner[1], self._rating(entries[0]) if entries else self.blank)

    def _rating(self, values: Sequence[Any]) -> R:
        *answers, skipped, note = values
        given = tuple(None if each is None else self.answer(each) for each in answers)
        return replace(self.blank, answers=given, skipped=bool(skipped), note=note)

    def _scope(self, study_id: int, rater: str) -> str:
        return f"{self.study}/{study_id}/{rater}"


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


class Reviews(Sheets[Rating]):
    """The reviews of a pool: samples of its tasks, and what raters say of them."""

    study = "review"
    rating_table = "ratings"
    blank = BLANK
    answer = bool

    def all(self) -> list[ReviewRecord]:
        """Return all reviews, the newest first."""
        return [_review(row) for row in self._database.rows("SELECT * FROM reviews ORDER BY id DESC")]

    def find(self, plan: ReviewPlan) -> ReviewRecord | None:
        """Return the review of this plan, None while it is not drawn."""
        sql = "SELECT * FROM reviews WHERE seed = ? AND size = ? AND strata = ?"
        row = self._database.row(sql, (plan.seed, plan.size, plan.strata))
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

    def add(self, plan: ReviewPlan, items: Sequence[ReviewItem]) -> ReviewRecord:
        """Store a sample and return its review. Raises PoolError when the pool has this review already."""
        database = self._database
        with database.transaction():
            review_id = database.insert_new("reviews", {**asdict(plan), "created_at": now()})
            if review_id is None:
                raise PoolError("this sample has been drawn already", "go on with it, or choose another seed")
            database.insert("review_items", ({**asdict(each), "review_id": review_id} for each in items))
            found = self.find(plan)
        assert found is not None
        return found


def _review(row: Row) -> ReviewRecord:
    return record_of(ReviewRecord, row, plan=record_of(ReviewPlan, row))


@dataclass(frozen=True, slots=True)
class JudgeRecord:
    """A model under a name, with the version of the prompts it was asked by."""

    id: int
    name: str
    model: ModelIdentity
    prompt_version: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge says in answer to one question about an instance.

    `seen` is `digest_of` the texts it was shown. `answer` is None when none came; `detail` then says why. `probability` is that of yes, 0
    to 1, None where the engine sees no logits.
    """

    task_id: int
    instance_id: int
    question: Question
    seen: str
    answer: bool | None
    probability: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HumanAnswers:
    """What one rater says of an instance, in the order of `QUESTIONS`; `seen` as in `Opinion`."""

    rater: str
    instance_id: int
    seen: str
    answers: tuple[bool | None, bool | None, bool | None]


def digest_of(instruction: str, given: str, answer: str) -> str:
    """Return what stands for the texts of an instance: 16 hexadecimal digits."""
    joined = "\0".join((instruction, given, answer))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Judges(Entity):
    """The judges of a pool, and what they say."""

    def all(self) -> list[JudgeRecord]:
        """Return all judges, in the order they came."""
        sql = f"""
            SELECT judges.id, judges.name, prompt_version, {MODEL_COLUMNS} FROM judges
            JOIN models ON models.id = model_id ORDER BY judges.id"""
        return [record_of(JudgeRecord, row, model=model_of(row)) for row in self._database.rows(sql)]

    def opinions(self, judge_id: int) -> Iterator[Opinion]:
        """Yield all that a judge has said, in the order it was said."""
        sql = "SELECT task_id, instance_id, question, seen, answer, probability, detail FROM opinions WHERE judge_id = ? ORDER BY id"
        return self._database.each(Opinion, sql, (judge_id,))

    def human_answers(self) -> Iterator[HumanAnswers]:
        """Yield what every rater said of every instance, skipped ones left out, rater by rater and the oldest review first."""
        sql = f"""
            SELECT name, instance_id, instruction, input, output, {", ".join(QUESTIONS)} FROM ratings
            JOIN review_items USING (review_id, position) JOIN raters ON raters.id = rater_id
            WHERE NOT skipped ORDER BY raters.id, review_id, position"""
        for rater, instance_id, instruction, given, answer, *answers in self._database.stream(sql):
            first, second, third = (None if each is None else bool(each) for each in answers)
            yield HumanAnswers(rater, instance_id, digest_of(instruction, given, answer), (first, second, third))

    def enter(self, name: str, model: ModelIdentity, prompt_version: str) -> JudgeRecord:
        """Return the judge of this name, model and prompts, made when there is none. Raises PoolError when the pool cannot be written."""
        database, name = self._database, storable(name)
        with database.transaction():
            key = {"name": name, "model_id": model_id(database, model), "prompt_version": prompt_version}
            return JudgeRecord(database.lookup("judges", key), name, model, prompt_version)

    def add(self, judge_id: int, opinions: Sequence[Opinion]) -> None:
        """Store opinions; those that the judge has given already, on the same texts, stay as they are."""
        with self._database.transaction():
            for each in opinions:
                self._database.insert_new("opinions", {**asdict(each), "judge_id": judge_id, "judged_at": now()})
