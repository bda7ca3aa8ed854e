"""Parameters for one round alone."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Label, Static

from studio.config import keys_of, value_of
from studio.loop.runs import overridden
from studio.loop.settings import Method
from studio.text import display_line
from studio.tui.base import Store
from studio.tui.dialogs.forms import Editor
from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeInput
from studio.tui.widgets.key_bar import KeyBar

OFFERED = (
    "sampling.instructions.temperature",
    "sampling.instructions.top_p",
    "sampling.instructions.presence_penalty",
    "sampling.instructions.max_tokens",
    "threshold",
    "requests_per_round",
)
"""The parameters that people turn between two rounds; the settings screen and the files have all of them."""


class ParametersDialog(Editor[dict[str, Any]]):
    """A field for each; `store` gets those that were changed, if there are any."""

    HELP = """
    These values hold for this round alone, and every other setting stays as it is. `enter` or `ctrl+s` sets them,
    `escape` leaves everything as it was. Setting them can be undone.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Set", "Set the values for this round.", priority=True),
    ]

    DEFAULT_CSS = """
    ParametersDialog > Vertical { width: 72; max-width: 96%; height: auto; padding: 1 2; }
    ParametersDialog .field { height: 1; }
    ParametersDialog Label { width: 42; color: $foreground-muted; }
    ParametersDialog Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $surface; }
    ParametersDialog Input:focus { background: $background; text-style: bold; }
    ParametersDialog #explained { margin-top: 1; height: 2; color: $foreground-muted; }
    """

    def __init__(self, method: Method, store: Store[dict[str, Any]]) -> None:
        super().__init__(store)
        self._method = method
        self._infos = dict(keys_of(Method))

    def compose(self) -> ComposeResult:
        """A line each, and the description of the one that has the focus."""
        with Vertical() as window:
            window.border_title = Content("For this round alone")
            for number, key in enumerate(OFFERED):
                with Horizontal(classes="field"):
                    yield Label(key, markup=False)
                    yield SafeInput(_value(self._method, key), id=f"field-{number}", compact=True)
            yield Static(markup=False, id="explained")
        yield KeyBar()

    def on_descendant_focus(self) -> None:
        """Say what the parameter is."""
        focused = self.focused
        if focused is not None and focused.id is not None and focused.id.startswith("field-"):
            key = OFFERED[int(focused.id.removeprefix("field-"))]
            self.query_one("#explained", Static).update(Content(self._infos[key].description or key))

    def changed(self) -> dict[str, Any] | None:
        """The values that are others."""
        changed = {}
        for number, key in enumerate(OFFERED):
            text = self.query_one(f"#field-{number}", SafeInput).text.strip()
            if text != _value(self._method, key):
                changed[key] = value_of(text, self._infos[key])
        overridden(self._method, changed)
        return changed or None

    def say(self, words: str) -> None:
        """In the place of what the parameter is."""
        self.query_one("#explained", Static).update(Content.styled(display_line(words, 200), "$error"))


def _value(method: Method, key: str) -> str:
    value: Any = method
    for name in key.split("."):
        value = getattr(value, name)
    return f"{value:g}" if isinstance(value, float) else str(value)
