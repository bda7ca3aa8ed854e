"""Reading short lists of tasks and candidates."""

from __future__ import annotations

from studio.pool.records import RejectedCandidate
from studio.pool.search import SearchQueries


class ListQueries(SearchQueries):
    """The newest tasks, and what was rejected."""

    def newest_tasks(self, limit: int) -> list[int]:
        """Return the ids of the `limit` newest tasks, the newest first."""
        return [row[0] for row in self._database.rows("SELECT id FROM tasks ORDER BY id DESC LIMIT ?", (limit,))]

    def rejected_candidates(self, limit: int, search: str | None = None) -> list[RejectedCandidate]:
        """Return at most `limit` candidates whose decision that holds is a rejection, the newest first.

        With `search`, only those among the best `limit` matches of its words.
        """
        found = None if search is None else self.search_candidates(search, limit)
        within = "" if found is None else f" AND candidates.id IN ({', '.join('?' * len(found))})"
        sql = (
            "SELECT candidates.id, text, reason, score FROM candidates JOIN verdicts ON candidate_id = candidates.id"
            f" WHERE verdict = 'rejected'{within} ORDER BY candidates.id DESC LIMIT ?"
        )
        return [RejectedCandidate(*row) for row in self._database.rows(sql, (*(found or ()), limit))]
