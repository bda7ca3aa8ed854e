"""Reading how much there is of everything, in a pool or in one of its runs."""

from __future__ import annotations

from studio.pool.database import Row
from studio.pool.reading import Reader
from studio.pool.records import PoolCounts

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
