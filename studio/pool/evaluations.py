"""What models answer, written as it comes: every method is one transaction, so a kill loses no answer that was taken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from studio.pool.database import Database
from studio.pool.evaluation_records import Answer, Contestant, EvaluationItem, EvaluationPlan, fingerprint_of
from studio.pool.lock import now
from studio.pool.rows import completion_values, model_id
from studio.records import HoldOut
from studio.text import storable

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
            sql = f"INSERT INTO answers VALUES ({', '.join('?' * 12)}) ON CONFLICT (contestant_id, position) DO NOTHING"
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
