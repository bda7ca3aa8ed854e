"""Trainings: what was trained on which instances, and how the loss went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from studio import __version__
from studio.errors import PoolError
from studio.pool.database import Entity, Row, record_of
from studio.pool.files import now
from studio.pool.rounds import MODEL_COLUMNS, model_id, model_of
from studio.records import ModelIdentity


class Side(StrEnum):
    """What an instance is for."""

    TRAIN = "train"
    VALIDATION = "validation"


class TrainingState(StrEnum):
    """A started training may be under way or interrupted: the same command goes on with it."""

    STARTED = "started"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class TrainingItem:
    """An instance of the pool in a training; `seen` is `reviews.digest_of` its texts as they were."""

    task_id: int
    instance_id: int
    side: Side
    seen: str


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training before it begins.

    `fingerprint` is the SHA-256 of the files `train.jsonl` and `validation.jsonl`, one after the other: 64 hexadecimal digits. `folder` is
    where its files lie, relative to the pool's folder or absolute; `steps` counts the planned optimiser steps.
    """

    name: str
    model: ModelIdentity
    settings: Mapping[str, Any]
    fingerprint: str
    folder: str
    steps: int


@dataclass(frozen=True, slots=True)
class LossPoint:
    """A loss at a step, in nats a completion token. `tokens` and `seconds` count from the beginning of the training, pauses left out."""

    side: Side
    step: int
    loss: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A training of the pool. Times are ISO 8601 in UTC.

    `ended`, `adapter` (the GGUF file's path), its hash and `finished_at` are empty until it is over.
    """

    id: int
    plan: TrainingPlan
    state: TrainingState
    studio_version: str
    started_at: str
    ended: str = ""
    adapter: str = ""
    adapter_sha256: str = ""
    finished_at: str = ""


_TRAINING = f"SELECT trainings.*, {MODEL_COLUMNS} FROM trainings JOIN models ON models.id = model_id"


class Trainings(Entity):
    """The trainings of a pool. What writes raises PoolError when the pool cannot be written; nothing is stored then."""

    def all(self) -> list[TrainingRecord]:
        """Return all trainings, the newest first."""
        return [_training(row) for row in self._database.rows(f"{_TRAINING} ORDER BY trainings.id DESC")]

    def named(self, name: str) -> TrainingRecord | None:
        """Return the training called so, None when there is none."""
        row = self._database.row(f"{_TRAINING} WHERE trainings.name = ?", (name,))
        return None if row is None else _training(row)

    def items(self, training_id: int) -> list[TrainingItem]:
        """Return the instances of a training, in the order of their ids."""
        sql = "SELECT * FROM training_instances WHERE training_id = ? ORDER BY instance_id"
        return self._database.records(TrainingItem, sql, (training_id,))

    def losses(self, training_id: int) -> list[LossPoint]:
        """Return the losses of a training, by step, at each step that of the validation part first."""
        sql = "SELECT * FROM training_losses WHERE training_id = ? ORDER BY step, side DESC"
        return self._database.records(LossPoint, sql, (training_id,))

    def begin(self, plan: TrainingPlan, items: Sequence[TrainingItem]) -> int:
        """Store a training with its data and return its id. Raises PoolError when the pool has one of this name."""
        database = self._database
        with database.transaction():
            values = {
                **{name: getattr(plan, name) for name in ("name", "fingerprint", "folder", "steps")},
                "model_id": model_id(database, plan.model),
                "settings": json.dumps(plan.settings, sort_keys=True, ensure_ascii=False),
                "state": TrainingState.STARTED,
                "studio_version": __version__,
                "started_at": now(),
            }
            training_id = database.insert_new("trainings", values)
            if training_id is None:
                raise PoolError(f"the pool has a training named {plan.name} already", "choose another name with --name")
            database.insert("training_instances", ({"training_id": training_id, **asdict(each)} for each in items))
        return training_id

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
            if self._database.execute(sql, (ended, adapter, adapter_sha256, now(), training_id)).rowcount != 1:
                raise PoolError(f"the pool has no training with id {training_id}")

    def _add(self, training_id: int, losses: Sequence[LossPoint]) -> None:
        self._database.insert("training_losses", ({"training_id": training_id, **asdict(each)} for each in losses), "INSERT OR REPLACE")


def _training(row: Row) -> TrainingRecord:
    plan = record_of(TrainingPlan, row, model=model_of(row), settings=json.loads(row["settings"]))
    return record_of(TrainingRecord, row, plan=plan, finished_at=row["finished_at"] or "")
