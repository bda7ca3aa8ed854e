"""Who descends from whom: the in-context tasks of a task's request are its parents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio.pool.browse import beginning
from studio.pool.database import Entity, record_of
from studio.records import Origin, TaskState

_CHILDREN = """
FROM request_parents JOIN candidates ON candidates.request_id = request_parents.request_id
    JOIN tasks ON tasks.candidate_id = candidates.id WHERE request_parents.task_id = {}"""
_PARENTS = "FROM candidates JOIN request_parents ON request_parents.request_id = candidates.request_id WHERE candidates.id = {}"
_KIN = (
    f"SELECT family.id, {beginning('instruction')} AS text, origin, state, number AS round{{}}"
    " FROM tasks AS family LEFT JOIN rounds ON rounds.id = round_id WHERE family.id IN ({})"
)
_COUNTED = """
    , (SELECT count(*) {}) AS parents, (SELECT count(*) {}) AS children""".format(
    _PARENTS.format("family.candidate_id"), _CHILDREN.format("family.id")
)
_OF_TASKS = """
SELECT tasks.id, request_parents.task_id FROM tasks JOIN candidates ON candidates.id = tasks.candidate_id
    JOIN request_parents ON request_parents.request_id = candidates.request_id"""
_DECIDED = """
SELECT candidates.request_id, coalesce(tasks.id, 0), coalesce(tasks.state = 'active', 0), verdict = 'accepted', seed_score, score
FROM candidates JOIN verdicts ON verdicts.candidate_id = candidates.id LEFT JOIN tasks ON tasks.candidate_id = candidates.id
ORDER BY candidates.id"""


@dataclass(frozen=True, slots=True)
class Kin:
    """A task of a printed lineage; `text` is cut after some hundred characters, `round` is None for seeds and imports."""

    id: int
    text: str
    origin: Origin
    state: TaskState
    round: int | None


@dataclass(frozen=True, slots=True)
class Relative(Kin):
    """A task of a lineage tree. `parents` and `children` count tasks."""

    parents: int
    children: int


class Lineage(Entity):
    """Parents and children, a generation at a time, or all of them as a stream."""

    def context_edges(self) -> Iterator[tuple[int, int]]:
        """Yield (request, in-context task) of the whole pool, superseded attempts left out, by request and in constant memory."""
        standing = "SELECT requests.id FROM standing_rounds JOIN requests ON round_id = standing_rounds.id"
        sql = f"SELECT request_id, task_id FROM request_parents WHERE request_id IN ({standing}) ORDER BY request_id, position"
        return self._database.stream(sql)

    def decided(self) -> Iterator[tuple[int, int, int, int, float, float]]:
        """Yield each decided candidate in the order in which they were written, superseded attempts left out.

        As request, the task it became or 0, whether that is active, whether the candidate is accepted (0 or 1), and its highest ROUGE-L to
        a seed and to a task of any kind.
        """
        return self._database.stream(_DECIDED)

    def outside(self) -> Iterator[tuple[int, bool]]:
        """Yield the id of each task that no model wrote, and whether it is an active seed that was not held out."""
        sql = "SELECT id, origin = 'seed' AND state = 'active' AND NOT held_out FROM tasks WHERE origin <> 'generated' ORDER BY id"
        for task_id, seed in self._database.stream(sql):
            yield task_id, bool(seed)

    def parent_pairs(self) -> Iterator[tuple[int, int]]:
        """Yield (task id, id of a parent) for every task that has parents, in the order of ids."""
        return self._database.stream(f"{_OF_TASKS} ORDER BY tasks.id")

    def parents_of(self, ids: Sequence[int]) -> dict[int, list[int]]:
        """Return the in-context tasks of each of some tasks, in the order of the prompt; those without any are left out."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for task_id, parent in self._database.among(f"{_OF_TASKS} WHERE tasks.id IN ({{}}) ORDER BY tasks.id, position", ids):
            found[task_id].append(parent)
        return dict(found)

    def parents(self, task_id: int) -> list[int]:
        """Return the in-context tasks that a task came from, in the order of the prompt; none for seeds and imports."""
        return self.parents_of([task_id]).get(task_id, [])

    def children(self, task_id: int, limit: int) -> list[int]:
        """Return the first `limit` tasks, in the order of ids, that came of a request with this task in its context."""
        sql = f"SELECT tasks.id {_CHILDREN.format('?')} ORDER BY tasks.id LIMIT ?"
        return [child for (child,) in self._database.rows(sql, (task_id, limit))]

    def child_count(self, task_id: int) -> int:
        """Return how many tasks came of requests with this task in their context."""
        return int(self._database.value(f"SELECT count(*) {_CHILDREN.format('?')}", (task_id,)))

    def kin(self, ids: Sequence[int]) -> dict[int, Kin]:
        """Return what a printed tree shows of tasks, by id; ids that are gone are left out."""
        return {row["id"]: record_of(Kin, row) for row in self._database.among(_KIN.format("", "{}"), ids)}

    def relatives(self, ids: Sequence[int]) -> list[Relative]:
        """Return what a tree on the screen shows of tasks, in the order of `ids`; ids that are gone are left out."""
        found = {row["id"]: record_of(Relative, row) for row in self._database.among(_KIN.format(_COUNTED, "{}"), ids)}
        return [found[each] for each in ids if each in found]
