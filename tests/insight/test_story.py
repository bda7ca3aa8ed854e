"""The story of a task or candidate tells all that the pool knows, and nothing that acts on a terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from studio.errors import PoolError, UsageError
from studio.insight.story import Story, parse_reference, story_of
from studio.insight.story_report import story_report
from studio.pool.queries import Queries
from studio.pool.store import Pool
from studio.records import Instance, Origin, SeedTask
from support.nasty_text import NASTY_TEXTS
from support.pools import make_pool, walk_round


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A pool after one round: tasks 11 and 12 from candidates 1 and 2, candidate 3 rejected."""
    made = make_pool(tmp_path / "pool.db")
    with Pool.open(made) as pool:
        walk_round(pool)
    return made


def tell(path: Path, reference: str) -> Story:
    with Queries.open(path) as reader:
        return story_of(reader, reference)


def shown(story: Story, *, prompts: bool = False) -> str:
    out = StringIO()
    Console(file=out, width=200, markup=False, emoji=False, highlight=False).print(story_report(story, prompts=prompts))
    return out.getvalue()


def test_a_generated_task(path: Path) -> None:
    story = tell(path, "11")
    assert story.candidate is not None and story.candidate.id == 1
    assert [parent.id for parent in story.parents] == [8, 7, 6, 5, 4, 3, 2, 1]
    text = shown(story)
    assert "task 11: generated, active, not classification, round 1" in text
    assert "accepted by rule: novel" in text
    assert "0.2500  3  Describe the animal with number 3." in text
    assert "9. Name three rivers." in text
    assert "rejected: empty_output" in text
    assert "Examples" not in text and "Examples" in shown(story, prompts=True)


def test_a_rejected_candidate(path: Path) -> None:
    text = shown(tell(path, "c3"))
    assert "candidate c3: not in the pool" in text
    assert "rejected by rule: not_novel" in text
    assert "nearest: 11  Name three rivers." in text


def test_a_seed(path: Path) -> None:
    assert "task 1: seed, active" in shown(tell(path, "t1"))


@pytest.mark.parametrize("reference", ["", "c", "x1", "-1", "1.5", "١", "9" * 30])
def test_what_is_no_reference(reference: str) -> None:
    with pytest.raises(UsageError, match="no task or candidate"):
        parse_reference(reference)


@pytest.mark.parametrize("reference", ["999", "c999"])
def test_what_is_not_there(path: Path, reference: str) -> None:
    with pytest.raises(PoolError, match="999"):
        tell(path, reference)


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_text_is_shown_harmless(tmp_path: Path, text: str) -> None:
    path = make_pool(tmp_path / "pool.db", 1)
    with Pool.open(path) as pool:
        pool.add_tasks([SeedTask("", text, f"Say {text}", (Instance(text, f"x{text}"),), False)], Origin.IMPORTED)
    out = shown(tell(path, "2"))
    assert not set(out) & {chr(code) for code in (*range(10), *range(11, 32), 127, *range(128, 160), 0x202E, 0x200B)}
