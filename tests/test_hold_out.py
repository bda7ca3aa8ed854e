"""Seeds held out of a pool: no part of generation or of any data, and still something that candidates may not be too near to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.errors import UsageError
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.records import Stage
from studio.seeds.reading import draw_hold_out
from support.command import assert_fails, studio
from support.pools import ask
from support.sessions import all_seeds, exported, play, session_in
from support.steering import play_until

SCRIPTED = ("--headless", "--model", "scripted", "--rounds", "2")


def _pool_with_hold_out(path: Path, number: int = 60) -> Path:
    seeds = all_seeds()
    Pool.create(path, seeds, draw_hold_out(seeds, number, "0")).close()
    return path


def _held(path: Path) -> set[int]:
    return {task_id for (task_id,) in ask(path, "SELECT id FROM tasks WHERE held_out")}


def test_held_out_seeds_are_never_sampled_or_exported_but_always_compared(tmp_path: Path) -> None:
    path = _pool_with_hold_out(tmp_path / "pool.db")
    play(path, Goal(rounds=6))
    held = _held(path)
    assert len(held) == 60
    parents = {task_id for (task_id,) in ask(path, "SELECT task_id FROM request_parents")}
    assert parents and not parents & held
    lines = [json.loads(line) for line in exported(path).splitlines()]
    assert {line["id"] for line in lines if line["origin"] == "seed"} == set(range(1, 176)) - held
    with Queries.open(path) as reader:
        assert {task_id for task_id, _, _ in reader.tasks.instructions()} >= held
        assert set(reader.tasks.ids(held_out=True)) == held
        assert not set(reader.tasks.ids()) & held
        assert not {task.id for task in reader.stream.lint_tasks()} & held
        assert reader.figures.counts().held_out == 60


def test_a_candidate_that_repeats_a_held_out_seed_is_rejected(tmp_path: Path) -> None:
    path = _pool_with_hold_out(tmp_path / "pool.db")
    copied = max(_held(path))
    with Queries.open(path) as reader:
        instruction = reader.tasks.get(copied).instruction
    play(path, Goal(rounds=1), ScriptedEngine(lambda _: f" {instruction}\n"))
    assert set(ask(path, "SELECT reason, score, nearest_task_id FROM decisions")) == {("not_novel", 1.0, copied)}


def test_the_same_run_with_the_same_hold_out_is_the_same_data(tmp_path: Path) -> None:
    first, second = (_pool_with_hold_out(tmp_path / name) for name in ("a.db", "b.db"))
    for path, rounds in ((first, 3), (second, 1)):
        play(path, Goal(rounds=rounds))
    play(second, Goal(rounds=2))
    assert exported(first) == exported(second)


def test_nobody_can_swap_one_into_a_prompt(tmp_path: Path) -> None:
    path = _pool_with_hold_out(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        session = session_in(pool, ScriptedEngine())
        play_until(session, Stage.INSTRUCTIONS)
        with pytest.raises(UsageError, match="cannot stand in a prompt"):
            session.steering.swap(0, 0, min(_held(path)))


def test_run_holds_out_once_and_says_so(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    done = studio("run", pool, *SCRIPTED, "--hold-out", "30")
    assert done.returncode == 0, done.stderr
    assert "30 seeds are held out" in done.stderr
    assert len(_held(pool)) == 30
    assert studio("run", pool, *SCRIPTED, "--hold-out", "30").returncode == 0
    assert_fails(studio("run", pool, *SCRIPTED, "--hold-out", "31"), 2, "holds out 30 seeds since it was made")
    assert "175 seed (30 of them held out)" in studio("stats", pool).stdout
    held = min(_held(pool))
    assert "held out for evaluation" in studio("show", pool, str(held)).stdout
    assert studio("run", pool, *SCRIPTED).returncode == 0


def test_a_pool_that_is_there_gets_no_hold_out(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    assert studio("run", pool, *SCRIPTED).returncode == 0
    assert_fails(studio("run", pool, *SCRIPTED, "--hold-out", "0.2"), 2, "was made without --hold-out")
    assert_fails(studio("run", tmp_path / "new.db", *SCRIPTED, "--hold-out", "175"), 2, "--hold-out 175")
    assert not (tmp_path / "new.db").exists()
