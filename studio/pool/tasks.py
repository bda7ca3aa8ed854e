"""Tasks: brought whole by seed files and imports, drafted by rounds, and read one by one or as the ids and instructions of all."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from studio.pool.browse import match_expression
from studio.pool.database import Entity, record_of
from studio.pool.imports import TaskImport, insert_tasks, next_task_id
from studio.pool.instances import instance_of
from studio.pool.rounds import advance
from studio.records import Instance, Origin, SeedTask, Source, Stage, Task, TaskState

_TASK = ", ".join(f"tasks.{each.name}" for each in fields(Task) if each.name not in ("instances", "round"))
_INSTRUCTIONS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class DraftTask:
    """A task whose round has not committed, with the input and output its candidate came with, if any, and its request and source."""

    task: Task
    input: str | None
    output: str | None
    request_id: int | None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class ComparedTask:
    """What the novelty index has to know of a task; `compared` says whether it belongs there at all."""

    id: int
    instruction: str
    is_seed: bool
    compared: bool


@dataclass(frozen=True, slots=True)
class Annotation:
    """What people hung on a task: tags in the order they were given, and a note."""

    tags: tuple[str, ...] = ()
    note: str = ""


class Tasks(Entity):
    """The tasks of a pool."""

    def get(self, task_id: int) -> Task:
        """Return a task with its accepted instances. Raises PoolError when there is none of that id."""
        return self.many([task_id])[0]

    def many(self, ids: Sequence[int]) -> list[Task]:
        """Return tasks with their accepted instances, in the order of `ids`. Raises PoolError when an id is unknown."""
        instances: defaultdict[int, list[Instance]] = defaultdict(list)
        sql = """
            SELECT task_id, input, output, coalesce(thoughts, '') AS thoughts, coalesce(system, '') AS system, turns FROM instances
            WHERE task_id IN ({}) AND +verdict = 'accepted' ORDER BY task_id, position"""
        for row in self._database.among(sql, ids):
            instances[row["task_id"]].append(instance_of(row))
        sql = f"SELECT {_TASK}, number AS round FROM tasks LEFT JOIN rounds ON rounds.id = round_id WHERE tasks.id IN ({{}})"
        found = {row["id"]: record_of(Task, row, instances=tuple(instances[row["id"]])) for row in self._database.among(sql, ids)}
        missing = next((task_id for task_id in ids if task_id not in found), None)
        if missing is not None:
            raise self._absent(f"task {missing}", "`studio show POOL` lists what there is")
        return [found[task_id] for task_id in ids]

    def ids(
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
        values: list[str] = [state]
        if origin is not None:
            conditions.append("origin = ?")
            values.append(origin)
        if classification_only:
            conditions.append("is_classification = 1")
        if classification_unknown:
            conditions.append("is_classification IS NULL")
        if with_instances:
            conditions.append("EXISTS (SELECT 1 FROM instances WHERE task_id = tasks.id AND verdict = 'accepted')")
        return self._database.ids(f"SELECT id FROM tasks WHERE {' AND '.join(conditions)} ORDER BY id", values)

    def newest(self, limit: int) -> list[int]:
        """Return the ids of the `limit` newest tasks, the newest first."""
        return [task_id for (task_id,) in self._database.rows("SELECT id FROM tasks ORDER BY id DESC LIMIT ?", (limit,))]

    def search(self, text: str, limit: int = 100) -> list[int]:
        """Return the ids of the tasks whose instruction has all words of `text`, best match first, at most `limit`.

        Text without words, and scripts without spaces, are looked for as they stand, in the order of ids.
        """
        if not text.strip() or limit <= 0:
            return []
        if expression := match_expression(text):
            sql, value = "SELECT rowid FROM tasks_fts WHERE tasks_fts MATCH ? ORDER BY rank, rowid LIMIT ?", expression
        else:
            sql, value = "SELECT id FROM tasks WHERE instr(instruction, ?) ORDER BY id LIMIT ?", text.strip()
        return [task_id for (task_id,) in self._database.rows(sql, (value, limit))]

    def instructions(self) -> Iterator[tuple[int, str, bool]]:
        """Yield (id, instruction, is it a seed) of all tasks, drafts and retired ones too, in the order of ids and in constant memory.

        Left out are those that new candidates are not compared with: a person rejected them, or had their round written anew.
        """
        last = 0
        sql = "SELECT id, instruction, origin = 'seed' FROM tasks WHERE id > ? AND compared ORDER BY id LIMIT ?"
        while rows := self._database.rows(sql, (last, _INSTRUCTIONS_AT_A_TIME)):
            yield from ((task_id, instruction, is_seed == 1) for task_id, instruction, is_seed in rows)
            last = rows[-1]["id"]

    def compared(self, ids: Sequence[int]) -> list[ComparedTask]:
        """Return what the novelty index has to know of these tasks, in the order of their ids."""
        sql = "SELECT id, instruction, origin = 'seed' AS is_seed, compared FROM tasks WHERE id IN ({}) ORDER BY id"
        return [record_of(ComparedTask, row) for row in self._database.among(sql, sorted(ids))]

    def drafts(self, round_id: int) -> list[DraftTask]:
        """Return the draft tasks of a round in the order of their ids, without instances."""
        sql = f"""
            SELECT {_TASK}, number AS round, input, output, request_id, source
            FROM tasks JOIN rounds ON rounds.id = tasks.round_id JOIN candidates ON candidates.id = candidate_id
            JOIN requests ON requests.id = request_id
            WHERE tasks.round_id = ? AND state = 'draft' ORDER BY tasks.id"""
        return [record_of(DraftTask, row, task=record_of(Task, row)) for row in self._database.rows(sql, (round_id,))]

    def annotation(self, task_id: int) -> Annotation:
        """Return the tags and the note of a task."""
        tags = self._database.rows("SELECT tag FROM task_tags WHERE task_id = ? ORDER BY place", (task_id,))
        note = self._database.value("SELECT note FROM task_notes WHERE task_id = ?", (task_id,))
        return Annotation(tuple(tag for (tag,) in tags), note or "")

    def provenance(self, task_id: int) -> str:
        """Return what the pool that a task was exported from knew of it, as JSON; empty where nothing is known."""
        return self._database.value("SELECT provenance FROM tasks WHERE id = ?", (task_id,)) or ""

    def tags(self) -> dict[str, int]:
        """Return every tag in use and the number of tasks that have it, in the order of the alphabet."""
        return dict(self._database.stream("SELECT tag, count(*) FROM task_tags GROUP BY tag ORDER BY tag"))

    def next_id(self) -> int:
        """Return the id of the next new task; accepted candidates of a batch are numbered from it, in order. No id is used twice."""
        return next_task_id(self._database)

    def add(self, tasks: Iterable[SeedTask], origin: Origin) -> int:
        """Add active tasks from elsewhere and return how many; an error in the middle of `tasks` leaves none."""
        with self._database.transaction():
            return insert_tasks(self._database, tasks, origin)

    @contextmanager
    def importing(self, origin: Origin) -> Iterator[TaskImport]:
        """Give a way to bring tasks from elsewhere one by one, each instruction once; they are all there after the block, or none."""
        with self._database.transaction():
            adding = TaskImport(self._database, origin)
            yield adding
            adding.finish()

    def classify(self, round_id: int, answers: Sequence[tuple[int, bool]], next_stage: Stage) -> None:
        """Store for each draft task of a round (its id, whether it is a classification task).

        Raises ValueError when one of them is no draft of it.
        """
        with self._database.transaction():
            for task_id, answer in answers:
                sql = "UPDATE tasks SET is_classification = ? WHERE id = ? AND round_id = ? AND state = 'draft'"
                if self._database.execute(sql, (answer, task_id, round_id)).rowcount != 1:
                    raise ValueError(f"task {task_id} is no draft of round {round_id}")
            advance(self._database, round_id, next_stage)
