"""The whole data as a stream in constant memory: with its provenance for an export, with its ids for the lint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from studio.pool.core.database import CHUNK, Reader, Row
from studio.pool.records import Exchange, ExportOrigin, ExportTask
from studio.pool.studies.reviews import ALL, Keep, keep_conditions
from studio.records import Decider, Instance, Neighbour, Origin

# One query a part and chunk, each over the ids from the chunk's first to its last task. The plus keeps SQLite from the index on states,
# with which it would sort all that remains for each chunk; and from that on verdicts.
_TASKS = """
SELECT tasks.id, origin, key, tasks.name, instruction, is_classification, number,
    CASE WHEN requests.id IS NULL THEN '' ELSE number || '/' || requests.stage || '/' || requests.ordinal END,
    coalesce(models.sha256, ''), score, seed_score, nearest_task_id, decided_by
FROM tasks
    LEFT JOIN candidates ON candidates.id = tasks.candidate_id
    LEFT JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id
    LEFT JOIN requests ON requests.id = candidates.request_id
    LEFT JOIN rounds ON rounds.id = tasks.round_id
    LEFT JOIN runs ON runs.id = rounds.run_id
    LEFT JOIN models ON models.id = runs.model_id
WHERE tasks.id > ? AND +state = 'active' AND NOT held_out AND (origin <> 'seed' OR ?)
    AND EXISTS (SELECT 1 FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted'){}
ORDER BY tasks.id LIMIT ?"""
_INSTANCES = (
    "SELECT task_id, id, input, output FROM instances WHERE task_id BETWEEN ? AND ? AND +verdict = 'accepted' ORDER BY task_id, position"
)
_PARENTS = """
SELECT tasks.id, request_parents.task_id FROM tasks
    JOIN candidates ON candidates.id = tasks.candidate_id
    JOIN request_parents ON request_parents.request_id = candidates.request_id
WHERE tasks.id BETWEEN ? AND ? ORDER BY tasks.id, position"""
_NEIGHBOURS = """
SELECT tasks.id, neighbours.task_id, score FROM tasks JOIN neighbours ON neighbours.candidate_id = tasks.candidate_id
WHERE tasks.id BETWEEN ? AND ? ORDER BY tasks.id, rank"""

_ASKED = """
SELECT tasks.id, prompts.text || suffix, completions.text, finish_reason FROM tasks
    CROSS JOIN candidates ON candidates.id = tasks.candidate_id JOIN requests ON requests.id = candidates.request_id
    JOIN prompts ON prompts.id = prefix_id LEFT JOIN completions ON completions.request_id = requests.id
WHERE tasks.id BETWEEN ? AND ?"""
_WRITTEN = """
SELECT requests.task_id, prompts.text || suffix, completions.text, finish_reason FROM requests
    JOIN prompts ON prompts.id = prefix_id JOIN completions ON completions.request_id = requests.id
WHERE requests.task_id BETWEEN ? AND ? AND +stage = 'instances' ORDER BY requests.task_id, requests.id"""
_NEAR = """
SELECT tasks.id, mean_score, neighbours.task_id, near.instruction FROM tasks
    CROSS JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id
    LEFT JOIN neighbours ON neighbours.candidate_id = tasks.candidate_id LEFT JOIN tasks AS near ON near.id = neighbours.task_id
WHERE tasks.id BETWEEN ? AND ?"""


class ExportQueries(Reader):
    """The data, with its provenance."""

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False) -> Generator[ExportTask, None, None]:
        """Yield the active tasks that have accepted instances and that `keep` wants, in the order of their ids and in constant memory.

        Never those that are held out. With `made` each tells how it was written.

        On a read-only connection all of it is one state of the pool, however long the reader takes.
        """
        conditions = list(keep_conditions(keep))
        sql = _TASKS.format("".join(f" AND {condition}" for condition, _ in conditions))
        values = [value for _, each in conditions for value in each]
        with self._database.snapshot():
            last = 0
            while rows := self._database.rows(sql, (last, include_seeds, *values, CHUNK)):
                first, last = rows[0][0], rows[-1][0]
                instances = self._by_task(_INSTANCES, first, last)
                parents = self._by_task(_PARENTS, first, last)
                neighbours = self._by_task(_NEIGHBOURS, first, last)
                origins = self._origins(first, last) if made else {}
                for row in rows:
                    task_id = row[0]
                    yield _export_task(row, instances[task_id], parents[task_id], neighbours[task_id], origins.get(task_id))

    def _origins(self, first: int, last: int) -> dict[int, ExportOrigin]:
        asked, written, near = (self._by_task(sql, first, last) for sql in (_ASKED, _WRITTEN, _NEAR))
        return {
            task_id: ExportOrigin(
                asked=Exchange(*asked[task_id][-1]) if asked[task_id] else None,
                written=Exchange(*written[task_id][-1]) if written[task_id] else None,
                mean_score=near[task_id][0][0] if near[task_id] else 0.0,
                near={found: instruction for _, found, instruction in near[task_id] if found is not None},
            )
            for task_id in {*asked, *written, *near}
        }

    def _by_task(self, sql: str, first: int, last: int) -> defaultdict[int, list[Row]]:
        grouped: defaultdict[int, list[Row]] = defaultdict(list)
        for task_id, *values in self._database.rows(sql, (first, last)):
            grouped[task_id].append(tuple(values))
        return grouped


def _export_task(
    row: tuple[Any, ...], instances: list[Row], parents: list[Row], neighbours: list[Row], made: ExportOrigin | None
) -> ExportTask:
    task_id, origin, key, name, instruction, answer, number, request, model, score, seed_score, nearest, decider = row
    return ExportTask(
        id=task_id,
        origin=Origin(origin),
        key=key,
        name=name,
        instruction=instruction,
        is_classification=None if answer is None else bool(answer),
        instances=tuple(Instance(given, answer) for _, given, answer in instances),
        round=number,
        parents=tuple(parent for (parent,) in parents),
        score=score,
        seed_score=seed_score,
        nearest=nearest,
        neighbours=tuple(Neighbour(*values) for values in neighbours),
        request=request,
        model=model,
        decided_by=None if decider is None else Decider(decider),
        instance_ids=tuple(found for found, _, _ in instances),
        made=made,
    )


# The plus keeps SQLite from the index on states, with which it would sort all that remains for each chunk; and from that on verdicts.
_LINTED = "SELECT id, instruction, is_classification FROM tasks WHERE id > ? AND +state = 'active' AND NOT held_out ORDER BY id LIMIT ?"


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
            while rows := self._database.rows(_LINTED, (last, CHUNK)):
                first, last = rows[0][0], rows[-1][0]
                instances = self._instances_between(first, last) if with_instances else {}
                for task_id, instruction, answer in rows:
                    yield LintTask(task_id, instruction, None if answer is None else bool(answer), tuple(instances.get(task_id, ())))

    def _instances_between(self, first: int, last: int) -> dict[int, list[LintInstance]]:
        found: defaultdict[int, list[LintInstance]] = defaultdict(list)
        for task_id, instance_id, given, answer in self._database.rows(_INSTANCES, (first, last)):
            found[task_id].append(LintInstance(instance_id, given, answer))
        return found
