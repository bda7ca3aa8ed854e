"""The texts that go into prompts, brief and system turns, in editors of several lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, Static

from studio.loop.runs import overridden
from studio.loop.settings import Method
from studio.text import display_line
from studio.tui.base import Store
from studio.tui.dialogs.edit import edit_outside
from studio.tui.dialogs.forms import Editor
from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeTextArea
from studio.tui.widgets.key_bar import KeyBar


@dataclass(frozen=True, slots=True)
class TextField:
    """A text parameter by its dotted key; `words` say what it is for."""

    key: str
    name: str
    words: str


BRIEF = TextField("brief", "brief", "A domain, audience, language or constraint that all new tasks are to keep to.")
TURNS = (
    TextField("prompts.template_system", "system turn, template", "Before the user's turn that the model writes; the brief follows it."),
    TextField("prompts.answer_system", "system turn, answers", "Before each task that the model answers."),
)
_OPENINGS = TextField("prompts.openings", "openings", "How the user's turn may begin that the model writes, one a line.")
FIELDS = {field.key: field for field in (BRIEF, *TURNS, _OPENINGS)}
"""The texts without a placeholder: any text will do."""


def fields_of(method: Method) -> tuple[TextField, ...]:
    """What of the texts has an effect with `method`."""
    turns = (method.asking != "completion", method.answers_apart)
    return (BRIEF, *(field for field, holds in zip(TURNS, turns, strict=True) if holds))


class TextsDialog(Editor[dict[str, Any]]):
    """An editor for each text of `method`; `store` gets those that were changed, by dotted key, if there are any."""

    HELP = """
    The texts that the model is told besides the tasks. The *brief* goes into the prompts of both sources of new tasks; the system turns
    stand before the request that the model writes itself, and before each task that it answers. An empty text is none.
    `tab` goes to the next text, `ctrl+e` opens it in `$EDITOR`, `ctrl+s` sets all of them, `escape` leaves everything as it was.
    Set for a round, they hold for its stages still to come, and one undo takes them back.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Set", "Let the texts hold.", priority=True),
        bind("editor", "editor", "$EDITOR", "Open the text in your editor.", priority=True),
    ]

    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]  # noqa: RUF012  (Textual's own type)
    DEFAULT_CSS = """
    TextsDialog > Vertical { width: 90%; max-width: 100; height: auto; max-height: 95%; }
    TextsDialog Label { color: $foreground-muted; }
    TextsDialog Label.-focused { color: $primary; text-style: bold; }
    TextsDialog TextArea, TextsDialog TextArea:focus { height: 3; border: none; padding: 0 1; background: $surface; }
    TextsDialog TextArea:focus { background: $background; }
    TextsDialog.-high TextArea, TextsDialog.-high TextArea:focus { height: 6; }
    TextsDialog.-one TextArea, TextsDialog.-one TextArea:focus { height: 9; }
    TextsDialog.-one Label { display: none; }
    TextsDialog #explained { height: 2; margin-top: 1; color: $foreground-muted; }
    """

    def __init__(self, method: Method, fields: Sequence[TextField], title: str, store: Store[dict[str, Any]]) -> None:
        super().__init__(store)
        self._method = method
        self._fields = fields
        self._title = title

    def compose(self) -> ComposeResult:
        """A line and an editor for each, and what the one with the focus is for."""
        with Vertical() as window:
            window.border_title = Content(display_line(self._title, 60))
            self.set_class(len(self._fields) == 1, "-one")
            for number, field in enumerate(self._fields):
                yield Label(field.name, markup=False, id=f"name-{number}")
                yield SafeTextArea(text_of(self._method, field.key), soft_wrap=True, show_line_numbers=False, id=f"text-{number}")
            yield Static(markup=False, id="explained")
        yield KeyBar()

    def on_mount(self) -> None:
        """Type into the first at once."""
        self.query_one("#text-0").focus()

    def on_descendant_focus(self) -> None:
        """Say what the text is for; its name is marked."""
        for number, field in enumerate(self._fields):
            here = self.query_one(f"#text-{number}").has_focus
            name = self.query_one(f"#name-{number}", Label)
            name.set_class(here, "-focused")
            name.update(Content(f"▸ {field.name}" if here else field.name))
            if here:
                self.query_one("#explained", Static).update(Content(field.words))

    def changed(self) -> dict[str, Any] | None:
        """The texts that are others."""
        texts = {field.key: self.query_one(f"#text-{number}", SafeTextArea).text for number, field in enumerate(self._fields)}
        changed = {key: text for key, text in texts.items() if text != text_of(self._method, key)}
        overridden(self._method, changed)
        return changed or None

    def say(self, words: str) -> None:
        """In the place of what the text is for."""
        self.query_one("#explained", Static).update(Content.styled(display_line(words, 200), "$error"))

    def action_editor(self) -> None:
        """Hand the text with the focus to the user's editor."""
        if isinstance(area := self.focused, SafeTextArea):
            edit_outside(self, area)


def text_of(method: Method, key: str) -> str:
    """The text of a parameter."""
    value: Any = method
    for name in key.split("."):
        value = getattr(value, name)
    return str(value)
