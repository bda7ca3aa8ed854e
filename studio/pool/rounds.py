"""Runs and rounds: whose settings and models generated here, where the open round stands, and what rounds brought."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.database import Database, Entity, Row, record_of
from studio.pool.files import now
from studio.records import ModelIdentity, Stage, TaskState

# Where a model's file lies is of this machine, not of the pool.
_MODEL_FIELDS = tuple(each.name for each in fields(ModelIdentity) if each.name != "path")
MODEL_COLUMNS = ", ".join(f"models.{name} AS model_{name}" for name in _MODEL_FIELDS)

_RUN = f"SELECT runs.id, settings, seed, studio_version, started_at, {MODEL_COLUMNS} FROM runs JOIN models ON models.id = model_id"


def model_id(database: Database, model: ModelIdentity) -> int:
    """Return the id of `model`'s row, made when there is none; within a transaction."""
    values = {name: getattr(model, name) for name in _MODEL_FIELDS}
    key = {name: values.pop(name) for name in ("sha256", "name")}
    return database.lookup("models", key, values)


def model_of(row: Row) -> ModelIdentity:
    """Return the model from a row with MODEL_COLUMNS."""
    return ModelIdentity(**{name: row[f"model_{name}"] for name in _MODEL_FIELDS})


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One set of settings that generated here. `settings` is canonical JSON, `started_at` an ISO 8601 time in UTC.

    `others` are the stages that have a model of their own, each with it; the requests of all others went to `model`.
    """

    id: int
    settings: str
    seed: str
    studio_version: str
    model: ModelIdentity
    started_at: str
    others: tuple[tuple[Stage, ModelIdentity], ...] = ()

    @property
    def answering(self) -> ModelIdentity | None:
        """The model that answers the tasks, where it is one of its own."""
        return dict(self.others).get(Stage.ANSWER)

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """All models of the run, each once, its own first."""
        return tuple({(each.sha256, each.name): each for each in (self.model, *dict(self.others).values())}.values())


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """An unfinished round; `stage` is the next stage to do. `number` counts from 1 through the whole pool."""

    id: int
    run_id: int
    number: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What one round brought: candidates accepted, candidates rejected by reason, and accepted instances."""

    accepted: int
    rejected: dict[str, int]
    instances: int


@dataclass(frozen=True, slots=True)
class RoundYield:
    """A finished round's candidates, and how many of them were accepted; and the run whose settings it had."""

    number: int
    candidates: int
    accepted: int
    run_id: int


class Runs(Entity):
    """The runs of a pool."""

    def latest(self) -> RunRecord | None:
        """Return the run begun last, or None in a pool that never ran."""
        row = self._database.row(f"{_RUN} ORDER BY runs.id DESC LIMIT 1")
        return None if row is None else _run(row, self._stage_models()[row["id"]])

    def all(self) -> list[RunRecord]:
        """Return all runs, the first one first."""
        models = self._stage_models()
        return [_run(row, models[row["id"]]) for row in self._database.rows(f"{_RUN} ORDER BY runs.id")]

    def start(
        self,
        settings: str,
        seed: str,
        studio_version: str,
        model: ModelIdentity,
        stage_models: Mapping[Stage, ModelIdentity] = MappingProxyType({}),
    ) -> int:
        """Store a new run and return its id. `settings` is canonical JSON; `stage_models` are those of stages with one of their own."""
        with self._database.transaction():
            values = {"settings": settings, "seed": seed, "studio_version": studio_version, "started_at": now()}
            run_id = self._database.insert_row("runs", {**values, "model_id": model_id(self._database, model)})
            others = (
                {"run_id": run_id, "stage": stage, "model_id": model_id(self._database, other)} for stage, other in stage_models.items()
            )
            self._database.insert("run_models", others)
            return run_id

    def _stage_models(self) -> defaultdict[int, dict[Stage, ModelIdentity]]:
        """The models of stages with one of their own, by run."""
        found: defaultdict[int, dict[Stage, ModelIdentity]] = defaultdict(dict)
        sql = f"SELECT run_id, stage, {MODEL_COLUMNS} FROM run_models JOIN models ON models.id = model_id ORDER BY run_id, stage"
        for row in self._database.rows(sql):
            found[row["run_id"]][Stage(row["stage"])] = model_of(row)
        return found


class Rounds(Entity):
    """The rounds of a pool, without superseded attempts."""

    def unfinished(self) -> RoundRecord | None:
        """Return the round that is not finished; there is one at most."""
        return self._database.record(RoundRecord, "SELECT id, run_id, number, stage FROM open_round")

    def newest(self, run_id: int | None = None) -> tuple[RoundRecord, bool] | None:
        """Return the newest round, of a run or of the whole pool, and whether it is finished; its stage counts only where it is not."""
        sql = "SELECT id, run_id, number, stage FROM standing_rounds WHERE run_id = coalesce(?, run_id) ORDER BY number DESC LIMIT 1"
        row = self._database.row(sql, (run_id,))
        if row is None:
            return None
        done = row["stage"] == "done"
        return record_of(RoundRecord, {**dict(row), "stage": Stage.COMMIT if done else row["stage"]}), done

    def overrides(self, round_id: int) -> Mapping[str, Any]:
        """Return the parameters, by dotted key, that hold for this round alone. Raises PoolError where that is not what is on record."""
        text = self._database.value("SELECT overrides FROM rounds WHERE id = ?", (round_id,))
        found = {} if text is None else json.loads(text)
        if not isinstance(found, dict):
            raise PoolError("a round's own parameters cannot be read", "start a new run in the pool: --force with another --seed")
        return found

    def newest_limits(self) -> tuple[float | None, float | None]:
        """Return the nats a token beyond which the newest round that had such a limit found instructions, and answers, unlikely.

        None where no round had one.
        """
        sql = "SELECT {0} FROM standing_rounds WHERE {0} IS NOT NULL ORDER BY number DESC LIMIT 1"
        instructions, answers = (self._database.value(sql.format(name)) for name in ("max_nats", "max_answer_nats"))
        return instructions, answers

    def result(self, round_id: int) -> RoundResult:
        """Return what a round brought, by the decisions that hold now."""
        sql = """
            SELECT verdict, reason, count(*) FROM requests JOIN candidates ON candidates.request_id = requests.id
            JOIN verdicts ON verdicts.candidate_id = candidates.id WHERE round_id = ? GROUP BY reason, verdict ORDER BY reason, verdict"""
        decided = self._database.rows(sql, (round_id,))
        sql = """
            SELECT count(*) FROM tasks JOIN instances ON instances.task_id = tasks.id
            WHERE tasks.round_id = ? AND instances.verdict = 'accepted'"""
        return RoundResult(
            accepted=sum(number for verdict, _, number in decided if verdict == "accepted"),
            rejected={reason: number for verdict, reason, number in decided if verdict == "rejected"},
            instances=self._database.value(sql, (round_id,)),
        )

    def newest_yields(self, run_id: int, last: int) -> list[int]:
        """Return how many tasks each of the `last` finished rounds of a run brought, the newest first."""
        sql = """
            SELECT (SELECT count(*) FROM tasks WHERE tasks.round_id = rounds.id) FROM rounds
            WHERE run_id = ? AND stage = 'done' ORDER BY number DESC LIMIT ?"""
        return [number for (number,) in self._database.rows(sql, (run_id, last))]

    def yields(self) -> list[RoundYield]:
        """Return for each finished round how many candidates it had and how many were accepted."""
        sql = """
            SELECT rounds.number, count(verdicts.id) AS candidates, coalesce(sum(verdict = 'accepted'), 0) AS accepted, run_id
            FROM standing_rounds AS rounds LEFT JOIN requests ON requests.round_id = rounds.id AND requests.stage = 'instructions'
            LEFT JOIN candidates ON candidates.request_id = requests.id LEFT JOIN verdicts ON verdicts.candidate_id = candidates.id
            WHERE rounds.stage = 'done' GROUP BY rounds.number ORDER BY rounds.number"""
        return self._database.records(RoundYield, sql)

    def begin(self, run_id: int) -> RoundRecord:
        """Return the unfinished round of this run, or begin the next one at its first stage.

        Raises PoolError when the unfinished round is of another run.
        """
        with self._database.transaction():
            unfinished = self.unfinished()
            if unfinished is not None:
                if unfinished.run_id != run_id:
                    raise PoolError(
                        f"round {unfinished.number} of pool {shown(self._database.path)} belongs to run {unfinished.run_id}"
                        " and is not finished",
                        "go on with that run's settings until the round is done",
                    )
                return unfinished
            sql = """
                INSERT INTO rounds (run_id, number, stage, started_at)
                VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM rounds), ?, ?) RETURNING id, run_id, number, stage"""
            return record_of(RoundRecord, self._database.execute(sql, (run_id, Stage.SAMPLE, now())).fetchone())

    def commit(self, round_id: int) -> None:
        """Finish a round: its drafts become active tasks of the pool."""
        self._end(round_id, TaskState.ACTIVE)

    def abandon(self, round_id: int) -> None:
        """Finish a round that nobody will go on with: its drafts are kept, retired, and never sampled or exported."""
        self._end(round_id, TaskState.RETIRED)

    def _end(self, round_id: int, drafts: TaskState) -> None:
        with self._database.transaction():
            advance(self._database, round_id, None)
            self._database.execute("UPDATE rounds SET stage = 'done', finished_at = ? WHERE id = ?", (now(), round_id))
            self._database.execute("UPDATE tasks SET state = ? WHERE round_id = ? AND state = 'draft'", (drafts, round_id))


def advance(database: Database, round_id: int, next_stage: Stage | None) -> None:
    """Set the stage an unfinished round is at; None leaves it. Within a transaction.

    Raises PoolError when there is no such unfinished round.
    """
    sql = "UPDATE rounds SET stage = coalesce(?, stage) WHERE id = ? AND id IN (SELECT id FROM open_round)"
    if database.execute(sql, (next_stage, round_id)).rowcount != 1:
        raise PoolError(
            f"pool {shown(database.path)} has no unfinished round with id {round_id}", "this is a fault of the studio: please report it"
        )


def _run(row: Row, stage_models: Mapping[Stage, ModelIdentity]) -> RunRecord:
    return record_of(RunRecord, row, model=model_of(row), others=tuple(stage_models.items()))
