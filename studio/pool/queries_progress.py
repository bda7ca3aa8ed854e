"""Reading how a run gets on: what its rounds brought, and how many tasks there are."""

from __future__ import annotations

from studio.pool.reading import Reader
from studio.pool.records import RoundResult


class ProgressQueries(Reader):
    """Small figures, asked after each round; each reads a round or an index, never the whole pool."""

    def generated(self) -> int:
        """Return the number of active generated tasks."""
        row = self._database.row("SELECT count(*) FROM tasks WHERE state = 'active' AND origin = 'generated'")
        return int(row[0]) if row else 0

    def round_result(self, round_id: int) -> RoundResult:
        """Return what a round brought, by the decisions that hold now."""
        sql = (
            "SELECT verdict, reason, count(*) FROM requests JOIN candidates ON candidates.request_id = requests.id"
            " JOIN verdicts ON verdicts.candidate_id = candidates.id WHERE round_id = ? GROUP BY reason, verdict ORDER BY reason, verdict"
        )
        decided = self._database.rows(sql, (round_id,))
        sql = (
            "SELECT count(*) FROM tasks JOIN instances ON instances.task_id = tasks.id"
            " WHERE tasks.round_id = ? AND instances.verdict = 'accepted'"
        )
        row = self._database.row(sql, (round_id,))
        return RoundResult(
            accepted=sum(number for verdict, _, number in decided if verdict == "accepted"),
            rejected={reason: number for verdict, reason, number in decided if verdict == "rejected"},
            instances=int(row[0]) if row else 0,
        )

    def round_yields(self, run_id: int, last: int) -> list[int]:
        """Return how many tasks each of the `last` finished rounds of a run brought, the newest first."""
        sql = (
            "SELECT (SELECT count(*) FROM tasks WHERE tasks.round_id = rounds.id) FROM rounds"
            " WHERE run_id = ? AND stage = 'done' ORDER BY number DESC LIMIT ?"
        )
        return [int(row[0]) for row in self._database.rows(sql, (run_id, last))]
