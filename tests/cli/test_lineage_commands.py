"""`studio stats`, `studio stats --lineage` and `studio show --tree` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from studio.cli import show
from studio.errors import PoolError, UsageError
from studio.pool.pool import Pool
from studio.records import Instance, SeedTask
from support.nasty_text import NASTY_TEXTS
from support.pools import make_pool, seed_tasks, walk_round


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as opened:
        walk_round(opened)
    return path


def told(command: object, *arguments: object) -> str:
    done = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=True)  # type: ignore[arg-type]
    if done.exception is not None:
        raise done.exception
    assert done.stderr == ""
    return done.stdout


def test_figures_as_json_and_as_tables(pool: Path) -> None:
    figures = json.loads(told(show.stats_command, pool, "--json"))
    assert (figures["generated"], figures["saturation"]["ahead"]) == (2, 1000)
    assert figures["instruction_words"]["bins"] == [{"low": 2, "high": 3, "count": 1}, {"low": 4, "high": 7, "count": 1}]
    assert "no estimate of what more candidates would bring" in told(show.stats_command, pool)


def test_lineage_as_json_and_as_tables(pool: Path) -> None:
    figures = json.loads(told(show.stats_command, pool, "--lineage", "--json"))
    assert [root["descendants"] for root in figures["roots"]] == [2] * 8 + [0] * 2
    assert figures["depths"][0]["acceptance_rate"] == 2 / 3
    assert "2 of 10 seeds and imports have no descendant" in " ".join(told(show.stats_command, pool, "--lineage").split())


def test_a_tree_as_json_and_as_text(pool: Path) -> None:
    family = json.loads(told(show.show_command, pool, "11", "--tree", "--json"))
    assert family["parents"] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [each["origin"] for each in family["ancestors"]] == ["seed"] * 8
    text = told(show.show_command, pool, "11", "--tree", "--limit", "2")
    assert "├─ 8 (seed) Describe the animal with number 8." in text
    assert "└─ … 6 more" in text


def test_a_tree_is_of_one_task(pool: Path) -> None:
    with pytest.raises(UsageError, match="one task"):
        told(show.show_command, pool, "--tree")
    with pytest.raises(PoolError, match="999"):
        told(show.show_command, pool, "999", "--tree")
    with pytest.raises(PoolError, match="999"):
        told(show.show_command, pool, "c999", "--tree")


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_instructions_are_shown_harmless(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pool.db"
    nasty = SeedTask("", "", f"Say {text}", (Instance("", "x"),), False)
    with Pool.create(path, [nasty, *seed_tasks(9)]) as opened:
        walk_round(opened)
    for out in (
        told(show.show_command, path, "11", "--tree"),
        told(show.show_command, path, "1", "--tree"),
        told(show.stats_command, path, "--lineage"),
    ):
        assert not set(out) & {chr(code) for code in (*range(10), *range(11, 32), 127, *range(128, 160), 0x202E, 0x200B)}
