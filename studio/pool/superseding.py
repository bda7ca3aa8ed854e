"""A round that is written anew: its former attempt is kept, whole, and can be brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio.pool.database import Database
from studio.pool.lock import now
from studio.pool.records import PlannedRequest
from studio.pool.writes import insert_requests
from studio.records import Stage

_ASIDE = 1 << 40
"""Added to ordinals for a moment, so that two attempts can pass each other."""


def insert_attempt(database: Database, round_id: int, requests: Sequence[PlannedRequest], overrides: str | None) -> int:
    """Store another attempt at a round, with `requests` for its instructions, as superseded; return its id. Within a transaction."""
    kept: dict[str, Any] = {"stage": Stage.INSTRUCTIONS.value, "overrides": overrides, "tasks": {}}
    sql = (
        "INSERT INTO rounds (run_id, number, stage, started_at, finished_at, kept)"
        " SELECT run_id, number, 'superseded', ?, ?, ? FROM rounds WHERE id = ? RETURNING id"
    )
    (attempt,) = database.execute(sql, (now(), now(), json.dumps(kept, ensure_ascii=False), round_id)).fetchone()
    insert_requests(database, attempt, Stage.INSTRUCTIONS, requests)
    return int(attempt)


def swap_attempts(database: Database, round_id: int, attempt: int) -> set[int]:
    """Let an unfinished round and a superseded attempt at it change places; return the ids of all their tasks. Within a transaction.

    What was asked for by hand, which has ordinals below 0, stays where it is: it is not part of the round's own walk.
    """
    stage, overrides = database.execute("SELECT stage, overrides FROM rounds WHERE id = ?", (round_id,)).fetchone()
    (text,) = database.execute("SELECT kept FROM rounds WHERE id = ? AND stage = 'superseded'", (attempt,)).fetchone()
    coming: Mapping[str, Any] = json.loads(text)
    rows = database.execute("SELECT id, state, compared FROM tasks WHERE round_id = ?", (round_id,)).fetchall()
    going = {"stage": stage, "overrides": overrides, "tasks": {str(task_id): [state, compared] for task_id, state, compared in rows}}
    database.execute(
        "UPDATE requests SET round_id = ?, ordinal = ordinal + ? WHERE round_id = ? AND ordinal >= 0", (attempt, _ASIDE, round_id)
    )
    database.execute("UPDATE requests SET round_id = ? WHERE round_id = ? AND ordinal BETWEEN 0 AND ?", (round_id, attempt, _ASIDE - 1))
    database.execute("UPDATE requests SET ordinal = ordinal - ? WHERE round_id = ? AND ordinal >= ?", (_ASIDE, attempt, _ASIDE))
    database.execute("UPDATE tasks SET round_id = ?, state = 'retired', compared = 0 WHERE round_id = ?", (attempt, round_id))
    for task_id, (state, compared) in coming["tasks"].items():
        database.execute("UPDATE tasks SET round_id = ?, state = ?, compared = ? WHERE id = ?", (round_id, state, compared, int(task_id)))
    database.execute("UPDATE rounds SET stage = ?, overrides = ? WHERE id = ?", (coming["stage"], coming["overrides"], round_id))
    database.execute("UPDATE rounds SET kept = ? WHERE id = ?", (json.dumps(going, ensure_ascii=False), attempt))
    return {int(task_id) for task_id in (*coming["tasks"], *going["tasks"])}
