"""Deciding stored candidates again gives what deciding them one by one, against everything, gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from pathlib import Path

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.loop.filters import FILTERS, rule_reason
from studio.loop.novelty import NoveltyIndex
from studio.loop.parsing import answer_of
from studio.loop.runs import Configuration, stored_method
from studio.loop.session import Goal
from studio.loop.settings import Method
from studio.loop.stages.answer import Drawn, choose, user_text, within
from studio.loop.tokens import TOKENIZERS
from studio.loop.whatif import PARSER_REASONS, Change, what_if
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask, Stage, Verdict
from support.pools import ask
from support.sessions import CHAT, all_seeds, configuration, play, session_in

THRESHOLDS = (0.0, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 1.0)
IMPORTS = [SeedTask("", "", f"Name {count} animals that live in the sea.", (Instance("", "x"),), False) for count in range(3)]


MADE: Mapping[str, tuple[Configuration, Callable[[], ScriptedEngine]]] = {
    "studio": (configuration(threshold=0.4), ScriptedEngine),
    "code": (configuration("code", threshold=0.4), ScriptedEngine),
    "chat": (CHAT, partial(ScriptedEngine, chats=True)),
}


def made(place: Path, kind: str) -> Path:
    """A pool of two stretches of rounds with an import between, its threshold low enough to reject much."""
    asked, engine = MADE[kind]
    play(place, Goal(rounds=4), engine(), asked, seeds=all_seeds()[:60])
    with Pool.open(place) as pool:
        pool.tasks.add(IMPORTS, Origin.IMPORTED)
    play(place, Goal(rounds=4), engine(), asked)
    return place


@pytest.fixture(scope="module", params=list(MADE))
def path(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return made(tmp_path_factory.mktemp("whatif") / "pool.db", request.param)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool whose model was asked in chat: each round has a limit of nats, each instance the agreement of its answer."""
    return made(tmp_path_factory.mktemp("chat") / "pool.db", "chat")


_FOUND: dict[object, dict[int, tuple[str, float]]] = {}


def naive(pool: Queries, change: Change) -> dict[int, tuple[str, float]]:
    """Reason and score of every candidate, each compared with all that would have been there, worked out once for a method."""
    (run,) = pool.runs.all()
    method = change.apply(stored_method(run))
    key = (pool._database.path, change.max_nats, method.model_dump_json())
    if key not in _FOUND:
        _FOUND[key] = decided_one_by_one(pool, method, change)
    return _FOUND[key]


def decided_one_by_one(pool: Queries, method: Method, change: Change) -> dict[int, tuple[str, float]]:
    index = NoveltyIndex(TOKENIZERS[method.tokenizer])
    outside = [(task_id, text, seed) for task_id, text, seed in pool.tasks.instructions() if pool.candidates.of_task(task_id) is None]
    found = {}
    decisions = list(pool.candidates.rule_decisions())
    for place, each in enumerate(decisions):
        following = next((later.task_id for later in decisions[place:] if later.task_id is not None), 10**9)
        while outside and outside[0][0] < following:
            task_id, text, seed = outside.pop(0)
            index.add(task_id, text, is_seed=seed)
        score = index.batch([each.text]).novelty(0).score
        reason = each.reason if each.reason in PARSER_REASONS else rule_reason(each.text, score, method, unlikely=change.unlikely(each))
        if reason == "novel":
            index.add(each.task_id or 10**6 + each.candidate_id, each.text, is_seed=False)
        found[each.candidate_id] = (reason, score)
    return found


def assert_equal(pool: Queries, change: Change) -> int:
    outcome, expected = what_if(pool, change), naive(pool, change)
    stored = {each.candidate_id: each.reason for each in pool.candidates.rule_decisions()}
    flipped = {each.candidate_id: each for each in outcome.flips}
    assert {found for found in expected if (expected[found][0] == "novel") != (stored[found] == "novel")} == set(flipped)
    for found, flip in flipped.items():
        assert flip.before == stored[found]
        assert flip.after == expected[found][0]
        if flip.after in ("novel", "not_novel"):
            assert flip.score == expected[found][1]
    reasons = [reason for reason, _ in expected.values()]
    assert {reason: reasons.count(reason) for reason in reasons} == dict(outcome.after)
    assert outcome.candidates == len(expected)
    return len(flipped)


def test_the_pool_has_what_it_takes(path: Path) -> None:
    with Queries.open(path) as pool:
        counts = pool.figures.counts()
    assert counts.imported == 3
    assert counts.accepted > 20
    assert counts.rejected["not_novel"] > 5


def test_nothing_changed_gives_the_stored_decisions(path: Path) -> None:
    with Queries.open(path) as pool:
        assert assert_equal(pool, Change()) == 0
        outcome, counts = what_if(pool, Change()), pool.figures.counts()
    assert outcome.before == outcome.after
    assert outcome.accepted_after == outcome.accepted_before == counts.accepted
    assert {reason: count for reason, count in outcome.after.items() if reason != "novel"} == counts.rejected


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_another_threshold(path: Path, threshold: float) -> None:
    with Queries.open(path) as pool:
        flips = assert_equal(pool, Change(threshold))
    assert flips > 0 or threshold == 0.4


@pytest.mark.parametrize("name", list(FILTERS))
@pytest.mark.parametrize("on", [True, False])
def test_a_filter_switched(path: Path, name: str, on: bool) -> None:
    with Queries.open(path) as pool:
        assert_equal(pool, Change(filters={name: on}))
        assert_equal(pool, Change(0.5, {name: on}))
        assert_equal(pool, Change(0.3, {name: on}))


@pytest.mark.parametrize("limit", [0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, inf])
def test_another_likelihood(chat: Path, limit: float) -> None:
    with Queries.open(chat) as pool:
        flips = assert_equal(pool, Change(max_nats=limit))
        assert_equal(pool, Change(0.5, max_nats=limit))
        assert_equal(pool, Change(0.3, {"length": False, "blocked_words": False}, max_nats=limit))
        outcome = what_if(pool, Change(max_nats=limit))
        nats = {each.candidate_id: each.nats for each in pool.candidates.rule_decisions()}
    assert flips > 0
    assert (outcome.after.get("unlikely", 0) > 0) is (limit < 4.0)
    assert all(flip.nats == nats[flip.candidate_id] for flip in outcome.flips)


def test_each_round_has_its_own_limit(chat: Path) -> None:
    """One limit for all is another rule than the limits that the rounds had."""
    with Queries.open(chat) as pool:
        limits = {each.max_nats for each in pool.candidates.rule_decisions()}
        assert len(limits) > 1 and None not in limits
        newest, of_answers = pool.rounds.newest_limits()
        assert newest in limits and of_answers is not None
        assert what_if(pool, Change()).flips == ()
        assert what_if(pool, Change(max_nats=newest)).flips


def chosen_again(pool: Queries, least: float | None, most: float | None) -> dict[int, str]:
    """The reason of every answered instance, each chosen anew among the answers drawn for it; `most` None is each round's own limit."""
    (run,) = pool.runs.all()
    limits = {row["number"]: row["max_answer_nats"] for row in pool._database.rows("SELECT number, max_answer_nats FROM rounds")}
    method = stored_method(run)
    method = method.model_copy(update={} if least is None else {"min_agreement": least})
    found = {}
    for task_id in pool.tasks.ids(origin=Origin.GENERATED):
        task, requests = pool.tasks.get(task_id), [each for each in pool.requests.about(task_id) if each.stage is Stage.ANSWER]
        for each in pool.instances.of_task(task_id):
            text = user_text(task.instruction, each.input)
            drawn = [
                Drawn(one.id, answer_of(one.completion), one.completion.nats) for one in requests if text in one.suffix and one.completion
            ]
            if drawn:
                limit = limits[task.round] if most is None else most
                found[each.id] = within(choose(method, task, each.input, drawn), limit).reason
    return found


@pytest.mark.parametrize("most", [None, 0.0, 1.5, 2.5, inf])
@pytest.mark.parametrize("least", [None, 0.0, 0.2, 0.3, 0.4, 1.0])
def test_answers_that_have_to_agree_or_to_be_likely_more_or_less(chat: Path, least: float | None, most: float | None) -> None:
    with Queries.open(chat) as pool:
        stored: dict[int, str] = dict(ask(chat, "SELECT id, reason FROM instances WHERE answer_id IS NOT NULL"))
        expected = chosen_again(pool, least, most)
        outcome = what_if(pool, Change(min_agreement=least, max_answer_nats=most))
        assert expected.keys() == stored.keys()
        assert {flip.instance_id: flip.after for flip in outcome.instances} == {
            found: reason for found, reason in expected.items() if (reason == "valid") != (stored[found] == "valid")
        }
        assert outcome.flips == () and (bool(outcome.instances) or least in (None, 0.3))
        assert what_if(pool, Change(0.5)).instances == ()


def test_all_filters_off_and_everything_novel(path: Path) -> None:
    everything: Mapping[str, bool] = dict.fromkeys(FILTERS, False)
    with Queries.open(path) as pool:
        outcome = what_if(pool, Change(1.0, everything))
        assert_equal(pool, Change(1.0, everything))
    assert all(flip.accepted for flip in outcome.flips)


def test_what_a_person_decided_stands(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    asked = configuration(threshold=0.4)
    play(path, Goal(rounds=2), asked=asked, seeds=all_seeds()[:60])
    with Pool.open(path) as pool:
        steering = session_in(pool, ScriptedEngine(), asked).steering
        decisions = list(pool.candidates.rule_decisions())
        accepted = next(each for each in decisions if each.reason == "novel")
        rejected = next(each for each in decisions if each.reason == "not_novel")
        steering.override(accepted.candidate_id, Verdict.REJECTED)
        steering.override(rejected.candidate_id, Verdict.ACCEPTED)
    play(path, Goal(rounds=2), asked=asked)
    with Queries.open(path) as reader:
        assert what_if(reader, Change()).flips == ()
        for threshold in (0.2, 0.9):
            outcome = what_if(reader, Change(threshold))
            assert outcome.flips
            assert not {flip.candidate_id for flip in outcome.flips} & {accepted.candidate_id, rejected.candidate_id}
            assert outcome.after["human"] == 2
            assert outcome.pinned_accepted == 1


def test_giving_up_leaves_no_transaction_open(path: Path) -> None:
    class GivenUp(Exception):
        pass

    def give_up(_done: int) -> None:
        raise GivenUp

    with Queries.open(path) as pool:
        with pytest.raises(GivenUp):
            what_if(pool, Change(0.5), give_up)
        assert not pool._database.connection.in_transaction


def test_an_empty_pool_has_nothing_to_decide(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    Pool.create(path, all_seeds()[:8]).close()
    with Queries.open(path) as pool:
        outcome = what_if(pool, Change(0.1))
    assert outcome.candidates == 0
    assert outcome.flips == ()
