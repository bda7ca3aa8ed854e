"""Applying a what-if from the insight screen: what is previewed holds, in one step that `u` takes back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Session
from studio.pool.pool import Pool
from studio.records import Verdict
from studio.tui.insight.figures import Overview
from studio.tui.insight.screen import InsightScreen
from studio.tui.insight.what_if import StoryDialog, WhatIfPane
from studio.tui.runner import RunnerState
from studio.tui.steering import Steerer
from studio.tui.widgets.fields import LimitBar
from studio.tui.widgets.table import IdTable
from support.pools import actions, ask
from support.screens import AtOnce, Host, seen, until
from support.sessions import CHAT, MIXED, chat_pool, exported, mixed_pool, mixed_session, pool_of, session_in
from support.studio_app import Driven, footer_keys, studio

SIZE = (120, 40)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with mixed_session(tmp_path / "pool.db", rounds=2) as session:
        yield session


def screen_of(session: Session) -> InsightScreen:
    return InsightScreen(pool_of(session).path, steerer=Steerer(AtOnce(session)), follow_s=3600)


async def previewed(pilot: Pilot[Any], screen: InsightScreen, threshold: float) -> WhatIfPane:
    """What-if is shown with another threshold, and has been worked out."""
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(WhatIfPane)))
    await pilot.press("]")
    pane = screen.query_one(WhatIfPane)
    await until(pilot, lambda: pane.preview is not None)
    bar = screen.query_one("#threshold", LimitBar)
    bar.value = threshold
    wanted = None if threshold == bar.own else threshold
    await until(pilot, lambda: pane.preview is not None and pane.preview.change.threshold == wanted)
    return pane


async def previewed_in(driven: Driven) -> WhatIfPane:
    """What-if is shown in the studio, with a lower threshold."""
    await driven.press("3")
    screen = driven.app.screen
    assert isinstance(screen, InsightScreen)
    return await previewed(driven.pilot, screen, 0.2)


def shows(pilot: Pilot[Any], words: str) -> bool:
    return words in seen(pilot.app)


def told(pilot: Pilot[Any]) -> str:
    return "\n".join(each.message for each in pilot.app._notifications)


@pytest.mark.parametrize("size", [SIZE, (80, 24)])
async def test_what_is_previewed_is_applied_and_taken_back(session: Session, size: tuple[int, int]) -> None:
    screen, pool = screen_of(session), pool_of(session)
    before = exported(pool.path)
    async with Host(screen).run_test(size=size) as pilot:
        pane = await previewed(pilot, screen, 0.2)
        assert pane.outcome is not None and pane.outcome.flips
        after, flips = pane.outcome.accepted_after, len(pane.outcome.flips)
        await until(pilot, lambda: "Apply" in seen(pilot.app))
        await pilot.press("ctrl+s")
        assert pool.figures.counts().accepted == after
        assert f"decided {flips} candidates again under threshold 0.20" in told(pilot)
        assert "u takes it back" in told(pilot)
        await until(pilot, lambda: pane.preview is not None and not pane.preview.flips)
        await until(pilot, lambda: "Apply" not in footer_keys_of(pilot))
        assert exported(pool.path) != before
        await pilot.press("u")
        assert exported(pool.path) == before
        await until(pilot, lambda: pane.preview is not None and bool(pane.preview.flips))
        await pilot.press("U")
        assert pool.figures.counts().accepted == after
        await pilot.press("u", "u")
        assert "There is nothing to take back." in told(pilot)


def offered(screen: InsightScreen) -> list[str]:
    """What can be steered, of what the palette has."""
    return [each.title for each in screen.commands() if not each.title.startswith("Insight: ")]


def footer_keys_of(pilot: Pilot[Any]) -> list[str]:
    return footer_keys(pilot.app)  # type: ignore[arg-type]


async def test_its_keys_are_there_only_where_they_do_something(session: Session) -> None:
    screen, pool = screen_of(session), pool_of(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(WhatIfPane)))
        await pilot.press("ctrl+s", "u")
        assert offered(screen) == []
        pane = await previewed(pilot, screen, 0.4)
        assert offered(screen) == ["Pool: undo", "Pool: redo"]
        await pilot.press("ctrl+s")
        assert actions(pool) == []
        screen.query_one("#threshold", LimitBar).value = 0.2
        await until(pilot, lambda: pane.preview is not None and bool(pane.preview.flips))
        assert offered(screen) == ["What if: apply", "Pool: undo", "Pool: redo"]


async def test_another_likelihood_and_agreement_are_applied_and_taken_back(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "chat.db")
    before = exported(path)
    with Pool.open(path) as pool:
        screen = screen_of(session_in(pool, ScriptedEngine(chats=True), CHAT))
        async with Host(screen).run_test(size=SIZE) as pilot:
            pane = await previewed(pilot, screen, 0.4)
            assert pane.preview is not None and not any(pane.preview.known)
            nats, agreement = screen.query_one("#nats", LimitBar), screen.query_one("#agreement", LimitBar)
            assert (nats.own, agreement.own) == (pool.rounds.newest_limits()[0], 0.3)
            answers = screen.query_one("#answer-nats", LimitBar)
            assert answers.own == pool.rounds.newest_limits()[1] and answers.display
            for bar in (nats, agreement, answers):
                assert "┼" not in str(bar.render())
            answers.value = 0.5
            await until(pilot, lambda: pane.preview is not None and bool(pane.preview.instances))
            await until(pilot, lambda: "- now unlikely answ" in seen(pilot.app))
            answers.value = answers.own
            nats.value, agreement.value = 1.5, 0.35
            await until(pilot, lambda: pane.preview is not None and all(pane.preview.known))
            for words in ("- now unlikely", "instances: +"):
                await until(pilot, partial(shows, pilot, words))
            table = screen.query_one("#flips", IdTable)
            table.focus()
            await pilot.press("end")
            await until(pilot, partial(shows, pilot, "- now disagreement"))
            await pilot.press("enter")
            assert pane.outcome is not None
            last = pane.outcome.instances[-1].task_id
            await until(pilot, lambda: isinstance(pilot.app.screen, StoryDialog) and f"Task {last}" in seen(pilot.app))
            await pilot.press("escape", "ctrl+s")
            assert "under at most 1.50 nats a token, agreement from 0.35" in told(pilot)
            assert pane.outcome is not None and pool.figures.counts().accepted == pane.outcome.accepted_after
            await until(pilot, lambda: pane.preview is not None and not any(pane.preview.known))
            await pilot.press("u")
            assert exported(path) == before


async def test_what_a_pool_never_measured_cannot_be_moved(session: Session) -> None:
    screen = screen_of(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await previewed(pilot, screen, 0.2)
        assert not any(screen.query_one(f"#{each}").display for each in ("nats", "agreement", "answer-nats"))
        assert "nats" not in seen(pilot.app)


async def test_without_a_session_nothing_can_be_applied(session: Session) -> None:
    screen = InsightScreen(pool_of(session).path, follow_s=3600)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await previewed(pilot, screen, 0.2)
        await pilot.press("ctrl+s", "u", "U")
        assert "Apply" not in footer_keys_of(pilot)
        assert actions(pool_of(session)) == []


async def test_while_a_stage_is_played_it_says_so(session: Session) -> None:
    screen = InsightScreen(pool_of(session).path, steerer=Steerer(AtOnce(session, RunnerState.RUNNING)), follow_s=3600)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await previewed(pilot, screen, 0.2)
        await pilot.press("ctrl+s")
        assert "A stage is being played" in told(pilot)


async def test_what_another_has_decided_since_is_worked_out_again(session: Session) -> None:
    screen, pool = screen_of(session), pool_of(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        pane = await previewed(pilot, screen, 0.2)
        assert pane.outcome is not None
        gone = pane.outcome.flips[0].candidate_id
        session.steering.override(gone, Verdict.REJECTED)
        screen.query_one(Overview).look(now=True)
        await until(pilot, lambda: pane.preview is not None and gone not in pane.preview.flips)
        await pilot.press("ctrl+s")
        assert pool.figures.counts().accepted == pane.outcome.accepted_after


async def test_in_the_studio_it_is_applied_by_the_runner_and_found_after_reopening(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    async with studio(path, asked=MIXED) as driven:
        pane = await previewed_in(driven)
        flips = len(pane.outcome.flips) if pane.outcome is not None else 0
        await driven.press("ctrl+s")
        await driven.until(lambda: "u takes it back" in told(driven.pilot))
        await driven.until(lambda: pane.preview is not None and not pane.preview.flips)
    human = "SELECT count(*) FROM verdicts WHERE decided_by = 'human'"
    assert ask(path, human) == [(flips,)] and flips > 0
    async with studio(path, asked=MIXED) as driven:
        await driven.press("u")
        await driven.until(lambda: ask(path, human) == [(0,)])


async def test_a_preview_that_no_longer_holds_changes_nothing(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    async with studio(path, asked=MIXED) as driven:
        pane = await previewed_in(driven)
        assert pane.preview is not None
        stale = pane.preview.flips[0]
        runner = driven.app.runner
        assert runner is not None
        runner.steer(lambda steering: steering.override(stale, Verdict.REJECTED), lambda _: None)
        await driven.press("ctrl+s")
        await driven.until(lambda: "the pool has changed since" in told(driven.pilot))
    assert ask(path, "SELECT count(*) FROM actions") == [(1,)]
