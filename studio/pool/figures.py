"""The pool in figures: counts, yields, times, and the streams of texts and scores that statistics are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.pool.core.database import Reader, Row, explained
from studio.pool.records import PoolCounts, RoundYield
from studio.records import Origin

_TASKS = """
SELECT coalesce(sum(state = 'active' AND origin = 'seed'), 0), coalesce(sum(state = 'active' AND origin = 'generated'), 0),
    coalesce(sum(state = 'active' AND origin = 'imported'), 0), coalesce(sum(state = 'draft'), 0)
FROM tasks"""
_HELD_OUT = "SELECT count(*) FROM tasks WHERE held_out AND state = 'active'"
_OF_RUN = " WHERE {} IN (SELECT id FROM rounds WHERE run_id = ?)"
_VERDICTS = "SELECT verdict, reason, count(*) FROM verdicts GROUP BY reason, verdict ORDER BY reason, verdict"
_VERDICTS_OF_RUN = """
SELECT verdict, reason, count(*) FROM rounds
    JOIN requests ON requests.round_id = rounds.id JOIN candidates ON candidates.request_id = requests.id
    JOIN verdicts ON verdicts.candidate_id = candidates.id
WHERE run_id = ? GROUP BY reason, verdict ORDER BY reason, verdict"""
_INSTANCES = """
SELECT coalesce(sum(verdict = 'accepted'), 0), coalesce(sum(verdict = 'rejected'), 0)
FROM instances JOIN tasks ON tasks.id = instances.task_id"""
_TOKENS = """
SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(cached_tokens), 0), coalesce(sum(completion_tokens), 0),
    coalesce(sum(seconds), 0.0)
FROM completions JOIN requests ON requests.id = request_id"""


class CountQueries(Reader):
    """The figures of a progress line and of the run's last word."""

    def counts(self, run_id: int | None = None) -> PoolCounts:
        """Return the counts of the pool, or of what one run has done: no run made the seeds and imports, so they are 0 there."""
        with self._database.snapshot():
            seeds, generated, imported, drafts = self._one(_TASKS, "tasks.round_id", run_id)
            held_out = 0 if run_id is not None else self._database.rows(_HELD_OUT)[0][0]
            instances, instances_rejected = self._one(_INSTANCES + " AND tasks.origin = 'generated'", "tasks.round_id", run_id)
            prompt_tokens, cached_tokens, completion_tokens, seconds = self._one(_TOKENS, "requests.round_id", run_id)
            (rounds,) = self._one("SELECT coalesce(sum(stage = 'done'), 0) FROM rounds", "rounds.id", run_id)
            decided = self._database.rows(_VERDICTS) if run_id is None else self._database.rows(_VERDICTS_OF_RUN, (run_id,))
        rejected = {reason: number for verdict, reason, number in decided if verdict == "rejected"}
        accepted = sum(number for verdict, _, number in decided if verdict == "accepted")
        return PoolCounts(
            seeds=seeds,
            generated=generated,
            imported=imported,
            drafts=drafts,
            candidates=accepted + sum(rejected.values()),
            accepted=accepted,
            rejected=rejected,
            rounds=rounds,
            instances=instances,
            instances_rejected=instances_rejected,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            completion_tokens=completion_tokens,
            model_seconds=seconds,
            held_out=held_out,
        )

    def _one(self, sql: str, column: str, run_id: int | None) -> Row:
        # An aggregate without GROUP BY has one row, always.
        if run_id is None:
            return self._database.rows(sql)[0]
        return self._database.rows(sql + _OF_RUN.format(column), (run_id,))[0]


_ROWS_AT_A_TIME = 10_000


class StatisticsQueries(Reader):
    """What `studio stats` asks. Streams need constant memory."""

    def instructions_by_round(self) -> Iterator[tuple[int | None, str, bool]]:
        """Yield round number, instruction and classification flag of each active task, in the order of ids.

        Seeds and imports have no round; a generated task has the one that it was accepted in.
        """
        sql = (
            "SELECT CASE origin WHEN 'generated' THEN number END, instruction, is_classification FROM tasks"
            " LEFT JOIN rounds ON rounds.id = round_id WHERE +state = 'active' ORDER BY tasks.id"
        )
        for number, instruction, flag in self._stream(sql):
            yield number, instruction, bool(flag)

    def generated_instances(self) -> Iterator[tuple[int, str, str]]:
        """Yield task id, input and output of each accepted instance of the active generated tasks."""
        yield from self._stream(
            "SELECT task_id, input, output FROM tasks CROSS JOIN instances ON instances.task_id = tasks.id"
            " WHERE +verdict = 'accepted' AND state = 'active' AND origin = 'generated' ORDER BY tasks.id, position"
        )

    def decided_scores(self) -> Iterator[tuple[float, float]]:
        """Yield for each active generated task its highest ROUGE-L when it was decided: to a seed, and to a task of any kind."""
        yield from self._stream(
            "SELECT seed_score, score FROM tasks JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id"
            " WHERE state = 'active' AND origin = 'generated'"
        )

    def yields(self) -> list[RoundYield]:
        """Return for each finished round how many candidates it had and how many were accepted."""
        sql = (
            "SELECT rounds.number, count(verdicts.id), coalesce(sum(verdict = 'accepted'), 0), run_id FROM rounds"
            " LEFT JOIN requests ON requests.round_id = rounds.id AND requests.stage = 'instructions'"
            " LEFT JOIN candidates ON candidates.request_id = requests.id LEFT JOIN verdicts ON verdicts.candidate_id = candidates.id"
            " WHERE rounds.stage = 'done' AND rounds.stage <> 'superseded' GROUP BY rounds.number ORDER BY rounds.number"
        )
        return [RoundYield(*row) for row in self._database.rows(sql)]

    def busy_seconds(self) -> float:
        """Return at most how long models were at work, in seconds.

        Requests that ran together overlap, so the sum of their times is too much; the clock of a round counts the pauses that people made
        in it. So each round counts with the lesser of both. Clocks are read in whole seconds, which may hide almost one.
        """
        sql = (
            "SELECT coalesce(sum(min(spent, coalesce(strftime('%s', finished_at) - strftime('%s', started_at) + 1, spent))), 0.0)"
            " FROM rounds JOIN (SELECT round_id, sum(seconds) AS spent FROM requests JOIN completions ON request_id = requests.id"
            " GROUP BY round_id) ON round_id = rounds.id"
        )
        return float(self._database.rows(sql)[0][0])

    def instance_reasons(self) -> dict[str, int]:
        """Return how many instances of generated tasks were rejected, by reason."""
        sql = (
            "SELECT reason, count(*) FROM instances JOIN tasks ON tasks.id = task_id"
            " WHERE verdict = 'rejected' AND origin = 'generated' GROUP BY reason ORDER BY reason"
        )
        rows: list[tuple[str, int]] = [(reason, number) for reason, number in self._database.rows(sql)]
        return dict(rows)

    def _stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with explained(self._database.path):
            cursor = self._database.connection.execute(sql)
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from rows


class ProvenanceQueries(Reader):
    """What a report and a dataset card ask."""

    def written_until(self) -> str:
        """Return when the newest round was finished, or begun where it is not; an ISO 8601 time in UTC, empty where there is none."""
        sql = "SELECT coalesce(finished_at, started_at) FROM rounds WHERE stage <> 'superseded' ORDER BY number DESC LIMIT 1"
        row = self._database.row(sql)
        return str(row[0]) if row and row[0] is not None else ""

    def decided_by_hand(self) -> int:
        """Return on how many candidates a person has the last word."""
        row = self._database.row("SELECT count(*) FROM verdicts WHERE decided_by = 'human'")
        return int(row[0]) if row else 0

    def rejected_by_reason(self, limit: int) -> list[int]:
        """Return at most `limit` rejected candidates for each reason, by reason: scattered over the pool, and the same each time."""
        # Knuth's multiplicative hash of the id: as good as drawn at random, and of the candidate alone.
        sql = (
            "SELECT candidate_id FROM (SELECT candidate_id, reason, row_number() OVER"
            " (PARTITION BY reason ORDER BY (candidate_id * 2654435761) % 4294967296) AS place FROM verdicts WHERE verdict = 'rejected')"
            " WHERE place <= ? ORDER BY reason, candidate_id"
        )
        return [candidate_id for (candidate_id,) in self._database.rows(sql, (limit,))]


class DiversityQueries(Reader):
    """What `studio diversity` asks."""

    def count_active(self, origin: Origin | None) -> int:
        """Return how many active tasks there are of `origin`, None being all; those that are held out do not count."""
        # Counted in two indexes: none of them knows both who is active and who is held out.
        of_origin, values = ("", ()) if origin is None else (" AND origin = ?", (origin.value,))
        sql = "SELECT (SELECT count(*) FROM tasks WHERE {}) - (SELECT count(*) FROM tasks WHERE held_out AND {})"
        active = f"state = 'active'{of_origin}"
        return int(self._database.rows(sql.format(active, active), (*values, *values))[0][0])

    def active_instructions(self, origin: Origin | None) -> Iterator[tuple[int, str, int | None]]:
        """Yield id, instruction and round number of each active task of `origin`, None being all, by ascending id and in constant memory.

        Seeds and imports have no round.
        """
        condition, values = _where(origin)
        with explained(self._database.path):
            cursor = self._database.connection.execute(
                "SELECT tasks.id, instruction, CASE origin WHEN 'generated' THEN number END FROM tasks"
                f" LEFT JOIN rounds ON rounds.id = round_id WHERE {condition} ORDER BY tasks.id",
                values,
            )
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from rows


def _where(origin: Origin | None) -> tuple[str, tuple[str, ...]]:
    if origin is None:
        # The plus keeps SQLite from the index on states, with which it would sort.
        return "+tasks.state = 'active' AND NOT held_out", ()
    return "tasks.state = 'active' AND NOT held_out AND origin = ?", (origin.value,)
