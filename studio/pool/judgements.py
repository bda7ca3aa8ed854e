"""What a judge says, written batch by batch: every method is one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from studio.pool.database import Database
from studio.pool.judge_records import JudgeRecord, Opinion
from studio.pool.lock import now
from studio.pool.rows import model_id
from studio.records import ModelIdentity
from studio.text import storable


class Judgements:
    """The write side of a pool's judges. Every method raises PoolError when the pool cannot be written; nothing is stored then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def judge(self, name: str, model: ModelIdentity, prompt_version: str) -> JudgeRecord:
        """Return the judge of this name, model and prompts, made when there is none."""
        database, name = self._database, storable(name)
        with database.transaction():
            values = (name, model_id(database, model), prompt_version)
            database.execute("INSERT INTO judges (name, model_id, prompt_version) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values)
            sql = "SELECT id FROM judges WHERE name = ? AND model_id = ? AND prompt_version = ?"
            (found,) = database.execute(sql, values).fetchone()
        return JudgeRecord(found, name, model, prompt_version)

    def add(self, judge_id: int, opinions: Sequence[Opinion]) -> None:
        """Store opinions; those that the judge has given already, on the same texts, stay as they are."""
        sql = (
            "INSERT INTO opinions (judge_id, task_id, instance_id, question, seen, answer, probability, detail, judged_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        with self._database.transaction():
            for each in opinions:
                answer = None if each.answer is None else int(each.answer)
                about = (judge_id, each.task_id, each.instance_id, each.question.value, each.seen)
                self._database.execute(sql, (*about, answer, each.probability, storable(each.detail), now()))
