"""Candidates: what was parsed out of completions, how each was decided and by whom, and the tasks it was most like."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from studio.pool.browse import text_condition
from studio.pool.database import Entity
from studio.pool.files import now
from studio.pool.requests import RequestRecord, Requests, next_id
from studio.pool.rounds import advance
from studio.records import Decider, Neighbour, Novelty, Origin, Source, Stage, TaskState, Verdict

_CANDIDATE = """
SELECT candidates.id, request_id, candidates.ordinal, nats, gain, text, input, output, tasks.id AS task_id, source
    FROM candidates JOIN requests ON requests.id = request_id LEFT JOIN tasks ON tasks.candidate_id = candidates.id"""
_TEXTS = ("request_id", "ordinal", "text", "input", "output", "nats", "gain")
_JUDGED = """
SELECT candidates.id, requests.ordinal AS request_ordinal, candidates.ordinal, coalesce(edited, text) AS text, edited IS NOT NULL AS edited,
    tasks.id AS task_id, nats, source, verdicts.verdict, reason, score, nearest_task_id AS nearest, seed_score, mean_score, decided_by,
    coalesce(
        (SELECT verdict FROM decisions WHERE candidate_id = candidates.id AND decided_by = 'rule' ORDER BY id LIMIT 1), verdicts.verdict
    ) AS rule
FROM requests
    JOIN candidates ON candidates.request_id = requests.id
    JOIN verdicts ON verdicts.candidate_id = candidates.id
    LEFT JOIN tasks ON tasks.candidate_id = candidates.id
WHERE requests.round_id = ? ORDER BY requests.ordinal, candidates.ordinal, candidates.id"""
_RULE_DECISIONS = """
SELECT candidates.id AS candidate_id, rounds.id AS round_id, run_id, coalesce(overrides, '') AS overrides, text, tasks.id AS task_id,
    decisions.verdict, decisions.reason, decisions.score, decisions.nearest_task_id AS nearest, nats, max_nats, source,
    CASE newest.decided_by WHEN 'human' THEN newest.verdict END AS pinned, coalesce(newest.edited, text) AS standing
FROM decisions
    JOIN verdicts AS newest ON newest.candidate_id = decisions.candidate_id
    JOIN candidates ON candidates.id = decisions.candidate_id
    JOIN requests ON requests.id = candidates.request_id
    JOIN rounds ON rounds.id = requests.round_id
    LEFT JOIN tasks ON tasks.candidate_id = candidates.id
WHERE decisions.decided_by = 'rule' AND decisions.action_id IS NULL
ORDER BY decisions.id"""


@dataclass(frozen=True, slots=True)
class DecidedCandidate:
    """A candidate with the rule's decision; `ordinal` is its position, from 0, within the completion.

    An accepted one carries the id its draft task gets (`Tasks.next_id` says from where they count), a rejected one None.
    `input` and `output` are set where one completion writes whole tasks, and where a passage is one of them; `gain` says by how many nats a
    token that passage makes the text likelier, None where nobody measured it. `nats` says how likely the text is as a user's turn in the
    model's template, in nats a token; None where nobody measured it.
    """

    request_id: int
    ordinal: int
    text: str
    verdict: Verdict
    reason: str
    novelty: Novelty = field(default_factory=Novelty)
    input: str | None = None
    output: str | None = None
    task_id: int | None = None
    nats: float | None = None
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A candidate of the pool as the model wrote it; `task_id` is the task it became, None when it never was accepted."""

    id: int
    request_id: int
    ordinal: int
    text: str
    input: str | None
    output: str | None
    task_id: int | None
    nats: float | None = None
    source: Source | None = None
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision of a candidate. Scores are ROUGE-L F1, 0 to 1; `decided_at` is an ISO 8601 time in UTC."""

    id: int
    candidate_id: int
    verdict: Verdict
    reason: str
    score: float
    nearest: int | None
    seed_score: float
    mean_score: float
    decided_by: Decider
    decided_at: str
    edited: str | None = None
    """What a person made of the candidate's text; None where it is the model's own."""
    action_id: int | None = None
    """The action that it is part of; None for the rule's own decision."""


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
    nats: float | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class RejectedCandidate:
    """A candidate that is not in the pool, with the reason code and its highest ROUGE-L F1."""

    id: int
    text: str
    reason: str
    score: float


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """What the rule decided of a candidate, and what holds now if a person decided it (`pinned`, else None).

    `text` is the model's own, `standing` what a person made of it, the same where nobody did. `overrides` are the parameters of its
    round alone, as JSON, or empty. `task_id` is the task it became. `nats` a token beyond the `max_nats` of its round are unlikely; None
    where nobody measured, and where likelihood decided nothing.
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
    nats: float | None
    max_nats: float | None
    pinned: Verdict | None
    standing: str
    source: Source | None = None


class Candidates(Entity):
    """The candidates of a pool. Those of superseded attempts have no verdict, and are found by id and request only."""

    def get(self, candidate_id: int) -> CandidateRecord:
        """Return a candidate. Raises PoolError when there is none of that id."""
        found = self._database.record(CandidateRecord, f"{_CANDIDATE} WHERE candidates.id = ?", (candidate_id,))
        if found is None:
            raise self._absent(f"candidate {candidate_id}", "`studio show POOL` lists what there is")
        return found

    def of_task(self, task_id: int) -> CandidateRecord | None:
        """Return the candidate a task was made from; None for seeds and imports."""
        return self._database.record(CandidateRecord, f"{_CANDIDATE} WHERE tasks.id = ?", (task_id,))

    def request(self, candidate_id: int) -> RequestRecord:
        """Return the request that yielded a candidate, with what the model wrote. Raises PoolError when there is no such candidate."""
        return Requests(self._database).get(self.get(candidate_id).request_id)

    def decisions(self, candidate_id: int) -> list[DecisionRecord]:
        """Return all decisions of a candidate, oldest first: the last one holds."""
        sql = "SELECT *, nearest_task_id AS nearest FROM decisions WHERE candidate_id = ? ORDER BY id"
        return self._database.records(DecisionRecord, sql, (candidate_id,))

    def neighbours(self, candidate_id: int) -> tuple[Neighbour, ...]:
        """Return the tasks most similar to an accepted candidate when it was decided, nearest first."""
        sql = "SELECT task_id, score FROM neighbours WHERE candidate_id = ? ORDER BY rank"
        return tuple(self._database.records(Neighbour, sql, (candidate_id,)))

    def judged(self, round_id: int) -> list[JudgedCandidate]:
        """Return the candidates of a round in the order they were decided, each with the decision that holds now."""
        return self._database.records(JudgedCandidate, _JUDGED, (round_id,))

    def rejected(self, limit: int, search: str | None = None) -> list[RejectedCandidate]:
        """Return at most `limit` candidates whose verdict is a rejection, the newest first; with `search`, of those with all its words.

        A text that a person changed is returned as it is now, and found by the words that the model wrote.
        """
        condition, values = "", []
        if search is not None and search.strip():
            condition, value = text_condition("candidates", "text", search)
            condition, values = f" AND {condition}", [value]
        sql = f"""
            SELECT candidates.id, coalesce(edited, text) AS text, reason, score FROM verdicts
            JOIN candidates ON candidates.id = candidate_id WHERE verdict = 'rejected'{condition} ORDER BY candidate_id DESC LIMIT ?"""
        return self._database.records(RejectedCandidate, sql, (*values, limit))

    def rejected_by_reason(self, limit: int) -> list[int]:
        """Return at most `limit` rejected candidates for each reason, by reason: scattered over the pool, and the same each time."""
        # Knuth's multiplicative hash of the id: as good as drawn at random, and of the candidate alone.
        sql = """
            SELECT candidate_id FROM (SELECT candidate_id, reason, row_number() OVER
            (PARTITION BY reason ORDER BY (candidate_id * 2654435761) % 4294967296) AS place FROM verdicts WHERE verdict = 'rejected')
            WHERE place <= ? ORDER BY reason, candidate_id"""
        return [candidate_id for (candidate_id,) in self._database.rows(sql, (limit,))]

    def rule_decisions(self) -> Generator[RuleDecision, None, None]:
        """Yield the rule's decisions in the order in which they fell, of one state of the pool and in constant memory.

        Superseded attempts are left out.
        """
        with self._database.snapshot():
            yield from self._database.each(RuleDecision, _RULE_DECISIONS)

    def most_nats(self) -> float | None:
        """Return how many nats a token the least likely candidate has; None where nobody measured any."""
        highest: float | None = self._database.value("SELECT max(nats) FROM candidates")
        return highest

    def latest_nats(self, run_id: int, limit: int) -> list[float]:
        """Return how likely the newest `limit` requests of a run are that the model wrote in its template, in nats a token."""
        sql = """
            SELECT nats FROM candidates JOIN requests ON requests.id = request_id JOIN standing_rounds ON standing_rounds.id = round_id
            WHERE run_id = ? AND source = 'template' AND nats IS NOT NULL ORDER BY candidates.id DESC LIMIT ?"""
        return [nats for (nats,) in self._database.rows(sql, (run_id, limit))]

    def record(self, round_id: int, decided: Sequence[DecidedCandidate], next_stage: Stage, *, max_nats: float | None = None) -> None:
        """Store candidates with their decisions, and for each accepted one its neighbours and a draft task with the id it carries.

        `max_nats` are the nats a token beyond which instructions were rejected as unlikely, None where that decided nothing.
        Raises ValueError when an accepted candidate has no task id or a rejected one has.
        """
        database = self._database
        for each in decided:
            if (each.verdict is Verdict.ACCEPTED) != (each.task_id is not None):
                raise ValueError(f"a {each.verdict} candidate with task id {each.task_id}")
        with database.transaction():
            numbered = list(enumerate(decided, next_id(database, "candidates")))
            accepted = [(number, each) for number, each in numbered if each.task_id is not None]
            database.insert("candidates", ({"id": number, **{name: getattr(each, name) for name in _TEXTS}} for number, each in numbered))
            draft = {"origin": Origin.GENERATED, "state": TaskState.DRAFT, "round_id": round_id}
            drafts = ({"id": each.task_id, **draft, "candidate_id": number, "instruction": each.text} for number, each in accepted)
            # Tasks before decisions: a later candidate's nearest task may be an earlier one's draft.
            database.insert("tasks", drafts)
            by_rule = {"decided_by": Decider.RULE, "decided_at": now()}
            decisions = (
                {"candidate_id": number, "verdict": each.verdict, "reason": each.reason, **novelty_values(each.novelty), **by_rule}
                for number, each in numbered
            )
            database.insert("decisions", decisions)
            neighbours = (
                {"candidate_id": number, "rank": rank, "task_id": near.task_id, "score": near.score}
                for number, each in accepted
                for rank, near in enumerate(each.novelty.neighbours)
            )
            database.insert("neighbours", neighbours)
            if max_nats is not None:
                database.execute("UPDATE rounds SET max_nats = ? WHERE id = ?", (max_nats, round_id))
            advance(database, round_id, next_stage)


def novelty_values(novelty: Novelty) -> dict[str, float | int | None]:
    """Return the columns of a decision that say how new its candidate was."""
    return {
        "score": novelty.score,
        "nearest_task_id": novelty.nearest,
        "seed_score": novelty.seed_score,
        "mean_score": novelty.mean,
    }
