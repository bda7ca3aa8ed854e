"""Reading the data as the lint looks at it: each task with its instances, and the ids that a finding names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from studio.pool.reading import CHUNK, Reader

# The plus keeps SQLite from the index on states, with which it would sort all that remains for each chunk; and from that on verdicts.
_TASKS = "SELECT id, instruction, is_classification FROM tasks WHERE id > ? AND +state = 'active' AND NOT held_out ORDER BY id LIMIT ?"
_INSTANCES = (
    "SELECT task_id, id, input, output FROM instances WHERE task_id BETWEEN ? AND ? AND +verdict = 'accepted' ORDER BY task_id, position"
)


@dataclass(frozen=True, slots=True)
class LintInstance:
    """An accepted instance, with its id."""

    id: int
    input: str
    output: str


@dataclass(frozen=True, slots=True)
class LintTask:
    """An active task with its accepted instances. `is_classification` is None while nobody has decided it."""

    id: int
    instruction: str
    is_classification: bool | None
    instances: tuple[LintInstance, ...] = ()


class LintQueries(Reader):
    """What a lint of the pool reads."""

    def one_state(self) -> AbstractContextManager[None]:
        """Let all questions of a block be answered from one state of the pool. For read-only connections; the writer sees its own state."""
        return self._database.snapshot()

    def active_tasks(self) -> int:
        """Return how many tasks are active, those without instances too, and those that are held out not."""
        sql = (
            "SELECT (SELECT count(*) FROM tasks WHERE state = 'active') - (SELECT count(*) FROM tasks WHERE held_out AND state = 'active')"
        )
        return int(self._database.rows(sql)[0][0])

    def lint_tasks(self, *, with_instances: bool = True) -> Generator[LintTask, None, None]:
        """Yield the active tasks, seeds and those without instances too, in the order of their ids and in constant memory.

        None of those that are held out. On a read-only connection all of it is one state of the pool, however long the reader takes.
        """
        with self._database.snapshot():
            last = 0
            while rows := self._database.rows(_TASKS, (last, CHUNK)):
                first, last = rows[0][0], rows[-1][0]
                instances = self._instances_between(first, last) if with_instances else {}
                for task_id, instruction, answer in rows:
                    yield LintTask(task_id, instruction, None if answer is None else bool(answer), tuple(instances.get(task_id, ())))

    def _instances_between(self, first: int, last: int) -> dict[int, list[LintInstance]]:
        found: defaultdict[int, list[LintInstance]] = defaultdict(list)
        for task_id, instance_id, given, answer in self._database.rows(_INSTANCES, (first, last)):
            found[task_id].append(LintInstance(instance_id, given, answer))
        return found
