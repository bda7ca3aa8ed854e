"""Requests: what a model was asked, in which round and stage, with which in-context tasks, and what came back."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from studio.engine.api import Chat, Completion, SamplingParams
from studio.pool.database import Database, Entity, Row, record_of
from studio.pool.rounds import MODEL_COLUMNS, advance, model_of
from studio.records import ModelIdentity, Source, Stage
from studio.text import storable

COMPLETION_COLUMNS = ", ".join(f"completions.{each.name}" for each in fields(Completion))
_HELD = ("task_id", "source", "passage_id", "seed", "suffix")
_COLUMNS = "requests.id, ordinal, task_id, prompts.text AS prefix, suffix, params, chat, source, passage_id, requests.seed"
_PROMPTS = """
FROM requests JOIN prompts ON prompts.id = prefix_id JOIN sampling ON sampling.id = sampling_id LEFT JOIN chats ON chats.id = chat_id """
_REQUEST = f"""
SELECT {_COLUMNS}, round_id, number AS round, requests.stage, rounds.run_id, rounds.stage AS round_stage, finished_at AS round_ended,
    max_nats, max_answer_nats, completions.request_id AS answered, {COMPLETION_COLUMNS}, {MODEL_COLUMNS}
{_PROMPTS}
    JOIN rounds ON rounds.id = round_id
    JOIN runs ON runs.id = rounds.run_id
    LEFT JOIN run_models ON run_models.run_id = runs.id AND run_models.stage = requests.stage
    JOIN models ON models.id = coalesce(run_models.model_id, runs.model_id)
    LEFT JOIN completions ON completions.request_id = requests.id"""
# Those that a stage planned; what a person asked for besides has ordinals below 0.
_PLANNED = "WHERE round_id = ? AND stage = ? AND ordinal >= 0 ORDER BY ordinal"


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request before it goes to the engine: its prompt is `prefix + suffix`.

    `parents` are the in-context tasks in the order of the prompt; `task_id` is the task a classification or instance request is about.
    With `chat` the prompt is a user's turn. `source` is where the instructions come from that the request is to yield, `passage_id` the
    passage that they are written for.
    """

    prefix: str
    suffix: str
    params: SamplingParams
    seed: int
    parents: tuple[int, ...] = ()
    task_id: int | None = None
    chat: Chat | None = None
    source: Source | None = None
    passage_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest(PlannedRequest):
    """A request of the pool; `ordinal` is its position, from 0, among the requests of its round and stage."""

    id: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class StoredCompletion:
    """What came back for a request of the pool."""

    request_id: int
    ordinal: int
    task_id: int | None
    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord(StoredRequest):
    """A request with all that surrounds it; `completion` is None while it has not come back.

    `round` is the number of its round; `round_stage` the next stage of that, 'done' after the last and 'superseded' where the round was
    written anew; `round_ended` is when it ended, an ISO 8601 time in UTC, None while it has not. `max_nats` and `max_answer_nats` are the
    nats a token beyond which its round rejected instructions and answers as unlikely, None where likelihood decided nothing.
    """

    round_id: int
    round: int
    stage: Stage
    completion: Completion | None
    run_id: int
    model: ModelIdentity
    round_stage: str
    round_ended: str | None
    max_nats: float | None
    max_answer_nats: float | None


class Requests(Entity):
    """The requests of a pool."""

    def get(self, request_id: int) -> RequestRecord:
        """Return a request with its prompt, parents, completion and model. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_REQUEST} WHERE requests.id = ?", (request_id,))
        if row is None:
            raise self._absent(f"request {request_id}")
        return self._record(row)

    def about(self, task_id: int) -> list[RequestRecord]:
        """Return the requests about a task, its classification and its instances, in the order they were made."""
        return [self._record(row) for row in self._database.rows(f"{_REQUEST} WHERE task_id = ? ORDER BY requests.id", (task_id,))]

    def planned(self, round_id: int, stage: Stage) -> list[StoredRequest]:
        """Return the requests that a stage planned, in their order; not those that a person asked for besides."""
        parents: defaultdict[int, list[int]] = defaultdict(list)
        sql = f"""
            SELECT request_id, request_parents.task_id FROM requests JOIN request_parents ON request_id = requests.id
            {_PLANNED}, position"""
        for request_id, parent in self._database.rows(sql, (round_id, stage)):
            parents[request_id].append(parent)
        sql = f"SELECT {_COLUMNS} {_PROMPTS} {_PLANNED}"
        return [
            record_of(StoredRequest, row, params=sampling_of(row["params"]), chat=chat_of(row["chat"]), parents=tuple(parents[row["id"]]))
            for row in self._database.rows(sql, (round_id, stage))
        ]

    def completions(self, round_id: int, stage: Stage) -> list[StoredCompletion]:
        """Return what came back for a stage, in the order of its requests."""
        sql = f"""
            SELECT request_id, ordinal, task_id, {COMPLETION_COLUMNS} FROM requests JOIN completions ON request_id = requests.id
            {_PLANNED}"""
        rows = self._database.rows(sql, (round_id, stage))
        return [record_of(StoredCompletion, row, completion=record_of(Completion, row)) for row in rows]

    def next_hand_ordinal(self, round_id: int, stage: Stage) -> int:
        """Return the ordinal of the next request asked for by hand: -1, -2 and so on, beside the round's own, which count from 0."""
        sql = "SELECT min(-1, coalesce(min(ordinal) - 1, -1)) FROM requests WHERE round_id = ? AND stage = ?"
        return int(self._database.value(sql, (round_id, stage)))

    def plan(self, round_id: int, stage: Stage, requests: Sequence[PlannedRequest], next_stage: Stage | None) -> None:
        """Store the requests of a stage before they go to the engine; their positions are their ordinals.

        `next_stage` is the stage the round is at afterwards, None to leave it.
        """
        with self._database.transaction():
            insert_requests(self._database, round_id, stage, requests)
            advance(self._database, round_id, next_stage)

    def replan(self, round_id: int, stage: Stage, changed: Sequence[tuple[int, PlannedRequest]], more: Sequence[PlannedRequest]) -> None:
        """Put other prompts in the place of planned ones, by their ids, that were not answered yet, and add `more` behind them.

        Parents, seeds and places of the changed ones stay.
        """
        with self._database.transaction():
            for request_id, planned in changed:
                values = request_values(self._database, planned)
                sql = """
                    UPDATE requests SET prefix_id = :prefix_id, suffix = :suffix, sampling_id = :sampling_id, chat_id = :chat_id
                    WHERE id = :id"""
                self._database.execute(sql, {**values, "id": request_id})
            taken = len(self._database.rows(f"SELECT id FROM requests {_PLANNED}", (round_id, stage)))
            insert_requests(self._database, round_id, stage, more, taken)
            advance(self._database, round_id, None)

    def answer(self, round_id: int, answers: Sequence[tuple[int, Completion]], next_stage: Stage | None) -> None:
        """Store what came back for some requests of a stage, each with the request's id."""
        with self._database.transaction():
            insert_completions(self._database, answers)
            advance(self._database, round_id, next_stage)

    def _record(self, row: Row) -> RequestRecord:
        parents = self._database.rows("SELECT task_id FROM request_parents WHERE request_id = ? ORDER BY position", (row["id"],))
        return record_of(
            RequestRecord,
            row,
            params=sampling_of(row["params"]),
            chat=chat_of(row["chat"]),
            parents=tuple(parent for (parent,) in parents),
            completion=None if row["answered"] is None else record_of(Completion, row),
            model=model_of(row),
        )


def sampling_of(text: str) -> SamplingParams:
    """Return the sampling parameters from their JSON."""
    values = json.loads(text)
    return SamplingParams(**{**values, "stop": tuple(values["stop"]), "choices": tuple(values["choices"])})


def chat_of(text: str | None) -> Chat | None:
    """Return what stands around a prompt from its JSON; None for a raw prompt."""
    return None if text is None else Chat(**json.loads(text))


def request_values(database: Database, planned: PlannedRequest) -> dict[str, Any]:
    """Return the columns of a request that make its prompt and how it is answered; within a transaction."""
    shared = _shared_values(database, planned.prefix, planned.params, planned.chat)
    return {**shared, "suffix": planned.suffix, "seed": planned.seed}


def _shared_values(database: Database, prefix: str, params: SamplingParams, chat: Chat | None) -> dict[str, int | None]:
    """Return the columns of a request that point at what others have too, stored when it is new; within a transaction."""
    text = storable(prefix)
    return {
        "prefix_id": database.lookup("prompts", {"sha256": hashlib.sha256(text.encode()).hexdigest()}, {"text": text}),
        "sampling_id": database.lookup("sampling", {"params": _json(params)}),
        "chat_id": None if chat is None else database.lookup("chats", {"chat": _json(chat)}),
    }


def _json(record: SamplingParams | Chat) -> str:
    return json.dumps(asdict(record), sort_keys=True, ensure_ascii=False)


def insert_requests(database: Database, round_id: int, stage: Stage, requests: Sequence[PlannedRequest], taken: int = 0) -> None:
    """Insert the requests of a stage with their parents; within a transaction.

    Their ordinals count from `taken`: as many requests the stage has already.
    """
    first = next_id(database, "requests")
    numbered = list(enumerate(requests, first))
    alike = dict.fromkeys((each.prefix, each.params, each.chat) for each in requests)
    shared = {key: _shared_values(database, *key) for key in alike}
    rows = (
        {
            "id": number,
            "round_id": round_id,
            "stage": stage,
            "ordinal": taken + number - first,
            **shared[each.prefix, each.params, each.chat],
            **{name: getattr(each, name) for name in _HELD},
        }
        for number, each in numbered
    )
    database.insert("requests", rows)
    parents = (
        {"request_id": number, "position": position, "task_id": parent}
        for number, each in numbered
        for position, parent in enumerate(each.parents)
    )
    database.insert("request_parents", parents)


def insert_completions(database: Database, answers: Sequence[tuple[int, Completion]]) -> None:
    """Insert completions, each with its request's id; within a transaction."""
    database.insert("completions", ({"request_id": request_id, **asdict(each)} for request_id, each in answers))


def next_id(database: Database, table: str) -> int:
    """Return the id of the next row of a table that nothing ever leaves."""
    return int(database.value(f"SELECT coalesce(max(id), 0) + 1 FROM {table}"))
