"""Trainings, written as they proceed: every method is one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence

from studio import __version__
from studio.errors import PoolError
from studio.pool.database import Database
from studio.pool.lock import now
from studio.pool.rows import model_id
from studio.pool.training_records import LossPoint, TrainingItem, TrainingPlan
from studio.text import storable


class Trainings:
    """The write side of a pool's trainings. Every method raises PoolError when the pool cannot be written; nothing is stored then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, plan: TrainingPlan, items: Sequence[TrainingItem]) -> int:
        """Store a training with its data and return its id. Raises PoolError when the pool has one of this name."""
        database = self._database
        settings = storable(json.dumps(plan.settings, sort_keys=True, ensure_ascii=False))
        with database.transaction():
            values = (storable(plan.name), model_id(database, plan.model), settings, plan.fingerprint, storable(plan.folder), plan.steps)
            sql = (
                "INSERT INTO trainings (name, model_id, settings, fingerprint, folder, steps, state, studio_version, started_at)"
                " VALUES (?, ?, ?, ?, ?, ?, 'started', ?, ?) ON CONFLICT DO NOTHING RETURNING id"
            )
            row = database.execute(sql, (*values, __version__, now())).fetchone()
            if row is None:
                raise PoolError(f"the pool has a training named {plan.name} already", "choose another name with --name")
            columns = ("training_id", "instance_id", "task_id", "side", "seen")
            rows = ((row[0], item.instance_id, item.task_id, item.side.value, item.seen) for item in items)
            database.insert("training_instances", columns, rows)
        return int(row[0])

    def add_losses(self, training_id: int, losses: Sequence[LossPoint]) -> None:
        """Store losses; those of a step that was done again after a kill take the place of the former ones."""
        with self._database.transaction():
            self._add(training_id, losses)

    def finish(self, training_id: int, losses: Sequence[LossPoint], ended: str, adapter: str, adapter_sha256: str) -> None:
        """Store the remaining losses and what came of the training. `adapter` is the path of the GGUF file, as `folder` of the plan is.

        Raises PoolError when the pool has no such training.
        """
        with self._database.transaction():
            self._add(training_id, losses)
            sql = "UPDATE trainings SET state = 'finished', ended = ?, adapter = ?, adapter_sha256 = ?, finished_at = ? WHERE id = ?"
            if self._database.execute(sql, (ended, storable(adapter), adapter_sha256, now(), training_id)).rowcount != 1:
                raise PoolError(f"the pool has no training with id {training_id}")

    def _add(self, training_id: int, losses: Sequence[LossPoint]) -> None:
        sql = "INSERT OR REPLACE INTO training_losses (training_id, side, step, loss, tokens, seconds) VALUES (?, ?, ?, ?, ?, ?)"
        for each in losses:
            self._database.execute(sql, (training_id, each.side.value, each.step, each.loss, each.tokens, each.seconds))
