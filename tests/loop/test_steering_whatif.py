"""What another rule would have decided is applied as one action: exactly what was previewed, taken back and done again whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.errors import PoolError, UsageError
from studio.loop.novelty import NoveltyIndex
from studio.loop.runs import stored_method
from studio.loop.session import Goal, Session
from studio.loop.steering import in_words
from studio.loop.tokens import TOKENIZERS
from studio.loop.whatif import Change, what_if
from studio.pool.pool import Pool, Queries
from studio.records import Decider, Stage, TaskState, Verdict
from support.pools import ask, assert_sound
from support.sessions import CHAT, all_seeds, exported, play, pool_of, session_in
from support.steering import ASKED, assert_index_follows, newest, play_until, standing

CHANGES = (Change(0.45), Change(0.25), Change(0.4, {"length": False}), Change(filters={"unicode_punctuation": False, "length": False}))


def counts(pool: Pool) -> tuple[int, int]:
    return pool.figures.counts().accepted, pool.figures.counts().generated


@pytest.fixture
def played(session: Session) -> Session:
    list(session.run(Goal(rounds=3)))
    return session


@pytest.mark.parametrize("change", CHANGES, ids=in_words)
def test_what_was_previewed_holds_and_is_taken_back_whole(pool: Pool, played: Session, change: Change) -> None:
    before, written, outcome = standing(pool.path), exported(pool.path), what_if(pool, change)
    assert outcome.flips
    words = played.steering.apply_what_if(change, ([flip.candidate_id for flip in outcome.flips], []))
    assert f"decided {len(outcome.flips)} candidates again under {in_words(change)}" in words
    assert counts(pool)[0] == outcome.accepted_after
    assert_index_follows(played, pool)
    for flip in outcome.flips:
        decisions = pool.candidates.decisions(flip.candidate_id)
        assert [each.decided_by for each in decisions] == [Decider.RULE, Decider.HUMAN]
        assert [each.verdict is Verdict.ACCEPTED for each in decisions] == [not flip.accepted, flip.accepted]
        assert decisions[-1].reason == ("other_rules" if flip.accepted else flip.after)
    after = standing(pool.path)
    rows = {row["id"] for row in map(json.loads, exported(pool.path).splitlines())}
    assert not rows & {flip.task_id for flip in outcome.flips if not flip.accepted}
    assert played.steering.undo() == words
    assert (standing(pool.path), exported(pool.path)) == (before, written)
    assert_index_follows(played, pool)
    assert played.steering.undo() is None
    assert played.steering.redo() == words
    assert standing(pool.path) == after
    assert_index_follows(played, pool)


def test_it_can_be_taken_back_after_reopening(pool: Pool, played: Session) -> None:
    before = standing(pool.path)
    words = played.steering.apply_what_if(Change(0.45))
    pool.close()
    with Pool.open(pool.path) as again:
        session = session_in(again, asked=ASKED)
        assert_index_follows(session, again)
        assert session.steering.reader.ledger.next_undo() == words
        session.steering.undo()
        assert standing(pool.path) == before
    assert ask(pool.path, "SELECT action_id, step FROM action_steps") == [(1, "do"), (1, "undo")]


def test_it_is_what_overruling_one_after_another_does(pool: Pool, played: Session, tmp_path: Path) -> None:
    change = Change(0.45, {"length": False})
    flips = what_if(pool, change).flips
    played.steering.apply_what_if(change)
    other = tmp_path / "other.db"
    play(other, Goal(rounds=3), asked=ASKED, seeds=all_seeds()[:40])
    with Pool.open(other) as second:
        steering = session_in(second, asked=ASKED).steering
        for flip in sorted(flips, key=lambda each: each.accepted):
            steering.override(flip.candidate_id, Verdict.ACCEPTED if flip.accepted else Verdict.REJECTED)
    found, expected = standing(pool.path), standing(other)
    joined = {flip.candidate_id for flip in flips if flip.accepted}
    assert joined
    for table in ("tasks", "neighbours", "instances"):
        assert found[table] == expected[table]
    # The mean is a sum of floats, which the size of a batch orders.
    scores = {row[0]: (*row[3:6], pytest.approx(row[6])) for row in found["verdicts"] if row[0] in joined}
    assert scores == {row[0]: row[3:7] for row in expected["verdicts"] if row[0] in joined}


@pytest.mark.parametrize("change", CHANGES, ids=in_words)
def test_applied_once_there_is_nothing_left_to_apply(pool: Pool, played: Session, change: Change) -> None:
    played.steering.override(newest(pool, Verdict.ACCEPTED), Verdict.REJECTED)
    played.steering.apply_what_if(change)
    assert what_if(pool, change).flips == ()
    assert what_if(pool, Change()).flips == ()
    with pytest.raises(UsageError, match="no candidate would be decided otherwise"):
        played.steering.apply_what_if(change)


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.45, 0.6])
def test_deciding_again_counts_what_people_decided(pool: Pool, played: Session, threshold: float) -> None:
    played.steering.apply_what_if(Change(0.5))
    played.steering.override(
        next(each.candidate_id for each in pool.candidates.rule_decisions() if each.reason == "novel"), Verdict.REJECTED
    )
    list(played.run(Goal(rounds=1)))
    change = Change(threshold)
    expected = one_by_one(pool, change)
    assert {flip.candidate_id: flip.after for flip in what_if(pool, change).flips} == expected


def one_by_one(pool: Queries, change: Change) -> dict[int, str]:
    """What flips when each candidate is compared with everything before it."""
    (run,) = pool.runs.all()
    method = change.apply(stored_method(run))
    index = NoveltyIndex(TOKENIZERS[method.tokenizer])
    index.extend(row for row in pool.tasks.instructions() if pool.candidates.of_task(row[0]) is None)
    flips = {}
    for each in pool.candidates.rule_decisions():
        novel = method.is_novel(index.batch([each.text]).novelty(0).score)
        reason = each.reason if each.reason not in ("novel", "not_novel") else "novel" if novel else "not_novel"
        if each.pinned is None and (reason == "novel") != (each.reason == "novel"):
            flips[each.candidate_id] = reason
        if each.pinned is Verdict.ACCEPTED or (each.pinned is None and reason == "novel"):
            index.add(10**6 + each.candidate_id, each.standing, is_seed=False)
    return flips


@pytest.fixture
def chatting(tmp_path: Path) -> Iterator[Session]:
    """A session whose model is asked in chat, three rounds old."""
    with Pool.create(tmp_path / "chat.db", all_seeds()[:60]) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), CHAT)
        list(session.run(Goal(rounds=3)))
        yield session


@pytest.mark.parametrize(
    "change",
    [Change(max_nats=1.8), Change(max_nats=3.0, min_agreement=0.2), Change(0.5, min_agreement=0.5, max_answer_nats=3.5)],
    ids=in_words,
)
def test_another_likelihood_and_agreement_hold_and_are_taken_back_whole(chatting: Session, change: Change) -> None:
    pool = pool_of(chatting)
    before, written, outcome = standing(pool.path), exported(pool.path), what_if(pool, change)
    assert outcome.flips
    known = [flip.candidate_id for flip in outcome.flips], [flip.instance_id for flip in outcome.instances]
    if change.min_agreement is not None:
        with pytest.raises(UsageError, match="has changed"):
            chatting.steering.apply_what_if(change, (known[0], known[1][1:]))
    words = chatting.steering.apply_what_if(change, known)
    assert counts(pool)[0] == outcome.accepted_after
    for flip in outcome.instances:
        instance = pool.instances.get(flip.instance_id)
        assert instance.decided_by is Decider.HUMAN and instance.original is not None and instance.original.reason == flip.before
        assert (instance.verdict is Verdict.ACCEPTED) is flip.accepted
        assert instance.reason == ("other_rules" if flip.accepted else flip.after)
    again = what_if(pool, change)
    assert (again.flips, again.instances) == ((), ())
    assert_index_follows(chatting, pool)
    assert chatting.steering.undo() == words
    assert (standing(pool.path), exported(pool.path)) == (before, written)
    assert_index_follows(chatting, pool)


def test_an_answer_that_a_person_decided_stands(chatting: Session) -> None:
    pool = pool_of(chatting)
    flips = what_if(pool, Change(min_agreement=0.5)).instances
    chatting.steering.drop_instance(flips[0].instance_id)
    chatting.steering.retire(flips[-1].task_id)
    left = what_if(pool, Change(min_agreement=0.5)).instances
    assert {flip.instance_id for flip in flips} - {flip.instance_id for flip in left} >= {flips[0].instance_id, flips[-1].instance_id}
    words = chatting.steering.apply_what_if(Change(min_agreement=0.5))
    assert f"decided {len(left)} instances again under agreement from 0.50: 0 joined, {len(left)} left" in words
    assert pool.instances.get(flips[0].instance_id).reason == "by_hand"


def test_in_an_open_round_those_that_join_go_the_way_of_the_others(pool: Pool, session: Session) -> None:
    play_until(session, Stage.CLASSIFY)
    outcome = what_if(pool, Change(0.6))
    session.steering.apply_what_if(Change(0.6))
    joined = [pool.candidates.get(flip.candidate_id).task_id for flip in outcome.flips if flip.accepted]
    assert joined
    assert {pool.tasks.get(task).state for task in joined if task} == {TaskState.DRAFT}
    list(session.play_round())
    assert all(pool.tasks.get(task).is_classification is not None for task in joined if task)
    rows = {row["id"] for row in map(json.loads, exported(pool.path).splitlines())}
    assert {task for task in joined if task and pool.tasks.get(task).instances} <= rows
    assert session.steering.undo()
    assert {pool.tasks.get(task).state for task in joined if task} == {TaskState.RETIRED}


def test_one_that_was_taken_in_and_out_by_hand_joins_with_its_own_task(pool: Pool, played: Session) -> None:
    flip = next(flip for flip in what_if(pool, Change(0.6)).flips if flip.accepted)
    played.steering.override(flip.candidate_id, Verdict.ACCEPTED)
    task = pool.candidates.get(flip.candidate_id).task_id
    played.steering.undo()
    played.steering.apply_what_if(Change(0.6))
    assert pool.candidates.get(flip.candidate_id).task_id == task
    assert task is not None and pool.tasks.get(task).state is TaskState.ACTIVE
    assert_index_follows(played, pool)


def test_nothing_happens_when_other_candidates_flip_than_were_seen(pool: Pool, played: Session) -> None:
    before = standing(pool.path)
    seen = [flip.candidate_id for flip in what_if(pool, Change(0.45)).flips]
    for expected in (seen[1:], [*seen, 10**6], []):
        with pytest.raises(UsageError, match="has changed"):
            played.steering.apply_what_if(Change(0.45), (expected, []))
    assert standing(pool.path) == before
    assert_index_follows(played, pool)
    assert played.steering.reader.ledger.next_undo() is None


def test_a_pool_that_cannot_be_written_leaves_all_as_it_was(pool: Pool, played: Session) -> None:
    before = standing(pool.path)
    pool._database.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(PoolError):
        played.steering.apply_what_if(Change(0.45))
    pool._database.connection.execute("PRAGMA query_only = OFF")
    assert standing(pool.path) == before
    assert_index_follows(played, pool)
    assert_sound(pool.path)
