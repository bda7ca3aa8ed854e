"""Rounds whose model is asked in chat: seven stages, prompts without in-context tasks, several answers to one instance."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.engine.api import Completion, FinishReason
from studio.engine.scripted import ScriptedEngine
from studio.loop.events import RequestFinished, RequestsSent, RoundStarted, StageStarted
from studio.loop.session import Goal
from studio.records import Stage
from studio.tui.round.live import LiveRound
from studio.tui.round.rail import Rail, StatusLine, stage_summary
from studio.tui.runner import RunnerState
from support.sessions import configuration, play
from support.studio_app import SIZES, HeldEngine, chatting, footer_keys, screen_text, scripted, studio

CHAT = configuration(best_of=3, likely_share=0.6, threshold=0.5)


@pytest.mark.parametrize("size", SIZES)
async def test_the_rail_has_seven_stages_in_chat(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", chatting, CHAT, size) as driven:
        assert driven.screen.live.order == tuple(Stage)
        for stage, following in zip(Stage, (*tuple(Stage)[1:], Stage.SAMPLE), strict=True):
            assert f"next: {stage}" in screen_text(driven.app)
            assert len(footer_keys(driven.app)) <= 8
            await driven.press("s")
            assert driven.screen.live.stages[stage].state == "done"
            assert f"next: {following}" in screen_text(driven.app)
        rail = str(driven.screen.query_one(Rail).render()).split("\n")
        assert all(len(line) <= size[0] for line in rail)
        assert [name[:5] for name in rail[0].replace("─", " ").replace("✓ ", "✓").split() if name != "✓"] == [
            f"✓{stage}"[:5] for stage in Stage
        ]
        assert "kept" in rail[1] or size[0] < 100


async def test_a_raw_run_has_six_and_a_finished_round_those_it_was_played_with(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    async with studio(path, scripted, CHAT) as driven:
        assert Stage.ANSWER not in driven.screen.live.order
    play(tmp_path / "chat.db", Goal(rounds=1), ScriptedEngine(chats=True), CHAT)
    async with studio(tmp_path / "chat.db", chatting, CHAT) as driven:
        assert driven.screen.live.order == tuple(Stage)
        assert all(driven.screen.live.stages[stage].state == "done" for stage in Stage)


def test_what_is_measured_is_counted_and_is_no_text() -> None:
    live = LiveRound()
    live.apply(0.0, RoundStarted(1, Stage.FILTER))
    live.apply(0.0, StageStarted(1, Stage.FILTER))
    live.apply(0.0, RequestsSent(Stage.FILTER, 3))
    live.apply(0.1, RequestFinished(Stage.FILTER, 1, Completion("", FinishReason.STOP, 9, 0, nats=2.0)))
    assert stage_summary(live, Stage.FILTER, 9) == "1/3"
    assert not live.texts and not live.changed_texts


async def test_candidates_are_measured_before_they_are_decided(tmp_path: Path) -> None:
    held = HeldEngine(2, ScriptedEngine(chats=True))
    path = tmp_path / "pool.db"
    async with studio(path, lambda _m, _o: held, CHAT) as driven:
        held.go_on.set()
        await driven.press("s", "s")
        held.go_on.clear()
        held.reached.clear()
        await driven.pilot.press("s")
        await driven.until(held.reached.is_set)
        driven.screen.collect()
        await driven.until(lambda: "measures it" in str(driven.screen.query_one(StatusLine).render()))
        assert driven.state is RunnerState.RUNNING
        progress = driven.screen.live.stages[Stage.FILTER]
        assert (progress.done, progress.total > 2) == (2, True)
        assert f"2/{progress.total}" in str(driven.screen.query_one(Rail).render())
        held.go_on.set()
        await driven.idle()
        assert driven.screen.live.next_stage is Stage.CLASSIFY
