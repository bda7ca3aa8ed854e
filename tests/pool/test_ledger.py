"""A person's actions in the pool: each whole or not at all, and turned value by value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from studio.engine.api import Completion, FinishReason
from studio.errors import UsageError
from studio.pool.changes import set_row
from studio.pool.instances import DecidedInstance, OriginalInstance
from studio.pool.ledger import HandDecision, HandRequest, MoreInstances, Note
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest
from studio.records import Decider, Neighbour, Novelty, Stage, Verdict
from support.dying import assert_all_or_nothing
from support.pools import PARAMS, PREFIX, RAW, ask, assert_sound, decided_candidates, store_completions

NOTE = Note("test", "did something")
PLANNED = PlannedRequest(PREFIX, "another suffix", PARAMS, 99, (5, 4))
ANSWER = HandRequest(
    Stage.INSTANCES, PlannedRequest(PREFIX, "more", PARAMS, 5, (), 11), Completion("Output: Oder", FinishReason.STOP, 9, 3)
)
MORE = MoreInstances(11, (ANSWER,), (DecidedInstance(11, None, "x", "Oder", Verdict.ACCEPTED, "valid"),), True)
NOVELTY = Novelty((Neighbour(2, 0.5), Neighbour(11, 0.25)), 0.125, 0.5)

ACTIONS: dict[str, Callable[[Pool], object]] = {
    "accept": lambda pool: pool.ledger.decide(NOTE, 3, HandDecision(Verdict.ACCEPTED, "by_hand", NOVELTY)),
    "accept edited": lambda pool: pool.ledger.decide(NOTE, 3, HandDecision(Verdict.ACCEPTED, "edited", NOVELTY, "Name four rivers.")),
    "reject": lambda pool: pool.ledger.decide(NOTE, 1, HandDecision(Verdict.REJECTED, "by_hand", NOVELTY)),
    "edit": lambda pool: pool.ledger.decide(NOTE, 1, HandDecision(Verdict.ACCEPTED, "edited", NOVELTY, "Name four rivers.")),
    "change instance": lambda pool: pool.ledger.change_instance(NOTE, 11, {"input": "a", "output": "\ud800b"}),
    "add instances": lambda pool: pool.ledger.add_instances(NOTE, 2, MORE),
    "retire": lambda pool: pool.ledger.set_retired(NOTE, 3, retired=True),
    "mark": lambda pool: pool.ledger.set_marked(NOTE, 3, marked=True),
    "rewrite": lambda pool: pool.ledger.rewrite_request(NOTE, 5, PLANNED),
    "overrides": lambda pool: pool.ledger.set_overrides(NOTE, 2, '{"threshold": 0.5}'),
    "supersede": lambda pool: pool.ledger.supersede(NOTE, 2, [PLANNED, PLANNED], None),
    "undo": lambda pool: pool.ledger.undo(),
    "redo": lambda pool: pool.ledger.redo(),
}


@pytest.fixture
def planned(walked: Pool) -> Pool:
    """The pool after one round, the next one with one prompt that was not sent yet, and one action done."""
    current = walked.rounds.begin(1)
    walked.requests.plan(current.id, Stage.INSTRUCTIONS, [PlannedRequest(PREFIX, "", PARAMS, 1, (1, 2, 3))], Stage.INSTRUCTIONS)
    walked.ledger.set_retired(Note("first", "retired task 2"), 2, retired=True)
    return walked


@pytest.mark.parametrize("name", ACTIONS)
def test_a_kill_at_any_statement_leaves_the_old_state(planned: Pool, name: str) -> None:
    if name == "redo":
        planned.ledger.undo()
    planned.close()
    assert_all_or_nothing(planned.path, ACTIONS[name])


@pytest.mark.parametrize("name", [name for name in ACTIONS if name not in ("undo", "redo")])
def test_each_action_is_turned_and_turned_again(planned: Pool, name: str) -> None:
    def exported() -> list[object]:
        return [*planned.stream.export_tasks(True), planned.rounds.unfinished(), planned.requests.planned(2, Stage.INSTRUCTIONS)]

    before = exported()
    ACTIONS[name](planned)
    after = exported()
    for _ in range(3):
        effect = planned.ledger.undo()
        assert effect is not None
        assert effect.words == "did something"
        assert exported() == before
        assert planned.ledger.redo() is not None
        assert exported() == after
    assert planned.ledger.redo() is None
    assert_sound(planned.path)


def test_what_the_model_wrote_is_told_beside_what_a_person_made_of_it(planned: Pool) -> None:
    ledger = planned.ledger
    ledger.change_instance(NOTE, 11, {"output": "Elbe"})
    ledger.change_instance(NOTE, 11, {"verdict": "rejected", "reason": "by_hand"})
    changed = planned.instances.get(11)
    own = OriginalInstance("", "Elbe, Oder, Rhine", Verdict.ACCEPTED, "valid", Decider.RULE)
    assert (changed.output, changed.verdict, changed.original) == ("Elbe", Verdict.REJECTED, own)
    ledger.undo()
    assert planned.instances.get(11).original == own
    ledger.undo()
    assert (planned.instances.get(11).original, planned.instances.get(11).output) == (None, own.output)
    ledger.change_instance(NOTE, 11, {"input": "Germany"})
    assert planned.instances.get(11).original == own
    ACTIONS["add instances"](planned)
    added = planned.instances.of_task(11)[-1]
    ledger.change_instance(NOTE, added.id, {"output": "Oder."})
    assert planned.instances.get(added.id).original == OriginalInstance("x", "Oder", Verdict.ACCEPTED, "valid", Decider.RULE)


def test_an_undone_decision_is_one_more_entry_that_says_what_the_first_one_said(planned: Pool) -> None:
    ACTIONS["accept edited"](planned)
    planned.ledger.undo()
    first, second, third = planned.candidates.decisions(3)
    assert (second.decided_by, second.edited, second.action_id) == (Decider.HUMAN, "Name four rivers.", 2)
    assert (third.verdict, third.reason, third.score, third.decided_by, third.edited) == (
        first.verdict,
        first.reason,
        first.score,
        Decider.RULE,
        None,
    )
    assert (first.action_id, third.action_id) == (None, 2)


def test_a_task_never_leaves_and_its_id_is_never_used_twice(planned: Pool) -> None:
    ACTIONS["accept"](planned)
    assert planned.tasks.next_id() == 14
    planned.ledger.undo()
    assert planned.tasks.next_id() == 14
    assert 13 not in {task_id for task_id, _, _ in planned.tasks.instructions()}
    assert planned.candidates.get(3).task_id == 13


def test_what_belongs_to_a_former_attempt_is_left_alone(planned: Pool) -> None:
    store_completions(planned, 2, Stage.INSTRUCTIONS, [Completion(RAW, FinishReason.STOP, 1, 2)], Stage.FILTER)
    planned.candidates.record(2, decided_candidates(5, 13), Stage.CLASSIFY)
    ACTIONS["supersede"](planned)
    assert [request.parents for request in planned.requests.planned(2, Stage.INSTRUCTIONS)] == [(5, 4), (5, 4)]
    assert ask(planned.path, "SELECT id FROM rounds WHERE stage = 'superseded'") == [(3,)]
    rejected = HandDecision(Verdict.REJECTED, "by_hand", NOVELTY)
    refused: list[Callable[[], object]] = [
        lambda: planned.ledger.set_retired(NOTE, 13, retired=False),
        lambda: planned.ledger.set_marked(NOTE, 13, marked=True),
        lambda: planned.ledger.decide(NOTE, 4, rejected),
    ]
    for act in refused:
        with pytest.raises(UsageError, match="round 2 that was written anew"):
            act()
    assert planned.figures.counts().candidates == 3
    planned.ledger.undo()
    assert [draft.task.id for draft in planned.tasks.drafts(2)] == [13, 14]
    assert planned.figures.counts().candidates == 6


def test_changes_name_no_other_columns(planned: Pool) -> None:
    with pytest.raises(ValueError, match="no columns"), planned._database.transaction():
        set_row(planned._database, "tasks", 1, {"id": 7})
