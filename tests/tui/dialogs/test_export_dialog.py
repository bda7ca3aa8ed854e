"""The export dialog in an app of its own: samples, targets, what it writes and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Checkbox, Input, Select, Static

from studio.pool.browse import ALL, Keep
from studio.pool.pool import Pool
from studio.records import Instance, SeedTask
from studio.tui.dialogs.export import ExportDialog
from support.generated_pool import build_pool
from support.pairs import pool_with_pairs
from support.pools import make_pool
from support.screens import NASTY_LINES, Host, assert_harmless, seen, until
from support.sessions import chat_pool, played, session_in

SIZE = (120, 40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "pool.db"
    played(place, 2, seeds=60)
    return place


def text_of(dialog: ExportDialog, name: str) -> str:
    return str(dialog.query_one(f"#{name}", Static).visual)


async def opened(pilot: Pilot[object], dialog: ExportDialog) -> None:
    await until(pilot, lambda: dialog.is_mounted and bool(dialog.query("#sample")) and text_of(dialog, "sample") != "")


@pytest.mark.parametrize("size", [SIZE, (80, 24), (60, 20)])
async def test_it_shows_three_records_and_writes_all(path: Path, size: tuple[int, int]) -> None:
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=size) as pilot:
        await opened(pilot, dialog)
        assert text_of(dialog, "sample").count('"instruction"') == 3
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "written" in text_of(dialog, "said"))
        target = path.with_name("pool.alpaca.jsonl")
        records = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
        assert len(records) > 5
        assert f"({len(records)} records)" in text_of(dialog, "said").replace("\n", "")


async def test_another_format_another_name_and_a_split(path: Path) -> None:
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#format", Select).value = "chat"
        await until(pilot, lambda: '"messages"' in text_of(dialog, "sample"))
        assert dialog.query_one("#target", Input).value.endswith("pool.chat.jsonl")
        dialog.query_one("#split", Input).value = "0.5"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "written" in text_of(dialog, "said"))
        assert path.with_name("pool.chat.train.jsonl").exists()
        assert path.with_name("pool.chat.validation.jsonl").exists()


async def test_the_originals_files_go_into_a_folder(path: Path) -> None:
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#seeds", Checkbox).value = True
        dialog.query_one("#format", Select).value = "self-instruct"
        await until(pilot, lambda: str(dialog.query_one("#target-row Label", Static).visual) == "folder")
        assert dialog.query_one("#split", Input).disabled
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "written" in text_of(dialog, "said"))
        assert (path.with_name("pool.self-instruct") / "seed_tasks.jsonl").exists()


async def test_a_file_that_is_there_is_named_before_it_is_replaced(path: Path) -> None:
    target = path.with_name("pool.alpaca.jsonl")
    target.write_text("old")
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        assert "would be replaced" in text_of(dialog, "said")
        assert str(dialog.query_one("#export", Button).label) == "Replace"
        for answer in ("n", "escape", "y"):
            assert target.read_text("utf-8") == "old"
            # By the key: a button that was just pressed takes no click for a moment.
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "pool.alpaca.jsonl in" in seen(pilot.app))
            await pilot.press(answer)
            await until(pilot, lambda: pilot.app.screen is dialog)
        await until(pilot, lambda: "written" in text_of(dialog, "said"))
        assert target.read_text("utf-8") != "old"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("split", "1.5", "between 0 and 1"),
        ("split", "much", "between 0 and 1"),
        ("split", "nan", "between 0 and 1"),
        ("quality", "2", "from 0 to 1"),
        ("quality", "good", "from 0 to 1"),
        ("nats", "few", "such as 2.2"),
        ("answer_nats", "-1", "such as 2.2"),
        ("agreement", "1.1", "from 0 to 1"),
        ("lints", "refusl", "no lint 'refusl'"),
        ("lints", "contamination", "compares the pool with a file"),
        ("target", "", "name a file"),
        ("target", "/nowhere/at/all.jsonl", "make the folder first"),
        ("target", "x" * 5000, "shorter name"),
        ("target", "~nobody-of-this-name/x", "there is no user"),
    ],
)
async def test_what_cannot_be_written_is_said(path: Path, field: str, value: str, said: str) -> None:
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one(f"#{field}", Input).value = value
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: said in text_of(dialog, "said"))
        assert not list(path.parent.glob("*.jsonl"))


async def test_only_tasks_with_a_tag_are_shown_and_written(path: Path) -> None:
    with Pool.open(path) as pool:
        chosen = [task.id for task in pool.stream.export_tasks(False, ALL)][:2]
        for task in chosen:
            session_in(pool, force=True).steering.annotate(task, ("keep",), "")
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#quality", Input).value = "0.67"
        await until(pilot, lambda: "No task has that quality" in text_of(dialog, "sample"))
        dialog.query_one("#quality", Input).value = ""
        dialog.query_one("#tag", Input).value = "keep, other"
        await until(pilot, lambda: '"instruction"' in text_of(dialog, "sample"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "written, 2 tasks" in text_of(dialog, "said"))


async def test_what_the_scores_leave_out_is_told(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "pool.db")
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#scored", Checkbox).value = True
        await until(pilot, lambda: "by which score?" in text_of(dialog, "said"))
        dialog.query_one("#agreement", Input).value = "0.99"
        await until(pilot, lambda: "No task has that quality, tag and scores" in text_of(dialog, "sample"))
        dialog.query_one("#agreement", Input).value = "0.38"
        await until(pilot, lambda: '"instruction"' in text_of(dialog, "sample"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "agreement left out" in text_of(dialog, "said"))
    with Pool.open(path) as pool:
        kept = list(pool.stream.export_tasks(False, Keep(min_agreement=0.38, scored=True)))
    assert len(path.with_name("pool.alpaca.jsonl").read_text("utf-8").splitlines()) == sum(len(task.instances) for task in kept) > 0


async def test_pairs_are_written_and_told_by_their_evidence(tmp_path: Path) -> None:
    path = pool_with_pairs(tmp_path / "pool.db")
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#format", Select).value = "preference"
        await until(pilot, lambda: '"rejected"' in text_of(dialog, "sample"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "pairs: 1 edited" in text_of(dialog, "said"))
        assert "2 checked" in text_of(dialog, "said")
    assert len(path.with_name("pool.preference.jsonl").read_text("utf-8").splitlines()) == 5


async def test_a_pool_without_pairs_says_what_would_make_some(tmp_path: Path) -> None:
    path = build_pool(tmp_path / "pool.db", [("Name a river.", False, (Instance("", "Elbe."),))])
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#format", Select).value = "preference"
        await until(pilot, lambda: "To have pairs: draw several answers" in text_of(dialog, "sample"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "nothing to export" in text_of(dialog, "said"))


async def test_what_lints_find_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    texts = ("Name a river in Spain.", "Write to me at ada.rent@somewhere.org about the rent.")
    Pool.create(path, [SeedTask(text, "", text, (Instance("", "An answer."),), False) for text in texts]).close()
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#seeds", Checkbox).value = True
        dialog.query_one("#lints", Input).value = "email"
        await until(pilot, lambda: "before the lints" in str(dialog.query_one("#sample-pane").border_title))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "written, 1 task:" in text_of(dialog, "said"))
        assert "ada.rent@" not in path.with_name("pool.alpaca.jsonl").read_text("utf-8")


async def test_the_pool_itself_is_refused(path: Path) -> None:
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#target", Input).value = str(path)
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "is the pool itself" in text_of(dialog, "said"))


async def test_an_empty_pool_says_what_to_do(tmp_path: Path) -> None:
    dialog = ExportDialog(make_pool(tmp_path / "pool.db"))
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        assert "Play a round first" in text_of(dialog, "sample")
        dialog.query_one("#seeds", Checkbox).value = True
        await until(pilot, lambda: "Describe the animal" in text_of(dialog, "sample"))


async def test_a_system_turn_is_added_and_thoughts_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    Pool.create(path, [SeedTask("seed", "", "Name a river.", (Instance("", "Elbe.", thoughts="Rhine?"),), False)]).close()
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#seeds", Checkbox).value = True
        dialog.query_one("#format", Select).value = "chat"
        await until(pilot, lambda: "Rhine?" in text_of(dialog, "sample"))
        dialog.query_one("#system", Input).value = "Be brief."
        dialog.query_one("#strip", Checkbox).value = True
        await until(pilot, lambda: "Be brief." in text_of(dialog, "sample") and "Rhine?" not in text_of(dialog, "sample"))
        dialog.query_one("#format", Select).value = "prompt-completion"
        await until(pilot, lambda: "no place for a system turn" in text_of(dialog, "said"))


async def test_hostile_text_in_records_and_names(tmp_path: Path) -> None:
    path = tmp_path / "pool[@click=x]\x1b[31m.db"
    Pool.create(path, [SeedTask("", text, text, (Instance(text, text),), False) for text in NASTY_LINES]).close()
    dialog = ExportDialog(path)
    async with Host(dialog).run_test(size=SIZE) as pilot:
        await opened(pilot, dialog)
        dialog.query_one("#seeds", Checkbox).value = True
        for name in ("alpaca", "raw", "chat", "self-instruct"):
            dialog.query_one("#format", Select).value = name
            await pilot.pause()
            await until(pilot, lambda: "[/foo]" in text_of(dialog, "sample"))
            assert_harmless(pilot.app)
