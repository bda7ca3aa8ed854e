"""Reading evaluations: what was asked, who answered, and what."""

from __future__ import annotations

import json
from typing import Any

from studio.errors import PoolError
from studio.pool.database import Row
from studio.pool.evaluation_records import (
    Answer,
    Contestant,
    ContestantRecord,
    EvaluationItem,
    EvaluationRecord,
    HoldOutRecord,
)
from studio.pool.reading import Reader
from studio.pool.rows import MODEL_COLUMNS, completion_of, model_of

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
