"""Reading every decision of the rule in the order in which it fell, so that it can be decided again otherwise."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from studio.pool.faults import explained
from studio.pool.reading import Reader
from studio.pool.records import RunRecord
from studio.pool.rows import MODEL_COLUMNS, model_of
from studio.records import Verdict

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
