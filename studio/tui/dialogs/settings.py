"""The settings screen: every parameter of the method with its value, what it means, and a field to change it where it can be."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from studio.config import ENVIRONMENT_PREFIX, keys_of
from studio.errors import UsageError
from studio.loop.runs import overridden, require_effect, typed_value
from studio.loop.settings import PROFILES, Method, profile
from studio.text import display, display_line
from studio.tui.base import Keeping, Page, Said, Store, confirm, copy_from, lay_over
from studio.tui.dialogs.parameters import FIELDS, TextsDialog, value_at
from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeInput
from studio.tui.widgets.frame import KeyBar, Pane
from studio.tui.widgets.table import Cell, Column, IdTable


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter by its dotted key; `standard` is the value of the profile it is named after, None where there is none of that name."""

    key: str
    value: Any
    description: str
    standard: Any
    bounds: str

    @property
    def changed(self) -> bool:
        return self.standard is not None and self.value != self.standard

    @property
    def is_prompt(self) -> bool:
        """Whether it is a text that is set by the path of a file."""
        return self.key.startswith("prompts.")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.key.upper().replace(".", "__")


def settings_of(method: Method, run: Method | None = None) -> list[Setting]:
    """All parameters of `method`, in the order of the settings file; what follows from the engine of its `run` is as in the profile."""
    standard = profile(method.profile) if method.profile in PROFILES else None
    if standard is not None and run is not None:
        standard = standard.settled_as(run)
    found = []
    for key, info in keys_of(Method):
        bounds = " · ".join(_bound(each) for each in info.metadata if _bound(each))
        value = value_at(method, key)
        found.append(
            Setting(
                key,
                value,
                info.description or (_PROMPT if key.startswith("prompts.") else _PROFILE),
                None if standard is None else value_at(standard, key),
                bounds,
            )
        )
    return found


_PROMPT = "the text of a prompt; a file's path where it is set"
_PROFILE = "the set of parameters that the others start from"
_SIGNS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def _bound(metadata: object) -> str:
    return " · ".join(
        f"{words} {getattr(metadata, name):g}" for name, words in _SIGNS if isinstance(getattr(metadata, name, None), int | float)
    )


def typed_text(setting: Setting) -> str:
    """The value as one types it into a field: a list as JSON, which is TOML, too; nothing for a prompt, whose text is no line."""
    if setting.is_prompt:
        return ""
    if isinstance(setting.value, tuple):
        return json.dumps(setting.value, ensure_ascii=False)
    return value_text(setting.value)


def value_text(value: Any) -> str:
    """A value as a settings file would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(repr(each) for each in value) or "(none)"
    return str(value)


_COLUMNS = (Column("parameter", 38), Column("", 1), Column("value", 0))


class SettingsScreen(Page[None]):
    """Shows a method, with `changes` in it; `store` gets the values, by dotted key, that differ from it, when others do than at first.

    `fixed` are the keys that cannot be changed here; None fixes all of them. `ready` is asked before one is, and says why not.
    """

    HELP = """\
# Settings

Every parameter that decides which tasks a run yields. A star marks what differs from the profile. The text below says what the parameter
under the cursor means, and how to set it for the next new pool: in a TOML file, in the environment, or with `--set`.

Where it can be changed, **e** opens a field: **Enter** sets the value, **Esc** leaves it, and a value that does not fit is refused with the
reason. Lists are written as `["a", "b"]`, a prompt with a placeholder as the path of a text file; for brief, system turns and openings a
window with several lines opens. **Delete** sets it as the profile has it. **ctrl+s** lets
what you changed hold, **Esc** goes back without it.
"""
    DEFAULT_CSS = """
    SettingsScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    SettingsScreen IdTable { height: 2fr; }
    SettingsScreen Pane { height: 1fr; min-height: 6; }
    SettingsScreen #editing { height: auto; display: none; }
    SettingsScreen.-editing #editing { display: block; }
    SettingsScreen Said { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("find", "find", "Find", "Find a parameter by its name or meaning"),
        bind("edit", "edit", "Change", "Change the parameter under the cursor"),
        bind("drop", "reset", "As the profile", "Set it as the profile has it"),
        bind("accept", "accept", "Keep", "Let the changed parameters hold, and go back"),
        bind("copy", "copy", "Copy", "Send the value to the clipboard", show=False),
        bind("back", "back", "Back", "Back to where you were; asks first where something was changed"),
    ]

    def __init__(
        self,
        method: Method,
        changes: Mapping[str, Any] | None = None,
        *,
        fixed: Collection[str] | None = None,
        about: str = "",
        store: Store[dict[str, Any]] | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._base = method
        self._changes = dict(changes or {})
        self._fixed = fixed
        self._about = about
        self._method = overridden(method, self._changes) if self._changes else method
        self._settings = settings_of(self._method, self._base)
        self._edited: Setting | None = None
        self._ready = ready
        self._keeping = Keeping(self, store or (lambda _, stored, __: stored()), self._refused)
        self._before = dict(self._changes)

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield SafeInput(placeholder="find a parameter: / ", id="find")
        with Vertical():
            yield IdTable(_COLUMNS, self._rows_of, empty="No parameter has these words.", id="parameters")
            with Pane(id="meaning-pane"):
                yield Static(id="meaning", markup=False)
            with Vertical(id="editing"):
                yield SafeInput(id="value")
                yield Said()
        yield KeyBar()

    def on_mount(self) -> None:
        self._entitle()
        table = self.query_one(IdTable)
        table.focus()
        table.show(array("q", range(len(self._settings))))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """Only what can be changed offers it."""
        if action == "accept":
            return self._fixed is not None
        if action not in ("edit", "reset"):
            return True
        found = self._current()
        changeable = found is not None and self._fixed is not None and found.key not in self._fixed
        return changeable and (action == "edit" or (found is not None and found.changed))

    @on(IdTable.Moved)
    def _moved(self, event: IdTable.Moved) -> None:
        self._explain(event.row_id)
        self.query_one("#meaning-pane").scroll_home(animate=False)
        self.refresh_bindings()

    @on(IdTable.Selected)
    def _selected(self) -> None:
        if self.check_action("edit", ()):
            self.action_edit()
        else:
            self.query_one("#meaning-pane").focus()

    @on(Input.Changed, "#find")
    def _find(self) -> None:
        words = self.query_one("#find", SafeInput).text.lower().split()
        found = (
            place for place, each in enumerate(self._settings) if all(word in f"{each.key} {each.description}".lower() for word in words)
        )
        self.query_one(IdTable).show(array("q", found))

    @on(Input.Submitted, "#find")
    def _found(self) -> None:
        self.query_one(IdTable).focus()

    @on(Input.Changed, "#value")
    def _correcting(self) -> None:
        self._say("")

    @on(Input.Submitted, "#value")
    def _typed(self) -> None:
        if self._edited is not None:
            self._take_typed()

    def _take_typed(self) -> bool:
        """Take the value in the field, and leave the field; where it does not fit, say so and return False."""
        assert self._edited is not None
        text = self.query_one("#value", SafeInput).text.strip()
        try:
            if text != typed_text(self._edited):
                self._set(self._edited.key, typed_value(self._edited.key, text))
        except UsageError as error:
            self._say(error.words("; "))
            return False
        self._leave_field()
        return True

    def action_find(self) -> None:
        self.query_one("#find", Input).focus()

    def action_edit(self) -> None:
        found = self._current()
        if found is None or not self._ready():
            return
        if (text := FIELDS.get(found.key)) is not None:
            lay_over(self, TextsDialog(self._method, (text,), text.name, self._take_text))
            return
        self._edited = found
        self.add_class("-editing")
        field = self.query_one("#value", SafeInput)
        field.text = typed_text(self._edited)
        field.placeholder = "the path of a text file" if self._edited.is_prompt else f"{self._edited.key} = "
        field.focus()

    def _take_text(self, changed: dict[str, Any], stored: Callable[[], None], _: object) -> None:
        for key, text in changed.items():
            self._set(key, text)
        stored()

    def action_reset(self) -> None:
        found = self._current()
        if found is not None and self._ready():
            self._set(found.key, found.standard)

    def action_accept(self) -> None:
        """Take the value that is being typed, and let all that was changed hold."""
        if self._edited is not None and not self._take_typed():
            return
        if self._changes == self._before:
            self._keeping.leave()
        else:
            self._keeping.keep(self._changes)

    def action_back(self) -> None:
        """From the words or the field to the list, from the list to where one was."""
        table = self.query_one(IdTable)
        if self._edited is not None:
            self._leave_field()
        elif not table.has_focus:
            self.query_one("#find", SafeInput).text = ""
            table.focus()
        elif self.unsaved:
            confirm(self, "Leave the settings as they were?", self.unsaved, self._keeping.leave)
        else:
            self._keeping.leave()

    @property
    def unsaved(self) -> str:
        return "" if self._changes == self._before else "What you changed here does not hold yet: ctrl+s lets it."

    def action_copy(self) -> None:
        """The parameter under the cursor, as a settings file would have it."""
        found = self._current()
        copy_from(self, "" if found is None else f"{found.key} = {value_text(found.value)}")

    def _set(self, key: str, value: Any) -> None:
        """Take a value, or raise UsageError and take none."""
        method = overridden(self._base, {**self._changes, key: value})
        require_effect(method, (key,))
        self._method, self._settings = method, settings_of(method, self._base)
        own = {each.key: each.value for each in settings_of(self._base)}
        self._changes = {each.key: each.value for each in self._settings if each.value != own[each.key]}
        table = self.query_one(IdTable)
        table.forget()
        self._explain(table.current)
        self._entitle()
        self.refresh_bindings()

    def _refused(self, words: str) -> None:
        words = f"{display_line(words, 200)}. Your values still stand here; escape leaves them unset."
        self.notify(words, severity="warning", timeout=10, markup=False)

    def _leave_field(self) -> None:
        self._edited = None
        self.remove_class("-editing")
        self._say("")
        self.query_one(IdTable).focus()

    def _current(self) -> Setting | None:
        at = self.query_one(IdTable).current if self.is_mounted else None
        return None if at is None else self._settings[at]

    def _entitle(self) -> None:
        changed = sum(each.changed for each in self._settings)
        words = ["Settings", self._about, f"profile {display_line(self._method.profile, 40)}"]
        words.append(f"{changed} of its values changed *" if changed else "")
        self.query_one("#title", Static).update(Content(" · ".join(filter(None, words))))

    def _explain(self, at: int | None) -> None:
        self.query_one("#meaning", Static).update(Content("") if at is None else _meaning(self._settings[at]))

    def _say(self, text: str) -> None:
        self.query_one(Said).say(text, "-error")

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
