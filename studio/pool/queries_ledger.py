"""Reading what a person did, and what a session has to know of it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from studio.engine.api import Completion, FinishReason
from studio.pool.faults import explained
from studio.pool.ledger import next_action
from studio.pool.ledger_records import ActionRecord, ActionState, CancelledText, ComparedTask
from studio.pool.ledger_requests import next_hand_ordinal
from studio.pool.reading import Reader, chunks
from studio.pool.records import RoundRecord
from studio.records import Stage

_CANCELLED = (
    "SELECT request_id, ordinal, text, finish_reason, prompt_tokens, completion_tokens, cached_tokens, cancelled.seconds, cancelled_at"
    " FROM cancelled JOIN requests ON requests.id = request_id WHERE round_id = ? AND stage = ? ORDER BY cancelled.id"
)


class LedgerQueries(Reader):
    """Actions, round parameters, and which tasks new candidates are compared with."""

    def actions(self, limit: int) -> list[ActionRecord]:
        """Return the newest actions, undone ones too, the newest first."""
        sql = (
            "SELECT actions.id, kind, words, number, actions.stage, state,"
            " (SELECT at FROM action_steps WHERE action_id = actions.id ORDER BY id DESC LIMIT 1)"
            " FROM actions LEFT JOIN rounds ON rounds.id = round_id ORDER BY actions.id DESC LIMIT ?"
        )
        rows = self._database.rows(sql, (limit,))
        return [
            ActionRecord(found, kind, words, number, stage, ActionState(state), at) for found, kind, words, number, stage, state, at in rows
        ]

    def next_undo(self) -> str | None:
        """Return in words what would be undone next."""
        found, _ = next_action(self._database, "done")
        return None if found is None else found[1]

    def next_redo(self) -> str | None:
        """Return in words what would be done again next."""
        found, _ = next_action(self._database, "undone")
        return None if found is None else found[1]

    def next_action_id(self) -> int:
        """Return the id of the next action; ids are never used twice, so what is drawn for an action is drawn once."""
        row = self._database.row("SELECT seq FROM sqlite_sequence WHERE name = 'actions'")
        return int(row[0]) + 1 if row else 1

    def next_hand_ordinal(self, round_id: int, stage: Stage) -> int:
        """Return the ordinal of the next request asked for by hand; they count from -1 downwards."""
        return next_hand_ordinal(self._database, round_id, stage.value)

    def round_overrides(self, round_id: int) -> Mapping[str, Any]:
        """Return the parameters, by dotted key, that hold for this round alone."""
        row = self._database.row("SELECT overrides FROM rounds WHERE id = ?", (round_id,))
        return json.loads(row[0]) if row and row[0] is not None else {}

    def newest_round(self, run_id: int) -> tuple[RoundRecord, bool] | None:
        """Return the newest round of a run and whether it is finished; its stage counts only where it is not."""
        sql = "SELECT id, run_id, number, stage FROM rounds WHERE run_id = ? AND stage <> 'superseded' ORDER BY number DESC LIMIT 1"
        row = self._database.row(sql, (run_id,))
        if row is None:
            return None
        done = row[3] == "done"
        return RoundRecord(row[0], row[1], row[2], Stage.COMMIT if done else Stage(row[3])), done

    def compared_tasks(self, ids: Sequence[int]) -> list[ComparedTask]:
        """Return what the novelty index has to know of these tasks, in the order of their ids."""
        found = []
        for piece, places in chunks(sorted(ids)):
            sql = f"SELECT id, instruction, origin = 'seed', compared FROM tasks WHERE id IN ({places}) ORDER BY id"
            for task_id, instruction, is_seed, compared in self._database.rows(sql, piece):
                found.append(ComparedTask(task_id, instruction, bool(is_seed), bool(compared)))
        return found

    def marked_ids(self) -> array[int]:
        """Return the ids of the tasks marked for review, in ascending order."""
        with explained(self._database.path):
            return array("q", (row[0] for row in self._database.connection.execute("SELECT id FROM tasks WHERE marked ORDER BY id")))

    def is_superseded(self, round_id: int) -> bool:
        """Return whether a round is a former attempt that was written anew."""
        return self._database.row("SELECT 1 FROM rounds WHERE id = ? AND stage = 'superseded'", (round_id,)) is not None

    def cancelled(self, round_id: int, stage: Stage) -> list[CancelledText]:
        """Return what had come of a stage's requests when the user stopped it, oldest first."""
        return [
            CancelledText(request_id, ordinal, Completion(text, FinishReason(reason), prompt, written, cached, seconds), at)
            for request_id, ordinal, text, reason, prompt, written, cached, seconds, at in self._database.rows(
                _CANCELLED, (round_id, stage.value)
            )
        ]
