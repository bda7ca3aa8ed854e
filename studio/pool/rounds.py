"""Runs and rounds: where a run stands, what its open round has stored, and what its rounds brought."""

from __future__ import annotations

from collections import defaultdict

from studio.pool.core.database import Reader, Row
from studio.pool.core.rows import COMPLETION_COLUMNS, MODEL_COLUMNS, completion_of, model_of, sampling_of
from studio.pool.records import DraftTask, RoundRecord, RoundResult, RunRecord, StoredCompletion, StoredRequest
from studio.records import Origin, Stage, Task, TaskState

_RUN = f"SELECT runs.id, settings, seed, studio_version, started_at, {MODEL_COLUMNS} FROM runs JOIN models ON models.id = model_id"


class RoundQueries(Reader):
    """What a session needs to go on where it was."""

    def latest_run(self) -> RunRecord | None:
        """Return the run begun last, or None in a pool that never ran."""
        row = self._database.row(f"{_RUN} ORDER BY runs.id DESC LIMIT 1")
        return None if row is None else _run_of(row)

    def runs(self) -> list[RunRecord]:
        """Return all runs, the first one first."""
        return [_run_of(row) for row in self._database.rows(f"{_RUN} ORDER BY runs.id")]

    def open_round(self) -> RoundRecord | None:
        """Return the round that is not finished; there is one at most."""
        row = self._database.row("SELECT id, run_id, number, stage FROM rounds WHERE stage NOT IN ('done', 'superseded')")
        return None if row is None else RoundRecord(row[0], row[1], row[2], Stage(row[3]))

    def requests(self, round_id: int, stage: Stage) -> list[StoredRequest]:
        """Return the requests that a stage planned, in their order; not those that a person asked for besides."""
        parents: defaultdict[int, list[int]] = defaultdict(list)
        sql = (
            "SELECT request_id, request_parents.task_id FROM requests JOIN request_parents ON request_id = requests.id"
            " WHERE round_id = ? AND stage = ? AND ordinal >= 0 ORDER BY ordinal, position"
        )
        for request_id, parent in self._database.rows(sql, (round_id, stage.value)):
            parents[request_id].append(parent)
        sql = (
            "SELECT requests.id, ordinal, task_id, prompts.text, suffix, params, seed FROM requests"
            " JOIN prompts ON prompts.id = prefix_id JOIN sampling ON sampling.id = sampling_id"
            " WHERE round_id = ? AND stage = ? AND ordinal >= 0 ORDER BY ordinal"
        )
        return [
            StoredRequest(found, ordinal, task_id, prefix, suffix, sampling_of(params), seed, tuple(parents[found]))
            for found, ordinal, task_id, prefix, suffix, params, seed in self._database.rows(sql, (round_id, stage.value))
        ]

    def completions(self, round_id: int, stage: Stage) -> list[StoredCompletion]:
        """Return what came back for a stage, in the order of its requests."""
        sql = (
            f"SELECT requests.id, ordinal, task_id, {COMPLETION_COLUMNS} FROM requests JOIN completions ON request_id = requests.id"
            " WHERE round_id = ? AND stage = ? AND ordinal >= 0 ORDER BY ordinal"
        )
        return [
            StoredCompletion(request_id, ordinal, task_id, completion_of(values))
            for request_id, ordinal, task_id, *values in self._database.rows(sql, (round_id, stage.value))
        ]

    def drafts(self, round_id: int) -> list[DraftTask]:
        """Return the draft tasks of a round in the order of their ids, without instances."""
        sql = (
            "SELECT tasks.id, name, instruction, is_classification, number, input, output, request_id FROM tasks"
            " JOIN rounds ON rounds.id = round_id JOIN candidates ON candidates.id = candidate_id"
            " WHERE round_id = ? AND state = 'draft' ORDER BY tasks.id"
        )
        return [
            DraftTask(
                task=Task(
                    id=found,
                    origin=Origin.GENERATED,
                    state=TaskState.DRAFT,
                    name=name,
                    instruction=instruction,
                    is_classification=None if answer is None else bool(answer),
                    round=number,
                ),
                input=given_input,
                output=given_output,
                request_id=request_id,
            )
            for found, name, instruction, answer, number, given_input, given_output, request_id in self._database.rows(sql, (round_id,))
        ]


def _run_of(row: Row) -> RunRecord:
    found, settings, seed, studio_version, started_at, *model = row
    return RunRecord(found, settings, seed, studio_version, model_of(model), started_at)


class ProgressQueries(Reader):
    """Small figures, asked after each round; each reads a round or an index, never the whole pool."""

    def generated(self) -> int:
        """Return the number of active generated tasks."""
        row = self._database.row("SELECT count(*) FROM tasks WHERE state = 'active' AND origin = 'generated'")
        return int(row[0]) if row else 0

    def round_result(self, round_id: int) -> RoundResult:
        """Return what a round brought, by the decisions that hold now."""
        sql = (
            "SELECT verdict, reason, count(*) FROM requests JOIN candidates ON candidates.request_id = requests.id"
            " JOIN verdicts ON verdicts.candidate_id = candidates.id WHERE round_id = ? GROUP BY reason, verdict ORDER BY reason, verdict"
        )
        decided = self._database.rows(sql, (round_id,))
        sql = (
            "SELECT count(*) FROM tasks JOIN instances ON instances.task_id = tasks.id"
            " WHERE tasks.round_id = ? AND instances.verdict = 'accepted'"
        )
        row = self._database.row(sql, (round_id,))
        return RoundResult(
            accepted=sum(number for verdict, _, number in decided if verdict == "accepted"),
            rejected={reason: number for verdict, reason, number in decided if verdict == "rejected"},
            instances=int(row[0]) if row else 0,
        )

    def round_yields(self, run_id: int, last: int) -> list[int]:
        """Return how many tasks each of the `last` finished rounds of a run brought, the newest first."""
        sql = (
            "SELECT (SELECT count(*) FROM tasks WHERE tasks.round_id = rounds.id) FROM rounds"
            " WHERE run_id = ? AND stage = 'done' ORDER BY number DESC LIMIT ?"
        )
        return [int(row[0]) for row in self._database.rows(sql, (run_id, last))]
