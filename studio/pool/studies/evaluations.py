"""Evaluations: seeds kept apart, the items that are asked, who answers them, and what came back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.engine.api import Completion
from studio.errors import PoolError
from studio.pool.core.database import Database, Reader, Row
from studio.pool.core.files import now
from studio.pool.core.rows import MODEL_COLUMNS, completion_of, completion_values, model_id, model_of
from studio.records import HoldOut, ModelIdentity
from studio.text import storable


@dataclass(frozen=True, slots=True)
class HoldOutRecord:
    """How seeds were kept apart when the pool was made: what was asked for, the seed of the draw, and how many that came to."""

    asked: str
    seed: str
    held: int


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


_ITEM = ("evaluation_id", "position", "task", "task_id", "key", "instruction", "input", "outputs", "is_classification")


class Evaluations:
    """The write side of a pool's evaluations. Every method raises PoolError when the pool cannot be written; nothing is stored then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, plan: EvaluationPlan) -> int:
        """Return the id of the evaluation of this plan, made when there is none."""
        database = self._database
        which = (fingerprint_of(plan.items), settings_of(plan))
        with database.transaction():
            row = database.execute("SELECT id FROM evaluations WHERE fingerprint = ? AND settings = ?", which).fetchone()
            if row is not None:
                return int(row[0])
            sql = "INSERT INTO evaluations (name, fingerprint, settings, created_at) VALUES (?, ?, ?, ?) RETURNING id"
            (made,) = database.execute(sql, (storable(plan.name), *which, now())).fetchone()
            database.insert("evaluation_items", _ITEM, _item_rows(made, plan.items))
        return int(made)

    def enter(self, evaluation_id: int, contestant: Contestant) -> int:
        """Return the id of this contestant in an evaluation, entered when it has not come before."""
        database = self._database
        with database.transaction():
            model, texts = model_id(database, contestant.model), (storable(contestant.format), storable(contestant.template))
            key = (evaluation_id, model, contestant.adapter_sha256, *texts)
            sql = (
                "INSERT INTO contestants (evaluation_id, model_id, adapter_sha256, format, template, adapter, engine, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            )
            database.execute(sql, (*key, storable(contestant.adapter), contestant.engine, now()))
            sql = (
                "SELECT id FROM contestants WHERE evaluation_id = ? AND model_id = ? AND adapter_sha256 = ? AND format = ? AND template = ?"
            )
            (found,) = database.execute(sql, key).fetchone()
        return int(found)

    def add(self, contestant_id: int, answers: Sequence[Answer]) -> None:
        """Store answers of a contestant; where it has answered already, the earlier answer stays."""
        database = self._database
        with database.transaction():
            (evaluation,) = database.execute("SELECT evaluation_id FROM contestants WHERE id = ?", (contestant_id,)).fetchone()
            sql = (
                "INSERT INTO answers (contestant_id, evaluation_id, position, prompt, text, finish_reason, detail, prompt_tokens,"
                " cached_tokens, completion_tokens, seconds, answered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (contestant_id, position) DO NOTHING"
            )
            for answer in answers:
                # Everything of a completion but its probability: nothing is chosen here.
                told = completion_values(answer.completion)[:-1]
                database.execute(sql, (contestant_id, evaluation, answer.position, storable(answer.prompt), *told, now()))

    def conclude(self, evaluation_id: int, result: Mapping[str, Any]) -> None:
        """Keep what an evaluation came to, beside what it came to before."""
        text = storable(json.dumps(result, ensure_ascii=False, sort_keys=True))
        with self._database.transaction():
            sql = "INSERT INTO evaluation_results (evaluation_id, result, created_at) VALUES (?, ?, ?)"
            self._database.execute(sql, (evaluation_id, text, now()))


def hold_out(database: Database, held: HoldOut) -> None:
    """Keep seeds apart in a pool that holds nothing but its seeds, and how they were drawn; within the transaction that makes it."""
    ids = [task_id for (task_id,) in database.execute("SELECT id FROM tasks ORDER BY id")]
    for place in sorted(held.places):
        database.execute("UPDATE tasks SET held_out = 1 WHERE id = ?", (ids[place],))
    values = (storable(held.asked), storable(held.seed), len(held.places), now())
    database.execute("INSERT INTO hold_outs (id, asked, seed, held, created_at) VALUES (1, ?, ?, ?, ?)", values)


def settings_of(plan: EvaluationPlan) -> str:
    """Return the settings of a plan as the pool keeps them."""
    return json.dumps({"max_tokens": plan.max_tokens}, sort_keys=True)


def _item_rows(evaluation_id: int, items: Sequence[EvaluationItem]) -> Iterator[tuple[Any, ...]]:
    for item in items:
        outputs = storable(json.dumps(item.outputs, ensure_ascii=False))
        texts = (storable(item.key), storable(item.instruction), storable(item.input), outputs)
        yield (evaluation_id, item.position, item.task, item.task_id, *texts, int(item.is_classification))


_EVALUATIONS = """
SELECT id, name, fingerprint, (SELECT count(*) FROM evaluation_items WHERE evaluation_id = evaluations.id), settings, created_at
FROM evaluations"""
_CONTESTANTS = f"""
SELECT contestants.id, evaluation_id, (SELECT count(*) FROM answers WHERE contestant_id = contestants.id),
    format, template, adapter, adapter_sha256, engine, {MODEL_COLUMNS}
FROM contestants JOIN models ON models.id = model_id"""
_ANSWERS = """
SELECT position, prompt, text, finish_reason, detail, prompt_tokens, cached_tokens, completion_tokens, seconds, NULL
FROM answers WHERE contestant_id = ? ORDER BY position"""


class EvaluationQueries(Reader):
    """What evaluating, its table, the comparison of two contestants and the report ask."""

    def hold_out(self) -> HoldOutRecord | None:
        """Return how seeds were kept apart, None when none were."""
        row = self._database.row("SELECT asked, seed, held FROM hold_outs")
        return None if row is None else HoldOutRecord(*row)

    def evaluations(self) -> list[EvaluationRecord]:
        """Return all evaluations, the newest first."""
        return [_evaluation(row) for row in self._database.rows(f"{_EVALUATIONS} ORDER BY id DESC")]

    def evaluation(self, evaluation_id: int) -> EvaluationRecord:
        """Return one evaluation. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_EVALUATIONS} WHERE id = ?", (evaluation_id,))
        if row is None:
            raise PoolError(f"the pool has no evaluation {evaluation_id}", "studio evaluate POOL")
        return _evaluation(row)

    def evaluation_items(self, evaluation_id: int) -> list[EvaluationItem]:
        """Return the items of an evaluation in their order; positions count from 0."""
        sql = (
            "SELECT position, task, task_id, key, instruction, input, outputs, is_classification"
            " FROM evaluation_items WHERE evaluation_id = ? ORDER BY position"
        )
        return [_item(row) for row in self._database.rows(sql, (evaluation_id,))]

    def contestants(self, evaluation_id: int) -> list[ContestantRecord]:
        """Return who took part in an evaluation, in the order they came."""
        rows = self._database.rows(f"{_CONTESTANTS} WHERE evaluation_id = ? ORDER BY contestants.id", (evaluation_id,))
        return [_contestant(row) for row in rows]

    def contestant(self, contestant_id: int) -> ContestantRecord:
        """Return one contestant. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_CONTESTANTS} WHERE contestants.id = ?", (contestant_id,))
        if row is None:
            raise PoolError(f"the pool has no contestant {contestant_id}", "studio evaluate POOL")
        return _contestant(row)

    def contestant_answers(self, contestant_id: int) -> dict[int, Answer]:
        """Return what a contestant has answered so far, by the items' positions, in their order."""
        rows = self._database.rows(_ANSWERS, (contestant_id,))
        return {position: Answer(position, prompt, completion_of(told)) for position, prompt, *told in rows}

    def evaluation_results(self, evaluation_id: int) -> list[dict[str, Any]]:
        """Return what an evaluation came to, the newest first, each as `Evaluations.conclude` was given it."""
        sql = "SELECT result FROM evaluation_results WHERE evaluation_id = ? ORDER BY id DESC"
        return [json.loads(text) for (text,) in self._database.rows(sql, (evaluation_id,))]


def _evaluation(row: Row) -> EvaluationRecord:
    found, name, fingerprint, items, settings, created_at = row
    return EvaluationRecord(found, name, fingerprint, items, json.loads(settings)["max_tokens"], created_at)


def _item(row: Row) -> EvaluationItem:
    position, task, task_id, key, instruction, given, outputs, answer = row
    return EvaluationItem(position, task, task_id, key, instruction, given, tuple(json.loads(outputs)), bool(answer))


def _contestant(row: Row) -> ContestantRecord:
    found, evaluation_id, answered, style, template, adapter, adapter_sha256, engine, *model = row
    contestant = Contestant(model_of(model), style, template, adapter, adapter_sha256, engine)
    return ContestantRecord(found, evaluation_id, contestant, answered)
