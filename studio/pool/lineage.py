"""Reading who descends from whom: the in-context tasks of a task's request are its parents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from studio.pool.browse import Kin, Relative
from studio.pool.core.database import Reader, chunks, explained
from studio.records import Origin, TaskState

_CHILDREN = (
    "FROM request_parents JOIN candidates ON candidates.request_id = request_parents.request_id"
    " JOIN tasks ON tasks.candidate_id = candidates.id WHERE request_parents.task_id = {}"
)
_PARENTS = "FROM candidates JOIN request_parents ON request_parents.request_id = candidates.request_id WHERE candidates.id = {}"
_RELATIVE = (
    "SELECT family.id, substr(instruction, 1, 400), origin, state, number,"
    f" (SELECT count(*) {_PARENTS.format('family.candidate_id')}), (SELECT count(*) {_CHILDREN.format('family.id')})"
    " FROM tasks AS family LEFT JOIN rounds ON rounds.id = round_id WHERE family.id IN ({})"
)
_ROWS_AT_A_TIME = 10_000
_SUPERSEDED = "SELECT requests.id FROM requests JOIN rounds ON rounds.id = requests.round_id WHERE rounds.stage = 'superseded'"
_DECIDED = """
SELECT candidates.request_id, coalesce(tasks.id, 0), coalesce(tasks.state = 'active', 0), verdict = 'accepted', seed_score, score
FROM candidates JOIN verdicts ON verdicts.candidate_id = candidates.id LEFT JOIN tasks ON tasks.candidate_id = candidates.id
ORDER BY candidates.id"""


class LineageQueries(Reader):
    """Parents and children, a generation at a time, or all of them as a stream."""

    def context_edges(self) -> Iterator[tuple[int, int]]:
        """Yield (request, in-context task) of the whole pool, superseded attempts left out, by request and in constant memory."""
        yield from self._lineage_rows(
            f"SELECT request_id, task_id FROM request_parents WHERE request_id NOT IN ({_SUPERSEDED}) ORDER BY request_id, position"
        )

    def decided_of_requests(self) -> Iterator[tuple[int, int, int, int, float, float]]:
        """Yield each decided candidate in the order in which they were written, superseded attempts left out.

        As request, the task it became or 0, whether that is active, whether the candidate is accepted (0 or 1), and its highest ROUGE-L to
        a seed and to a task of any kind.
        """
        yield from self._lineage_rows(_DECIDED)

    def outside_ids(self) -> Iterator[tuple[int, bool]]:
        """Yield the id of each task that no model wrote, and whether it is an active seed that was not held out."""
        for found, seed in self._lineage_rows(
            "SELECT id, origin = 'seed' AND state = 'active' AND NOT held_out FROM tasks WHERE origin <> 'generated' ORDER BY id"
        ):
            yield found, bool(seed)

    def parents_of(self, ids: Sequence[int]) -> dict[int, list[int]]:
        """Return the in-context tasks of each of some tasks, in the order of the prompt; those without any are left out."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for piece, places in chunks(ids):
            sql = (
                "SELECT tasks.id, request_parents.task_id FROM tasks JOIN candidates ON candidates.id = tasks.candidate_id"
                " JOIN request_parents ON request_parents.request_id = candidates.request_id"
                f" WHERE tasks.id IN ({places}) ORDER BY tasks.id, position"
            )
            for task_id, parent in self._database.rows(sql, piece):
                found[task_id].append(parent)
        return dict(found)

    def child_count(self, task_id: int) -> int:
        """Return how many tasks came of requests with this task in their context."""
        return int(self._database.rows(f"SELECT count(*) {_CHILDREN.format('?')}", (task_id,))[0][0])

    def kin(self, ids: Sequence[int]) -> dict[int, Kin]:
        """Return what a printed tree shows of tasks, by id; ids that are gone are left out."""
        found: dict[int, Kin] = {}
        for piece, places in chunks(ids):
            sql = (
                "SELECT tasks.id, substr(instruction, 1, 400), origin, state, number FROM tasks"
                f" LEFT JOIN rounds ON rounds.id = round_id WHERE tasks.id IN ({places})"
            )
            for each, text, origin, state, number in self._database.rows(sql, piece):
                found[each] = Kin(each, text, Origin(origin), TaskState(state), number)
        return found

    def _lineage_rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with explained(self._database.path):
            cursor = self._database.connection.execute(sql)
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from rows

    def parent_ids(self, task_id: int) -> list[int]:
        """Return the in-context tasks that a task came from, in the order of the prompt; none for seeds and imports."""
        sql = f"SELECT request_parents.task_id {_PARENTS.format('(SELECT candidate_id FROM tasks WHERE id = ?)')} ORDER BY position"
        return [row[0] for row in self._database.rows(sql, (task_id,))]

    def child_ids(self, task_id: int, limit: int) -> list[int]:
        """Return the first `limit` tasks, in the order of ids, that came of a request with this task in its context."""
        return [
            row[0] for row in self._database.rows(f"SELECT tasks.id {_CHILDREN.format('?')} ORDER BY tasks.id LIMIT ?", (task_id, limit))
        ]

    def relatives(self, ids: Sequence[int]) -> list[Relative]:
        """Return what a tree shows of tasks, in the order of `ids`; ids that are gone are left out."""
        found: dict[int, Relative] = {}
        for piece, places in chunks(ids):
            for each, text, origin, state, number, parents, children in self._database.rows(_RELATIVE.format(places), piece):
                found[each] = Relative(each, text, Origin(origin), TaskState(state), number, parents, children)
        return [found[each] for each in ids if each in found]
