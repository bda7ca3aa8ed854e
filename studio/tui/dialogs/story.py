"""The story of one candidate or task over the screen on which it was met: where it came from, how it was decided, and what became of it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content

from studio.pool.browse import Kind
from studio.text import display_line
from studio.tui.base import Dialog, copy_from
from studio.tui.keys import bind
from studio.tui.pool.detail import LineageTree, TaskDetail, as_text
from studio.tui.reader import PoolAccess
from studio.tui.widgets.key_bar import KeyBar


class StoryDialog(Dialog[None]):
    """Made with a way to read the pool, which stays its owner's, and the id of a candidate, or of a task."""

    HELP = """
    The story of a candidate or task, as the pool screen and `studio show` tell it. `l` turns to its lineage and back, `ctrl+c` sends the
    story to the clipboard, `escape` closes the window.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("lineage", "lineage", "Lineage", "Where the task came from, and what came of it."),
        bind("copy", "copy", "Copy", "Send the story to the clipboard."),
    ]
    DEFAULT_CSS = """
    StoryDialog > Vertical { width: 92%; max-width: 110; height: 85%; }
    StoryDialog TaskDetail Pane, StoryDialog LineageTree { background: $panel; }
    """

    def __init__(self, access: PoolAccess, row_id: int, kind: Kind = Kind.REJECTED) -> None:
        super().__init__()
        self._access = access
        self._row = (kind, row_id)

    def compose(self) -> ComposeResult:
        """The same detail as beside the list of the pool screen."""
        with Vertical() as window:
            kind, row_id = self._row
            window.border_title = Content(f"Task {row_id}" if kind is Kind.TASKS else f"Candidate c{row_id}")
            yield TaskDetail(self._access)
        yield KeyBar()

    def on_mount(self) -> None:
        """Read it; arrows scroll at once."""
        detail = self.query_one(TaskDetail)
        detail.show_row(*self._row)
        detail.focus_text()

    @on(TaskDetail.Failed)
    def _failed(self, event: TaskDetail.Failed) -> None:
        self.notify(display_line(event.error.message, 300), severity="warning", markup=False)

    @on(LineageTree.Chosen)
    def _chosen(self, event: LineageTree.Chosen) -> None:
        self.query_one(TaskDetail).show_row(Kind.TASKS, event.task_id)

    def action_lineage(self) -> None:
        """Turn to the lineage, or back to the story."""
        self.query_one(TaskDetail).show_lineage()

    def action_copy(self) -> None:
        """What is told."""
        story = self.query_one(TaskDetail).story
        copy_from(self, "" if story is None else as_text(story))
