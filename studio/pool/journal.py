"""One action in the making: it changes the pool and keeps what was there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.pool import changes
from studio.pool.changes import AttemptChange, Change, DecisionChange, ListChange, ParametersChange, RowChange
from studio.pool.database import Database
from studio.pool.lock import now
from studio.records import Decider


class Journal:
    """Writes within one transaction. `tasks` are the ids of the tasks whose text or standing may have changed."""

    def __init__(self, database: Database, action_id: int) -> None:
        self.action_id = action_id
        self.changes: list[Change] = []
        self.tasks: set[int] = set()
        self._database = database

    def row(self, table: str, row_id: int, values: Mapping[str, Any]) -> None:
        """Set some values of a row. A task's state may be `changes.LIVE`."""
        columns = list(values)
        found = self._database.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE id = ?", (row_id,)).fetchone()
        before = dict(zip(columns, found, strict=True))
        if before.get("state") in ("draft", "active"):
            before["state"] = changes.LIVE
        self._do(RowChange(table, row_id, before, dict(values)))

    def list(self, table: str, owner: int, entries: Sequence[Sequence[Any]]) -> None:
        """Put `entries` in the place of the owner's list."""
        key, place, *columns = changes.LISTS[table]
        sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = ? ORDER BY {place}"
        before = [list(entry) for entry in self._database.execute(sql, (owner,))]
        self._do(ListChange(table, owner, before, [list(entry) for entry in entries]))

    def decision(self, candidate_id: int, values: Mapping[str, Any]) -> None:
        """Append a person's decision of a candidate."""
        (before,) = self._database.execute("SELECT max(id) FROM decisions WHERE candidate_id = ?", (candidate_id,)).fetchone()
        row = {"candidate_id": candidate_id, **values, "decided_by": Decider.HUMAN.value, "decided_at": now(), "action_id": self.action_id}
        places = ", ".join("?" * len(row))
        sql = f"INSERT INTO decisions ({', '.join(row)}) VALUES ({places}) RETURNING id"
        (after,) = self._database.execute(sql, tuple(row.values())).fetchone()
        self.changes.append(DecisionChange(candidate_id, before, after))

    def parameters(self, round_id: int, overrides: str | None) -> None:
        """Set the parameters that hold for one round."""
        stage, before = self._database.execute("SELECT stage, overrides FROM rounds WHERE id = ?", (round_id,)).fetchone()
        self._do(ParametersChange(round_id, stage, before, overrides))

    def attempt(self, round_id: int, attempt: int) -> None:
        """Let a round and a superseded attempt at it change places."""
        self._do(AttemptChange(round_id, attempt))

    def _do(self, change: Change) -> None:
        self.tasks |= changes.apply(self._database, change, self.action_id, forward=True)
        self.changes.append(change)
