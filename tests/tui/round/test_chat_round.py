"""Rounds whose model is asked in chat: seven stages, prompts without in-context tasks, several answers to one instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Select, Static

from studio.engine.api import CancelToken, Completion, EngineEvent, EngineInfo, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.insight.story import BEFORE_EDIT
from studio.loop.events import EngineRestarted, RequestFinished, RequestsSent, RoundStarted, StageStarted, TextStreamed
from studio.pool.browse import Kind
from studio.records import Source, Stage
from studio.tui.pool.listing import TaskTable
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.live import LiveRound
from studio.tui.round.prompt import ContextTasks, PromptDialog, Stream
from studio.tui.round.rail import Rail, StatusLine, stage_summary
from studio.tui.round.why import Why
from studio.tui.runner import RunnerState
from support.screens import assert_harmless
from support.sessions import configuration, played
from support.studio_app import SIZES, Driven, HeldEngine, chatting, footer_keys, screen_text, scripted, studio

CHAT = configuration(best_of=3, likely_share=0.6, threshold=0.5, answer_again=False)


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


async def test_stopped_while_the_filter_measures_nothing_is_decided(tmp_path: Path) -> None:
    class Measuring(ScriptedEngine):
        """Whoever waits presses escape while candidates are measured."""

        def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
            if requests[0].params.measure:
                cancel.cancel()
            yield from super().stream(requests, cancel)

    async with studio(tmp_path / "pool.db", lambda _m, _o: Measuring(chats=True), CHAT) as driven:
        await driven.press("R")
        shown = screen_text(driven.app)
        assert "■" in shown and "next: filter · stopped; nothing is decided yet" in shown
        assert driven.screen.live.view is not None
        assert not any(each.verdict for each in driven.screen.live.view.candidates)


async def test_prompts_are_gone_through_in_their_pane_while_answers_are_shown(tmp_path: Path) -> None:
    played(tmp_path / "pool.db", 1, CHAT, chats=True)
    async with studio(tmp_path / "pool.db", chatting, CHAT) as driven:
        prompts, answers = driven.screen.query_one(ContextTasks), driven.screen.query_one(Stream)
        answers.focus()
        await driven.press("right_square_bracket")
        assert "Answer 2 of" in str(answers.border_title) and "prompt 1 of" in str(prompts.border_title)
        prompts.focus()
        await driven.press("right_square_bracket", "right_square_bracket")
        assert "Answer 2 of" in str(answers.border_title) and "prompt 3 of" in str(prompts.border_title)


async def test_a_raw_run_has_six_and_a_finished_round_those_it_was_played_with(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    async with studio(path, scripted, CHAT) as driven:
        assert Stage.ANSWER not in driven.screen.live.order
    played(tmp_path / "chat.db", 1, CHAT, chats=True)
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


@pytest.mark.parametrize("size", SIZES)
async def test_a_prompt_without_tasks_is_shown_as_its_turns(tmp_path: Path, size: tuple[int, int]) -> None:
    asked = configuration(brief="for \x1b]52;c;aGFjaw==\x07 beekeepers [red]", opening_share=0.0)
    async with studio(tmp_path / "pool.db", chatting, asked, size) as driven:
        await driven.press("s")
        assert "the model's turn begins with this list" in screen_text(driven.app)
        view = driven.screen.live.view
        assert view is not None
        template = next(each.ordinal for each in view.prompts if each.source is Source.TEMPLATE)
        await driven.press(*["right_square_bracket"] * template)
        shown = screen_text(driven.app)
        assert f"Template · prompt {template + 1} of {len(view.prompts)}" in shown
        assert "beekeepers [red]" in shown and "(the model writes it)" in shown
        assert_harmless(driven.app)
        await driven.press("D")
        assert "has no in-context tasks" in messages(driven)
        driven.app.clear_notifications()
        await driven.press("w")
        assert "has no in-context tasks" in messages(driven)
        driven.screen.query_one(ContextTasks).focus()
        await driven.press("down", "enter")
        assert isinstance(driven.app.screen, PromptDialog)
        await driven.press("escape", "left_square_bracket", "P")
        assert isinstance(driven.app.screen, PromptDialog)
        assert "the model's turn" in str(driven.app.screen.query_one("#read-text Static", Static).visual)
        await driven.pilot.press("ctrl+c")
        assert "9." in driven.app.clipboard and "beekeepers" in driven.app.clipboard


def messages(driven: Driven) -> str:
    return " ".join(each.message for each in driven.app._notifications)


async def test_a_raw_prompt_is_shown_as_one_text(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        assert driven.screen.check_action("whole_prompt", ()) is False
        await driven.press("s", "P")
        text = str(driven.app.screen.query_one("#read-text Static", Static).visual)
        assert "a raw text" in text and "1. " in text


async def test_a_request_of_the_models_own_is_one_candidate(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", chatting, CHAT) as driven:
        await driven.press("s", "s")
        view, rows = driven.screen.live.view, driven.screen._rows()
        assert view is not None
        for prompt in view.prompts:
            own = [row for row in rows if row.request_ordinal == prompt.ordinal]
            assert {row.source for row in own} <= {prompt.source}
            if prompt.source is Source.TEMPLATE:
                assert prompt.completion is not None
                assert [row.text for row in own] == [f"{prompt.text}{prompt.completion.text}".strip()]
        pending = [row.text for row in rows]
        await driven.press("s")
        assert [row.text for row in driven.screen._rows()] == pending
        assert "template" in screen_text(driven.app) or "tmpl" in screen_text(driven.app)


async def test_of_several_answers_the_one_that_was_taken_is_told(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", chatting, CHAT) as driven:
        await driven.press(*"ssssss")
        view = driven.screen.live.view
        assert view is not None
        answers = [each for each in view.task_texts if each.stage is Stage.ANSWER]
        assert answers and {each.draw[1] for each in answers} == {3}
        assert sum(each.chosen for each in answers) == len(answers) // 3
        assert [each.draw[0] for each in answers[:3]] == [1, 2, 3] and len({each.task_id for each in answers[:3]}) == 1
        table = driven.screen.query_one(DecisionTable)
        table.cursor = next(row.position for row in driven.screen._rows() if row.accepted)
        await driven.until(lambda: "/3 ✓ taken" in screen_text(driven.app))
        await driven.press(*["left_square_bracket"] * len(answers))
        titles = []
        for _ in range(3):
            titles.append(str(driven.screen.query_one(Stream).border_title))
            await driven.press("right_square_bracket")
        assert [("✓ taken" in title, "not taken" in title) for title in titles] == [(each.chosen, not each.chosen) for each in answers[:3]]


async def test_a_task_without_an_input_says_that_nothing_was_asked(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", chatting, CHAT) as driven:
        await driven.press(*"sssss")
        view = driven.screen.live.view
        assert view is not None and view.next_stage is Stage.ANSWER
        asked = {each.task_id for each in view.task_texts if each.stage is Stage.INSTANCES}
        rows = [row for row in driven.screen._rows() if row.accepted and row.candidate is not None]
        unasked = next(row for row in rows if row.candidate is not None and row.candidate.task_id not in asked)
        assert asked, "some have been asked, so that there is a text of another task"
        table = driven.screen.query_one(DecisionTable)
        table.focus()
        table.cursor = unasked.position
        await driven.until(lambda: "This task needs no input" in screen_text(driven.app))
        await driven.press("right_square_bracket")
        assert "This task needs no input" not in screen_text(driven.app)


async def test_why_has_bars_of_what_was_measured(tmp_path: Path) -> None:
    asked = configuration(best_of=3, likely_share=0.5, likely_answers=0.9, min_agreement=0.05, threshold=0.5)
    async with studio(tmp_path / "pool.db", chatting, asked) as driven:
        await driven.press(*"sss")
        table, why = driven.screen.query_one(DecisionTable), driven.screen.query_one(Why)

        def told() -> str:
            return "\n".join(str(part.visual) for part in why.query(Static))

        for reason, words in (("unlikely", "too unlikely as a request"), ("novel", "likely as a request")):
            row = next(row for row in driven.screen._rows() if row.candidate is not None and row.candidate.reason == reason)
            assert row.candidate is not None
            table.cursor = row.position
            await driven.until(lambda words=words: f": {words}" in told())  # type: ignore[misc]
            (line,) = [line for line in told().splitlines() if line.startswith("likelihood")]
            assert ("┿" in line) == (reason == "unlikely") and f"{row.candidate.nats:.2f}" in line
            assert f"source     {'template: ' if row.source is Source.TEMPLATE else 'in context: '}" in told()
            assert "the limit is 0.5" in told()
            assert BEFORE_EDIT not in told()
        await driven.press("e")
        await driven.press("W", "e", "space", "ctrl+s")
        await driven.until(lambda: BEFORE_EDIT in told())
        await driven.press(*"rr")
        accepted = [row for row in driven.screen._rows() if row.accepted]
        table.cursor = accepted[0].position
        await driven.until(lambda: "  agreement  " in told() and "  sureness   " in told())
        assert "0.05: the answers drawn" in told()


async def test_the_pool_tells_the_source_and_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    played(path, 1, CHAT, chats=True)
    async with studio(path, chatting, CHAT) as driven:
        await driven.press("2")
        pool = driven.app.screen
        await driven.until(lambda: bool(pool.query(TaskTable)) and bool(pool.query_one(TaskTable).ids))
        await driven.press("end")
        await driven.until(lambda: "likelihood ━" in screen_text(driven.app))
        assert "source: " in screen_text(driven.app)
        lines = screen_text(driven.app).splitlines()
        assert any(" template " in line for line in lines) and any(" generated " in line for line in lines)
        pool.query_one("#kind", Select).value = Kind.REJECTED
        await driven.until(lambda: " ctx " in screen_text(driven.app) and " tmpl " in screen_text(driven.app))


async def test_tasks_in_the_system_turn_are_drawn_anew_and_swapped(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", chatting, configuration(template_tasks=3)) as driven:
        await driven.press("s", "right_square_bracket", "right_square_bracket")
        context = driven.screen.query_one(ContextTasks)
        assert context.prompt is not None and context.prompt.source is Source.TEMPLATE
        assert "in the system turn; the model writes the user's" in screen_text(driven.app)
        before = context.prompt.parents
        assert len(before) == 3
        await driven.press("w")
        assert context.prompt.parents[1:] == before[1:] and context.prompt.parents[0] != before[0]
        await driven.press("D")
        assert len(context.prompt.parents) == 3 and context.prompt.source is Source.TEMPLATE


class Server(ScriptedEngine):
    """A model behind a server, whose turn cannot be begun."""

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, asking="chat", askings=("chat",), writes_requests=False, prefills=False, measures=False)


async def test_a_model_that_begins_its_turn_itself(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", lambda _m, _o: Server(), configuration()) as driven:
        await driven.press("s")
        assert "in the user's turn; the model answers" in screen_text(driven.app)
        await driven.press("P")
        assert "(the model begins it)" in str(driven.app.screen.query_one("#read-text Static", Static).visual)
        await driven.press("escape", "s")
        text = driven.screen.live.texts[Stage.INSTRUCTIONS, 0].text
        assert str(driven.screen.query_one(Stream).query_one(Static).visual) == text, "no number stands before it"
        await driven.press("r")
        assert driven.screen.live.order == tuple(Stage) and driven.screen.live.generated > 0
        assert "no limit" not in screen_text(driven.app)


def test_a_stage_that_asks_twice_counts_all() -> None:
    live, done = LiveRound(), Completion("Yes.", FinishReason.STOP, 9, 2)
    live.apply(0.0, RoundStarted(1, Stage.ANSWER))
    live.apply(0.0, StageStarted(1, Stage.ANSWER))
    live.apply(0.0, RequestsSent(Stage.ANSWER, 2))
    for ordinal in range(2):
        live.apply(0.1, RequestFinished(Stage.ANSWER, ordinal, done))
    live.apply(0.2, RequestsSent(Stage.ANSWER, 1))
    assert stage_summary(live, Stage.ANSWER, 9) == "2/3"
    live.apply(0.3, TextStreamed(Stage.ANSWER, 2, "void"))
    live.apply(0.4, EngineRestarted(Stage.ANSWER, 1, "signal 9"))
    assert stage_summary(live, Stage.ANSWER, 9) == "2/3"
    assert set(live.texts) == {(Stage.ANSWER, 0), (Stage.ANSWER, 1)}, "what came before is not void"


class Refusing(ScriptedEngine):
    """A model that refuses a task unless it is asked in other words."""

    def _respond(self, request: Request) -> Completion | str:
        answers = request.chat is not None and request.chat.system.startswith("You are a helpful")
        if answers and "short paragraph." not in request.suffix + request.prefix:
            return "I'm sorry, I cannot do that."
        return super()._respond(request)


async def test_an_answer_in_other_words_stands_among_those_to_its_instance(tmp_path: Path) -> None:
    asked = configuration(best_of=2, answer_again=True)
    async with studio(tmp_path / "pool.db", lambda _m, _o: Refusing(chats=True), asked) as driven:
        await driven.press("r")
        view = driven.screen.live.view
        assert view is not None
        answers = [each for each in view.task_texts if each.stage is Stage.ANSWER]
        last = [each for each in answers if each.draw == (3, 3)]
        assert last and {each.draw[1] for each in answers} == {3}
        assert any(each.chosen for each in last) and not any(each.chosen for each in answers if each.draw[0] == 2)
        assert ", 3/3 " in " ".join(_title(driven, each.ordinal) for each in last[:1])


def _title(driven: Driven, ordinal: int) -> str:
    driven.screen._text_ordinal = ordinal
    driven.screen._show_text()
    return str(driven.screen.query_one(Stream).border_title)
