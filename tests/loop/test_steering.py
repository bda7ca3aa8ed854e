"""What each action of a person does, and what the stages after it make of that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.errors import PoolError, UsageError
from studio.loop.events import CandidateDecided, Event, InstanceDecided, RequestsSent, TaskClassified, TextStreamed
from studio.loop.session import Goal, Session
from studio.loop.stages.asking import StageCancelled
from studio.pool.browse import Selection
from studio.pool.ledger import ActionState
from studio.pool.pool import Pool
from studio.records import Decider, Stage, TaskState, Verdict
from support.pools import actions, ask
from support.sessions import all_seeds, exported, play
from support.steering import ASKED, assert_index_follows, newest, play_until

ACCEPTED, REJECTED = Verdict.ACCEPTED, Verdict.REJECTED


def rows_of(path: Path) -> dict[int, Any]:
    return {row["id"]: row for row in map(json.loads, exported(path).splitlines())}


def task_of(pool: Pool, candidate: int) -> int:
    found = pool.candidates.get(candidate).task_id
    assert found is not None
    return found


@pytest.mark.parametrize("stage", [Stage.CLASSIFY, Stage.INSTANCES])
def test_a_candidate_accepted_in_time_goes_the_way_of_the_others(pool: Pool, session: Session, stage: Stage) -> None:
    play_until(session, stage)
    candidate = newest(pool, REJECTED)
    assert session.steering.override(candidate, ACCEPTED) == f"accepted candidate {candidate}"
    task = task_of(pool, candidate)
    assert pool.tasks.get(task).state is TaskState.DRAFT
    assert_index_follows(session, pool)
    list(session.play_round())
    done = pool.tasks.get(task)
    assert (done.state, done.is_classification in (True, False), bool(done.instances)) == (TaskState.ACTIVE, True, True)
    row = rows_of(pool.path)[task]
    decision = pool.candidates.decisions(candidate)[-1]
    assert (row["decided_by"], row["score"], row["nearest"]) == ("human", decision.score, row["neighbours"][0]["task_id"])
    assert [each.decided_by for each in pool.candidates.decisions(candidate)] == [Decider.RULE, Decider.HUMAN]


def test_a_candidate_accepted_late_is_active_at_once_and_can_get_its_instances(pool: Pool, session: Session) -> None:
    list(session.run(Goal(rounds=1)))
    candidate = newest(pool, REJECTED)
    session.steering.override(candidate, ACCEPTED)
    task = task_of(pool, candidate)
    assert (pool.tasks.get(task).state, pool.tasks.get(task).is_classification) == (TaskState.ACTIVE, None)
    assert task not in rows_of(pool.path)
    events = list(session.steering.more_instances(task))
    assert [event.stage for event in events if isinstance(event, RequestsSent)] == [Stage.CLASSIFY, Stage.INSTANCES]
    assert any(isinstance(event, TextStreamed) for event in events)
    assert next(type(event) for event in events if isinstance(event, (TaskClassified, InstanceDecided))) is TaskClassified
    assert rows_of(pool.path)[task]["instances"]
    assert [(each.round, each.ordinal) for each in pool.requests.about(task)] == [(1, -1), (1, -1)]
    assert session.steering.undo() == f"asked for more instances of task {task}"
    assert task not in rows_of(pool.path)
    assert pool.tasks.get(task).is_classification is None


def test_more_instances_given_up_leave_nothing_behind(pool: Pool, session: Session) -> None:
    list(session.run(Goal(rounds=1)))
    before = exported(pool.path)
    task = next(iter(pool.tasks.ids(with_instances=True)[40:]))
    with pytest.raises(StageCancelled):
        for event in session.steering.more_instances(task):
            if isinstance(event, TextStreamed):
                session.cancel.cancel()
    session.go_on()
    assert (exported(pool.path), pool.ledger.next_undo()) == (before, None)
    list(session.steering.more_instances(task))
    assert pool.requests.about(task)[-1].ordinal == -1


def test_more_instances_differ_from_those_that_are_there(pool: Pool, session: Session) -> None:
    list(session.run(Goal(rounds=1)))
    task = next(iter(pool.tasks.ids(with_instances=True, origin=None)[40:]))
    before = pool.tasks.get(task).instances
    for _ in range(3):
        list(session.steering.more_instances(task))
    after = pool.tasks.get(task).instances
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)
    seeds = ask(pool.path, "SELECT count(DISTINCT seed), count(*) FROM requests WHERE ordinal < 0")
    assert seeds == [(3, 3)]
    list(session.run(Goal(rounds=1)))


def test_a_rejected_task_is_no_draft_and_nothing_is_asked_about_it(pool: Pool, session: Session) -> None:
    play_until(session, Stage.CLASSIFY)
    candidate = newest(pool, ACCEPTED)
    text = pool.candidates.get(candidate).text
    session.steering.override(candidate, REJECTED)
    assert session.steering.score(text).score < 1.0
    assert_index_follows(session, pool)
    list(session.play_round())
    assert pool.requests.about(task_of(pool, candidate)) == []
    assert pool.tasks.get(task_of(pool, candidate)).state is TaskState.RETIRED
    with pytest.raises(UsageError, match="rejected already"):
        session.steering.override(candidate, REJECTED)


@pytest.mark.parametrize("stage", [Stage.CLASSIFY, Stage.INSTANCES])
def test_drafts_may_change_while_a_stage_given_up_is_still_planned(pool: Pool, session: Session, stage: Stage) -> None:
    play_until(session, stage)
    with pytest.raises(StageCancelled):
        for event in session.play_round():
            if isinstance(event, TextStreamed):
                session.cancel.cancel()
    session.go_on()
    planned = {request.task_id: request.suffix for request in pool.requests.planned(1, stage)}
    gone, come = newest(pool, ACCEPTED), newest(pool, REJECTED)
    changed = int(ask(pool.path, "SELECT min(candidate_id) FROM verdicts WHERE verdict = 'accepted'")[0][0])
    session.steering.override(gone, REJECTED)
    session.steering.override(come, ACCEPTED)
    session.steering.edit_candidate(changed, "Name the seven largest lakes of Africa.")
    list(session.play_round())
    asked = {request.task_id: request for request in pool.requests.planned(1, stage)}
    assert list(asked) == [*planned, task_of(pool, come)]
    assert "largest lakes" in asked[task_of(pool, changed)].suffix
    answered = {each.task_id for each in pool.requests.completions(1, stage)}
    assert answered == set(asked) - {task_of(pool, gone)}
    assert pool.tasks.get(task_of(pool, come)).is_classification is not None


def test_a_cancelled_stage_is_asked_again_as_if_it_had_not_begun(pool: Pool, session: Session) -> None:
    play_until(session, Stage.INSTRUCTIONS)
    streamed = 0
    with pytest.raises(StageCancelled):
        for event in session.play_round():
            streamed += isinstance(event, TextStreamed)
            if streamed == 30:
                session.cancel.cancel()
    assert pool.requests.completions(1, Stage.INSTRUCTIONS) == []
    session.go_on()
    list(session.run(Goal(rounds=1)))
    play(pool.path.with_name("calm"), Goal(rounds=1), asked=ASKED, seeds=all_seeds()[:40])
    assert exported(pool.path) == exported(pool.path.with_name("calm"))


def test_what_was_taken_back_leaves_no_trace_in_what_follows(pool: Pool, session: Session) -> None:
    for stage in (Stage.CLASSIFY, Stage.INSTANCES, Stage.COMMIT):
        play_until(session, stage)
        session.steering.override(newest(pool, ACCEPTED), REJECTED)
        session.steering.edit_candidate(newest(pool, ACCEPTED), "Name the seven largest lakes of Africa.")
        session.steering.retire(1)
        for _ in range(3):
            assert session.steering.undo() is not None
    list(session.run(Goal(rounds=2)))
    play(pool.path.with_name("calm"), Goal(rounds=2), asked=ASKED, seeds=all_seeds()[:40])
    assert exported(pool.path) == exported(pool.path.with_name("calm"))


def test_an_edited_candidate_is_decided_with_its_new_text(pool: Pool, session: Session) -> None:
    play_until(session, Stage.CLASSIFY)
    candidate = newest(pool, REJECTED)
    own = pool.candidates.get(candidate).text
    session.steering.edit_candidate(candidate, "No.")
    assert (pool.candidates.decisions(candidate)[-1].verdict, pool.candidates.decisions(candidate)[-1].reason) == (REJECTED, "too_short")
    session.steering.edit_candidate(candidate, all_seeds()[0].instruction)
    assert (pool.candidates.decisions(candidate)[-1].reason, pool.candidates.decisions(candidate)[-1].score) == ("not_novel", 1.0)
    session.steering.edit_candidate(candidate, "  Name the seven largest lakes\tof Africa.\u200f ")
    held = pool.candidates.decisions(candidate)[-1]
    assert (held.verdict, held.reason, held.edited) == (ACCEPTED, "edited", "  Name the seven largest lakes\tof Africa.\u200f ")
    session.steering.edit_candidate(candidate, "Name the seven largest lakes of Africa.")
    held = pool.candidates.decisions(candidate)[-1]
    assert held.score == session.steering.score("Name the seven largest lakes of Africa.", candidate).score < 1.0
    assert session.steering.score("Name the seven largest lakes of Africa.").score == 1.0
    task = task_of(pool, candidate)
    assert pool.tasks.get(task).instruction == "Name the seven largest lakes of Africa."
    assert pool.candidates.get(candidate).text == own
    session.steering.edit_candidate(candidate, "Name the seven smallest lakes of Africa.")
    assert pool.candidates.decisions(candidate)[-1].verdict is ACCEPTED
    session.steering.override(candidate, REJECTED)
    session.steering.override(candidate, ACCEPTED)
    assert pool.tasks.get(task).instruction == "Name the seven smallest lakes of Africa."
    with pytest.raises(UsageError, match="needs a text"):
        session.steering.edit_candidate(candidate, " \n")
    assert_index_follows(session, pool)


def test_instances_are_changed_dropped_and_brought_back_with_the_first_words_kept(pool: Pool, session: Session) -> None:
    list(session.run(Goal(rounds=1)))
    task = int(ask(pool.path, "SELECT min(task_id) FROM instances WHERE request_id IS NOT NULL AND verdict = 'accepted'")[0][0])
    instance = next(each for each in pool.instances.of_task(task) if each.verdict is ACCEPTED)
    session.steering.edit_instance(instance.id, " given ", " answer ")
    changed = pool.instances.get(instance.id)
    assert (changed.input, changed.output, changed.reason, changed.decided_by) == (" given ", " answer ", "edited", Decider.HUMAN)
    assert changed.original is not None
    assert (changed.original.input, changed.original.output, changed.original.reason) == (instance.input, instance.output, "valid")
    before = rows_of(pool.path)[task]["instances"]
    session.steering.drop_instance(instance.id)
    written = {"input": " given ", "output": " answer ", "thoughts": "", "system": "", "turns": []}
    assert written in before and written not in rows_of(pool.path).get(task, {}).get("instances", [])
    session.steering.restore_instance(instance.id)
    assert rows_of(pool.path)[task]["instances"] == before
    with pytest.raises(UsageError, match="accepted already"):
        session.steering.restore_instance(instance.id)
    with pytest.raises(UsageError, match="needs an output"):
        session.steering.edit_instance(instance.id, "x", " ")
    for _ in range(3):
        session.steering.undo()
    assert pool.instances.get(instance.id) == instance


def test_retired_tasks_stay_out_and_are_still_compared_with(pool: Pool, session: Session) -> None:
    session.steering.retire(3)
    assert 3 not in pool.tasks.ids()
    assert session.steering.score(all_seeds()[2].instruction).nearest == 3
    with pytest.raises(UsageError, match="retired already"):
        session.steering.retire(3)
    session.steering.restore(3)
    assert 3 in pool.tasks.ids()
    with pytest.raises(UsageError, match="not retired"):
        session.steering.restore(3)
    session.steering.mark(3, True)
    assert list(pool.browse.ids(Selection(marked=True))) == [3]
    session.steering.undo()
    assert list(pool.browse.ids(Selection(marked=True))) == []
    with pytest.raises(PoolError, match="no task 999"):
        session.steering.mark(999, True)


def test_restoring_the_task_of_a_rejected_candidate_accepts_it(pool: Pool, session: Session) -> None:
    list(session.run(Goal(rounds=1)))
    candidate = newest(pool, ACCEPTED)
    session.steering.override(candidate, REJECTED)
    session.steering.restore(task_of(pool, candidate))
    assert pool.candidates.decisions(candidate)[-1].verdict is ACCEPTED
    assert pool.tasks.get(task_of(pool, candidate)).state is TaskState.ACTIVE


def test_undo_says_what_it_takes_back_and_a_new_action_ends_redo(pool: Pool, session: Session) -> None:
    assert (pool.ledger.next_undo(), session.steering.undo(), session.steering.redo()) == (None, None, None)
    session.steering.retire(3)
    session.steering.mark(4, True)
    assert pool.ledger.next_undo() == "marked task 4 for review"
    assert session.steering.undo() == "marked task 4 for review"
    assert (pool.ledger.next_undo(), pool.ledger.next_redo()) == ("retired task 3", "marked task 4 for review")
    session.steering.mark(5, True)
    assert pool.ledger.next_redo() is None
    assert actions(pool) == [
        ("marked task 5 for review", ActionState.DONE),
        ("marked task 4 for review", ActionState.VOID),
        ("retired task 3", ActionState.DONE),
    ]
    assert ask(pool.path, "SELECT action_id, step FROM action_steps ORDER BY id") == [(1, "do"), (2, "do"), (2, "undo"), (3, "do")]


def test_a_filter_stage_given_up_leaves_the_index_as_it_was(pool: Pool, session: Session) -> None:
    play_until(session, Stage.FILTER)
    events: Iterator[Event] = session.play_round()
    for event in events:
        if isinstance(event, CandidateDecided) and event.task_id is not None:
            break
    events.close()  # type: ignore[attr-defined]
    assert_index_follows(session, pool)
    list(session.run(Goal(rounds=1)))
    play(pool.path.with_name("calm"), Goal(rounds=1), asked=ASKED, seeds=all_seeds()[:40])
    assert exported(pool.path) == exported(pool.path.with_name("calm"))


def test_it_is_said_where_instances_were_written_for_another_text(pool: Pool, session: Session) -> None:
    play_until(session, Stage.CLASSIFY)
    candidate = newest(pool, ACCEPTED)
    words = f"changed the text of candidate {candidate}"
    assert session.steering.edit_candidate(candidate, "Name the largest lakes of Finland.") == words
    task = task_of(pool, candidate)
    list(session.play_round())
    written = pool.tasks.get(task).instances
    assert written
    said = f"{words}; its instances were written for another text"
    assert session.steering.undo() == said
    assert pool.tasks.get(task).instances == written and pool.tasks.get(task).instruction != "Name the largest lakes of Finland."
    assert session.steering.redo() == words
    assert session.steering.edit_candidate(candidate, "Name the deepest lakes of Finland.") == said
    assert session.steering.undo() == words
    assert session.steering.retire(task) == f"retired task {task}"
