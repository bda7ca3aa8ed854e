"""What a person decides, written beside what the rule decided: every method is one action and one transaction, and can be undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from studio.engine.api import Completion
from studio.errors import UsageError
from studio.pool import changes
from studio.pool.candidates import novelty_values
from studio.pool.changes import Change, Effect, Journal, insert_attempt
from studio.pool.database import Database, Entity
from studio.pool.files import now
from studio.pool.instances import DecidedInstance, insert_drawn
from studio.pool.requests import PlannedRequest, Requests, insert_completions, request_values
from studio.pool.tasks import Annotation
from studio.records import Decider, Novelty, Origin, Stage, TaskState, Verdict

UNDONE = "undone"
"""The reason code of instances that were asked for by hand and are not, or no longer, wanted."""


class ActionState(StrEnum):
    """Whether an action counts, and whether it can be turned."""

    DONE = "done"
    UNDONE = "undone"
    SETTLED = "settled"
    """Done for good: the run has built upon it."""
    VOID = "void"
    """Undone for good: something else was done since."""


@dataclass(frozen=True, slots=True)
class Note:
    """What an action is called: a word for programs, and words for people, which hold nobody else's text."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class ActionStep:
    """One turn of an action: `step` is do, undo or redo, `state` what holds of the action now; `at` is an ISO 8601 time in UTC."""

    action_id: int
    kind: str
    words: str
    state: ActionState
    step: str
    at: str


@dataclass(frozen=True, slots=True)
class HandDecision:
    """What a person decided of a candidate. `text` is None where it is the model's own."""

    verdict: Verdict
    reason: str
    novelty: Novelty
    text: str | None = None


@dataclass(frozen=True, slots=True)
class HandRequest:
    """A request that a person asked for, with its answer."""

    stage: Stage
    planned: PlannedRequest
    completion: Completion


@dataclass(frozen=True, slots=True)
class MoreInstances:
    """Instances that a person asked for. `is_classification` is None where that was known before.

    The instances' `request_id` and `answer_id`, and those of what was drawn for them, are places in `requests`.
    """

    task_id: int
    requests: tuple[HandRequest, ...]
    instances: tuple[DecidedInstance, ...]
    is_classification: bool | None = None


# A candidate and the task it became, each or both; the request that it came from stands for its prompt and its round.
_STEPS = """
WITH mine (target, target_id) AS (
    VALUES ('tasks', :task), ('candidates', :candidate), ('requests', (SELECT request_id FROM candidates WHERE id = :candidate))
    UNION ALL SELECT 'rounds', round_id FROM candidates JOIN requests ON requests.id = request_id WHERE candidates.id = :candidate
    UNION ALL SELECT 'instances', id FROM instances WHERE task_id = :task)
SELECT actions.id AS action_id, kind, words, state, step, at FROM actions JOIN action_steps ON action_id = actions.id
WHERE actions.id IN (SELECT action_id FROM mine JOIN action_targets USING (target, target_id)) ORDER BY action_steps.id"""


class Ledger(Entity):
    """The actions of one pool. Every method raises PoolError when the pool cannot be written; nothing of the action is stored then.

    They raise UsageError for candidates and tasks that belong to a superseded attempt: it has to be brought back first.
    """

    def decide(self, note: Note, candidate_id: int, decision: HandDecision) -> Effect:
        """Decide a candidate anew. An accepted one has a task from then on, a rejected one's task retires."""
        return self.decide_all(note, [(candidate_id, decision)])

    def decide_all(
        self, note: Note, decisions: Sequence[tuple[int, HandDecision]], instances: Sequence[tuple[int, dict[str, str]]] = ()
    ) -> Effect:
        """Decide several candidates anew, as one action, and change `instances`, by their ids, as `change_instance` does.

        Tasks that have to be made get ascending ids, in the order of `decisions`.
        """
        with acting(self._database, note) as journal:
            for candidate_id, decision in decisions:
                self._decide(journal, candidate_id, decision)
            for instance_id, values in instances:
                self._change_instance(journal, instance_id, values)
        return journal.effect

    def change_instance(self, note: Note, instance_id: int, values: dict[str, str]) -> Effect:
        """Set a person's input, output, verdict or reason of an instance; the action keeps what the model wrote and the rule decided."""
        with acting(self._database, note) as journal:
            self._change_instance(journal, instance_id, values)
        return journal.effect

    def add_instances(self, note: Note, round_id: int, more: MoreInstances) -> Effect:
        """Store requests that a person asked for, under the round at hand, with what came of them."""
        with acting(self._database, note) as journal:
            self._require_standing("tasks", more.task_id)
            ids = [self._insert_request(round_id, request) for request in more.requests]
            if more.is_classification is not None:
                journal.row("tasks", more.task_id, {"is_classification": more.is_classification})
            sql = "SELECT coalesce(max(position) + 1, 0) FROM instances WHERE task_id = ?"
            first = self._database.value(sql, (more.task_id,))
            for position, instance in enumerate(more.instances, first):
                place = {"task_id": more.task_id, "position": position, "agreement": instance.agreement, "nats": instance.nats}
                asked = {"request_id": instance.request_id, "answer_id": instance.answer_id}
                place |= {name: None if at is None else ids[at] for name, at in asked.items()}
                texts = {"input": instance.input, "output": instance.output, "thoughts": instance.thoughts or None}
                # Withdrawn first, so that undoing leaves it as it is stored here.
                decided = {"verdict": Verdict.REJECTED, "reason": UNDONE, "decided_by": Decider.RULE}
                instance_id = self._database.insert_row("instances", {**place, **texts, **decided})
                drawn = [replace(each, request_id=ids[each.request_id]) for each in instance.drawn]
                insert_drawn(self._database, ((instance_id, each) for each in drawn))
                journal.row("instances", instance_id, {"verdict": instance.verdict, "reason": instance.reason})
        return journal.effect

    def set_retired(self, note: Note, task_id: int, *, retired: bool) -> Effect:
        """Retire a task or bring it back. New candidates are compared with it either way."""
        with acting(self._database, note) as journal:
            self._require_standing("tasks", task_id)
            journal.row("tasks", task_id, {"state": TaskState.RETIRED if retired else changes.LIVE})
        return journal.effect

    def set_marked(self, note: Note, task_id: int, *, marked: bool) -> Effect:
        """Mark a task for review, or take the mark away."""
        with acting(self._database, note) as journal:
            self._require_standing("tasks", task_id)
            journal.row("tasks", task_id, {"marked": marked})
        return journal.effect

    def annotate(self, note: Note, task_id: int, annotation: Annotation) -> Effect:
        """Hang tags and a note on a task, in the place of those it has."""
        with acting(self._database, note) as journal:
            self._require_standing("tasks", task_id)
            journal.list("task_tags", [task_id], [(tag,) for tag in annotation.tags])
            journal.list("task_notes", [task_id], [(annotation.note,)] if annotation.note else [])
        return journal.effect

    def rewrite_request(self, note: Note, request_id: int, planned: PlannedRequest) -> Effect:
        """Put another prompt, with its parents, in the place of one that was not sent yet."""
        with acting(self._database, note) as journal:
            journal.row("requests", request_id, request_values(self._database, planned))
            journal.list("request_parents", [request_id], [(parent,) for parent in planned.parents])
        return journal.effect

    def set_overrides(self, note: Note, round_id: int, overrides: str | None) -> Effect:
        """Set the parameters, canonical JSON by dotted key, that hold for one round; None for the run's own."""
        with acting(self._database, note) as journal:
            journal.parameters(round_id, overrides)
        return journal.effect

    def supersede(self, note: Note, round_id: int, requests: Sequence[PlannedRequest], overrides: str | None) -> Effect:
        """Send an unfinished round back to its instruction requests, which are `requests` from now on; all it had is kept as superseded."""
        with acting(self._database, note) as journal:
            journal.attempt(round_id, insert_attempt(self._database, round_id, requests, overrides))
        return journal.effect

    def undo(self) -> Effect | None:
        """Take back the newest action that can be taken back; None when there is none.

        Passed over are actions that the run has built upon, such as another prompt that was answered since.
        """
        return turn(self._database, forward=False)

    def redo(self) -> Effect | None:
        """Do again what was undone last; None when there is nothing, or when something else was done since."""
        return turn(self._database, forward=True)

    def next_undo(self) -> str | None:
        """Return in words what would be undone next."""
        found, _ = _next_action(self._database, "", forward=False)
        return None if found is None else found.words

    def next_redo(self) -> str | None:
        """Return in words what would be done again next."""
        found, _ = _next_action(self._database, "", forward=True)
        return None if found is None else found.words

    def next_action_id(self) -> int:
        """Return the id of the next action; ids are never used twice, so what is drawn for an action is drawn once."""
        return int(self._database.value("SELECT seq FROM sqlite_sequence WHERE name = 'actions'") or 0) + 1

    def steps(self, task_id: int | None, candidate_id: int | None) -> list[ActionStep]:
        """Return every step of every action that touched a task, its instances, its candidate, or the prompt or round of that, as done."""
        return self._database.records(ActionStep, _STEPS, {"task": task_id, "candidate": candidate_id})

    def _change_instance(self, journal: Journal, instance_id: int, values: dict[str, str]) -> None:
        self._require_standing("instances", instance_id)
        journal.row("instances", instance_id, {**values, "decided_by": Decider.HUMAN})

    def _insert_request(self, round_id: int, request: HandRequest) -> int:
        values = {
            "round_id": round_id,
            "stage": request.stage,
            "ordinal": Requests(self._database).next_hand_ordinal(round_id, request.stage),
            "task_id": request.planned.task_id,
            **request_values(self._database, request.planned),
        }
        request_id = self._database.insert_row("requests", values)
        insert_completions(self._database, [(request_id, request.completion)])
        return request_id

    def _decide(self, journal: Journal, candidate_id: int, decision: HandDecision) -> None:
        self._require_standing("candidates", candidate_id)
        database, novelty = self._database, decision.novelty
        held = database.value("SELECT verdict FROM verdicts WHERE candidate_id = ?", (candidate_id,))
        decided = {"verdict": decision.verdict, "reason": decision.reason, **novelty_values(novelty), "edited": decision.text}
        journal.decision(candidate_id, decided)
        if decision.verdict is Verdict.ACCEPTED:
            task_id, text = self._task_of(candidate_id, decision.text)
            standing: dict[str, Any] = {} if held == Verdict.ACCEPTED else {"state": changes.LIVE, "compared": 1}
            journal.row("tasks", task_id, {"instruction": text, **standing})
            journal.list("neighbours", [candidate_id], [(each.task_id, each.score) for each in novelty.neighbours])
        elif held == Verdict.ACCEPTED:
            task_id, _ = self._task_of(candidate_id, decision.text)
            journal.row("tasks", task_id, {"state": TaskState.RETIRED, "compared": 0})

    def _task_of(self, candidate_id: int, text: str | None) -> tuple[int, str]:
        """Return the id of the candidate's task, made as a retired one when there is none, and the text it should have."""
        database = self._database
        if text is None:
            text = database.value("SELECT text FROM candidates WHERE id = ?", (candidate_id,))
        text, task_id = text or "", database.value("SELECT id FROM tasks WHERE candidate_id = ?", (candidate_id,))
        if task_id is None:
            sql = """
                INSERT INTO tasks (origin, state, instruction, round_id, candidate_id, compared)
                SELECT ?, 'retired', ?, round_id, candidates.id, 0 FROM candidates JOIN requests ON requests.id = request_id
                WHERE candidates.id = ? RETURNING id"""
            (task_id,) = database.execute(sql, (Origin.GENERATED, text, candidate_id)).fetchone()
        return task_id, text

    def _require_standing(self, table: str, row_id: int) -> None:
        number = changes.superseded(self._database, table, row_id)
        if number is not None:
            raise UsageError(f"this belongs to an attempt at round {number} that was written anew", "undo that first")


@dataclass(frozen=True, slots=True)
class _Action:
    id: int
    words: str
    changes: list[Change]


@contextmanager
def acting(database: Database, note: Note, scope: str = "") -> Iterator[Journal]:
    """Make what the block does through the journal one action, in one transaction. What was undone in its scope is void from then on."""
    with database.transaction():
        database.execute("UPDATE actions SET state = 'void' WHERE scope = ? AND state = 'undone'", (scope,))
        sql = """
            INSERT INTO actions (scope, kind, words, round_id, stage, changes, state)
            VALUES (?, ?, ?, (SELECT id FROM open_round), (SELECT stage FROM open_round), '[]', 'done') RETURNING id"""
        (action_id,) = database.execute(sql, (scope, note.kind, note.words)).fetchone()
        journal = Journal(database, action_id, note.words)
        yield journal
        database.execute("UPDATE actions SET changes = ? WHERE id = ?", (changes.to_json(journal.changes), action_id))
        targets = {target for change in journal.changes for target in changes.targets(change)}
        rows = ({"target": target, "target_id": found, "action_id": action_id} for target, found in sorted(targets))
        database.insert("action_targets", rows)
        _step(database, action_id, "do")


def turn(database: Database, scope: str = "", *, forward: bool) -> Effect | None:
    """Take back the newest action of a scope that can be taken back, or do again (`forward`) what was undone last; None for none."""
    with database.transaction():
        found, passed = _next_action(database, scope, forward=forward)
        for action_id in passed:
            # For good: what is turned next may put the round where this one would seem to fit, and it does not.
            database.execute("UPDATE actions SET state = ? WHERE id = ?", ("void" if forward else "settled", action_id))
        if found is None:
            return None
        touched: set[int] = set()
        for change in found.changes if forward else reversed(found.changes):
            touched |= changes.apply(database, change, found.id, forward=forward)
        database.execute("UPDATE actions SET state = ? WHERE id = ?", ("done" if forward else "undone", found.id))
        _step(database, found.id, "redo" if forward else "undo")
    return Effect(found.words, tuple(sorted(touched)), tuple(found.changes))


def _next_action(database: Database, scope: str, *, forward: bool) -> tuple[_Action | None, list[int]]:
    """Return the action that is turned next, and the ids of those that are passed over."""
    passed: list[int] = []
    order, beyond = ("ASC", ">") if forward else ("DESC", "<")
    last = 0 if forward else 1 << 62
    sql = f"SELECT id, words, changes FROM actions WHERE scope = ? AND state = ? AND id {beyond} ? ORDER BY id {order} LIMIT 1"
    while row := database.row(sql, (scope, "undone" if forward else "done", last)):
        last, words, text = row
        found = _Action(last, words, changes.from_json(text))
        if not any(changes.blocked(database, change) for change in found.changes):
            return found, passed
        passed.append(last)
    return None, passed


def _step(database: Database, action_id: int, step: str) -> None:
    database.execute("INSERT INTO action_steps (action_id, step, at) VALUES (?, ?, ?)", (action_id, step, now()))
