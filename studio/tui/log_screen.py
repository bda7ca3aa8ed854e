"""The log screen: what has happened since the studio was started."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from studio.text import display_line
from studio.tui.activity import ActivityLog, Line
from studio.tui.closing import Page
from studio.tui.copying import send_to_clipboard
from studio.tui.widgets.growing_text import GrowingText
from studio.tui.widgets.key_bar import KeyBar

_TIME = len("00:00:00  ")
_ERROR = "error  "
_LINE = 2_000
"""Characters of one entry that are shown."""
_SHOWN = 500
"""Entries that are shown, up to twice as many as it grows: wrapping thousands takes a second."""
FOLLOW_S = 0.5


class LogScreen(Page[None]):
    """Shows the log and follows it; who scrolls up stays where he is."""

    HELP = """\
## Log

What has happened since the studio was started, the newest last. **y** sends the last 5,000 entries to the clipboard.
"""
    DEFAULT_CSS = """
    LogScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    LogScreen GrowingText { height: 1fr; }
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
        self._first = 0

    def compose(self) -> ComposeResult:
        yield Static(Content("Log"), id="title", markup=False)
        yield GrowingText("Nothing has happened yet.", _words, id="log-pane")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(GrowingText).focus()
        self.follow()
        self.set_interval(self._follow_s, self.follow)

    def follow(self) -> None:
        """Show what was added since."""
        if self._activity.count == self._shown:
            return
        pane = self.query_one(GrowingText)
        pane.follows = pane.is_vertical_scroll_end
        before, self._shown = self._shown, self._activity.count
        lines = self._activity.lines
        # The pane wraps only what is added at its end, so the beginning stays where it is until there are twice as many.
        if before < 0 or self._shown - self._first > 2 * _SHOWN:
            self._first = max(self._shown - _SHOWN, 0)
        shown = lines[max(self._first - (self._shown - len(lines)), 0) :]
        earlier = [f"{self._first:,} earlier lines are not shown"] if self._first else []
        if shown:
            pane.draw("\n".join([*earlier, *map(_entry, shown)]), _line)

    def action_copy(self) -> None:
        text = "\n".join(f"{line.at:%H:%M:%S} {line.text}" for line in self._activity.lines)
        send_to_clipboard(self.app, text)

    def action_close(self) -> None:
        self.dismiss()


def _entry(line: Line) -> str:
    return f"{line.at:%H:%M:%S}  {_ERROR if line.error else ''}{display_line(line.text, _LINE)}"


def _line(entry: str, _place: int) -> Content:
    """An entry, which is clean already: its time and, of an error, the word for it stand out."""
    time, rest = entry[:_TIME], entry[_TIME:]
    word = _ERROR if rest.startswith(_ERROR) else ""
    return Content.assemble((time, "$text-muted"), (word, "bold $text-error"), rest[len(word) :])


def _words(text: str, _place: int) -> Content:
    return Content(text)
