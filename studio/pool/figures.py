"""The pool in figures: counts, times, and the streams of texts and scores that statistics are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from studio.pool.database import Entity, record_of
from studio.pool.reviews import QUESTIONS
from studio.records import Origin, Source

_TASKS = """
SELECT coalesce(sum(state = 'active' AND origin = 'seed'), 0) AS seeds,
    coalesce(sum(state = 'active' AND origin = 'generated'), 0) AS generated,
    coalesce(sum(state = 'active' AND origin = 'imported'), 0) AS imported, coalesce(sum(state = 'draft'), 0) AS drafts
FROM tasks WHERE {}"""
_INSTANCES = """
SELECT coalesce(sum(verdict = 'accepted'), 0) AS instances, coalesce(sum(verdict = 'rejected'), 0) AS instances_rejected
FROM instances JOIN tasks ON tasks.id = instances.task_id WHERE tasks.origin = 'generated' AND {}"""
_TOKENS = """
SELECT coalesce(sum(prompt_tokens), 0) AS prompt_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
    coalesce(sum(completion_tokens), 0) AS completion_tokens, coalesce(sum(seconds), 0.0) AS model_seconds
FROM completions JOIN requests ON requests.id = request_id WHERE {}"""
_ROUNDS = "SELECT coalesce(sum(stage = 'done'), 0) AS rounds FROM rounds WHERE {}"
_OF_RUN = "{} IN (SELECT id FROM rounds WHERE run_id = :run)"
_VERDICTS = "SELECT verdict, reason, count(*) FROM verdicts GROUP BY reason, verdict ORDER BY reason, verdict"
_VERDICTS_OF_RUN = """
SELECT verdict, reason, count(*) FROM rounds
    JOIN requests ON requests.round_id = rounds.id JOIN candidates ON candidates.request_id = requests.id
    JOIN verdicts ON verdicts.candidate_id = candidates.id
WHERE run_id = :run GROUP BY reason, verdict ORDER BY reason, verdict"""


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """How much there is of everything.

    `seeds`, `generated` and `imported` are active tasks, `held_out` those of the seeds that are kept apart; `accepted` and `rejected` count
    candidates by the decision that holds; `rounds` are finished ones; `instances` and `instances_rejected` are those of generated tasks,
    whatever their state.
    """

    seeds: int = 0
    generated: int = 0
    imported: int = 0
    drafts: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    instances: int = 0
    instances_rejected: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    model_seconds: float = 0.0
    held_out: int = 0


SOURCE_QUESTIONS = (*QUESTIONS, "all_fields_valid")
"""What raters answer, and yes to all of it."""
_OF_SOURCE = """
SELECT count(*) AS candidates, coalesce(sum(verdict = 'accepted'), 0) AS accepted FROM standing_rounds
    CROSS JOIN requests ON requests.round_id = standing_rounds.id AND requests.stage = 'instructions'
    JOIN candidates ON candidates.request_id = requests.id JOIN verdicts ON verdicts.candidate_id = candidates.id WHERE source = ?"""
_TASKS_OF_SOURCE = """
SELECT count(*) AS tasks, coalesce(sum(
    (SELECT count(*) FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted')
), 0) AS instances
FROM tasks CROSS JOIN candidates ON candidates.id = tasks.candidate_id JOIN requests ON requests.id = candidates.request_id
WHERE state = 'active' AND origin = 'generated' AND source = ?"""
_ANSWERS_OF_SOURCE = f"""
SELECT {", ".join(f"coalesce(sum({each}), 0), count({each})" for each in QUESTIONS)},
    coalesce(sum({" AND ".join(QUESTIONS)}), 0), count({" + ".join(QUESTIONS)})
FROM ratings JOIN review_items USING (review_id, position)
    CROSS JOIN tasks ON tasks.id = review_items.task_id AND tasks.instruction = review_items.instruction
    JOIN instances ON instances.id = review_items.instance_id AND instances.verdict = 'accepted'
        AND instances.input = review_items.input AND instances.output = review_items.output
    JOIN candidates ON candidates.id = tasks.candidate_id JOIN requests ON requests.id = candidates.request_id
WHERE NOT skipped AND source = ?"""


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What has come of one source of instructions.

    Candidates are counted by the decision that holds, tasks are active ones, instances their accepted ones. `answers` are those that raters
    gave to its tasks, by question of `SOURCE_QUESTIONS`: how many are yes, and all. They count as those of the view `quality` do; to
    `all_fields_valid` where all three questions are answered.
    """

    source: Source
    candidates: int
    accepted: int
    tasks: int
    instances: int
    answers: dict[str, tuple[int, int]]


class Figures(Entity):
    """What progress lines, statistics and reports count. Streams need constant memory."""

    def counts(self, run_id: int | None = None) -> PoolCounts:
        """Return the counts of the pool, or of what one run has done: no run made the seeds and imports, so they are 0 there."""
        database, values = self._database, {"run": run_id}
        counted: dict[str, Any] = {}
        with database.snapshot():
            for sql, column in (
                (_TASKS, "tasks.round_id"),
                (_INSTANCES, "tasks.round_id"),
                (_TOKENS, "requests.round_id"),
                (_ROUNDS, "rounds.id"),
            ):
                [row] = database.rows(sql.format("TRUE" if run_id is None else _OF_RUN.format(column)), values)
                counted |= dict(row)
            held_out = self.held_out() if run_id is None else 0
            decided = database.rows(_VERDICTS if run_id is None else _VERDICTS_OF_RUN, values)
        rejected = {reason: number for verdict, reason, number in decided if verdict == "rejected"}
        accepted = sum(number for verdict, _, number in decided if verdict == "accepted")
        total = accepted + sum(rejected.values())
        return record_of(PoolCounts, counted, held_out=held_out, candidates=total, accepted=accepted, rejected=rejected)

    def generated(self) -> int:
        """Return the number of active generated tasks."""
        return int(self._database.value("SELECT count(*) FROM tasks WHERE state = 'active' AND origin = 'generated'"))

    def drafts(self) -> int:
        """Return how many tasks an unfinished round has so far."""
        return int(self._database.value("SELECT count(*) FROM tasks WHERE state = 'draft'"))

    def held_out(self, origin: Origin | None = None) -> int:
        """Return how many active tasks of `origin`, None being all, are kept apart for evaluation."""
        of_origin, values = ("", ()) if origin is None else (" AND origin = ?", (origin,))
        return int(self._database.value(f"SELECT count(*) FROM tasks WHERE held_out AND state = 'active'{of_origin}", values))

    def active(self, origin: Origin | None = None) -> int:
        """Return how many active tasks there are of `origin`, None being all; those that are held out do not count."""
        of_origin, values = ("", ()) if origin is None else (" AND origin = ?", (origin,))
        # Counted in two indexes: none of them knows both who is active and who is held out.
        active: int = self._database.value(f"SELECT count(*) FROM tasks WHERE state = 'active'{of_origin}", values)
        return active - self.held_out(origin)

    def chats(self) -> bool:
        """Return whether any model was asked in its own chat template."""
        return bool(self._database.value("SELECT EXISTS (SELECT 1 FROM chats)"))

    def decided_by_hand(self) -> int:
        """Return on how many candidates a person has the last word."""
        return int(self._database.value("SELECT count(*) FROM verdicts WHERE decided_by = 'human'"))

    def sources(self) -> list[SourceCounts]:
        """Return what has come of each source that brought a candidate; nothing where no model was asked in chat or for passages."""
        if not (self.chats() or self._database.value("SELECT EXISTS (SELECT 1 FROM passages)")):
            return []
        found = []
        with self._database.snapshot():
            for source in Source:
                [decided] = self._database.rows(_OF_SOURCE, (source,))
                if decided["candidates"]:
                    [kept] = self._database.rows(_TASKS_OF_SOURCE, (source,))
                    [numbers] = self._database.rows(_ANSWERS_OF_SOURCE, (source,))
                    pairs = zip(numbers[::2], numbers[1::2], strict=True)
                    answers = dict(zip(SOURCE_QUESTIONS, pairs, strict=True))
                    found.append(SourceCounts(source, **dict(decided), **dict(kept), answers=answers))
        return found

    def written_until(self) -> str:
        """Return when the newest round was finished, or begun where it is not; an ISO 8601 time in UTC, empty where there is none."""
        sql = "SELECT coalesce(finished_at, started_at) FROM standing_rounds ORDER BY number DESC LIMIT 1"
        return self._database.value(sql) or ""

    def busy_seconds(self) -> float:
        """Return at most how long models were at work, in seconds.

        Requests that ran together overlap, so the sum of their times is too much; the clock of a round counts the pauses that people made
        in it. So each round counts with the lesser of both. Clocks are read in whole seconds, which may hide almost one.
        """
        sql = """
            SELECT coalesce(sum(min(spent, coalesce(strftime('%s', finished_at) - strftime('%s', started_at) + 1, spent))), 0.0)
            FROM rounds JOIN (SELECT round_id, sum(seconds) AS spent FROM requests JOIN completions ON request_id = requests.id
            GROUP BY round_id) ON round_id = rounds.id"""
        return float(self._database.value(sql))

    def instance_reasons(self) -> dict[str, int]:
        """Return how many instances of generated tasks were rejected, by reason."""
        sql = """
            SELECT reason, count(*) FROM instances JOIN tasks ON tasks.id = task_id
            WHERE verdict = 'rejected' AND origin = 'generated' GROUP BY reason ORDER BY reason"""
        return dict(self._database.stream(sql))

    def instructions_by_round(self) -> Iterator[tuple[int | None, str, bool]]:
        """Yield round number, instruction and classification flag of each active task, in the order of ids.

        Seeds and imports have no round; a generated task has the one that it was accepted in.
        """
        sql = """
            SELECT CASE origin WHEN 'generated' THEN number END, instruction, is_classification FROM tasks
            LEFT JOIN rounds ON rounds.id = round_id WHERE +state = 'active' ORDER BY tasks.id"""
        for number, instruction, flag in self._database.stream(sql):
            yield number, instruction, bool(flag)

    def generated_instances(self) -> Iterator[tuple[int, str, str]]:
        """Yield task id, input and output of each accepted instance of the active generated tasks."""
        return self._database.stream(
            "SELECT task_id, input, output FROM tasks CROSS JOIN instances ON instances.task_id = tasks.id"
            " WHERE +verdict = 'accepted' AND state = 'active' AND origin = 'generated' ORDER BY tasks.id, position"
        )

    def decided_scores(self) -> Iterator[tuple[float, float]]:
        """Yield for each active generated task its highest ROUGE-L when it was decided: to a seed, and to a task of any kind."""
        return self._database.stream(
            "SELECT seed_score, score FROM tasks JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id"
            " WHERE state = 'active' AND origin = 'generated'"
        )

    def active_instructions(self, origin: Origin | None) -> Iterator[tuple[int, str, int | None]]:
        """Yield id, instruction and round number of each active task of `origin`, None being all, by ascending id.

        Seeds and imports have no round; those that are held out are left out.
        """
        # The plus keeps SQLite from the index on states, with which it would sort.
        condition, values = ("+tasks.state = 'active'", ()) if origin is None else ("tasks.state = 'active' AND origin = ?", (origin,))
        return self._database.stream(
            "SELECT tasks.id, instruction, CASE origin WHEN 'generated' THEN number END FROM tasks"
            f" LEFT JOIN rounds ON rounds.id = round_id WHERE {condition} AND NOT held_out ORDER BY tasks.id",
            values,
        )
