"""The whole data as a stream in constant memory: with its provenance for an export, with its ids for the lint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from studio.pool.browse import ALL, Keep, instance_conditions, keep_conditions
from studio.pool.database import CHUNK, Entity, Row, record_of
from studio.pool.figures import Figures
from studio.pool.instances import instance_of, turns_of
from studio.pool.preferences import Pair, pairs_of
from studio.records import Decider, Instance, Neighbour, Origin, Source, Turn

# One query a part and chunk, each over the ids from the chunk's first to its last task. The plus keeps SQLite from the index on states,
# with which it would sort all that remains for each chunk; and from that on verdicts.
_TASKS = """
SELECT tasks.*, number AS round,
    CASE WHEN requests.id IS NULL THEN '' ELSE number || '/' || requests.stage || '/' || requests.ordinal END AS request,
    coalesce(models.sha256, '') AS model, score, seed_score, nearest_task_id AS nearest, decided_by, source, candidates.nats,
    documents.name AS document_name, documents.sha256 AS document_sha256, documents.licence AS document_licence, start, stop, gain
FROM tasks
    LEFT JOIN candidates ON candidates.id = tasks.candidate_id
    LEFT JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id
    LEFT JOIN requests ON requests.id = candidates.request_id
    LEFT JOIN passages ON passages.id = requests.passage_id
    LEFT JOIN documents ON documents.id = passages.document_id
    LEFT JOIN rounds ON rounds.id = tasks.round_id
    LEFT JOIN runs ON runs.id = rounds.run_id
    LEFT JOIN models ON models.id = runs.model_id
WHERE tasks.id > ? AND +state = 'active' AND NOT held_out AND (origin <> 'seed' OR ?)
    AND EXISTS (SELECT 1 FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted'){}
ORDER BY tasks.id LIMIT ?"""
# Thoughts lead to what the model wrote, not to what a person made of it.
_INSTANCES = """
SELECT task_id, id, input, output, CASE WHEN reason = 'edited' THEN '' ELSE coalesce(thoughts, '') END AS thoughts,
    coalesce(system, '') AS system, turns, agreement, nats
FROM instances WHERE task_id BETWEEN ? AND ? AND +verdict = 'accepted'{} ORDER BY task_id, position"""
_COUNTED = """
SELECT count(*), coalesce(sum(kept), 0) FROM (
    SELECT (SELECT count(*) FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted'{}) AS kept
    FROM tasks WHERE +state = 'active' AND NOT held_out AND (origin <> 'seed' OR ?){}
) WHERE kept > 0"""
_PARENTS = """
SELECT tasks.id, request_parents.task_id FROM tasks
    JOIN candidates ON candidates.id = tasks.candidate_id
    JOIN request_parents ON request_parents.request_id = candidates.request_id
WHERE tasks.id BETWEEN ? AND ? ORDER BY tasks.id, position"""
_NEIGHBOURS = """
SELECT tasks.id, neighbours.task_id, score FROM tasks JOIN neighbours ON neighbours.candidate_id = tasks.candidate_id
WHERE tasks.id BETWEEN ? AND ? ORDER BY tasks.id, rank"""
_ANSWERED = """
SELECT instances.task_id, models.sha256 FROM instances
    CROSS JOIN requests ON requests.id = answer_id JOIN rounds ON rounds.id = requests.round_id
    JOIN run_models ON run_models.run_id = rounds.run_id AND run_models.stage = requests.stage JOIN models ON models.id = model_id
WHERE instances.task_id BETWEEN ? AND ? AND +verdict = 'accepted' ORDER BY instances.task_id, position"""

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
_LINTED = "SELECT id, instruction, is_classification FROM tasks WHERE id > ? AND +state = 'active' AND NOT held_out ORDER BY id LIMIT ?"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and what came back; text and reason are None while nothing has."""

    prompt: str
    text: str | None
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class ExportOrigin:
    """How a task was written: the request that its instruction came from, the last one for its instances, both None where there was none;
    its mean ROUGE-L, and the instructions of its neighbours by id."""

    asked: Exchange | None
    written: Exchange | None
    mean_score: float
    near: dict[int, str]


class DocumentPlace(NamedTuple):
    """The passage that a task was written for: the document's name and the sha256 of its bytes, the characters of its text from `start` up
    to `stop`, and its licence, empty where nobody has said it; and by how many nats a token it makes the instruction likelier, None where
    nobody measured."""

    name: str
    sha256: str
    start: int
    stop: int
    licence: str
    gain: float | None = None


class Scores(NamedTuple):
    """What is known of the answer of an instance: its agreement with the others drawn (ROUGE-L F1, 0 to 1), and its nats a token."""

    agreement: float | None
    nats: float | None


@dataclass(frozen=True, slots=True)
class ExportTask:
    """An active task with its accepted instances and where it came from.

    `request` reads `round/stage/ordinal`, `model` is a file's sha256; both are empty, and scores and decider None, for seeds and imports.
    `source` is where the instruction came from, `nats` a token say how likely it is as a user's turn of the model's template.
    `answer_model` is the sha256 of the model that answered, where that was one of its own. `provenance` is that of `SeedTask`.
    """

    id: int
    origin: Origin
    key: str
    name: str
    instruction: str
    is_classification: bool | None
    instances: tuple[Instance, ...]
    round: int | None = None
    parents: tuple[int, ...] = ()
    score: float | None = None
    seed_score: float | None = None
    nearest: int | None = None
    neighbours: tuple[Neighbour, ...] = ()
    request: str = ""
    model: str = ""
    answer_model: str = ""
    decided_by: Decider | None = None
    source: Source | None = None
    nats: float | None = None
    document: DocumentPlace | None = None
    """The passage that it was written for, if there is one."""
    provenance: str = ""
    scores: tuple[Scores, ...] = field(default=(), compare=False)
    """Those of `instances`, in their order."""
    instance_ids: tuple[int, ...] = field(default=(), compare=False)
    """The ids of `instances`, in their order."""
    made: ExportOrigin | None = field(default=None, compare=False)
    """Only where it was asked for, as the next one."""
    pairs: tuple[Pair, ...] = field(default=(), compare=False)
    """Worse answers than those of `instances`, and than others of the task."""


@dataclass(frozen=True, slots=True)
class LintInstance:
    """An accepted instance, with its id."""

    id: int
    input: str
    output: str
    system: str = ""
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class LintTask:
    """An active task with its accepted instances. `is_classification` is None while nobody has decided it."""

    id: int
    instruction: str
    is_classification: bool | None
    instances: tuple[LintInstance, ...] = ()


class Stream(Entity):
    """Active tasks in the order of their ids, never those that are held out.

    On a read-only connection each stream is of one state of the pool, however long the reader takes.
    """

    def export_tasks(
        self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False, paired: bool = False
    ) -> Generator[ExportTask, None, None]:
        """Yield the tasks that have accepted instances and that `keep` wants.

        With `made` each tells how it was written, with `paired` which answers are known to be worse.
        """
        conditions = list(keep_conditions(keep))
        sql = _TASKS.format(_also(conditions))
        values = [value for _, each in conditions for value in each]
        of_instances = list(instance_conditions(keep))
        instances_sql, wanted = _INSTANCES.format(_also(of_instances)), [value for _, value in of_instances]
        with self._database.snapshot():
            last = 0
            while rows := self._database.rows(sql, (last, include_seeds, *values, CHUNK)):
                first, last = rows[0]["id"], rows[-1]["id"]
                instances = self._instances(instances_sql, first, last, *wanted)
                parents = self._by_task(_PARENTS, first, last)
                neighbours = self._by_task(_NEIGHBOURS, first, last)
                answered = self._by_task(_ANSWERED, first, last)
                origins = self._origins(first, last) if made else {}
                pairs = pairs_of(self._database, first, last) if paired else {}
                for row in rows:
                    task_id = row["id"]
                    yield record_of(
                        ExportTask,
                        row,
                        instances=tuple(map(instance_of, instances[task_id])),
                        scores=tuple(Scores(each["agreement"], each["nats"]) for each in instances[task_id]),
                        parents=tuple(parent for (parent,) in parents[task_id]),
                        neighbours=tuple(Neighbour(*values) for values in neighbours[task_id]),
                        answer_model=next((sha256 for (sha256,) in answered[task_id]), ""),
                        instance_ids=tuple(each["id"] for each in instances[task_id]),
                        provenance=row["provenance"] or "",
                        document=_place(row),
                        made=origins.get(task_id),
                        pairs=tuple(pairs.get(task_id, ())),
                    )

    def counted(self, include_seeds: bool, keep: Keep = ALL) -> tuple[int, int]:
        """Return how many tasks and instances `export_tasks` yields."""
        conditions = list(keep_conditions(keep))
        of_instances = list(instance_conditions(keep))
        sql = _COUNTED.format(_also(of_instances), _also(conditions))
        values = [*(value for _, value in of_instances), include_seeds, *(value for _, each in conditions for value in each)]
        [(tasks, instances)] = self._database.rows(sql, values)
        return tasks, instances

    def active_tasks(self) -> int:
        """Return how many tasks are active, those without instances too."""
        return Figures(self._database).active()

    def lint_tasks(self, *, with_instances: bool = True) -> Generator[LintTask, None, None]:
        """Yield all active tasks, seeds and those without instances too."""
        with self._database.snapshot():
            last = 0
            while rows := self._database.rows(_LINTED, (last, CHUNK)):
                first, last = rows[0]["id"], rows[-1]["id"]
                instances = self._instances(_INSTANCES.format(""), first, last) if with_instances else defaultdict(list)
                for row in rows:
                    found = (record_of(LintInstance, each, turns=turns_of(each["turns"])) for each in instances[row["id"]])
                    yield record_of(LintTask, row, instances=tuple(found))

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

    def _instances(self, sql: str, *values: float) -> defaultdict[int, list[Row]]:
        grouped: defaultdict[int, list[Row]] = defaultdict(list)
        for row in self._database.rows(sql, values):
            grouped[row["task_id"]].append(row)
        return grouped

    def _by_task(self, sql: str, first: int, last: int, *values: float) -> defaultdict[int, list[tuple[Any, ...]]]:
        grouped: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for task_id, *found in self._database.rows(sql, (first, last, *values)):
            grouped[task_id].append(tuple(found))
        return grouped


def _place(row: Row) -> DocumentPlace | None:
    if row["start"] is None:
        return None
    return DocumentPlace(row["document_name"], row["document_sha256"], row["start"], row["stop"], row["document_licence"], row["gain"])


def _also(conditions: Sequence[tuple[str, Any]]) -> str:
    return "".join(f" AND {condition}" for condition, _ in conditions)
