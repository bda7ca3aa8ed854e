"""Storing: every field comes back, every refusal leaves nothing, and the pool stays usable."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.errors import PoolError
from studio.pool.candidates import DecidedCandidate
from studio.pool.instances import DecidedInstance
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest
from studio.pool.rounds import RoundRecord
from studio.records import Decider, Instance, Neighbour, Novelty, Origin, SeedTask, Stage, Task, TaskState, Verdict
from studio.text import storable
from support.pools import (
    MODEL,
    PARAMS,
    PREFIX,
    RAW,
    ask,
    assert_sound,
    contents,
    decided_candidates,
    decided_instances,
    seed_tasks,
    store_completions,
    walk_round,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def _begin(pool: Pool) -> RoundRecord:
    return pool.rounds.begin(pool.runs.start("{}", "seed", "0.1.0", MODEL))


def test_a_run_comes_back_whole(pool: Pool) -> None:
    assert pool.runs.latest() is None
    first = pool.runs.start('{"a": 1}', "one", "0.1.0", MODEL)
    run = pool.runs.latest()
    assert run is not None
    assert (run.id, run.settings, run.seed, run.studio_version, run.model) == (first, '{"a": 1}', "one", "0.1.0", MODEL)
    assert run.started_at.endswith("+00:00")
    second = pool.runs.start("{}", "two", "0.1.0", replace(MODEL, name="Other"))
    assert second > first
    latest = pool.runs.latest()
    assert latest is not None
    assert latest.model.name == "Other"
    pool.runs.start("{}", "three", "0.1.0", MODEL)
    assert ask(pool.path, "SELECT count(*) FROM models") == [(2,)]


def test_rounds_count_through_the_pool_and_one_is_open_at_most(pool: Pool) -> None:
    first = pool.runs.start("{}", "one", "0.1.0", MODEL)
    assert pool.rounds.unfinished() is None
    begun = pool.rounds.begin(first)
    assert begun == RoundRecord(begun.id, first, 1, Stage.SAMPLE)
    assert pool.rounds.begin(first) == begun == pool.rounds.unfinished()
    second = pool.runs.start("{}", "two", "0.1.0", MODEL)
    with pytest.raises(PoolError, match=r"round 1 .* belongs to run 1"):
        pool.rounds.begin(second)
    pool.rounds.commit(begun.id)
    assert pool.rounds.unfinished() is None
    assert pool.rounds.begin(second).number == 2
    with pytest.raises(sqlite3.IntegrityError):
        pool._database.connection.execute("INSERT INTO rounds (run_id, number, stage, started_at) VALUES (1, 3, 'sample', '')")


def test_requests_and_completions_come_back_whole(pool: Pool) -> None:
    current = _begin(pool)
    other = SamplingParams(0.1, 0.2, 3, 0.4, 0.5, 0.6, 0.7, 8, ("\u4e2d", "\n"), 'root ::= "x"')
    planned = [
        PlannedRequest(PREFIX, "one", PARAMS, 2**32 - 1, (3, 1, 2)),
        PlannedRequest(PREFIX, "two", other, 0, (), 4),
        PlannedRequest("Another", "", PARAMS, 5),
    ]
    pool.requests.plan(current.id, Stage.INSTRUCTIONS, planned, Stage.INSTRUCTIONS)
    stored = pool.requests.planned(current.id, Stage.INSTRUCTIONS)
    assert [request.ordinal for request in stored] == [0, 1, 2]
    assert [PlannedRequest(r.prefix, r.suffix, r.params, r.seed, r.parents, r.task_id) for r in stored] == planned
    assert ask(pool.path, "SELECT (SELECT count(*) FROM prompts), (SELECT count(*) FROM sampling)") == [(2, 2)]
    assert pool.requests.planned(current.id, Stage.CLASSIFY) == []
    completions = [
        Completion("a\x00b", FinishReason.STOP, 10, 20, 5, 0.25, "16."),
        Completion("", FinishReason.REFUSED, 0, 0, detail="too long"),
        Completion("x", FinishReason.REPEAT, 1, 2, 3, 4.5),
    ]
    store_completions(pool, current.id, Stage.INSTRUCTIONS, completions, Stage.FILTER)
    found = pool.requests.completions(current.id, Stage.INSTRUCTIONS)
    assert [item.completion for item in found] == completions
    assert [(item.request_id, item.ordinal, item.task_id) for item in found] == [(r.id, r.ordinal, r.task_id) for r in stored]
    assert pool.rounds.unfinished() == replace(current, stage=Stage.FILTER)


def test_the_stage_stays_when_none_is_named(pool: Pool) -> None:
    current = _begin(pool)
    pool.requests.plan(current.id, Stage.CLASSIFY, [], None)
    store_completions(pool, current.id, Stage.CLASSIFY, [], None)
    assert pool.rounds.unfinished() == current


def test_candidates_become_drafts_and_tasks(pool: Pool) -> None:
    current = _begin(pool)
    pool.requests.plan(current.id, Stage.INSTRUCTIONS, [PlannedRequest(PREFIX, "", PARAMS, 1)], None)
    first = pool.tasks.next_id()
    assert first == 11
    decided = decided_candidates(1, first)
    pool.candidates.record(current.id, decided, Stage.CLASSIFY)
    assert pool.tasks.next_id() == 13
    drafts = pool.tasks.drafts(current.id)
    assert [(draft.task.id, draft.input, draft.output, draft.request_id) for draft in drafts] == [(11, None, None, 1), (12, "in", "out", 1)]
    assert drafts[0].task == Task(11, Origin.GENERATED, TaskState.DRAFT, "", "Name three rivers.", None, (), 1)
    candidates = [pool.candidates.get(candidate_id) for (candidate_id,) in ask(pool.path, "SELECT id FROM candidates ORDER BY ordinal")]
    assert [(c.ordinal, c.text, c.input, c.output, c.task_id) for c in candidates] == [
        (0, "Name three rivers.", None, None, 11),
        (1, "Say if the review is kind.", "in", "out", 12),
        (2, "Name three rivers!", None, None, None),
    ]
    for candidate, decision in zip(candidates, decided, strict=True):
        (stored,) = pool.candidates.decisions(candidate.id)
        novelty = decision.novelty
        assert (stored.verdict, stored.reason, stored.decided_by) == (decision.verdict, decision.reason, Decider.RULE)
        assert (stored.score, stored.nearest, stored.seed_score, stored.mean_score) == (
            novelty.score,
            novelty.nearest,
            novelty.seed_score,
            novelty.mean,
        )
        assert pool.candidates.neighbours(candidate.id) == (novelty.neighbours if decision.verdict is Verdict.ACCEPTED else ())
    pool.tasks.classify(current.id, [(11, False), (12, True)], Stage.INSTANCES)
    assert [draft.task.is_classification for draft in pool.tasks.drafts(current.id)] == [False, True]
    assert list(pool.tasks.ids(origin=Origin.GENERATED)) == []
    pool.instances.record(current.id, decided_instances(11, 1, None), Stage.COMMIT)
    pool.rounds.commit(current.id)
    assert pool.tasks.drafts(current.id) == []
    assert pool.tasks.get(11).state is TaskState.ACTIVE
    assert pool.tasks.get(11).instances == (Instance("", "Elbe, Oder, Rhine"),)
    stored_instances = [*pool.instances.of_task(11), *pool.instances.of_task(12)]
    assert [
        DecidedInstance(i.task_id, i.request_id, i.input, i.output, i.verdict, i.reason) for i in stored_instances
    ] == decided_instances(11, 1, None)
    assert [instance.position for instance in stored_instances] == [0, 1, 0]


def test_instances_recorded_later_go_on_behind(walked: Pool) -> None:
    current = walked.rounds.begin(1)
    walked.instances.record(current.id, [DecidedInstance(11, None, "more", "x", Verdict.ACCEPTED, "valid")], Stage.COMMIT)
    assert [instance.position for instance in walked.instances.of_task(11)] == [0, 1, 2]


def test_imports_are_one_transaction(pool: Pool) -> None:
    assert pool.tasks.add(seed_tasks(2500), Origin.IMPORTED) == 2500
    assert pool.figures.counts().imported == 2500
    assert pool.tasks.get(2510).instruction == "Describe the animal with number 2500."

    def broken() -> Iterator[SeedTask]:
        yield from seed_tasks(1500)
        raise ValueError("line 1501")

    with pytest.raises(ValueError, match="line 1501"):
        pool.tasks.add(broken(), Origin.IMPORTED)
    assert pool.tasks.next_id() == 2511
    assert pool.tasks.add([], Origin.IMPORTED) == 0


REFUSED: dict[str, Callable[[Pool, int], object]] = {
    "accepted without id": lambda pool, current: pool.candidates.record(
        current, [DecidedCandidate(1, 9, "x", Verdict.ACCEPTED, "novel")], Stage.CLASSIFY
    ),
    "rejected with id": lambda pool, current: pool.candidates.record(
        current, [DecidedCandidate(1, 9, "x", Verdict.REJECTED, "empty", task_id=99)], Stage.CLASSIFY
    ),
    "no draft of the round": lambda pool, current: pool.tasks.classify(current, [(1, True)], Stage.INSTANCES),
    "task id taken": lambda pool, current: pool.candidates.record(
        current, [DecidedCandidate(1, 9, "x", Verdict.ACCEPTED, "novel", task_id=1)], Stage.CLASSIFY
    ),
    "parent unknown": lambda pool, current: pool.requests.plan(
        current, Stage.CLASSIFY, [PlannedRequest("p", "s", PARAMS, 1, (999,))], None
    ),
    "neighbour unknown": lambda pool, current: pool.candidates.record(
        current, [DecidedCandidate(1, 9, "x", Verdict.REJECTED, "not_novel", Novelty((Neighbour(999, 1.0),)))], Stage.CLASSIFY
    ),
    "ordinals taken": lambda pool, current: pool.requests.plan(current, Stage.INSTRUCTIONS, [PlannedRequest("p", "s", PARAMS, 1)], None),
    "round unknown": lambda pool, _: pool.rounds.commit(99),
    "round done": lambda pool, _: pool.requests.plan(1, Stage.CLASSIFY, [PlannedRequest("p", "s", PARAMS, 1)], None),
    "settings no JSON": lambda pool, _: pool.runs.start("{", "seed", "0", MODEL),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_nothing_and_the_pool_usable(walked: Pool, name: str) -> None:
    current = walked.rounds.begin(1)
    walked.requests.plan(current.id, Stage.INSTRUCTIONS, [PlannedRequest(PREFIX, "", PARAMS, 1)], Stage.INSTRUCTIONS)
    before = contents(walked.path)
    with pytest.raises((PoolError, ValueError)):
        REFUSED[name](walked, current.id)
    assert contents(walked.path) == before
    store_completions(walked, current.id, Stage.INSTRUCTIONS, [Completion(RAW, FinishReason.STOP, 1, 1)], Stage.FILTER)
    walked.rounds.commit(current.id)
    walk_round(walked)
    assert_sound(walked.path)


def test_a_round_of_no_run_is_refused(walked: Pool) -> None:
    with pytest.raises(PoolError, match="FOREIGN KEY"):
        walked.rounds.begin(99)
    assert walked.rounds.unfinished() is None


def test_transactions_do_not_nest_and_nothing_is_written_outside_of_one(pool: Pool) -> None:
    database = pool._database
    with pytest.raises(RuntimeError, match="outside of a transaction"):
        database.execute("DELETE FROM instances")
    with pytest.raises(RuntimeError, match="outside of a transaction"):
        database.insert("prompts", [{"sha256": "a", "text": "b"}])
    with pytest.raises(RuntimeError, match="within a transaction"), database.transaction(), database.transaction():
        pass
    assert not database.connection.in_transaction
    assert pool.runs.start("{}", "seed", "0.1.0", MODEL) == 1


def test_a_full_disk_is_named_and_the_pool_goes_on_when_there_is_space(pool: Pool) -> None:
    connection = pool._database.connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    before = contents(pool.path)
    with pytest.raises(PoolError, match="the disk is full") as caught:
        pool.tasks.add(seed_tasks(5000), Origin.IMPORTED)
    assert "space" in caught.value.hint
    assert contents(pool.path) == before
    assert not connection.in_transaction
    assert pool.figures.counts().seeds == 10
    connection.execute("PRAGMA max_page_count = 1000000")
    assert pool.tasks.add(seed_tasks(5000), Origin.IMPORTED) == 5000
    assert_sound(pool.path)


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_pool_that_went_away_is_not_written_into_nothing(pool: Pool, change: str) -> None:
    pool.path.rename(pool.path.with_name("elsewhere.db"))
    if change == "replaced":
        pool.path.write_bytes(b"")
    with pytest.raises(PoolError, match="was moved, deleted or replaced"):
        pool.runs.start("{}", "seed", "0.1.0", MODEL)


def test_threads_take_turns(pool: Pool) -> None:
    def add() -> None:
        for _ in range(5):
            pool.tasks.add(seed_tasks(3), Origin.IMPORTED)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(pool.tasks.ids(origin=Origin.IMPORTED)) == list(range(11, 71))
    assert_sound(pool.path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool.create(tmp_path_factory.mktemp("pool") / "pool.db", seed_tasks()) as made:
        yield made


@given(text=ANY_TEXT, stop=st.lists(ANY_TEXT, max_size=3).map(tuple), seed=st.integers(0, 2**32 - 1), score=st.floats(0, 1))
def test_any_text_comes_back_as_it_can_be_stored(shared: Pool, text: str, stop: tuple[str, ...], seed: int, score: float) -> None:
    kept = storable(text)
    run = shared.runs.start("{}", text, "0.1.0", replace(MODEL, name=text))
    latest = shared.runs.latest()
    assert latest is not None
    assert (latest.seed, latest.model.name) == (kept, kept)
    current = shared.rounds.begin(run)
    shared.requests.plan(
        current.id, Stage.INSTRUCTIONS, [PlannedRequest(text, text, SamplingParams(score, stop=stop, grammar=text), seed)], None
    )
    (request,) = shared.requests.planned(current.id, Stage.INSTRUCTIONS)
    assert (request.prefix, request.suffix, request.seed) == (kept, kept, seed)
    assert request.params == SamplingParams(score, stop=tuple(storable(part) for part in stop), grammar=kept)
    store_completions(shared, current.id, Stage.INSTRUCTIONS, [Completion(text, FinishReason.STOP, 1, 1, 1, score, text)], None)
    (completion,) = shared.requests.completions(current.id, Stage.INSTRUCTIONS)
    assert completion.completion == Completion(kept, FinishReason.STOP, 1, 1, 1, score, kept)
    task = shared.tasks.next_id()
    decided = DecidedCandidate(
        request.id, 0, text, Verdict.ACCEPTED, "novel", Novelty((Neighbour(1, score),), score, score), text, text, task
    )
    shared.candidates.record(current.id, [decided], Stage.INSTANCES)
    (draft,) = shared.tasks.drafts(current.id)
    assert (draft.task.instruction, draft.input, draft.output) == (kept, kept, kept)
    candidate = shared.candidates.of_task(task)
    assert candidate is not None
    (decision,) = shared.candidates.decisions(candidate.id)
    assert (decision.score, decision.seed_score, decision.mean_score) == (score, score, score)
    shared.instances.record(current.id, [DecidedInstance(task, request.id, text, text, Verdict.ACCEPTED, "valid")], Stage.COMMIT)
    shared.rounds.commit(current.id)
    shared.tasks.add([SeedTask(text, text, text, (Instance(text, text),), True)], Origin.IMPORTED)
    exported = list(shared.stream.export_tasks(False))[-2:]
    assert [item.instruction for item in exported] == [kept, kept]
    assert exported[1].instances == (Instance(kept, kept),)
    assert (exported[1].key, exported[1].name) == (kept, kept)


def test_all_that_was_stored_is_sound(shared: Pool) -> None:
    assert_sound(Path(shared.path))
