"""Reading tasks: one, some, or the ids and instructions of all."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.faults import explained
from studio.pool.reading import Reader, chunks
from studio.records import Instance, Origin, Task, TaskState

_INSTRUCTIONS_AT_A_TIME = 1000


class TaskQueries(Reader):
    """What sampling, the novelty index and the screens need of tasks."""

    def task(self, task_id: int) -> Task:
        """Return a task with its accepted instances. Raises PoolError when there is none of that id."""
        return self.tasks([task_id])[0]

    def tasks(self, ids: Sequence[int]) -> list[Task]:
        """Return tasks with their accepted instances, in the order of `ids`. Raises PoolError when an id is unknown."""
        found: dict[int, Task] = {}
        for piece, places in chunks(ids):
            instances = self._accepted_instances(piece, places)
            sql = (
                "SELECT tasks.id, origin, state, name, instruction, is_classification, number, held_out, marked FROM tasks"
                f" LEFT JOIN rounds ON rounds.id = round_id WHERE tasks.id IN ({places})"
            )
            for task_id, origin, state, name, instruction, answer, number, held_out, marked in self._database.rows(sql, piece):
                found[task_id] = Task(
                    id=task_id,
                    origin=Origin(origin),
                    state=TaskState(state),
                    name=name,
                    instruction=instruction,
                    is_classification=None if answer is None else bool(answer),
                    instances=tuple(instances[task_id]),
                    round=number,
                    held_out=bool(held_out),
                    marked=bool(marked),
                )
        missing = next((task_id for task_id in ids if task_id not in found), None)
        if missing is not None:
            raise PoolError(f"pool {shown(self._database.path)} has no task {missing}", "`studio show POOL` lists what there is")
        return [found[task_id] for task_id in ids]

    def task_ids(
        self,
        *,
        origin: Origin | None = None,
        state: TaskState = TaskState.ACTIVE,
        classification_only: bool = False,
        classification_unknown: bool = False,
        with_instances: bool = False,
        held_out: bool = False,
    ) -> array[int]:
        """Return the ids of tasks in ascending order: 8 bytes each, so a million is no burden.

        `classification_only` are the tasks known to be classification, `classification_unknown` those of which nobody has said. `origin`
        None means all origins; `with_instances` leaves out tasks that have no accepted instance. Those that are held out are returned
        alone, with `held_out`, or not at all.
        """
        # The plus keeps SQLite from the index on states, with which it would sort.
        conditions = ["+state = ?" if origin is None else "state = ?", "held_out" if held_out else "NOT held_out"]
        values = [state.value]
        if origin is not None:
            conditions.append("origin = ?")
            values.append(origin.value)
        if classification_only:
            conditions.append("is_classification = 1")
        if classification_unknown:
            conditions.append("is_classification IS NULL")
        if with_instances:
            conditions.append("EXISTS (SELECT 1 FROM instances WHERE task_id = tasks.id AND verdict = 'accepted')")
        sql = f"SELECT id FROM tasks WHERE {' AND '.join(conditions)} ORDER BY id"
        with explained(self._database.path):
            return array("q", (row[0] for row in self._database.connection.execute(sql, values)))

    def instructions(self) -> Iterator[tuple[int, str, bool]]:
        """Yield (id, instruction, is it a seed) of all tasks, drafts and retired ones too, in the order of ids and in constant memory.

        Left out are those that new candidates are not compared with: a person rejected them, or had their round written anew.
        """
        last = 0
        sql = "SELECT id, instruction, origin = 'seed' FROM tasks WHERE id > ? AND compared ORDER BY id LIMIT ?"
        while rows := self._database.rows(sql, (last, _INSTRUCTIONS_AT_A_TIME)):
            yield from ((task_id, instruction, is_seed == 1) for task_id, instruction, is_seed in rows)
            last = rows[-1][0]

    def _accepted_instances(self, ids: Sequence[int], places: str) -> defaultdict[int, list[Instance]]:
        instances: defaultdict[int, list[Instance]] = defaultdict(list)
        sql = (
            f"SELECT task_id, input, output FROM instances WHERE task_id IN ({places}) AND +verdict = 'accepted' ORDER BY task_id, position"
        )
        for task_id, given, answer in self._database.rows(sql, ids):
            instances[task_id].append(Instance(given, answer))
        return instances
