"""Evaluations: seeds kept apart, the items that are asked, who answers them, what came back, and blind comparisons of two contestants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from studio.engine.api import Completion
from studio.errors import PoolError
from studio.pool.database import Database, Entity, Row, record_of
from studio.pool.files import now
from studio.pool.reviews import Said, Sheets
from studio.pool.rounds import MODEL_COLUMNS, model_id, model_of
from studio.records import HoldOut, ModelIdentity


@dataclass(frozen=True, slots=True)
class HoldOutRecord:
    """How seeds were kept apart when the pool was made: what was asked for, the seed of the draw, and how many that came to."""

    asked: str
    seed: str
    held: int
    created_at: str = ""
    """An ISO 8601 time in UTC."""


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """One question: an instruction with one input, and the outputs that count as right.

    `task` tells which items are of one task, numbered from 0. `task_id` is None for tasks that are not of the pool, `key` their own id.
    """

    position: int
    task: int
    task_id: int | None
    key: str
    instruction: str
    input: str
    outputs: tuple[str, ...]
    is_classification: bool


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Which evaluation: equal items and settings are one. `name` says where the items come from and does not count."""

    name: str
    items: tuple[EvaluationItem, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """An evaluation of the pool. `items` is how many it has; `created_at` an ISO 8601 time in UTC."""

    id: int
    name: str
    fingerprint: str
    items: int
    max_tokens: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who answers: a model, with the adapter's file name and sha256 or two empty texts, asked in one format.

    `template` is the text that makes a prompt of an item; `engine` how the engine was set up, as JSON.
    """

    model: ModelIdentity
    format: str
    template: str
    adapter: str = ""
    adapter_sha256: str = ""
    engine: str = "{}"

    @property
    def label(self) -> str:
        """What it is called in tables: model, adapter if any, and format."""
        adapter = f" + {self.adapter}" if self.adapter else ""
        return f"{self.model.name}{adapter} [{self.format}]"


@dataclass(frozen=True, slots=True)
class ContestantRecord:
    """A contestant of one evaluation, and how many items it has answered."""

    id: int
    evaluation_id: int
    contestant: Contestant
    answered: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant was asked in one item, and what came back."""

    position: int
    prompt: str
    completion: Completion


def fingerprint_of(items: Sequence[EvaluationItem]) -> str:
    """Return what stands for the items: the sha256 of their texts and of which of them are one task, in hexadecimal digits."""
    texts = [[item.task, item.instruction, item.input, *item.outputs, item.is_classification] for item in items]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


_EVALUATION = """
SELECT id, name, fingerprint, (SELECT count(*) FROM evaluation_items WHERE evaluation_id = evaluations.id) AS items,
    json_extract(settings, '$.max_tokens') AS max_tokens, created_at
FROM evaluations"""
_CONTESTANT = f"""
SELECT contestants.id, evaluation_id, (SELECT count(*) FROM answers WHERE contestant_id = contestants.id) AS answered,
    format, template, adapter, adapter_sha256, engine, {MODEL_COLUMNS}
FROM contestants JOIN models ON models.id = model_id"""


class Evaluations(Entity):
    """The evaluations of a pool. What writes raises PoolError when the pool cannot be written; nothing is stored then."""

    def hold_out(self) -> HoldOutRecord | None:
        """Return how seeds were kept apart, None when none were."""
        return self._database.record(HoldOutRecord, "SELECT * FROM hold_outs")

    def all(self) -> list[EvaluationRecord]:
        """Return all evaluations, the newest first."""
        return self._database.records(EvaluationRecord, f"{_EVALUATION} ORDER BY id DESC")

    def get(self, evaluation_id: int) -> EvaluationRecord:
        """Return one evaluation. Raises PoolError when there is none of that id."""
        found = self._database.record(EvaluationRecord, f"{_EVALUATION} WHERE id = ?", (evaluation_id,))
        if found is None:
            raise PoolError(f"the pool has no evaluation {evaluation_id}", "studio evaluate POOL")
        return found

    def items(self, evaluation_id: int) -> list[EvaluationItem]:
        """Return the items of an evaluation in their order; positions count from 0."""
        rows = self._database.rows("SELECT * FROM evaluation_items WHERE evaluation_id = ? ORDER BY position", (evaluation_id,))
        return [record_of(EvaluationItem, row, outputs=tuple(json.loads(row["outputs"]))) for row in rows]

    def contestants(self, evaluation_id: int) -> list[ContestantRecord]:
        """Return who took part in an evaluation, in the order they came."""
        rows = self._database.rows(f"{_CONTESTANT} WHERE evaluation_id = ? ORDER BY contestants.id", (evaluation_id,))
        return [_contestant(row) for row in rows]

    def contestant(self, contestant_id: int) -> ContestantRecord:
        """Return one contestant. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_CONTESTANT} WHERE contestants.id = ?", (contestant_id,))
        if row is None:
            raise PoolError(f"the pool has no contestant {contestant_id}", "studio evaluate POOL")
        return _contestant(row)

    def answers(self, contestant_id: int) -> dict[int, Answer]:
        """Return what a contestant has answered so far, by the items' positions, in their order."""
        rows = self._database.rows("SELECT * FROM answers WHERE contestant_id = ? ORDER BY position", (contestant_id,))
        return {row["position"]: record_of(Answer, row, completion=record_of(Completion, row)) for row in rows}

    def results(self, evaluation_id: int) -> list[dict[str, Any]]:
        """Return what an evaluation came to, the newest first, each as `conclude` was given it."""
        sql = "SELECT result FROM evaluation_results WHERE evaluation_id = ? ORDER BY id DESC"
        return [json.loads(text) for (text,) in self._database.rows(sql, (evaluation_id,))]

    def open(self, plan: EvaluationPlan) -> int:
        """Return the id of the evaluation of this plan, made when there is none."""
        database = self._database
        which = {"fingerprint": fingerprint_of(plan.items), "settings": json.dumps({"max_tokens": plan.max_tokens}, sort_keys=True)}
        with database.transaction():
            sql = "SELECT id FROM evaluations WHERE fingerprint = :fingerprint AND settings = :settings"
            found: int | None = database.value(sql, which)
            if found is not None:
                return found
            made = database.lookup("evaluations", which, {"name": plan.name, "created_at": now()})
            rows = ({"evaluation_id": made, **asdict(each), "outputs": json.dumps(each.outputs, ensure_ascii=False)} for each in plan.items)
            database.insert("evaluation_items", rows)
        return made

    def enter(self, evaluation_id: int, contestant: Contestant) -> int:
        """Return the id of this contestant in an evaluation, entered when it has not come before."""
        with self._database.transaction():
            key = {name: getattr(contestant, name) for name in ("adapter_sha256", "format", "template")}
            key |= {"evaluation_id": evaluation_id, "model_id": model_id(self._database, contestant.model)}
            more = {"adapter": contestant.adapter, "engine": contestant.engine, "created_at": now()}
            return self._database.lookup("contestants", key, more)

    def add(self, contestant_id: int, answers: Sequence[Answer]) -> None:
        """Store answers of a contestant; where it has answered already, the earlier answer stays."""
        database = self._database
        with database.transaction():
            evaluation = database.value("SELECT evaluation_id FROM contestants WHERE id = ?", (contestant_id,))
            here = {"contestant_id": contestant_id, "evaluation_id": evaluation}
            for answer in answers:
                told = asdict(answer.completion)
                # Nothing is chosen or measured here.
                del told["probability"], told["nats"]
                values = {**here, "position": answer.position, "prompt": answer.prompt, **told, "answered_at": now()}
                database.insert_new("answers", values)

    def conclude(self, evaluation_id: int, result: Mapping[str, Any]) -> None:
        """Keep what an evaluation came to, beside what it came to before."""
        text = json.dumps(result, ensure_ascii=False, sort_keys=True)
        with self._database.transaction():
            self._database.insert_row("evaluation_results", {"evaluation_id": evaluation_id, "result": text, "created_at": now()})


def hold_out(database: Database, held: HoldOut) -> None:
    """Keep seeds apart in a pool that holds nothing but its seeds, and how they were drawn; within the transaction that makes it."""
    ids = [task_id for (task_id,) in database.execute("SELECT id FROM tasks ORDER BY id")]
    for place in sorted(held.places):
        database.execute("UPDATE tasks SET held_out = 1 WHERE id = ?", (ids[place],))
    values = {"id": 1, "asked": held.asked, "seed": held.seed, "held": len(held.places), "created_at": now()}
    database.insert_row("hold_outs", values)


def _contestant(row: Row) -> ContestantRecord:
    return record_of(ContestantRecord, row, contestant=record_of(Contestant, row, model=model_of(row)))


class Grade(StrEnum):
    """The four grades of Wang et al. 2022, section 4.4, best first."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


GRADES: tuple[Grade, ...] = tuple(Grade)


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """Which comparison: equal plans are one. `first` and `second` are ids of contestants of one evaluation."""

    first: int
    second: int
    seed: str
    size: int


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison; `created_at` is an ISO 8601 time in UTC."""

    id: int
    plan: ComparisonPlan
    created_at: str


@dataclass(frozen=True, slots=True)
class ComparisonItem:
    """An item of an evaluation with both answers, as they were when it was drawn. `item` is its position in the evaluation.

    `swapped`: the second contestant's answer stands on the left.
    """

    position: int
    item: int
    instruction: str
    input: str
    answers: tuple[str, str]
    swapped: bool

    @property
    def sides(self) -> tuple[int, int]:
        """Whose answers stand on the left and on the right: 0 is the first contestant, 1 the second."""
        return (1, 0) if self.swapped else (0, 1)


@dataclass(frozen=True, slots=True)
class Grading(Said[Grade]):
    """What one rater says of one item. `answers` are the grades of the first and the second contestant, whatever their sides."""

    answers: tuple[Grade | None, Grade | None] = (None, None)


UNGRADED = Grading()


_COMPARISON = "SELECT *, first_contestant_id AS first, second_contestant_id AS second FROM comparisons"


class Comparisons(Sheets[Grading]):
    """The blind comparisons of a pool."""

    study = "comparison"
    rating_table = "grades"
    blank = UNGRADED
    answer = Grade

    def all(self) -> list[ComparisonRecord]:
        """Return all comparisons, the newest first."""
        return [_comparison(row) for row in self._database.rows(f"{_COMPARISON} ORDER BY id DESC")]

    def find(self, plan: ComparisonPlan) -> ComparisonRecord | None:
        """Return the comparison of this plan, None while it is not drawn."""
        sql = f"{_COMPARISON} WHERE first_contestant_id = ? AND second_contestant_id = ? AND seed = ? AND size = ?"
        row = self._database.row(sql, (plan.first, plan.second, plan.seed, plan.size))
        return None if row is None else _comparison(row)

    def items(self, comparison_id: int) -> list[ComparisonItem]:
        """Return the items of a comparison in their order; positions count from 0."""
        sql = "SELECT * FROM comparison_items WHERE comparison_id = ? ORDER BY position"
        rows = self._database.rows(sql, (comparison_id,))
        return [record_of(ComparisonItem, row, answers=(row["first_answer"], row["second_answer"])) for row in rows]

    def add(self, plan: ComparisonPlan, items: Sequence[ComparisonItem]) -> ComparisonRecord:
        """Store a comparison and return it. Raises PoolError when the pool has it already."""
        database = self._database
        with database.transaction():
            contestants = {"first_contestant_id": plan.first, "second_contestant_id": plan.second}
            values = {**contestants, "seed": plan.seed, "size": plan.size, "created_at": now()}
            comparison_id = database.insert_new("comparisons", values)
            if comparison_id is None:
                raise PoolError("this comparison has been drawn already", "go on with it, or choose another seed")
            whose, texts = {"comparison_id": comparison_id}, ("position", "item", "swapped", "instruction", "input")
            answers = ("first_answer", "second_answer")
            rows = (
                {**whose, **{name: getattr(each, name) for name in texts}, **dict(zip(answers, each.answers, strict=True))}
                for each in items
            )
            database.insert("comparison_items", rows)
            found = self.find(plan)
        assert found is not None
        return found


def _comparison(row: Row) -> ComparisonRecord:
    return record_of(ComparisonRecord, row, plan=record_of(ComparisonPlan, row))
