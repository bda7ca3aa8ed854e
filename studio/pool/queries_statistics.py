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

    def generated_instructions(self) -> Iterator[tuple[str, bool]]:
        """Yield instruction and classification flag of each active generated task."""
        sql = "SELECT instruction, is_classification FROM tasks WHERE state = 'active' AND origin = 'generated' ORDER BY id"
        for instruction, flag in self._stream(sql):
            yield instruction, bool(flag)

    def generated_instances(self) -> Iterator[tuple[int, str, str]]:
        """Yield task id, input and output of each accepted instance of the active generated tasks."""
        yield from self._stream(
            "SELECT task_id, input, output FROM instances JOIN tasks ON tasks.id = task_id"
            " WHERE verdict = 'accepted' AND state = 'active' AND origin = 'generated' ORDER BY task_id, position"
        )

    def seed_scores(self) -> Iterator[float]:
        """Yield for each active generated task its highest ROUGE-L to a seed when it was decided."""
        sql = (
            "SELECT seed_score FROM tasks JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id"
            " WHERE state = 'active' AND origin = 'generated'"
        )
        for (score,) in self._stream(sql):
            yield score

    def yields(self) -> list[RoundYield]:
        """Return for each finished round how many candidates it had and how many were accepted."""
        sql = (
            "SELECT rounds.number, count(verdicts.id), coalesce(sum(verdict = 'accepted'), 0) FROM rounds"
            " LEFT JOIN requests ON requests.round_id = rounds.id AND requests.stage = 'instructions'"
            " LEFT JOIN candidates ON candidates.request_id = requests.id LEFT JOIN verdicts ON verdicts.candidate_id = candidates.id"
            " WHERE rounds.stage = 'done' GROUP BY rounds.id ORDER BY rounds.number"
        )
        return [RoundYield(*row) for row in self._database.rows(sql)]

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
