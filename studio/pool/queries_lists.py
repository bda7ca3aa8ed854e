"""Reading short lists of tasks and candidates."""

from __future__ import annotations

from studio.pool.records import RejectedCandidate
from studio.pool.search import SearchQueries, text_condition


class ListQueries(SearchQueries):
    """The newest tasks, and what was rejected."""

    def newest_tasks(self, limit: int) -> list[int]:
        """Return the ids of the `limit` newest tasks, the newest first."""
        return [row[0] for row in self._database.rows("SELECT id FROM tasks ORDER BY id DESC LIMIT ?", (limit,))]

    def rejected_candidates(self, limit: int, search: str | None = None) -> list[RejectedCandidate]:
        """Return at most `limit` candidates whose verdict is a rejection, the newest first; with `search`, of those with all its words.

        A text that a person changed is returned as it is now, and found by the words that the model wrote.
        """
        condition, values = "", []
        if search is not None and search.strip():
            condition, value = text_condition("candidates", "text", search)
            condition, values = f" AND {condition}", [value]
        sql = (
            "SELECT candidates.id, coalesce(edited, text), reason, score FROM verdicts JOIN candidates ON candidates.id = candidate_id"
            f" WHERE verdict = 'rejected'{condition} ORDER BY candidate_id DESC LIMIT ?"
        )
        return [RejectedCandidate(*row) for row in self._database.rows(sql, (*values, limit))]
