"""What a person's action changed in the pool, value by value: enough to take it back and to do it again.

A change never removes a row. What an action adds is first stored as withdrawn (a retired task, a rejected instance, a superseded attempt),
and the change is what makes it count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from studio.pool.database import Database
from studio.pool.lock import now
from studio.pool.superseding import swap_attempts

LIVE = "live"
"""In changes, the state of a task that is not retired: a draft while its round is unfinished, active else."""

ROWS: Mapping[str, frozenset[str]] = {
    "tasks": frozenset({"state", "instruction", "is_classification", "compared", "marked"}),
    "instances": frozenset({"input", "output", "verdict", "reason", "decided_by", "original"}),
    "requests": frozenset({"prefix_id", "suffix", "sampling_id", "seed"}),
}
"""The tables and columns that changes may name; they go into SQL as they are."""

LISTS: Mapping[str, tuple[str, ...]] = {
    "neighbours": ("candidate_id", "rank", "task_id", "score"),
    "request_parents": ("request_id", "position", "task_id"),
    "task_tags": ("task_id", "place", "tag"),
    "task_notes": ("task_id", "place", "note"),
}
"""Tables of ordered lists: the column of the owner, the column of the place, and the values."""

_DECISION = "verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, edited"


@dataclass(frozen=True, slots=True)
class RowChange:
    """Some values of one row."""

    table: str
    id: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ListChange:
    """The whole list of one owner, each entry without its place."""

    table: str
    owner: int
    before: Sequence[Sequence[Any]]
    after: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class DecisionChange:
    """A new decision of a candidate; `before` and `after` are ids of decisions. Taking it back decides again as `before` did."""

    candidate: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ParametersChange:
    """The parameters of one round, as JSON, changed while it was at `stage`: what later stages did with them stays."""

    round: int
    stage: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class AttemptChange:
    """A round and its superseded attempt change places. Taking it back is doing it again."""

    round: int
    attempt: int


Change = RowChange | ListChange | DecisionChange | ParametersChange | AttemptChange
_KINDS: Mapping[str, type[Change]] = {
    "row": RowChange,
    "list": ListChange,
    "decision": DecisionChange,
    "parameters": ParametersChange,
    "attempt": AttemptChange,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(changes: Sequence[Change]) -> str:
    """Return the changes as the pool keeps them."""
    return json.dumps([{"kind": _NAMES[type(change)], **asdict(change)} for change in changes], ensure_ascii=False)


def from_json(text: str) -> list[Change]:
    """Return the changes that `to_json` wrote."""
    return [_KINDS[values.pop("kind")](**values) for values in json.loads(text)]


def apply(database: Database, change: Change, action_id: int, *, forward: bool) -> set[int]:
    """Do a change, or take it back, within a transaction; return the tasks whose text or standing it may have touched."""
    match change:
        case RowChange(table, row_id, before, after):
            set_row(database, table, row_id, after if forward else before)
            return {row_id} if table == "tasks" else set()
        case ListChange(table, owner, before, after):
            set_list(database, table, owner, after if forward else before)
            return set()
        case DecisionChange(_, before, after):
            _decide_again(database, after if forward else before, action_id)
            return set()
        case ParametersChange(round_id, _, before, after):
            database.execute("UPDATE rounds SET overrides = ? WHERE id = ?", (after if forward else before, round_id))
            return set()
        case AttemptChange(round_id, attempt):
            return swap_attempts(database, round_id, attempt)


def set_row(database: Database, table: str, row_id: int, values: Mapping[str, Any]) -> None:
    """Set some values of a row; a task's state may be LIVE."""
    if not values.keys() <= ROWS[table]:
        raise ValueError(f"{table} has no columns {sorted(values.keys() - ROWS[table])} to change")
    values = dict(values)
    if values.get("state") == LIVE:
        values["state"] = live_state(database, row_id)
    assignments = ", ".join(f"{column} = ?" for column in values)
    if database.execute(f"UPDATE {table} SET {assignments} WHERE id = ?", (*values.values(), row_id)).rowcount != 1:
        raise ValueError(f"{table} has no row {row_id}")


def set_list(database: Database, table: str, owner: int, entries: Sequence[Sequence[Any]]) -> None:
    """Put `entries` in the place of the owner's list."""
    columns = LISTS[table]
    database.execute(f"DELETE FROM {table} WHERE {columns[0]} = ?", (owner,))
    database.insert(table, columns, ((owner, place, *entry) for place, entry in enumerate(entries)))


def live_state(database: Database, task_id: int) -> str:
    """Return the state of a task that is not retired."""
    sql = "SELECT 1 FROM tasks JOIN rounds ON rounds.id = round_id WHERE tasks.id = ? AND rounds.stage NOT IN ('done', 'superseded')"
    return "draft" if database.execute(sql, (task_id,)).fetchone() else "active"


def blocked(database: Database, change: Change) -> bool:
    """Return whether the run has gone on so that this change can be neither done nor taken back any more."""
    match change:
        case ParametersChange(round_id, stage):
            return not _exists(database, "rounds WHERE id = ? AND stage = ?", round_id, stage)
        case AttemptChange(round_id):
            return not _exists(database, "rounds WHERE id = ? AND stage NOT IN ('done', 'superseded')", round_id)
        case RowChange("requests", request_id) | ListChange("request_parents", request_id):
            # A request that was answered stays what it was when it was asked.
            pending = "rounds.stage = 'instructions' AND requests.id NOT IN (SELECT request_id FROM completions)"
            return not _exists(database, f"requests JOIN rounds ON rounds.id = round_id WHERE requests.id = ? AND {pending}", request_id)
        case RowChange("tasks", task_id):
            return _exists(database, "tasks JOIN rounds ON rounds.id = round_id WHERE tasks.id = ? AND stage = 'superseded'", task_id)
        case DecisionChange(candidate_id) | ListChange("neighbours", candidate_id):
            origin = "candidates JOIN requests ON requests.id = request_id JOIN rounds ON rounds.id = round_id"
            return _exists(database, f"{origin} WHERE candidates.id = ? AND rounds.stage = 'superseded'", candidate_id)
        case RowChange("instances", instance_id):
            origin = "instances JOIN tasks ON tasks.id = task_id JOIN rounds ON rounds.id = round_id"
            return _exists(database, f"{origin} WHERE instances.id = ? AND stage = 'superseded'", instance_id)
    return False


def _exists(database: Database, source: str, *values: object) -> bool:
    return database.row(f"SELECT 1 FROM {source} LIMIT 1", values) is not None


def _decide_again(database: Database, decision_id: int, action_id: int) -> None:
    """Append a decision that says what an earlier one said."""
    database.execute(
        f"INSERT INTO decisions (candidate_id, {_DECISION}, decided_at, action_id)"
        f" SELECT candidate_id, {_DECISION}, ?, ? FROM decisions WHERE id = ?",
        (now(), action_id, decision_id),
    )
