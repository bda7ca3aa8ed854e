"""A task whole, over the line that had no room for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from studio.records import Task
from studio.tui.cells import cut
from studio.tui.closing import Dialog
from studio.tui.copying import send_to_clipboard
from studio.tui.dialogs import HELP_KEY
from studio.tui.widgets.key_bar import KeyBar
from studio.tui.widgets.pane import Pane

_SHOWN = 20_000
"""Characters of a text that are drawn; `studio show` has all of them."""
_KINDS = {None: "nobody has said whether it is a classification task", True: "a classification task", False: "not a classification task"}


class TaskDialog(Dialog[None]):
    """Instruction, class and instances, to be read and copied."""

    HELP = "A task as the prompt has it, and its instances. `y` sends the instruction to the clipboard, `escape` closes the window."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="task.close", key_display="esc", tooltip="Close this window."),
        Binding("y", "copy", "Copy", id="task.copy", tooltip="Send the instruction to the clipboard."),
        HELP_KEY,
    ]

    DEFAULT_CSS = """
    TaskDialog > Vertical { width: 92%; max-width: 110; height: auto; max-height: 80%; }
    TaskDialog Pane, TaskDialog Pane:focus { border-top: none; height: auto; max-height: 100%; padding: 0; background: $panel; }
    TaskDialog Static { height: auto; }
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._asked = task

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with Vertical() as window:
            window.border_title = Content(f"Task #{self._asked.id} · {self._asked.origin}")
            with Pane(id="task-text"):
                yield Static(Content.assemble(*_parts(self._asked)), markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Arrows scroll at once."""
        self.query_one("#task-text").focus()

    def action_copy(self) -> None:
        """Copy the instruction."""
        send_to_clipboard(self.app, self._asked.instruction)


def _parts(task: Task) -> Iterator[str | tuple[str, str]]:
    yield cut(task.instruction, _SHOWN)
    yield (f"\n\n{_KINDS[task.is_classification]}", "$foreground-muted")
    for instance in task.instances:
        yield "\n"
        for name, text in (("input", instance.input), ("output", instance.output)):
            if text:
                yield (f"\n{name}\n", "$foreground-muted")
                yield cut(text, _SHOWN)
