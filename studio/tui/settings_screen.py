"""The settings screen: every parameter of the method with its value, what it means, and where it can be set."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from studio.loop.settings import Method
from studio.text import display, display_line
from studio.tui.safe import SafeInput
from studio.tui.widgets.id_table import Cell, Column, IdTable
from studio.tui.widgets.pane import Pane
from studio.tui.widgets.settings_list import Setting, settings_of, value_text

_COLUMNS = (Column("parameter", 38), Column("", 1), Column("value", 0))


class SettingsScreen(Screen[None]):
    """Shows a method; nothing can be changed here, for a pool goes on with what it was made with."""

    HELP = """\
# Settings

Every parameter that decides which tasks a run yields. A star marks what differs from the profile. The text below says what the parameter
under the cursor means, and how to set it for the next new pool: in a TOML file, in the environment, or with `--set`.
"""
    DEFAULT_CSS = """
    SettingsScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    SettingsScreen Input { border: none; height: 1; padding: 0 1; background: $surface; }
    SettingsScreen Input:focus { background: $panel; }
    SettingsScreen IdTable { height: 2fr; }
    SettingsScreen Pane { height: 1fr; min-height: 6; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Find", id="settings.find", tooltip="Find a parameter by its name or meaning"),
        Binding("escape", "close", "Close", id="settings.close", tooltip="Back to where you were"),
    ]

    def __init__(self, method: Method) -> None:
        super().__init__()
        self._method = method
        self._settings = settings_of(method)

    def compose(self) -> ComposeResult:
        changed = sum(each.changed for each in self._settings)
        title = f"Settings · profile {display_line(self._method.profile, 40)}" + (
            f" · {changed} of its values changed *" if changed else ""
        )
        yield Static(Content(title), id="title", markup=False)
        yield SafeInput(placeholder="find a parameter: / ", id="find", compact=True)
        with Vertical():
            yield IdTable(_COLUMNS, self._rows_of, empty="No parameter has these words.", id="parameters")
            with Pane(id="meaning-pane"):
                yield Static(id="meaning", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        table = self.query_one(IdTable)
        table.focus()
        table.show(array("q", range(len(self._settings))))

    @on(IdTable.Moved)
    def _moved(self, event: IdTable.Moved) -> None:
        meaning = Content("") if event.row_id is None else _meaning(self._settings[event.row_id])
        self.query_one("#meaning", Static).update(meaning)
        self.query_one("#meaning-pane").scroll_home(animate=False)

    @on(IdTable.Selected)
    def _selected(self) -> None:
        self.query_one("#meaning-pane").focus()

    @on(Input.Changed)
    def _find(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        found = (
            place for place, each in enumerate(self._settings) if all(word in f"{each.key} {each.description}".lower() for word in words)
        )
        self.query_one(IdTable).show(array("q", found))

    @on(Input.Submitted)
    def _found(self) -> None:
        self.query_one(IdTable).focus()

    def action_find(self) -> None:
        self.query_one(Input).focus()

    def action_close(self) -> None:
        """From the words to the list, from the list to where one was."""
        table = self.query_one(IdTable)
        if table.has_focus:
            self.dismiss()
        else:
            self.query_one(Input).value = ""
            table.focus()

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        return {each: _cells(self._settings[each]) for each in ids}


def _cells(setting: Setting) -> Sequence[Cell]:
    changed = ("*", "note") if setting.changed else ("", "")
    return (setting.key, ""), changed, (value_text(setting.value), "note" if setting.changed else "muted")


def _meaning(setting: Setting) -> Content:
    parts: list[str | tuple[str, str]] = [(setting.key, "bold"), f"\n{setting.description}"]
    if setting.bounds:
        parts.append((f" ({setting.bounds})", "$text-muted"))
    if setting.changed:
        parts.append((f"\nthe profile has: {display_line(value_text(setting.standard), 200)}", "$text-warning"))
    parts.append((f"\n--set {setting.key}=VALUE · {setting.variable}\n\n", "$text-muted"))
    parts.append(display(value_text(setting.value)))
    return Content.assemble(*parts)
