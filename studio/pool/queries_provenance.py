"""Reading what is told of a pool beside its data: all its runs, when it was written, who decided, and what was thrown out."""

from __future__ import annotations

from studio.pool.reading import Reader


class ProvenanceQueries(Reader):
    """What a report and a dataset card ask."""

    def written_until(self) -> str:
        """Return when the newest round was finished, or begun where it is not; an ISO 8601 time in UTC, empty where there is none."""
        sql = "SELECT coalesce(finished_at, started_at) FROM rounds WHERE stage <> 'superseded' ORDER BY number DESC LIMIT 1"
        row = self._database.row(sql)
        return str(row[0]) if row and row[0] is not None else ""

    def decided_by_hand(self) -> int:
        """Return on how many candidates a person has the last word."""
        row = self._database.row("SELECT count(*) FROM verdicts WHERE decided_by = 'human'")
        return int(row[0]) if row else 0

    def rejected_by_reason(self, limit: int) -> list[int]:
        """Return at most `limit` rejected candidates for each reason, by reason: scattered over the pool, and the same each time."""
        # Knuth's multiplicative hash of the id: as good as drawn at random, and of the candidate alone.
        sql = (
            "SELECT candidate_id FROM (SELECT candidate_id, reason, row_number() OVER"
            " (PARTITION BY reason ORDER BY (candidate_id * 2654435761) % 4294967296) AS place FROM verdicts WHERE verdict = 'rejected')"
            " WHERE place <= ? ORDER BY reason, candidate_id"
        )
        return [candidate_id for (candidate_id,) in self._database.rows(sql, (limit,))]
