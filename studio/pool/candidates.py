"""Candidates, and all one needs to tell why something is, or is not, in the data: decisions, neighbours, requests, instances."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.actions.records import ActionState, ActionStep
from studio.pool.core.database import Reader, Row, explained
from studio.pool.core.rows import COMPLETION_COLUMNS, MODEL_COLUMNS, completion_of, model_of, sampling_of
from studio.pool.records import CandidateRecord, DecisionRecord, InstanceRecord, OriginalInstance, RequestRecord, RunRecord
from studio.records import Decider, Neighbour, Stage, Verdict

_CANDIDATE = (
    "SELECT candidates.id, request_id, ordinal, text, input, output, tasks.id"
    " FROM candidates LEFT JOIN tasks ON tasks.candidate_id = candidates.id"
)
_INSTANCE = "SELECT id, task_id, position, request_id, input, output, verdict, reason, decided_by, original FROM instances"
_COMPLETION_WIDTH = COMPLETION_COLUMNS.count(",") + 1
_REQUEST = (
    "SELECT requests.id, number, requests.stage, ordinal, task_id, prompts.text, suffix, params, requests.seed, runs.id,"
    " rounds.stage, finished_at,"
    f" completions.request_id, {COMPLETION_COLUMNS}, {MODEL_COLUMNS} FROM requests"
    " JOIN prompts ON prompts.id = prefix_id JOIN sampling ON sampling.id = sampling_id JOIN rounds ON rounds.id = round_id"
    " JOIN runs ON runs.id = run_id JOIN models ON models.id = model_id LEFT JOIN completions ON completions.request_id = requests.id"
)


# A candidate and the task it became, each or both; the request that it came from stands for its prompt and its round.
_STEPS = """
WITH mine (target, target_id) AS (
    VALUES ('tasks', :task), ('candidates', :candidate), ('requests', (SELECT request_id FROM candidates WHERE id = :candidate))
    UNION ALL SELECT 'rounds', round_id FROM candidates JOIN requests ON requests.id = request_id WHERE candidates.id = :candidate
    UNION ALL SELECT 'instances', id FROM instances WHERE task_id = :task)
SELECT actions.id, kind, words, state, step, at FROM actions JOIN action_steps ON action_id = actions.id
WHERE actions.id IN (SELECT action_id FROM mine JOIN action_targets USING (target, target_id)) ORDER BY action_steps.id"""


class StoryQueries(Reader):
    """What one needs to tell why something is, or is not, in the data."""

    def candidate(self, candidate_id: int) -> CandidateRecord:
        """Return a candidate. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_CANDIDATE} WHERE candidates.id = ?", (candidate_id,))
        if row is None:
            raise PoolError(f"pool {shown(self._database.path)} has no candidate {candidate_id}", "`studio show POOL` lists what there is")
        return CandidateRecord(*row)

    def task_candidate(self, task_id: int) -> CandidateRecord | None:
        """Return the candidate a task was made from; None for seeds and imports."""
        row = self._database.row(f"{_CANDIDATE} WHERE tasks.id = ?", (task_id,))
        return None if row is None else CandidateRecord(*row)

    def candidates(self, request_id: int) -> list[CandidateRecord]:
        """Return what was parsed out of a request's completion, in order."""
        return [CandidateRecord(*row) for row in self._database.rows(f"{_CANDIDATE} WHERE request_id = ? ORDER BY ordinal", (request_id,))]

    def candidate_request(self, candidate_id: int) -> RequestRecord:
        """Return the request that yielded a candidate, with what the model wrote. Raises PoolError when there is no such candidate."""
        return self.request(self.candidate(candidate_id).request_id)

    def request(self, request_id: int) -> RequestRecord:
        """Return a request with its prompt, parents, completion and model. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_REQUEST} WHERE requests.id = ?", (request_id,))
        if row is None:
            raise PoolError(f"pool {shown(self._database.path)} has no request {request_id}")
        return self._request_of(row)

    def task_requests(self, task_id: int) -> list[RequestRecord]:
        """Return the requests about a task, its classification and its instances, in the order they were made."""
        return [self._request_of(row) for row in self._database.rows(f"{_REQUEST} WHERE task_id = ? ORDER BY requests.id", (task_id,))]

    def decisions(self, candidate_id: int) -> list[DecisionRecord]:
        """Return all decisions of a candidate, oldest first: the last one holds."""
        sql = (
            "SELECT id, candidate_id, verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, decided_at,"
            " edited, action_id FROM decisions WHERE candidate_id = ? ORDER BY id"
        )
        return [
            DecisionRecord(found, candidate, Verdict(verdict), reason, score, nearest, seed_score, mean_score, Decider(decider), *rest)
            for found, candidate, verdict, reason, score, nearest, seed_score, mean_score, decider, *rest in self._database.rows(
                sql, (candidate_id,)
            )
        ]

    def steps(self, task_id: int | None, candidate_id: int | None) -> list[ActionStep]:
        """Return every step of every action that touched a task, its instances, its candidate, or the prompt or round of that, as done."""
        with explained(self._database.path):
            rows = self._database.connection.execute(_STEPS, {"task": task_id, "candidate": candidate_id})
            return [ActionStep(found, kind, words, ActionState(state), step, at) for found, kind, words, state, step, at in rows]

    def held_out_at(self) -> str | None:
        """Return when seeds were kept apart for evaluation, an ISO 8601 time in UTC; None where none were."""
        row = self._database.row("SELECT created_at FROM hold_outs")
        return row[0] if row else None

    def neighbours(self, candidate_id: int) -> tuple[Neighbour, ...]:
        """Return the tasks most similar to an accepted candidate when it was decided, nearest first."""
        sql = "SELECT task_id, score FROM neighbours WHERE candidate_id = ? ORDER BY rank"
        return tuple(Neighbour(*row) for row in self._database.rows(sql, (candidate_id,)))

    def instances(self, task_id: int) -> list[InstanceRecord]:
        """Return all instances of a task, rejected ones too, by position."""
        return [_instance(row) for row in self._database.rows(f"{_INSTANCE} WHERE task_id = ? ORDER BY position", (task_id,))]

    def instance(self, instance_id: int) -> InstanceRecord:
        """Return an instance. Raises PoolError when there is none of that id."""
        row = self._database.row(f"{_INSTANCE} WHERE id = ?", (instance_id,))
        if row is None:
            raise PoolError(f"pool {shown(self._database.path)} has no instance {instance_id}")
        return _instance(row)

    def _request_of(self, row: Sequence[Any]) -> RequestRecord:
        found, number, stage, ordinal, task_id, prefix, suffix, params, seed, run_id, round_stage, ended, completed, *rest = row
        parents = self._database.rows("SELECT task_id FROM request_parents WHERE request_id = ? ORDER BY position", (found,))
        return RequestRecord(
            id=found,
            round=number,
            stage=Stage(stage),
            ordinal=ordinal,
            task_id=task_id,
            prefix=prefix,
            suffix=suffix,
            params=sampling_of(params),
            seed=seed,
            parents=tuple(parent for (parent,) in parents),
            completion=None if completed is None else completion_of(rest[:_COMPLETION_WIDTH]),
            run_id=run_id,
            model=model_of(rest[_COMPLETION_WIDTH:]),
            round_stage=round_stage,
            round_ended=ended,
        )


def _instance(row: Sequence[Any]) -> InstanceRecord:
    found, task_id, position, request_id, given, answer, verdict, reason, decider, text = row
    original = None
    if text is not None:
        first = json.loads(text)
        decided = (Verdict(first["verdict"]), first["reason"], Decider(first["decided_by"]))
        original = OriginalInstance(first["input"], first["output"], *decided)
    return InstanceRecord(found, task_id, position, request_id, given, answer, Verdict(verdict), reason, Decider(decider), original)


_CANDIDATES = """
SELECT candidates.id, requests.ordinal, candidates.ordinal, coalesce(newest.edited, text), newest.edited IS NOT NULL, tasks.id,
    newest.verdict, newest.reason, newest.score, newest.nearest_task_id, newest.seed_score, newest.mean_score, newest.decided_by,
    (SELECT verdict FROM decisions WHERE candidate_id = candidates.id AND decided_by = 'rule' ORDER BY id LIMIT 1)
FROM requests
    JOIN candidates ON candidates.request_id = requests.id
    JOIN verdicts AS newest ON newest.candidate_id = candidates.id
    LEFT JOIN tasks ON tasks.candidate_id = candidates.id
WHERE requests.round_id = ? ORDER BY requests.ordinal, candidates.ordinal, candidates.id"""


@dataclass(frozen=True, slots=True)
class LastRound:
    """The newest round of a pool; `stage` is the next stage to do, None when the round is finished."""

    id: int
    run_id: int
    number: int
    stage: Stage | None


@dataclass(frozen=True, slots=True)
class JudgedCandidate:
    """A candidate with the decision that holds and what the rule said first. Scores are ROUGE-L F1, 0 to 1.

    `text` is a person's where `edited`; `task_id` is the task it became, a retired one when it was rejected after that.
    """

    id: int
    request_ordinal: int
    ordinal: int
    text: str
    edited: bool
    task_id: int | None
    verdict: Verdict
    reason: str
    score: float
    nearest: int | None
    seed_score: float
    mean_score: float
    decided_by: Decider
    rule: Verdict


class ScreenQueries(Reader):
    """One round, whether it is finished or not."""

    def last_round(self) -> LastRound | None:
        """Return the newest round, or None in a pool that never ran."""
        row = self._database.row("SELECT id, run_id, number, stage FROM rounds WHERE stage <> 'superseded' ORDER BY number DESC LIMIT 1")
        return None if row is None else LastRound(row[0], row[1], row[2], None if row[3] == "done" else Stage(row[3]))

    def judged_candidates(self, round_id: int) -> list[JudgedCandidate]:
        """Return the candidates of a round in the order they were decided, each with the decision that holds now."""
        return [_judged(row) for row in self._database.rows(_CANDIDATES, (round_id,))]


def _judged(row: Row) -> JudgedCandidate:
    found, request, ordinal, text, edited, task, verdict, reason, score, nearest, seed_score, mean, decider, rule = row
    return JudgedCandidate(
        id=found,
        request_ordinal=request,
        ordinal=ordinal,
        text=text,
        edited=bool(edited),
        task_id=task,
        verdict=Verdict(verdict),
        reason=reason,
        score=score,
        nearest=nearest,
        seed_score=seed_score,
        mean_score=mean,
        decided_by=Decider(decider),
        rule=Verdict(rule or verdict),
    )


_ROWS_AT_A_TIME = 10_000
_DECISIONS = """
SELECT candidates.id, rounds.id, rounds.run_id, coalesce(rounds.overrides, ''), candidates.text, tasks.id,
    decisions.verdict, decisions.reason, decisions.score, decisions.nearest_task_id,
    newest.decided_by = 'human', newest.verdict, coalesce(newest.edited, candidates.text)
FROM decisions
    JOIN verdicts AS newest ON newest.candidate_id = decisions.candidate_id
    JOIN candidates ON candidates.id = decisions.candidate_id
    JOIN requests ON requests.id = candidates.request_id
    JOIN rounds ON rounds.id = requests.round_id
    LEFT JOIN tasks ON tasks.candidate_id = candidates.id
WHERE decisions.decided_by = 'rule' AND decisions.action_id IS NULL
ORDER BY decisions.id"""


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """What the rule decided of a candidate, and what holds now if a person decided it (`pinned`, else None).

    `text` is the model's own, `standing` what a person made of it, the same where nobody did. `overrides` are the parameters of its
    round alone, as JSON, or empty. `task_id` is the task it became.
    """

    candidate_id: int
    round_id: int
    run_id: int
    overrides: str
    text: str
    task_id: int | None
    verdict: Verdict
    reason: str
    score: float
    nearest: int | None
    pinned: Verdict | None
    standing: str


class WhatIfQueries(Reader):
    """What deciding again needs."""

    def runs(self) -> list[RunRecord]:
        """Return all runs of the pool, the oldest first."""
        sql = (
            f"SELECT runs.id, settings, seed, studio_version, started_at, {MODEL_COLUMNS}"
            " FROM runs JOIN models ON models.id = model_id ORDER BY runs.id"
        )
        return [
            RunRecord(found, settings, seed, version, model_of(model), started_at)
            for found, settings, seed, version, started_at, *model in self._database.rows(sql)
        ]

    def rule_decisions(self) -> Generator[RuleDecision, None, None]:
        """Yield the rule's decisions in the order in which they fell, of one state of the pool and in constant memory.

        Superseded attempts are left out.
        """
        with self._database.snapshot(), explained(self._database.path):
            cursor = self._database.connection.execute(_DECISIONS)
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                for *given, verdict, reason, score, nearest, by_human, now, standing in rows:
                    candidate, round_id, run_id, overrides, text, task = given
                    yield RuleDecision(
                        candidate,
                        round_id,
                        run_id,
                        overrides,
                        text,
                        task,
                        Verdict(verdict),
                        reason,
                        score,
                        nearest,
                        Verdict(now) if by_human else None,
                        standing,
                    )
