"""What a person's action changed in the pool, value by value: enough to take it back and to do it again.

A change never removes a row. What an action adds is first stored as withdrawn (a retired task, a rejected instance, a superseded attempt),
and the change is what makes it count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from studio.pool.database import Database
from studio.pool.files import now
from studio.pool.requests import PlannedRequest, insert_requests
from studio.records import Decider, Stage

_QUESTIONS = ("instruction_valid", "input_appropriate", "output_acceptable")
LIVE = "live"
"""In changes, the state of a task that is not retired: a draft while its round is unfinished, active else."""

ROWS: Mapping[str, frozenset[str]] = {
    "tasks": frozenset({"state", "instruction", "is_classification", "compared", "marked"}),
    "instances": frozenset({"input", "output", "verdict", "reason", "decided_by"}),
    "requests": frozenset({"prefix_id", "suffix", "sampling_id", "chat_id", "seed"}),
}
"""The tables and columns that changes may name; they go into SQL as they are."""


class OrderedList(NamedTuple):
    """A table of lists: the columns that say whose list it is, that of the place within it, and the values."""

    owner: tuple[str, ...]
    place: str
    values: tuple[str, ...]


LISTS: Mapping[str, OrderedList] = {
    "neighbours": OrderedList(("candidate_id",), "rank", ("task_id", "score")),
    "request_parents": OrderedList(("request_id",), "position", ("task_id",)),
    "task_tags": OrderedList(("task_id",), "place", ("tag",)),
    "task_notes": OrderedList(("task_id",), "place", ("note",)),
    "ratings": OrderedList(("review_id", "position", "rater_id"), "", (*_QUESTIONS, "skipped", "note")),
    "grades": OrderedList(("comparison_id", "position", "rater_id"), "", ("first_grade", "second_grade", "skipped", "note")),
}
"""Without a place there is one entry at most."""

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
    owner: Sequence[int]
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


_TARGETS = {"neighbours": "candidates", "request_parents": "requests", "task_tags": "tasks", "task_notes": "tasks"}


def targets(change: Change) -> list[tuple[str, int]]:
    """Return what a change is about, by table and id: a task's tags are the task, a candidate's decision is the candidate."""
    match change:
        case RowChange(table, row_id):
            return [(table, row_id)]
        case ListChange(table, owner):
            return [(_TARGETS[table], owner[0])] if table in _TARGETS else []
        case DecisionChange(candidate_id):
            return [("candidates", candidate_id)]
        case ParametersChange(round_id):
            return [("rounds", round_id)]
        case AttemptChange(round_id, attempt):
            return [("rounds", round_id), ("rounds", attempt)]


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
        is_open = _exists(database, "tasks JOIN open_round ON open_round.id = round_id WHERE tasks.id = ?", row_id)
        values["state"] = "draft" if is_open else "active"
    assignments = ", ".join(f"{column} = ?" for column in values)
    if database.execute(f"UPDATE {table} SET {assignments} WHERE id = ?", (*values.values(), row_id)).rowcount != 1:
        raise ValueError(f"{table} has no row {row_id}")


def set_list(database: Database, table: str, owner: Sequence[int], entries: Sequence[Sequence[Any]]) -> None:
    """Put `entries` in the place of the owner's list."""
    columns = LISTS[table]
    database.execute(f"DELETE FROM {table} WHERE {_of_owner(columns)}", owner)
    whose = dict(zip(columns.owner, owner, strict=True))
    places = ({columns.place: place} if columns.place else {} for place in range(len(entries)))
    rows = ({**whose, **place, **dict(zip(columns.values, entry, strict=True))} for place, entry in zip(places, entries, strict=True))
    database.insert(table, rows)


def _of_owner(columns: OrderedList) -> str:
    return " AND ".join(f"{column} = ?" for column in columns.owner)


def blocked(database: Database, change: Change) -> bool:
    """Return whether the run has gone on so that this change can be neither done nor taken back any more."""
    match change:
        case ParametersChange(round_id, stage):
            return not _exists(database, "rounds WHERE id = ? AND stage = ?", round_id, stage)
        case AttemptChange(round_id):
            return not _exists(database, "open_round WHERE id = ?", round_id)
        case RowChange("requests", request_id) | ListChange("request_parents", [request_id]):
            # A request that was answered stays what it was when it was asked.
            pending = "rounds.stage = 'instructions' AND requests.id NOT IN (SELECT request_id FROM completions)"
            return not _exists(database, f"requests JOIN rounds ON rounds.id = round_id WHERE requests.id = ? AND {pending}", request_id)
        case RowChange("tasks" | "instances", row_id):
            return superseded(database, change.table, row_id) is not None
        case DecisionChange(candidate_id) | ListChange("neighbours", [candidate_id]):
            return superseded(database, "candidates", candidate_id) is not None
    return False


def superseded(database: Database, table: str, row_id: int) -> int | None:
    """Return the number of the round whose superseded attempt a task, candidate or instance belongs to, None where it stands."""
    source = {
        "tasks": "tasks",
        "candidates": "candidates JOIN requests ON requests.id = request_id",
        "instances": "instances JOIN tasks ON tasks.id = task_id",
    }[table]
    sql = f"SELECT number FROM {source} JOIN rounds ON rounds.id = round_id WHERE {table}.id = ? AND rounds.stage = 'superseded'"
    number: int | None = database.value(sql, (row_id,))
    return number


def _exists(database: Database, source: str, *values: object) -> bool:
    return database.row(f"SELECT 1 FROM {source} LIMIT 1", values) is not None


def _decide_again(database: Database, decision_id: int, action_id: int) -> None:
    """Append a decision that says what an earlier one said."""
    database.execute(
        f"INSERT INTO decisions (candidate_id, {_DECISION}, decided_at, action_id)"
        f" SELECT candidate_id, {_DECISION}, ?, ? FROM decisions WHERE id = ?",
        (now(), action_id, decision_id),
    )


def insert_attempt(database: Database, round_id: int, requests: Sequence[PlannedRequest], overrides: str | None) -> int:
    """Store another attempt at a round, with `requests` for its instructions, as superseded; return its id. Within a transaction."""
    kept: dict[str, Any] = {"stage": Stage.INSTRUCTIONS.value, "overrides": overrides, "tasks": {}}
    sql = """
        INSERT INTO rounds (run_id, number, stage, started_at, finished_at, kept)
        SELECT run_id, number, 'superseded', ?, ?, ? FROM rounds WHERE id = ? RETURNING id"""
    (attempt,) = database.execute(sql, (now(), now(), json.dumps(kept, ensure_ascii=False), round_id)).fetchone()
    insert_requests(database, attempt, Stage.INSTRUCTIONS, requests)
    return int(attempt)


def swap_attempts(database: Database, round_id: int, attempt: int) -> set[int]:
    """Let an unfinished round and a superseded attempt at it change places; return the ids of all their tasks. Within a transaction.

    What was asked for by hand, which has ordinals below 0, stays where it is: it is not part of the round's own walk.
    """
    [(stage, overrides)] = database.rows("SELECT stage, overrides FROM rounds WHERE id = ?", (round_id,))
    coming: Mapping[str, Any] = json.loads(database.value("SELECT kept FROM rounds WHERE id = ? AND stage = 'superseded'", (attempt,)))
    rows = database.rows("SELECT id, state, compared FROM tasks WHERE round_id = ?", (round_id,))
    going = {"stage": stage, "overrides": overrides, "tasks": {str(task_id): [state, compared] for task_id, state, compared in rows}}
    # Places are taken once: the requests of the one wait under a number that no round has, until those of the other have passed.
    for left, entered in ((round_id, -attempt), (attempt, round_id), (-attempt, attempt)):
        database.execute("UPDATE requests SET round_id = ? WHERE round_id = ? AND ordinal >= 0", (entered, left))
    database.execute("UPDATE tasks SET round_id = ?, state = 'retired', compared = 0 WHERE round_id = ?", (attempt, round_id))
    for task_id, (state, compared) in coming["tasks"].items():
        database.execute("UPDATE tasks SET round_id = ?, state = ?, compared = ? WHERE id = ?", (round_id, state, compared, int(task_id)))
    database.execute("UPDATE rounds SET stage = ?, overrides = ? WHERE id = ?", (coming["stage"], coming["overrides"], round_id))
    database.execute("UPDATE rounds SET kept = ? WHERE id = ?", (json.dumps(going, ensure_ascii=False), attempt))
    return {int(task_id) for task_id in (*coming["tasks"], *going["tasks"])}


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of an action, done or turned: its words, the ids of the tasks whose text or standing it may have touched, its changes."""

    words: str
    tasks: tuple[int, ...]
    changes: tuple[Change, ...]


class Journal:
    """One action in the making: it changes the pool, within one transaction, and keeps what was there before."""

    def __init__(self, database: Database, action_id: int, words: str) -> None:
        self.action_id = action_id
        self.changes: list[Change] = []
        self._words = words
        self._tasks: set[int] = set()
        self._database = database

    @property
    def effect(self) -> Effect:
        """What has come of the action so far."""
        return Effect(self._words, tuple(sorted(self._tasks)), tuple(self.changes))

    def row(self, table: str, row_id: int, values: Mapping[str, Any]) -> None:
        """Set some values of a row. A task's state may be `LIVE`."""
        before = dict(self._database.execute(f"SELECT {', '.join(values)} FROM {table} WHERE id = ?", (row_id,)).fetchone())
        if before.get("state") in ("draft", "active"):
            before["state"] = LIVE
        self._do(RowChange(table, row_id, before, dict(values)))

    def list(self, table: str, owner: Sequence[int], entries: Sequence[Sequence[Any]]) -> None:
        """Put `entries` in the place of the owner's list."""
        columns = LISTS[table]
        order = f" ORDER BY {columns.place}" if columns.place else ""
        sql = f"SELECT {', '.join(columns.values)} FROM {table} WHERE {_of_owner(columns)}{order}"
        before = [[*entry] for entry in self._database.execute(sql, owner)]
        self._do(ListChange(table, owner, before, [[*entry] for entry in entries]))

    def decision(self, candidate_id: int, values: Mapping[str, Any]) -> None:
        """Append a person's decision of a candidate."""
        before = self._database.value("SELECT max(id) FROM decisions WHERE candidate_id = ?", (candidate_id,))
        row = {"candidate_id": candidate_id, **values, "decided_by": Decider.HUMAN, "decided_at": now(), "action_id": self.action_id}
        after = self._database.insert_row("decisions", row)
        self.changes.append(DecisionChange(candidate_id, before, after))

    def parameters(self, round_id: int, overrides: str | None) -> None:
        """Set the parameters that hold for one round."""
        [(stage, before)] = self._database.rows("SELECT stage, overrides FROM rounds WHERE id = ?", (round_id,))
        self._do(ParametersChange(round_id, stage, before, overrides))

    def attempt(self, round_id: int, attempt: int) -> None:
        """Let a round and a superseded attempt at it change places."""
        self._do(AttemptChange(round_id, attempt))

    def _do(self, change: Change) -> None:
        self._tasks |= apply(self._database, change, self.action_id, forward=True)
        self.changes.append(change)
