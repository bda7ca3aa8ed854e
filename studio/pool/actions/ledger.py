"""What a person decides, written beside what the rule decided: every method is one action and one transaction, and can be undone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from studio.errors import UsageError
from studio.pool.actions import changes
from studio.pool.actions.changes import Journal, insert_attempt
from studio.pool.actions.records import (
    ActionRecord,
    ActionState,
    ComparedTask,
    Effect,
    HandDecision,
    HandRequest,
    MoreInstances,
    Note,
)
from studio.pool.core.database import Database, Reader, chunks
from studio.pool.core.files import now
from studio.pool.core.rows import COMPLETION_FIELDS, completion_values, prompt_id, sampling_id, storable_or_none
from studio.pool.records import PlannedRequest, RoundRecord
from studio.pool.studies.reviews import Annotation
from studio.records import Decider, Origin, Stage, TaskState, Verdict
from studio.text import storable


def request_values(database: Database, planned: PlannedRequest) -> dict[str, Any]:
    """Return the columns of a request that make its prompt and how it is answered; within a transaction."""
    return {
        "prefix_id": prompt_id(database, planned.prefix),
        "suffix": storable(planned.suffix),
        "sampling_id": sampling_id(database, planned.params),
        "seed": planned.seed,
    }


def next_hand_ordinal(database: Database, round_id: int, stage: str) -> int:
    """Return the ordinal of the next request that is asked for by hand: -1, -2 and so on, beside the round's own, which count from 0."""
    sql = "SELECT min(-1, coalesce(min(ordinal) - 1, -1)) FROM requests WHERE round_id = ? AND stage = ?"
    row = database.row(sql, (round_id, stage))
    return int(row[0]) if row else -1


def insert_hand_requests(database: Database, round_id: int, requests: Sequence[HandRequest]) -> list[int]:
    """Store requests with their answers; return their ids. Within a transaction."""
    ids = []
    for request in requests:
        values = {
            "round_id": round_id,
            "stage": request.stage.value,
            "ordinal": next_hand_ordinal(database, round_id, request.stage.value),
            "task_id": request.planned.task_id,
            **request_values(database, request.planned),
        }
        places = ", ".join("?" * len(values))
        sql = f"INSERT INTO requests ({', '.join(values)}) VALUES ({places}) RETURNING id"
        (request_id,) = database.execute(sql, tuple(values.values())).fetchone()
        database.insert("completions", ("request_id", *COMPLETION_FIELDS), [(request_id, *completion_values(request.completion))])
        ids.append(int(request_id))
    return ids


UNDONE = "undone"
"""The reason code of instances that were asked for by hand and are not, or no longer, wanted."""


class Ledger:
    """The actions of one pool. Every method raises PoolError when the pool cannot be written; nothing of the action is stored then.

    They raise UsageError for candidates and tasks that belong to a superseded attempt: it has to be brought back first.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(self, note: Note, candidate_id: int, decision: HandDecision) -> Effect:
        """Decide a candidate anew. An accepted one has a task from then on, a rejected one's task retires."""
        return self.decide_all(note, [(candidate_id, decision)])

    def decide_all(self, note: Note, decisions: Sequence[tuple[int, HandDecision]]) -> Effect:
        """Decide several candidates anew, as one action. Tasks that have to be made get ascending ids, in the order of `decisions`."""
        with self._action(note) as journal:
            for candidate_id, decision in decisions:
                self._decide(journal, candidate_id, decision)
        return self._effect(note, journal)

    def change_instance(self, note: Note, instance_id: int, values: dict[str, str]) -> Effect:
        """Set a person's input, output, verdict or reason of an instance; what the model wrote and the rule decided is kept beside it."""
        with self._action(note) as journal:
            origin = "instances JOIN tasks ON tasks.id = task_id"
            self._require_standing(origin, "instances", instance_id)
            sql = "SELECT original, input, output, verdict, reason, decided_by FROM instances WHERE id = ?"
            original, *first = self._database.execute(sql, (instance_id,)).fetchone()
            if original is None:
                original = json.dumps(
                    dict(zip(("input", "output", "verdict", "reason", "decided_by"), first, strict=True)), ensure_ascii=False
                )
            stored = {column: storable(value) for column, value in values.items()}
            journal.row("instances", instance_id, {**stored, "decided_by": Decider.HUMAN.value, "original": original})
        return self._effect(note, journal)

    def add_instances(self, note: Note, round_id: int, more: MoreInstances) -> Effect:
        """Store requests that a person asked for, under the round at hand, with what came of them."""
        with self._action(note) as journal:
            self._require_standing("tasks", "tasks", more.task_id)
            request_id = insert_hand_requests(self._database, round_id, more.requests)[-1]
            if more.is_classification is not None:
                journal.row("tasks", more.task_id, {"is_classification": int(more.is_classification)})
            for instance in more.instances:
                # Withdrawn first, so that undoing leaves it as it is stored here.
                position = "(SELECT coalesce(max(position) + 1, 0) FROM instances WHERE task_id = ?1)"
                sql = (
                    "INSERT INTO instances (task_id, position, request_id, input, output, verdict, reason, decided_by)"
                    f" VALUES (?1, {position}, ?2, ?3, ?4, 'rejected', ?5, ?6)"
                    " RETURNING id"
                )
                texts = (storable(instance.input), storable(instance.output))
                values = (more.task_id, request_id, *texts, UNDONE, Decider.RULE.value)
                (instance_id,) = self._database.execute(sql, values).fetchone()
                journal.row("instances", instance_id, {"verdict": instance.verdict.value, "reason": instance.reason})
        return self._effect(note, journal)

    def set_retired(self, note: Note, task_id: int, *, retired: bool) -> Effect:
        """Retire a task or bring it back. New candidates are compared with it either way."""
        with self._action(note) as journal:
            self._require_standing("tasks", "tasks", task_id)
            journal.row("tasks", task_id, {"state": TaskState.RETIRED.value if retired else changes.LIVE})
        return self._effect(note, journal)

    def set_marked(self, note: Note, task_id: int, *, marked: bool) -> Effect:
        """Mark a task for review, or take the mark away."""
        with self._action(note) as journal:
            self._require_standing("tasks", "tasks", task_id)
            journal.row("tasks", task_id, {"marked": int(marked)})
        return self._effect(note, journal)

    def annotate(self, note: Note, task_id: int, annotation: Annotation) -> Effect:
        """Hang tags and a note on a task, in the place of those it has."""
        with self._action(note) as journal:
            self._require_standing("tasks", "tasks", task_id)
            journal.list("task_tags", task_id, [(storable(tag),) for tag in annotation.tags])
            journal.list("task_notes", task_id, [(storable(annotation.note),)] if annotation.note else [])
        return self._effect(note, journal)

    def rewrite_request(self, note: Note, request_id: int, planned: PlannedRequest) -> Effect:
        """Put another prompt, with its parents, in the place of one that was not sent yet."""
        with self._action(note) as journal:
            journal.row("requests", request_id, request_values(self._database, planned))
            journal.list("request_parents", request_id, [(parent,) for parent in planned.parents])
        return self._effect(note, journal)

    def set_overrides(self, note: Note, round_id: int, overrides: str | None) -> Effect:
        """Set the parameters, canonical JSON by dotted key, that hold for one round; None for the run's own."""
        with self._action(note) as journal:
            journal.parameters(round_id, overrides)
        return self._effect(note, journal)

    def supersede(self, note: Note, round_id: int, requests: Sequence[PlannedRequest], overrides: str | None) -> Effect:
        """Send an unfinished round back to its instruction requests, which are `requests` from now on; all it had is kept as superseded."""
        with self._action(note) as journal:
            journal.attempt(round_id, insert_attempt(self._database, round_id, requests, overrides))
        return self._effect(note, journal)

    def undo(self) -> Effect | None:
        """Take back the newest action that can be taken back; None when there is none.

        Passed over are actions that the run has built upon, such as another prompt that was answered since.
        """
        return self._turn("done", forward=False)

    def redo(self) -> Effect | None:
        """Do again what was undone last; None when there is nothing, or when something else was done since."""
        return self._turn("undone", forward=True)

    @contextmanager
    def _action(self, note: Note) -> Iterator[Journal]:
        database = self._database
        with database.transaction():
            database.execute("UPDATE actions SET state = 'void' WHERE state = 'undone'")
            sql = (
                "INSERT INTO actions (kind, words, round_id, stage, changes, state)"
                " SELECT ?1, ?2, (SELECT id FROM rounds WHERE stage NOT IN ('done', 'superseded')),"
                " (SELECT stage FROM rounds WHERE stage NOT IN ('done', 'superseded')), '[]', 'done' RETURNING id"
            )
            (action_id,) = database.execute(sql, (note.kind, note.words)).fetchone()
            journal = Journal(database, action_id)
            yield journal
            database.execute("UPDATE actions SET changes = ? WHERE id = ?", (changes.to_json(journal.changes), action_id))
            targets = {target for change in journal.changes for target in changes.targets(change)}
            database.insert("action_targets", ("target", "target_id", "action_id"), ((*target, action_id) for target in sorted(targets)))
            self._step(action_id, "do")

    def _turn(self, state: str, *, forward: bool) -> Effect | None:
        database = self._database
        with database.transaction():
            found, passed = next_action(database, state)
            for action_id in passed:
                # For good: what is turned next may put the round where this one would seem to fit, and it does not.
                database.execute("UPDATE actions SET state = ? WHERE id = ?", ("void" if forward else "settled", action_id))
            if found is None:
                return None
            action_id, words, done = found
            touched: set[int] = set()
            for change in done if forward else reversed(done):
                touched |= changes.apply(database, change, action_id, forward=forward)
            database.execute("UPDATE actions SET state = ? WHERE id = ?", ("done" if forward else "undone", action_id))
            self._step(action_id, "redo" if forward else "undo")
        return Effect(words, tuple(sorted(touched)))

    def _step(self, action_id: int, step: str) -> None:
        self._database.execute("INSERT INTO action_steps (action_id, step, at) VALUES (?, ?, ?)", (action_id, step, now()))

    def _effect(self, note: Note, journal: Journal) -> Effect:
        return Effect(note.words, tuple(sorted(journal.tasks)))

    def _decide(self, journal: Journal, candidate_id: int, decision: HandDecision) -> None:
        self._require_standing("candidates JOIN requests ON requests.id = request_id", "candidates", candidate_id)
        database, novelty = self._database, decision.novelty
        (held,) = database.execute("SELECT verdict FROM verdicts WHERE candidate_id = ?", (candidate_id,)).fetchone()
        journal.decision(
            candidate_id,
            {
                "verdict": decision.verdict.value,
                "reason": decision.reason,
                "score": novelty.score,
                "nearest_task_id": novelty.nearest,
                "seed_score": novelty.seed_score,
                "mean_score": novelty.mean,
                "edited": storable_or_none(decision.text),
            },
        )
        if decision.verdict is Verdict.ACCEPTED:
            task_id, text = self._task_of(candidate_id, decision.text)
            standing: dict[str, Any] = {} if held == Verdict.ACCEPTED else {"state": changes.LIVE, "compared": 1}
            journal.row("tasks", task_id, {"instruction": text, **standing})
            journal.list("neighbours", candidate_id, [(each.task_id, each.score) for each in novelty.neighbours])
        elif held == Verdict.ACCEPTED:
            task_id, _ = self._task_of(candidate_id, decision.text)
            journal.row("tasks", task_id, {"state": TaskState.RETIRED.value, "compared": 0})

    def _task_of(self, candidate_id: int, text: str | None) -> tuple[int, str]:
        """Return the id of the candidate's task, made as a retired one when there is none, and the text it should have."""
        database = self._database
        if text is None:
            (text,) = database.execute("SELECT text FROM candidates WHERE id = ?", (candidate_id,)).fetchone()
        row = database.execute("SELECT id FROM tasks WHERE candidate_id = ?", (candidate_id,)).fetchone()
        if row is None:
            sql = (
                "INSERT INTO tasks (origin, state, instruction, round_id, candidate_id, compared)"
                " SELECT ?, 'retired', ?, round_id, candidates.id, 0 FROM candidates JOIN requests ON requests.id = request_id"
                " WHERE candidates.id = ? RETURNING id"
            )
            row = database.execute(sql, (Origin.GENERATED.value, storable(text), candidate_id)).fetchone()
        return int(row[0]), storable(text)

    def _require_standing(self, source: str, table: str, row_id: int) -> None:
        sql = f"SELECT rounds.number FROM {source} JOIN rounds ON rounds.id = round_id WHERE {table}.id = ? AND rounds.stage = 'superseded'"
        row = self._database.row(sql, (row_id,))
        if row is not None:
            raise UsageError(f"this belongs to an attempt at round {row[0]} that was written anew", "undo that first")


def next_action(database: Database, state: str) -> tuple[tuple[int, str, list[changes.Change]] | None, list[int]]:
    """Return id, words and changes of the action that is turned next, of those in `state` (done or undone), and the ids passed over."""
    passed: list[int] = []
    newest_first = "DESC" if state == "done" else "ASC"
    last = None
    while True:
        beyond = "" if last is None else f" AND id {'<' if state == 'done' else '>'} {last:d}"
        row = database.row(f"SELECT id, words, changes FROM actions WHERE state = ?{beyond} ORDER BY id {newest_first} LIMIT 1", (state,))
        if row is None:
            return None, passed
        last, words, text = row
        done = changes.from_json(text)
        if not any(changes.blocked(database, change) for change in done):
            return (last, words, done), passed
        passed.append(last)


class LedgerQueries(Reader):
    """Actions, round parameters, and which tasks new candidates are compared with."""

    def actions(self, limit: int) -> list[ActionRecord]:
        """Return the newest actions, undone ones too, the newest first."""
        sql = (
            "SELECT actions.id, kind, words, number, actions.stage, state,"
            " (SELECT at FROM action_steps WHERE action_id = actions.id ORDER BY id DESC LIMIT 1)"
            " FROM actions LEFT JOIN rounds ON rounds.id = round_id ORDER BY actions.id DESC LIMIT ?"
        )
        rows = self._database.rows(sql, (limit,))
        return [
            ActionRecord(found, kind, words, number, stage, ActionState(state), at) for found, kind, words, number, stage, state, at in rows
        ]

    def next_undo(self) -> str | None:
        """Return in words what would be undone next."""
        found, _ = next_action(self._database, "done")
        return None if found is None else found[1]

    def next_redo(self) -> str | None:
        """Return in words what would be done again next."""
        found, _ = next_action(self._database, "undone")
        return None if found is None else found[1]

    def next_action_id(self) -> int:
        """Return the id of the next action; ids are never used twice, so what is drawn for an action is drawn once."""
        row = self._database.row("SELECT seq FROM sqlite_sequence WHERE name = 'actions'")
        return int(row[0]) + 1 if row else 1

    def next_hand_ordinal(self, round_id: int, stage: Stage) -> int:
        """Return the ordinal of the next request asked for by hand; they count from -1 downwards."""
        return next_hand_ordinal(self._database, round_id, stage.value)

    def round_overrides(self, round_id: int) -> Mapping[str, Any]:
        """Return the parameters, by dotted key, that hold for this round alone."""
        row = self._database.row("SELECT overrides FROM rounds WHERE id = ?", (round_id,))
        return json.loads(row[0]) if row and row[0] is not None else {}

    def newest_round(self, run_id: int) -> tuple[RoundRecord, bool] | None:
        """Return the newest round of a run and whether it is finished; its stage counts only where it is not."""
        sql = "SELECT id, run_id, number, stage FROM rounds WHERE run_id = ? AND stage <> 'superseded' ORDER BY number DESC LIMIT 1"
        row = self._database.row(sql, (run_id,))
        if row is None:
            return None
        done = row[3] == "done"
        return RoundRecord(row[0], row[1], row[2], Stage.COMMIT if done else Stage(row[3])), done

    def compared_tasks(self, ids: Sequence[int]) -> list[ComparedTask]:
        """Return what the novelty index has to know of these tasks, in the order of their ids."""
        found = []
        for piece, places in chunks(sorted(ids)):
            sql = f"SELECT id, instruction, origin = 'seed', compared FROM tasks WHERE id IN ({places}) ORDER BY id"
            for task_id, instruction, is_seed, compared in self._database.rows(sql, piece):
                found.append(ComparedTask(task_id, instruction, bool(is_seed), bool(compared)))
        return found
