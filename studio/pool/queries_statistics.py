"""Reading what statistics are made of: streams of texts and scores, and the yield of each round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.pool.faults import explained
from studio.pool.reading import Reader
from studio.pool.records import RoundYield

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
