"""Reading who descends from whom: the in-context tasks of a task's request are its parents."""

from __future__ import annotations

from collections.abc import Sequence

from studio.pool.browsing import Relative
from studio.pool.reading import Reader, chunks
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


class LineageQueries(Reader):
    """Parents and children, a generation at a time."""

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
