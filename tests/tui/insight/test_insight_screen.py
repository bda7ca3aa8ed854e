"""The insight screen in an app of its own: figures, plots, following, what-if."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Checkbox, Static

from studio.insight.statistics import Statistics, saturation, statistics
from studio.insight.studies.review import open_review
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import Rating, ReviewPlan
from studio.pool.rounds import RoundYield
from studio.records import Instance, SeedTask, Stage
from studio.tui.insight.figures import Overview, Scorecard
from studio.tui.insight.screen import InsightScreen
from studio.tui.insight.what_if import WhatIfPane
from studio.tui.widgets.fields import LimitBar
from studio.tui.widgets.table import IdTable
from support.pools import make_pool, walk_round
from support.screens import NASTY_LINES, Host, assert_harmless, seen, until
from support.sessions import MIXED, chat_pool, configuration, mixed_pool, play, session_in
from support.steering import play_until

SIZE = (120, 40)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_pool(tmp_path_factory.mktemp("insight") / "pool.db", rounds=3)


def screen_of(path: Path) -> InsightScreen:
    return InsightScreen(path, follow_s=3600)


def said(screen: InsightScreen) -> str:
    return str(screen.query_one("#said", Static).visual)


@asynccontextmanager
async def opened(path: Path, size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Pilot[object], InsightScreen]]:
    """The screen of the pool at `path`, its figures read."""
    screen = screen_of(path)
    async with Host(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query("#said")) and "reading" not in said(screen))
        yield pilot, screen


@asynccontextmanager
async def what_if_of(path: Path) -> AsyncIterator[tuple[Pilot[object], InsightScreen, WhatIfPane]]:
    """The same on the page *what if*, with the run's own rules."""
    async with opened(path) as (pilot, screen):
        await pilot.press("]")
        pane = screen.query_one(WhatIfPane)
        await until(pilot, lambda: pane.outcome is not None)
        yield pilot, screen, pane


@pytest.mark.parametrize("size", [SIZE, (80, 24), (60, 20)])
async def test_figures_beside_the_papers(played: Path, size: tuple[int, int]) -> None:
    async with opened(played, size) as (pilot, screen):
        with Queries.open(played) as pool:
            counts = pool.figures.counts()
        assert f"of {counts.generated} tasks with instances" in said(screen).replace("\n", " ")
        card = str(screen.query_one("#paper", Static).visual)
        assert f"{counts.generated:,}" in card
        assert "52,445" in card
        reasons = str(screen.query_one("#reasons", Static).visual)
        assert "not novel" in reasons
        assert "accepted" in reasons
        assert_harmless(pilot.app)


async def test_what_the_open_round_accepted_is_told_from_the_pools_tasks(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        play_until(session_in(pool, asked=MIXED), Stage.INSTANCES)
        drafts = pool.figures.drafts()
    async with opened(path) as (_, screen):
        assert drafts > 0 and f"{drafts} of the accepted still drafts" in str(screen.query_one("#reasons", Static).border_title)


async def test_lengths_in_words_with_their_histogram(played: Path) -> None:
    async with opened(played) as (_, screen):
        with Queries.open(played) as pool:
            figures = statistics(pool)
        lines = str(screen.query_one("#lengths", Static).visual).splitlines()
        columns = (figures.instruction_words, figures.input_words, figures.output_words)
        assert lines[1].split() == ["median", *(str(each.median) for each in columns)]
        assert lines[3].split() == ["longest", *(str(each.maximum) for each in columns)]
        longest = max(columns, key=lambda each: each.maximum).bins[-1]
        assert lines[-1].split("█")[0].strip().startswith(longest.label)
        shown = [int(word) for line in lines[4:] for word in line[14:].replace("█", " ").split()]
        assert sum(shown) == sum(each.count for each in columns)


@pytest.mark.parametrize("size", [SIZE, (60, 20)])
async def test_where_instructions_come_from_is_told_where_it_differs(played: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    path = chat_pool(tmp_path / "chat.db")
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, ReviewPlan(100))
        pool.reviews.put(review.id, "anna", 0, Rating((True, True, False)))
        sources = statistics(pool).sources
    async with opened(path, size) as (_, screen):
        block = screen.query_one("#sources", Static)
        lines = str(block.visual).splitlines()
        for each, line in zip(sources, lines[1:], strict=False):
            figures = [f"{each.candidates}", f"{each.accepted}", f"{each.acceptance_rate:.1%}", f"{each.instances}"]
            assert line[:11].rstrip() == each.source.replace("in_", "in ")
            assert line[11:].split()[:4] == figures
        assert block.display and "output acceptable" in lines[-2] and "0% of 1" in lines[-2] and "0% of 1" in lines[-1]
    async with opened(played, size) as (_, screen):
        assert not screen.query_one("#sources", Static).display


async def test_plots_are_drawn_with_marks_that_need_no_colour(played: Path) -> None:
    async with opened(played) as (pilot, _):
        await until(pilot, lambda: "█" in seen(pilot.app) and "░" in seen(pilot.app))
        assert "Tasks by highest ROUGE-L to a seed █, to any task ░" in seen(pilot.app)
        assert "% of tasks with a new opening word ○" in seen(pilot.app)
        await until(pilot, lambda: "○" in seen(pilot.app).replace("word ○", ""))


@pytest.mark.parametrize("rounds", [3, 12])
async def test_what_comes_and_what_it_costs(played: Path, rounds: int) -> None:
    with Queries.open(played) as pool:
        figures = statistics(pool)
    if rounds == 12:
        found = saturation([RoundYield(number, 40, 38 - 2 * number, 1) for number in range(12)])
        figures = replace(figures, saturation=found)
    async with opened(played) as (_, screen):
        screen.query_one(Scorecard).show(figures)
        block = str(screen.query_one("#outlook", Static).visual)
    found = figures.saturation
    assert f"a task: {figures.written_tokens_per_task:,.0f} tokens written" in block
    assert f"{figures.opening_words} different opening words" in block
    assert (found.refused in block) if found.expected is None else (f"about {found.expected:,.0f} new tasks" in block)
    assert (found.expected is None) == (rounds == 3)


async def test_an_empty_pool_names_the_next_key(tmp_path: Path) -> None:
    async with opened(make_pool(tmp_path / "pool.db")) as (pilot, screen):
        assert "Press 1 and play a round" in said(screen)
        await pilot.press("]")
        await until(pilot, lambda: "there is nothing to decide again" in seen(pilot.app))


async def test_it_follows_a_session(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    async with opened(path) as (pilot, screen):
        with Pool.open(path) as pool:
            walk_round(pool)
        screen.query_one(Overview).look(now=True)
        await until(pilot, lambda: "of 2 tasks" in said(screen))


@asynccontextmanager
async def overtaken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Pilot[object], Overview, threading.Semaphore, threading.Event]]:
    """The overview of a pool that has got a round since it was read. Its figures take until the event is set, and are counted."""
    make_pool(path)
    begun, let_go = threading.Semaphore(0), threading.Event()

    def slow(pool: Queries) -> Statistics:
        begun.release()
        assert let_go.wait(600)
        return statistics(pool)

    async with opened(path) as (pilot, screen):
        monkeypatch.setattr("studio.tui.insight.figures.statistics", slow)
        with Pool.open(path) as pool:
            walk_round(pool)
        yield pilot, screen.query_one(Overview), begun, let_go
        let_go.set()
        await until(pilot, lambda: "of 2 tasks" in said(screen))


async def test_figures_that_take_longer_than_the_next_look_are_not_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with overtaken(tmp_path / "pool.db", monkeypatch) as (pilot, overview, begun, _):
        overview._took_s = 0
        overview.look()
        await until(pilot, lambda: begun.acquire(blocking=False))
        asked = overview._access._asked
        overview.look()
        await pilot.pause()
        assert overview._access._asked == asked


async def test_a_look_that_another_takes_the_place_of_does_not_end_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with overtaken(tmp_path / "pool.db", monkeypatch) as (pilot, overview, begun, _):
        overview.look(now=True)
        await until(pilot, lambda: begun.acquire(blocking=False))
        overview.look(now=True)
        await pilot.pause()
        assert overview.waiting
    assert not overview.waiting


async def test_a_missing_pool_is_said(tmp_path: Path) -> None:
    screen = screen_of(tmp_path / "none.db")
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(screen.query("#said.-error")))
        assert "none.db" in said(screen)


async def test_what_if_shows_at_once_which_candidates_flip(played: Path) -> None:
    async with what_if_of(played) as (pilot, screen, pane):
        table = screen.query_one("#flips", IdTable)
        assert pane.outcome is not None
        assert pane.outcome.flips == ()
        assert "No candidate would be decided otherwise." in seen(pilot.app)
        await pilot.press("shift+right", "shift+right", "right")
        assert screen.query_one("#threshold", LimitBar).value == 0.51
        await until(pilot, lambda: len(table.ids) > 0)
        await until(pilot, lambda: "+ was not novel" in seen(pilot.app))
        await pilot.press("delete")
        await until(pilot, lambda: len(table.ids) == 0)
        await pilot.press("shift+left")
        await until(pilot, lambda: "- now not novel" in seen(pilot.app))


async def test_what_if_switches_a_filter(played: Path) -> None:
    async with what_if_of(played) as (pilot, screen, pane):
        box = screen.query_one("#filter-length", Checkbox)
        assert box.value
        box.value = False
        await until(pilot, lambda: pane.outcome is not None and pane.outcome.after.get("too_short", 0) == 0)
        assert pane.outcome is not None
        assert pane.outcome.before["too_short"] > 0


async def test_the_threshold_moves_by_mouse_and_stays_within_0_and_1(played: Path) -> None:
    async with what_if_of(played) as (pilot, screen, _):
        bar = screen.query_one("#threshold", LimitBar)
        await pilot.click(bar, offset=(18, 0))
        assert bar.value == 0.0
        await pilot.press("left")
        assert bar.value == 0.0
        bar.value = 7.0
        assert bar.value == 1.0


async def test_hostile_text_in_flips(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    Pool.create(path, [SeedTask("", text, text, (Instance(text, text),), False) for text in NASTY_LINES]).close()
    play(path, Goal(rounds=1), asked=configuration(threshold=0.4))
    async with what_if_of(path) as (pilot, screen, pane):
        screen.query_one("#threshold", LimitBar).value = 0.0
        await until(pilot, lambda: pane.outcome is not None and bool(pane.outcome.flips))
        await pilot.pause()
        assert_harmless(pilot.app)
