"""A crash is a pause: a kill at any statement, or a journal torn anywhere, leaves the state before a change or the state after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.engine.api import Completion, FinishReason
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest
from studio.records import Origin, Stage
from support.dying import assert_all_or_nothing
from support.pools import (
    MODEL,
    PARAMS,
    PREFIX,
    RAW,
    assert_sound,
    contents,
    decided_candidates,
    decided_instances,
    make_pool,
    seed_tasks,
    store_completions,
)

Change = Callable[[Pool], object]

ANSWERED = Completion(RAW, FinishReason.STOP, 1, 2)
PLAN = [PlannedRequest(PREFIX, "x", PARAMS, 1, (1, 2, 3))]
CHANGES: dict[str, Change] = {
    "start_run": lambda pool: pool.runs.start("{}", "seed", "0.1.0", MODEL),
    "begin_round": lambda pool: pool.rounds.begin(1),
    "plan_requests": lambda pool: pool.requests.plan(1, Stage.INSTRUCTIONS, PLAN, Stage.INSTRUCTIONS),
    "store_completions": lambda pool: store_completions(pool, 1, Stage.INSTRUCTIONS, [ANSWERED], Stage.FILTER),
    "record_candidates": lambda pool: pool.candidates.record(1, decided_candidates(1, 11), Stage.CLASSIFY),
    "record_classifications": lambda pool: pool.tasks.classify(1, [(11, False), (12, True)], Stage.INSTANCES),
    "record_instances": lambda pool: pool.instances.record(1, decided_instances(11, 1, None), Stage.COMMIT),
    "commit_round": lambda pool: pool.rounds.commit(1),
    "add_tasks": lambda pool: pool.tasks.add(seed_tasks(3), Origin.IMPORTED),
}


def _pool_before(path: Path, name: str) -> Path:
    """Make the pool as it is when the change `name` is next."""
    make_pool(path)
    with Pool.open(path) as pool:
        for earlier, change in CHANGES.items():
            if earlier == name:
                break
            change(pool)
    return path


@pytest.mark.parametrize("name", CHANGES)
def test_a_kill_at_any_statement_leaves_the_old_state(tmp_path: Path, name: str) -> None:
    assert_all_or_nothing(_pool_before(tmp_path / "pool.db", name), CHANGES[name])


def test_a_journal_torn_anywhere_gives_the_state_before_or_after(tmp_path: Path) -> None:
    path = _pool_before(tmp_path / "pool.db", "record_candidates")
    before = contents(path)
    torn = tmp_path / "torn.db"
    wal = tmp_path / "pool.db-wal"
    with Pool.open(path) as pool:
        start = wal.stat().st_size
        CHANGES["record_candidates"](pool)
        journal, main = wal.read_bytes(), path.read_bytes()
    after = contents(path)
    seen = []
    for cut in [*range(start, len(journal), 1500), len(journal)]:
        torn.write_bytes(main)
        torn.with_name("torn.db-wal").write_bytes(journal[:cut])
        Pool.open(torn).close()
        assert_sound(torn)
        state = contents(torn)
        assert state in (before, after)
        seen.append(state == after)
        for ending in ("-wal", "-shm"):
            torn.with_name(torn.name + ending).unlink(missing_ok=True)
    assert seen[0] is False
    assert seen[-1] is True
    assert seen == sorted(seen)


def test_an_interruption_in_the_middle_rolls_back(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    before = contents(path)
    with Pool.open(path) as pool:
        for error in (KeyboardInterrupt, SystemExit, MemoryError):
            with pytest.raises(error), pool._database.transaction():
                pool._database.execute("DELETE FROM instances")
                raise error
            assert not pool._database.connection.in_transaction
    assert contents(path) == before


def test_a_copy_taken_with_its_journal_is_the_pool(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    copies = tmp_path / "copies"
    copies.mkdir()
    with Pool.open(path) as pool:
        pool.tasks.add(seed_tasks(5), Origin.IMPORTED)
        for file in (path, tmp_path / "pool.db-wal"):
            shutil.copy(file, copies)
    with Pool.open(copies / "pool.db") as pool:
        assert pool.figures.counts().imported == 5
    assert_sound(copies / "pool.db")
