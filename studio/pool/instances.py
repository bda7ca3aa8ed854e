"""Instances: the (input, output) pairs of tasks, each with its own verdict."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from studio.pool.changes import RowChange, from_json
from studio.pool.database import Database, Entity, Row, record_of
from studio.pool.rounds import advance
from studio.records import Decider, Instance, Stage, Turn, Verdict
from studio.text import storable

_DECIDED = ("task_id", "request_id", "input", "output", "verdict", "reason", "answer_id", "agreement", "nats")
INSTANCE = """
SELECT id, task_id, position, request_id, input, output, verdict, reason, decided_by, answer_id, agreement, nats, thoughts,
    coalesce(system, '') AS system, turns, lost_to FROM instances"""


@dataclass(frozen=True, slots=True)
class DrawnAnswer:
    """One of several answers that were drawn for an instance, with what the rules found of it.

    `agreement` is its mean ROUGE-L F1 (0 to 1) with the others, `fault` the reason code of the rule that it breaks, empty where it breaks
    none. `output` is None where the answer is the whole completion, but for white space around it.
    """

    request_id: int
    agreement: float
    fault: str = ""
    output: str | None = None


@dataclass(frozen=True, slots=True)
class DecidedInstance:
    """An instance with the rule's decision. The order within its task is its position.

    `drawn` are the answers that its own was chosen among, where that was asked for apart.
    """

    task_id: int
    request_id: int | None
    input: str
    output: str
    verdict: Verdict
    reason: str
    answer_id: int | None = None
    agreement: float | None = None
    nats: float | None = None
    thoughts: str = ""
    drawn: tuple[DrawnAnswer, ...] = ()


def stored_texts(instance: Instance) -> dict[str, str | None]:
    """What a pool holds for the texts of an instance that was brought, by column."""
    return {
        "input": storable(instance.input),
        "output": storable(instance.output),
        "thoughts": storable(instance.thoughts) or None,
        "system": storable(instance.system) or None,
        "turns": storable(json.dumps([asdict(turn) for turn in instance.turns], ensure_ascii=False)) if instance.turns else None,
    }


def turns_of(stored: str | None) -> tuple[Turn, ...]:
    """Return the turns from what a pool holds for them."""
    return () if stored is None else tuple(Turn(**each) for each in json.loads(stored))


def instance_of(row: Row) -> Instance:
    """Return an instance from a row with its columns."""
    return record_of(Instance, row, turns=turns_of(row["turns"]))


@dataclass(frozen=True, slots=True)
class ChosenAnswer:
    """The output that was chosen for an instance, by whichever request, None for none that came, with the rule's decision.

    `agreement` is the answer's mean ROUGE-L F1 (0 to 1) with the others that were drawn, None for a single one; `nats` how likely the
    first that was drawn is, in nats a token, None where nobody measured it; `thoughts` what the model thought before the answer, where
    that is to be kept; `drawn` the answers that it was chosen among.
    """

    answer_id: int | None
    output: str
    verdict: Verdict
    reason: str
    agreement: float | None = None
    nats: float | None = None
    thoughts: str = ""
    drawn: tuple[DrawnAnswer, ...] = ()


def insert_drawn(database: Database, drawn: Iterable[tuple[int, DrawnAnswer]]) -> None:
    """Store answers that were drawn, each with the id of its instance. Within a transaction."""
    database.insert("drawn_answers", ({"instance_id": number, **asdict(each)} for number, each in drawn))


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """An instance that was answered apart, with what holds of it; scores are as in `ChosenAnswer`.

    Answers with more nats a token than `max_nats` were unlikely in its round, None where that decided nothing.
    """

    id: int
    task_id: int
    verdict: Verdict
    reason: str
    decided_by: Decider
    agreement: float | None
    nats: float | None
    max_nats: float | None
    output: str


@dataclass(frozen=True, slots=True)
class OriginalInstance:
    """An instance as the model wrote it and the rule decided it, before a person changed it."""

    input: str
    output: str
    verdict: Verdict
    reason: str
    decided_by: Decider


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance of a task with its own verdict; `request_id` is None for those of seeds and imports, and where no input was asked for.

    `answer_id` is the request that wrote the output where that was asked for apart, `agreement` how far it agrees with others drawn,
    `thoughts` what the model thought before it, where the method keeps that; `system` and `turns` are as in `Instance`. `lost_to` is the
    position of the better answer, where this one was brought as the worse one of a pair.

    `original` is what it was before a person changed it, None when nobody has.
    """

    id: int
    task_id: int
    position: int
    request_id: int | None
    input: str
    output: str
    verdict: Verdict
    reason: str
    decided_by: Decider
    answer_id: int | None = None
    agreement: float | None = None
    nats: float | None = None
    thoughts: str | None = None
    system: str = ""
    turns: tuple[Turn, ...] = ()
    lost_to: int | None = None
    original: OriginalInstance | None = None


def stored_instance(row: Row, original: OriginalInstance | None = None) -> InstanceRecord:
    """Return an instance of the pool from a row of INSTANCE."""
    return record_of(InstanceRecord, row, original=original, turns=turns_of(row["turns"]))


class Instances(Entity):
    """The instances of a pool's tasks."""

    def get(self, instance_id: int) -> InstanceRecord:
        """Return an instance. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{INSTANCE} WHERE id = ?", (instance_id,))
        if row is None:
            raise self._absent(f"instance {instance_id}")
        return self._record(row)

    def of_task(self, task_id: int) -> list[InstanceRecord]:
        """Return all instances of a task, rejected ones too, by position."""
        return [self._record(row) for row in self._database.rows(f"{INSTANCE} WHERE task_id = ? ORDER BY position", (task_id,))]

    def record(self, round_id: int, instances: Sequence[DecidedInstance], next_stage: Stage) -> None:
        """Store instances with their decisions, in their order, after those a task already has."""
        database = self._database
        with database.transaction():
            positions: defaultdict[int, int] = defaultdict(int)
            for task_id in {instance.task_id for instance in instances}:
                sql = "SELECT coalesce(max(position) + 1, 0) FROM instances WHERE task_id = ?"
                positions[task_id] = database.value(sql, (task_id,))
            rows = []
            for each in instances:
                held = {name: getattr(each, name) for name in _DECIDED}
                place = {"position": positions[each.task_id], "decided_by": Decider.RULE, "thoughts": each.thoughts or None}
                rows.append(held | place)
                positions[each.task_id] += 1
            database.insert("instances", rows)
            advance(database, round_id, next_stage)

    def to_answer(self, round_id: int) -> list[InstanceRecord]:
        """Return the accepted instances of a round's drafts, by task and position: what the model is still to answer.

        Not those that came whole.
        """
        sql = (
            f"{INSTANCE} WHERE verdict = 'accepted' AND NOT (reason = 'valid' AND decided_by = 'rule')"
            " AND task_id IN (SELECT id FROM tasks WHERE round_id = ? AND state = 'draft')"
            " ORDER BY task_id, position"
        )
        return [self._record(row) for row in self._database.rows(sql, (round_id,))]

    def scored_answers(self) -> Iterator[ScoredAnswer]:
        """Yield the instances that were answered apart, by task and position; not those of retired tasks."""
        sql = """
            SELECT instances.id, task_id, verdict, reason, decided_by, agreement, nats, output,
            max_answer_nats AS max_nats FROM tasks
            CROSS JOIN instances ON instances.task_id = tasks.id LEFT JOIN rounds ON rounds.id = tasks.round_id
            WHERE +state <> 'retired' AND answer_id IS NOT NULL ORDER BY tasks.id, position"""
        return self._database.each(ScoredAnswer, sql)

    def most_nats(self) -> float | None:
        """Return how many nats a token the least likely answer has; None where nobody measured any."""
        highest: float | None = self._database.value("SELECT max(nats) FROM instances")
        return highest

    def any_agreed(self) -> bool:
        """Return whether any answer was chosen among several."""
        return bool(self._database.value("SELECT EXISTS (SELECT 1 FROM instances WHERE agreement IS NOT NULL)"))

    def latest_nats(self, run_id: int, limit: int) -> list[float]:
        """Return how likely the newest `limit` answers of a run are, in nats a token, of those that broke no rule."""
        sql = """
            SELECT nats FROM instances JOIN requests ON requests.id = answer_id JOIN standing_rounds ON standing_rounds.id = round_id
            WHERE run_id = ? AND nats IS NOT NULL AND reason IN ('valid', 'unlikely_answer') ORDER BY instances.id DESC LIMIT ?"""
        return [nats for (nats,) in self._database.rows(sql, (run_id, limit))]

    def chosen_answers(self, round_id: int) -> frozenset[int]:
        """Return the requests whose answers a round's instances have taken."""
        sql = "SELECT answer_id FROM tasks JOIN instances ON instances.task_id = tasks.id WHERE round_id = ? AND answer_id IS NOT NULL"
        return frozenset(found for (found,) in self._database.rows(sql, (round_id,)))

    def answer(self, round_id: int, answers: Mapping[int, ChosenAnswer], next_stage: Stage, *, max_nats: float | None = None) -> None:
        """Give instances, by their ids, their outputs with what was decided of them.

        `max_nats` are the nats a token beyond which answers were rejected as unlikely, None where that decided nothing.
        """
        drawn: list[tuple[int, DrawnAnswer]] = []
        with self._database.transaction():
            for number, each in answers.items():
                sql = """
                    UPDATE instances SET output = ?, verdict = ?, reason = ?, answer_id = ?, agreement = ?, nats = ?, thoughts = ?
                    WHERE id = ? AND decided_by = 'rule'"""
                values = (each.output, each.verdict, each.reason, each.answer_id, each.agreement, each.nats, each.thoughts or None)
                if self._database.execute(sql, (*values, number)).rowcount:
                    drawn += ((number, answer) for answer in each.drawn)
            insert_drawn(self._database, drawn)
            if max_nats is not None:
                self._database.execute("UPDATE rounds SET max_answer_nats = ? WHERE id = ?", (max_nats, round_id))
            advance(self._database, round_id, next_stage)

    def _record(self, row: Row) -> InstanceRecord:
        return stored_instance(row, self._original(row) if row["decided_by"] == Decider.HUMAN else None)

    def _original(self, row: Row) -> OriginalInstance:
        first: dict[str, Any] = {}
        sql = """
            SELECT changes FROM action_targets JOIN actions ON actions.id = action_id
            WHERE target = 'instances' AND target_id = ? ORDER BY action_id"""
        for (changes,) in self._database.rows(sql, (row["id"],)):
            for change in from_json(changes):
                match change:
                    case RowChange("instances", found, before, after) if found == row["id"] and "decided_by" in after:
                        first = {**before, **first}
        return record_of(OriginalInstance, {**dict(row), **first})
