"""Whatever a person does, in whatever order: it can be taken back, it can be done again, and no death on the way changes the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.loop.session import Goal
from studio.loop.settings import profile
from studio.pool.database import Database
from studio.pool.pool import Pool
from studio.records import Stage
from support.pools import assert_sound
from support.sessions import all_seeds, configuration, exported, session_in
from support.steering import ACTS, MIXED, assert_index_follows, perform, play_until, script, standing

SEEDS = all_seeds()[:40]
SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2)]
"""More of what other seeds do already."""


@pytest.mark.parametrize("stage", profile("studio").stages)
@pytest.mark.parametrize("seed", [0, *SLOW])
def test_undo_returns_to_the_same_bytes_and_redo_comes_forward_again(path: Path, stage: Stage, seed: int) -> None:
    with Pool.create(path, SEEDS) as pool:
        session = session_in(pool)
        list(session.run(Goal(rounds=1)))
        if stage is not Stage.SAMPLE:
            play_until(session, stage)
        session.steering.mark(1, True)
        states = [(exported(path), standing(path))]
        for act, own_seed in script(f"{stage}/{seed}", 14, acts=ACTS):
            if perform(act, own_seed, session, pool):
                states.append((exported(path), standing(path)))
        for before in reversed(states[:-1]):
            assert session.steering.undo() is not None
            assert (exported(path), standing(path)) == before
            assert_index_follows(session, pool)
        for after in states[1:]:
            assert session.steering.redo() is not None
            assert (exported(path), standing(path)) == after
            assert_index_follows(session, pool)
        assert session.steering.redo() is None
    assert_sound(path)


@pytest.mark.parametrize("profile", ["studio", "alpaca"])
@pytest.mark.parametrize("seed", [0, 103, *SLOW])
def test_a_session_that_stays_open_and_one_opened_anew_for_each_act_agree(tmp_path: Path, profile: str, seed: int) -> None:
    asked = configuration(profile, requests_per_round=3)
    with Pool.create(tmp_path / "open", SEEDS) as pool:
        session = session_in(pool, asked=asked)
        for act, own_seed in script(f"{profile}/{seed}", 45, acts=MIXED):
            perform(act, own_seed, session, pool)
            assert_index_follows(session, pool)
        list(session.run(Goal(rounds=1)))
    Pool.create(tmp_path / "anew", SEEDS).close()
    for act, own_seed in script(f"{profile}/{seed}", 45, acts=MIXED):
        with Pool.open(tmp_path / "anew") as pool:
            perform(act, own_seed, session_in(pool, asked=asked), pool)
    with Pool.open(tmp_path / "anew") as pool:
        list(session_in(pool, asked=asked).run(Goal(rounds=1)))
    assert exported(tmp_path / "open") == exported(tmp_path / "anew")
    assert standing(tmp_path / "open") == standing(tmp_path / "anew")
    assert_sound(tmp_path / "open")


@pytest.mark.parametrize("seed", [0, *SLOW])
def test_all_that_can_be_undone_comes_back_as_it_was(path: Path, seed: int) -> None:
    """After a run with steering in between: undo everything that is left to undo, then redo it."""
    with Pool.create(path, SEEDS) as pool:
        session = session_in(pool, asked=configuration(requests_per_round=3))
        for act, own_seed in script(f"back/{seed}", 45, acts=MIXED):
            perform(act, own_seed, session, pool)
        session.steering.mark(1, True)
        before, count = (exported(path), standing(path)), 0
        while session.steering.undo() is not None:
            count += 1
            assert_index_follows(session, pool)
        assert session.steering.reader.ledger.next_undo() is None
        for _ in range(count):
            assert session.steering.redo() is not None
        assert session.steering.redo() is None
        assert (exported(path), standing(path)) == before
        assert_index_follows(session, pool)
    assert_sound(path)


class _Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("seed", [0, *SLOW])
def test_death_at_every_single_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Each act dies when it is about to begin its third transaction, as often as it has one more, each time in a session of its own."""
    asked = configuration(requests_per_round=2)
    with Pool.create(tmp_path / "calm", SEEDS) as pool:
        session = session_in(pool, asked=asked)
        for act, own_seed in script(f"death/{seed}", 30, acts=MIXED):
            perform(act, own_seed, session, pool)
    Pool.create(tmp_path / "killed", SEEDS).close()
    deaths = 0
    for act, own_seed in script(f"death/{seed}", 30, acts=MIXED):
        while True:
            with Pool.open(tmp_path / "killed") as pool:
                session = session_in(pool, asked=asked)
                _die_before_transaction(monkeypatch, 3)
                try:
                    perform(act, own_seed, session, pool)
                    break
                except _Killed:
                    deaths += 1
                finally:
                    monkeypatch.undo()
    assert deaths > 0
    assert_sound(tmp_path / "killed")
    assert exported(tmp_path / "killed") == exported(tmp_path / "calm")
    assert standing(tmp_path / "killed") == standing(tmp_path / "calm")


def _die_before_transaction(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    begin, left = Database.transaction, number

    def dying(self: Database) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            raise _Killed
        return begin(self)

    monkeypatch.setattr(Database, "transaction", dying)
