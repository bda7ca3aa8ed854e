"""What a person does to the prompts and the parameters of a round, and writing it anew."""

from __future__ import annotations

from typing import Any

import pytest

from studio.engine.api import Completion, FinishReason
from studio.errors import PoolError, UsageError
from studio.loop.events import StageFinished
from studio.loop.session import Goal, Session
from studio.pool.ledger import ActionState
from studio.pool.pool import Pool
from studio.records import Stage
from support.pools import actions, ask
from support.sessions import all_seeds, exported, play
from support.steering import ASKED, assert_index_follows, play_until, step


def test_in_context_tasks_can_be_drawn_anew_and_swapped_until_they_are_sent(pool: Pool, session: Session) -> None:
    with pytest.raises(UsageError, match="no round has prompts"):
        session.steering.resample(0)
    play_until(session, Stage.INSTRUCTIONS)
    first, second, *_ = pool.requests.planned(1, Stage.INSTRUCTIONS)
    session.steering.resample(0)
    session.steering.swap(1, 3)
    now = pool.requests.planned(1, Stage.INSTRUCTIONS)
    assert now[0].parents != first.parents
    assert now[0].seed == first.seed
    assert [place for place in range(8) if now[1].parents[place] != second.parents[place]] == [3]
    chosen = next(task for task in range(1, 41) if task not in now[2].parents)
    session.steering.swap(2, 0, chosen)
    [stands] = [request for request in pool.requests.planned(1, Stage.INSTRUCTIONS) if request.ordinal == 2]
    assert stands.parents[0] == chosen
    assert pool.tasks.get(chosen).instruction.split(".")[0].strip() in stands.suffix
    with pytest.raises(UsageError, match="already"):
        session.steering.swap(2, 1, chosen)
    with pytest.raises(PoolError, match="no task 999"):
        session.steering.swap(2, 1, 999)
    for ordinal, position in ((9, 0), (-1, 0), (0, 8), (0, -1)):
        with pytest.raises(UsageError):
            session.steering.swap(ordinal, position)
    assert session.steering.undo() is not None
    assert session.steering.redo() is not None
    step(session)
    with pytest.raises(UsageError):
        session.steering.resample(0)
    # The prompts were answered: what was done to them is past.
    assert pool.ledger.next_undo() is None
    assert session.steering.undo() is None
    assert {state for _, state in actions(pool)} <= {ActionState.DONE, ActionState.SETTLED}


def test_a_prompt_that_a_server_has_answered_stays_what_it_was(pool: Pool, session: Session) -> None:
    play_until(session, Stage.INSTRUCTIONS)
    first, second, *_ = pool.requests.planned(1, Stage.INSTRUCTIONS)
    session.steering.resample(0)
    pool.requests.answer(1, [(first.id, Completion("text", FinishReason.STOP, 1, 1))], None)
    with pytest.raises(UsageError, match="prompt 1 was answered already"):
        session.steering.resample(0)
    with pytest.raises(UsageError, match="prompt 1 was answered already"):
        session.steering.swap(0, 3)
    # Nor is the change before it taken back.
    assert session.steering.undo() is None
    session.steering.resample(1)
    assert pool.requests.planned(1, Stage.INSTRUCTIONS)[1].parents != second.parents


def test_a_prompt_whose_task_was_retired_is_drawn_anew_with_the_next_change(pool: Pool, session: Session) -> None:
    play_until(session, Stage.INSTRUCTIONS)
    first, second, *_ = pool.requests.planned(1, Stage.INSTRUCTIONS)
    gone = next(parent for parent in first.parents if parent not in second.parents)
    session.steering.retire(gone)
    with pytest.raises(UsageError, match=f"task {gone} cannot stand"):
        session.steering.swap(1, 0, gone)
    with pytest.raises(UsageError, match=f"task {gone} of prompt 1 can stand there no more"):
        session.steering.swap(0, (first.parents.index(gone) + 1) % 8)
    session.steering.set_round_parameters({"threshold": 0.5})
    now = pool.requests.planned(1, Stage.INSTRUCTIONS)
    assert gone not in now[0].parents
    assert now[1].parents == second.parents


def test_parameters_of_one_round_end_with_it(pool: Pool, session: Session) -> None:
    session.steering.set_round_parameters({"threshold": 0.0, "sampling.instructions.temperature": 1.5})
    list(session.run(Goal(rounds=1)))
    assert ask(pool.path, "SELECT DISTINCT reason FROM decisions WHERE score > 0 AND reason = 'novel'") == []
    assert {request.params.temperature for request in pool.requests.planned(1, Stage.INSTRUCTIONS)} == {1.5}
    list(session.run(Goal(rounds=1)))
    assert {request.params.temperature for request in pool.requests.planned(2, Stage.INSTRUCTIONS)} == {0.7}
    assert pool.rounds.overrides(1) == {"sampling.instructions.temperature": 1.5, "threshold": 0.0}
    assert pool.rounds.overrides(2) == {}
    assert pool.figures.counts().generated > 0


def test_parameters_set_between_sampling_and_asking_make_the_prompts_anew(pool: Pool, session: Session) -> None:
    play_until(session, Stage.INSTRUCTIONS)
    before = pool.requests.planned(1, Stage.INSTRUCTIONS)
    session.steering.set_round_parameters({"sampling.instructions.top_p": 0.9})
    assert [each.parents for each in pool.requests.planned(1, Stage.INSTRUCTIONS)] == [each.parents for each in before]
    assert {each.params.top_p for each in pool.requests.planned(1, Stage.INSTRUCTIONS)} == {0.9}
    session.steering.set_round_parameters({"requests_per_round": 2, "in_context_tasks": 4})
    assert [len(each.parents) for each in pool.requests.planned(1, Stage.INSTRUCTIONS)] == [4, 4]
    assert pool.rounds.overrides(1) == {"in_context_tasks": 4, "requests_per_round": 2, "sampling.instructions.top_p": 0.9}
    session.steering.set_round_parameters({"sampling.instructions.top_p": 0.5})
    assert pool.rounds.overrides(1) == {"in_context_tasks": 4, "requests_per_round": 2}
    for _ in range(3):
        session.steering.undo()
    assert pool.requests.planned(1, Stage.INSTRUCTIONS) == before
    step(session)
    with pytest.raises(UsageError, match="which round 1 has done"):
        session.steering.set_round_parameters({"in_context_tasks": 4})


@pytest.mark.parametrize("overrides", [{"tokenizer": "ascii"}, {"treshold": 0.5}, {"threshold": 2}, {"filters": ["no_such"]}])
def test_parameters_that_do_not_fit_are_refused(pool: Pool, session: Session, overrides: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        session.steering.set_round_parameters(overrides)
    assert actions(pool) == []


def test_a_round_written_anew_keeps_what_it_had(pool: Pool, session: Session) -> None:
    play_until(session, Stage.COMMIT)
    with_first = [pool.requests.completions(1, stage) for stage in (Stage.INSTRUCTIONS, Stage.INSTANCES)]
    drafts = pool.tasks.drafts(1)
    counted = pool.figures.counts()
    session.steering.regenerate()
    assert pool.rounds.unfinished() is not None
    assert (pool.tasks.drafts(1), pool.figures.counts().candidates) == ([], 0)
    assert_index_follows(session, pool)
    with pytest.raises(UsageError, match="written anew"):
        session.steering.restore(drafts[0].task.id)
    events = list(session.play_round())
    assert next(event.stage for event in events if isinstance(event, StageFinished)) is Stage.INSTRUCTIONS
    texts = [each.completion.text for each in pool.requests.completions(1, Stage.INSTRUCTIONS)]
    assert texts != [each.completion.text for each in with_first[0]]
    assert session.steering.undo() is None
    assert pool.figures.counts().rounds == 1
    assert counted.completion_tokens < pool.figures.counts().completion_tokens
    assert min(pool.tasks.ids(origin=None)[40:]) > max(draft.task.id for draft in drafts)


def test_taking_a_new_writing_back_returns_all_of_the_old(pool: Pool, session: Session) -> None:
    play_until(session, Stage.COMMIT)
    drafts, completions = pool.tasks.drafts(1), pool.requests.completions(1, Stage.INSTANCES)
    session.steering.regenerate()
    play_until(session, Stage.INSTANCES)
    assert session.steering.undo() == "asked for round 1 once more"
    assert (pool.tasks.drafts(1), pool.requests.completions(1, Stage.INSTANCES)) == (drafts, completions)
    assert pool.rounds.unfinished() == pool.rounds.newest(1)[0]  # type: ignore[index]
    assert_index_follows(session, pool)
    list(session.run(Goal(rounds=1)))
    play(pool.path.with_name("calm"), Goal(rounds=1), asked=ASKED, seeds=all_seeds()[:40])
    assert exported(pool.path) == exported(pool.path.with_name("calm"))
