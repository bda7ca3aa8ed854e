"""All about the row under the cursor: its story, and its lineage as a tree."""

from __future__ import annotations

import asyncio

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TabbedContent, TabPane

from studio.errors import StudioError
from studio.insight.story import Story, story_of
from studio.pool.browse import Kind
from studio.records import Verdict
from studio.tui.latest import start_latest
from studio.tui.pool_access import PoolAccess
from studio.tui.widgets.lineage_tree import LineageTree
from studio.tui.widgets.pane import Pane
from studio.tui.widgets.story_text import story_text

_SETTLE_S = 0.05
"""How long the cursor stays on a row before its story is read: holding a key down reads none."""


class TaskDetail(Vertical):
    """Shows a task or a candidate by its id."""

    DEFAULT_CSS = """
    TaskDetail Pane, TaskDetail Pane:focus, TaskDetail Pane:focus-within { border-top: none; height: 1fr; }
    TaskDetail TabPane { padding: 0; }
    TaskDetail ContentSwitcher, TaskDetail TabbedContent { height: 1fr; }
    TaskDetail LineageTree { height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    """

    class Shown(Message):
        """Another story, or a newer one, is shown."""

    class Failed(Message):
        def __init__(self, error: StudioError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, access: PoolAccess) -> None:
        super().__init__()
        self._access = access
        self._story: Story | None = None
        self._drawn = ""
        self._shown = ""
        self.wanted = ""
        """The reference of the story that is shown, or is on its way; empty when there is none."""

    @property
    def story(self) -> Story | None:
        return self._story

    @property
    def shown(self) -> str:
        """The reference of `story`."""
        return self._shown

    def compose(self) -> ComposeResult:
        with TabbedContent():
            with TabPane("Story", id="story"), Pane(id="story-pane"):
                yield Static(id="story-text", markup=False)
            with TabPane("Lineage", id="lineage"):
                yield LineageTree(self._access, id="tree")

    def show_row(self, kind: Kind, row_id: int | None) -> None:
        """Show another row, or none; the one on its way is dropped."""
        self.wanted = reference_of(kind, row_id)
        if not self.wanted:
            for group in ("detail", "lineage"):
                self.workers.cancel_group(self, group)
            self._story, self._shown, self._drawn = None, "", ""
            self.query_one("#story-text", Static).update(Content(""))
            self.query_one(LineageTree).clear()
            return
        start_latest(self, "detail", self._show, self.wanted, _SETTLE_S)

    def show_again(self) -> None:
        """Read what is shown once more: somebody may have changed it."""
        if self.wanted:
            start_latest(self, "detail", self._show, self.wanted, 0.0)

    def show_lineage(self) -> None:
        """Turn to the lineage, or back to the story."""
        tabs = self.query_one(TabbedContent)
        if tabs.active == "lineage":
            tabs.active = "story"
            self.focus_text()
        else:
            tabs.active = "lineage"
            self.query_one(LineageTree).focus()

    def focus_text(self) -> None:
        """Go to the story, to scroll in it."""
        self.query_one(TabbedContent).active = "story"
        self.query_one("#story-pane").focus()

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        event.stop()
        start_latest(self, "lineage", self._draw_lineage)

    def on_lineage_tree_failed(self, event: LineageTree.Failed) -> None:
        event.stop()
        self.post_message(self.Failed(event.error))

    async def _show(self, reference: str, settle_s: float) -> None:
        await asyncio.sleep(settle_s)

        try:
            story = await self._access.ask(lambda pool: story_of(pool, reference))
        except StudioError as error:
            self.post_message(self.Failed(error))
            return
        if reference != self.wanted:
            return
        self._story = story
        self.query_one("#story-text", Static).update(story_text(story))
        if reference != self._shown:
            self._shown = reference
            self.query_one("#story-pane").scroll_home(animate=False)
        self.post_message(self.Shown())
        await self._draw_lineage()

    async def _draw_lineage(self) -> None:
        story, tree = self._story, self.query_one(LineageTree)
        if story is None or self._shown == self._drawn or self.query_one(TabbedContent).active != "lineage":
            return
        # Once for each task: whoever has opened its branches keeps them when the pool grows.
        self._drawn = self._shown
        try:
            if story.task is not None:
                await tree.show_task(story.task.id)
            else:
                await tree.show_parents([parent.id for parent in story.parents])
        except StudioError as error:
            self._drawn = ""
            self.post_message(self.Failed(error))


def reference_of(kind: Kind, row_id: int | None) -> str:
    """How a row is called, `t12` or `c12`; empty for none."""
    return "" if row_id is None else f"{'t' if kind is Kind.TASKS else 'c'}{row_id}"


def as_text(story: Story) -> str:
    """A task with its accepted instances, or a candidate, as plain text."""
    text = story.task.instruction if story.task is not None else story.candidate.text if story.candidate is not None else ""
    kept = [each for each in story.instances if each.verdict is Verdict.ACCEPTED]
    return "\n\n".join([text, *((f"Input: {each.input}\n" if each.input else "") + f"Output: {each.output}" for each in kept)])
