"""Reading what the studio screen shows of one round."""

from __future__ import annotations

from dataclasses import dataclass

from studio.pool.database import Row
from studio.pool.reading import Reader
from studio.records import Decider, Stage, Verdict

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
