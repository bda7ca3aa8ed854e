"""Requests that a person changed or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.pool.database import Database
from studio.pool.ledger_records import HandRequest
from studio.pool.records import PlannedRequest
from studio.pool.rows import COMPLETION_FIELDS, completion_values, prompt_id, sampling_id
from studio.text import storable


def request_values(database: Database, planned: PlannedRequest) -> dict[str, Any]:
    """Return the columns of a request that make its prompt and how it is answered; within a transaction."""
    return {
        "prefix_id": prompt_id(database, planned.prefix),
        "suffix": storable(planned.suffix),
        "sampling_id": sampling_id(database, planned.params),
        "seed": planned.seed,
    }


def next_hand_ordinal(database: Database, round_id: int, stage: str) -> int:
    """Return the ordinal of the next request that is asked for by hand: -1, -2 and so on, beside the round's own, which count from 0."""
    sql = "SELECT min(-1, coalesce(min(ordinal) - 1, -1)) FROM requests WHERE round_id = ? AND stage = ?"
    row = database.row(sql, (round_id, stage))
    return int(row[0]) if row else -1


def insert_hand_requests(database: Database, round_id: int, requests: Sequence[HandRequest], *, answered: bool = True) -> list[int]:
    """Store requests, with their answers if they are `answered`; return their ids. Within a transaction."""
    ids = []
    for request in requests:
        values = {
            "round_id": round_id,
            "stage": request.stage.value,
            "ordinal": next_hand_ordinal(database, round_id, request.stage.value),
            "task_id": request.planned.task_id,
            **request_values(database, request.planned),
        }
        places = ", ".join("?" * len(values))
        sql = f"INSERT INTO requests ({', '.join(values)}) VALUES ({places}) RETURNING id"
        (request_id,) = database.execute(sql, tuple(values.values())).fetchone()
        if answered:
            database.insert("completions", ("request_id", *COMPLETION_FIELDS), [(request_id, *completion_values(request.completion))])
        ids.append(int(request_id))
    return ids
