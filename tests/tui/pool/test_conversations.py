"""Instances that were a conversation, on the pool screen: they are told of, and an edit of their exchange leaves them as they are."""

from __future__ import annotations

from pathlib import Path

from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask, Turn
from studio.tui.dialogs.edit import InstancesDialog
from studio.tui.pool.detail import TaskDetail
from studio.tui.pool.listing import TaskTable
from studio.tui.pool.screen import PoolScreen
from studio.tui.widgets.fields import SafeTextArea
from support.sessions import MIXED, mixed_pool
from support.studio_app import screen_text, studio

TALK = Instance("", "Paris.", "", "Be brief.", (Turn("user", " And Spain?\r\n"), Turn("assistant", "Madrid.", "Easy.")))


async def test_an_edit_of_the_exchange_leaves_what_was_said_around_it(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        pool.tasks.add([SeedTask("", "", "Name a capital.", (TALK,), None)], Origin.IMPORTED)
        [task] = pool.tasks.newest(1)
    async with studio(path, asked=MIXED) as driven:
        await driven.press("2")
        screen = driven.app.screen
        assert isinstance(screen, PoolScreen)
        await driven.until(lambda: bool(screen.query(TaskTable)) and task in screen.query_one(TaskTable).ids)
        table = screen.query_one(TaskTable)
        table.cursor = table.ids.index(task)
        await driven.until(lambda: screen.query_one(TaskDetail).shown == f"t{task}")
        assert "then assistant: Madrid." in screen_text(driven.app) and "system turn: Be brief." in screen_text(driven.app)
        await driven.press("i")
        await driven.until(lambda: "and a system turn and 2 further turns" in screen_text(driven.app))
        assert isinstance(driven.app.screen, InstancesDialog)
        await driven.press("e")
        await driven.until(lambda: "a system turn and 2 further turns stay as they are" in screen_text(driven.app))
        driven.app.screen.query_one("#output", SafeTextArea).text = "Rome."
        await driven.press("ctrl+s")
        await driven.until(lambda: "Rome." in screen_text(driven.app))
    with Queries.open(path) as reader:
        [instance] = reader.instances.of_task(task)
    assert (instance.output, instance.system, instance.turns) == ("Rome.", TALK.system, TALK.turns)
