"""What a person decides otherwise, key by key; each is on record, taken back by undo, and still there after a restart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from studio.records import Stage, Verdict
from studio.tui.dialogs.edit import EditDialog, InstanceEditor, InstancesDialog
from studio.tui.dialogs.parameters import ParametersDialog
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.prompt import ContextTasks
from studio.tui.widgets.fields import SafeInput, SafeTextArea
from support.pools import assert_sound
from support.studio_app import SIZES, Driven, footer_keys, screen_text, studio


def parents(driven: Driven, prompt: int = 0) -> list[int]:
    """The in-context tasks of a prompt."""
    view = driven.screen.live.view
    assert view is not None
    return [task.id for task in view.prompts[prompt].parents]


def verdicts(driven: Driven) -> list[Verdict]:
    """The verdicts that hold, in order."""
    view = driven.screen.live.view
    assert view is not None
    return [candidate.verdict for candidate in view.candidates]


@pytest.mark.parametrize("size", SIZES)
async def test_an_overruled_verdict_is_found_again_and_taken_back(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        for _ in range(3):
            await driven.press("s")
        before = verdicts(driven)
        rejected = before.index(Verdict.REJECTED)
        driven.screen.query_one(DecisionTable).focus()
        driven.screen.query_one(DecisionTable).cursor = rejected
        await driven.pilot.pause()
        assert {"Overrule", "Edit"} <= set(footer_keys(driven.app))
        await driven.press("t")
        assert verdicts(driven)[rejected] is Verdict.ACCEPTED
        await driven.until(lambda: "accepted by you" in screen_text(driven.app))
        assert driven.screen.query_one(DecisionTable).cursor == rejected
    async with studio(tmp_path / "pool.db", size=size) as driven:
        assert verdicts(driven)[rejected] is Verdict.ACCEPTED
        await driven.press("u")
        assert verdicts(driven) == before
        await driven.press("U")
        assert verdicts(driven)[rejected] is Verdict.ACCEPTED
        await driven.press("r")
        view = driven.screen.live.view
        assert view is not None and view.candidates[rejected].task_id is not None
    assert_sound(tmp_path / "pool.db")


async def test_an_edited_text_is_scored_as_it_is_typed(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        for _ in range(3):
            await driven.press("s")
        driven.screen.query_one(DecisionTable).focus()
        await driven.pilot.press("e")
        assert isinstance(driven.app.screen, EditDialog)
        await driven.until(lambda: "ROUGE-L" in screen_text(driven.app) and "nearest" in screen_text(driven.app))
        view = driven.screen.live.view
        assert view is not None
        area = driven.app.screen.query_one(SafeTextArea)
        area.text = view.prompts[0].parents[0].instruction
        await driven.until(lambda: "1.000 not new" in screen_text(driven.app))
        area.text = "Name four rivers of Mongolia and say where each of them ends."
        await driven.until(lambda: "new, below" in screen_text(driven.app))
        await driven.press("ctrl+s")
        assert driven.screen.live.view is not None
        edited = driven.screen.live.view.candidates[0]
        assert edited.edited and edited.text.startswith("Name four rivers")
        await driven.press("u")
        assert not driven.screen.live.view.candidates[0].edited


async def test_leaving_the_editor_changes_nothing(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        for _ in range(3):
            await driven.press("s")
        driven.screen.query_one(DecisionTable).focus()
        for keys in (("e", "x", "escape"), ("e", "ctrl+s"), ("e", "ctrl+e", "escape")):
            await driven.press(*keys)
        assert driven.screen.undo_words is None


async def test_in_context_tasks_are_drawn_anew_and_swapped(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("s")
        assert {"Draw anew", "Swap"} <= set(footer_keys(driven.app))
        first = parents(driven)
        await driven.press("D")
        drawn = parents(driven)
        assert drawn != first
        driven.screen.query_one(ContextTasks).focus()
        await driven.press("down", "down", "w")
        swapped = parents(driven)
        assert [old == new for old, new in zip(drawn, swapped, strict=True)] == [True, True, False, True, True, True, True, True]
        await driven.press("u", "u")
        assert parents(driven) == first
        await driven.press("s")
        assert "Swap" not in footer_keys(driven.app)


async def test_a_round_is_written_anew(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("s")
        await driven.press("s")
        view = driven.screen.live.view
        assert view is not None and view.prompts[0].completion is not None
        before = view.prompts[0].completion.text
        await driven.press("W")
        assert driven.screen.live.next_stage is Stage.INSTRUCTIONS
        assert driven.screen.live.stages[Stage.INSTRUCTIONS].state == "waiting"
        await driven.press("s")
        view = driven.screen.live.view
        assert view is not None and view.prompts[0].completion is not None
        assert view.prompts[0].completion.text != before


async def test_parameters_hold_for_the_round_alone(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("s")
        await driven.pilot.press("p")
        assert isinstance(driven.app.screen, ParametersDialog)
        field = driven.app.screen.query_one("#field-4", SafeInput)
        field.value = "7"
        await driven.pilot.press("enter")
        assert isinstance(driven.app.screen, ParametersDialog), "a value that does not fit stays for correction"
        field.value = "0.3"
        await driven.press("enter")
        assert driven.screen.method is not None and driven.screen.method.threshold == 0.3
        await driven.press("r")
        assert "ROUGE-L 0.3" in screen_text(driven.app) or driven.screen.method.threshold == 0.7
        assert driven.screen.method.threshold == 0.7


async def test_instances_are_dropped_corrected_and_added(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        driven.screen.query_one(DecisionTable).focus()
        await driven.pilot.press("i")
        dialog = driven.app.screen
        assert isinstance(dialog, InstancesDialog)
        await driven.until(lambda: bool(dialog._instances))
        count = len(dialog._instances)
        await driven.pilot.press("delete")
        await driven.until(lambda: dialog._instances[0].verdict is Verdict.REJECTED)
        await driven.pilot.press("delete")
        await driven.until(lambda: dialog._instances[0].verdict is Verdict.ACCEPTED)
        await driven.pilot.press("e")
        assert isinstance(driven.app.screen, InstanceEditor)
        driven.app.screen.query_one("#output", SafeTextArea).text = "A better answer."
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: dialog._instances[0].output == "A better answer.")
        await driven.press("+")
        assert driven.app.screen.id == driven.screen.id and not driven.app.screen.is_modal
        told = [each.message for each in driven.app._notifications]
        assert any(re.fullmatch(r"Task \d+ has (no new instance|\d+ more instances?)\.( Rejected: .*)?", words) for words in told), told
        logged = [line.text for line in driven.app.activity.lines]
        assert sum(words.startswith("by you: changed instance") for words in logged) == 1
        await driven.pilot.press("i")
        more = driven.app.screen
        assert isinstance(more, InstancesDialog)
        await driven.until(lambda: len(more._instances) >= count)
        assert "A better answer." in screen_text(driven.app)
    assert_sound(tmp_path / "pool.db")
