"""Reading the trainings of a pool."""

from __future__ import annotations

import json

from studio.pool.reading import Reader
from studio.pool.rows import MODEL_COLUMNS, model_of
from studio.pool.training_records import LossPoint, Side, TrainingItem, TrainingPlan, TrainingRecord, TrainingState

_TRAININGS = (
    "SELECT trainings.id, trainings.name, settings, fingerprint, folder, steps, state, studio_version, started_at, ended, adapter,"
    f" adapter_sha256, coalesce(finished_at, ''), {MODEL_COLUMNS} FROM trainings JOIN models ON models.id = model_id"
)


class TrainingQueries(Reader):
    """What was trained, on what, and how it went."""

    def trainings(self) -> list[TrainingRecord]:
        """Return all trainings, the newest first."""
        found = []
        for row in self._database.rows(f"{_TRAININGS} ORDER BY trainings.id DESC"):
            number, name, settings, fingerprint, folder, steps, state, version, started, ended, adapter, sha256, finished, *model = row
            plan = TrainingPlan(name, model_of(model), json.loads(settings), fingerprint, folder, steps)
            found.append(TrainingRecord(number, plan, TrainingState(state), version, started, ended, adapter, sha256, finished))
        return found

    def training(self, name: str) -> TrainingRecord | None:
        """Return the training called so, None when there is none."""
        return next((each for each in self.trainings() if each.plan.name == name), None)

    def training_items(self, training_id: int) -> list[TrainingItem]:
        """Return the instances of a training, in the order of their ids."""
        sql = "SELECT task_id, instance_id, side, seen FROM training_instances WHERE training_id = ? ORDER BY instance_id"
        return [TrainingItem(task, instance, Side(side), seen) for task, instance, side, seen in self._database.rows(sql, (training_id,))]

    def training_losses(self, training_id: int) -> list[LossPoint]:
        """Return the losses of a training, by step, at each step that of the validation part first."""
        sql = "SELECT side, step, loss, tokens, seconds FROM training_losses WHERE training_id = ? ORDER BY step, side DESC"
        return [LossPoint(Side(side), *values) for side, *values in self._database.rows(sql, (training_id,))]
