"""The log screen: what has happened since the studio was started."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from studio.text import display, display_line
from studio.tui.activity import ActivityLog, Line
from studio.tui.closing import Page
from studio.tui.widgets.key_bar import KeyBar
from studio.tui.widgets.pane import Pane

_LINE = 2_000
"""Characters of one entry that are shown."""
FOLLOW_S = 0.5


class LogScreen(Page[None]):
    """Shows the log and follows it; who scrolls up stays where he is."""

    HELP = """\
## Log

What has happened since the studio was started, the newest last. **y** sends all of it to the clipboard.
"""
    DEFAULT_CSS = """
    LogScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    LogScreen Pane { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy", id="log.copy", tooltip="Send the log to the clipboard"),
        Binding("escape", "close", "Close", id="log.close", tooltip="Back to where you were"),
    ]

    def __init__(self, log: ActivityLog, *, follow_s: float = FOLLOW_S) -> None:
        super().__init__()
        self._activity = log
        self._follow_s = follow_s
        self._shown = -1

    def compose(self) -> ComposeResult:
        yield Static(Content("Log"), id="title", markup=False)
        with Pane(id="log-pane"):
            yield Static(id="log-text", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        pane = self.query_one("#log-pane", Pane)
        pane.focus()
        pane.anchor()
        self.follow()
        self.set_interval(self._follow_s, self.follow)

    def follow(self) -> None:
        """Show what was added since."""
        if self._activity.count == self._shown:
            return
        self._shown = self._activity.count
        lines = self._activity.lines
        shown = Content("\n").join([_shown(line) for line in lines]) if lines else Content("Nothing has happened yet.")
        self.query_one("#log-text", Static).update(shown)

    def action_copy(self) -> None:
        text = "\n".join(f"{line.at:%H:%M:%S} {line.text}" for line in self._activity.lines)
        self.app.copy_to_clipboard(display(text))
        self.app.notify("sent to the clipboard", markup=False)

    def action_close(self) -> None:
        self.dismiss()


def _shown(line: Line) -> Content:
    word = ("error  ", "bold $text-error") if line.error else ("", "")
    return Content.assemble((f"{line.at:%H:%M:%S}  ", "$text-muted"), word, display_line(line.text, _LINE))
