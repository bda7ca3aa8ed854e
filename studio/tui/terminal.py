"""What every app of the studio is in its terminal: how it looks, in which colours, what it bears of the terminal, how it tells errors."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import Binding, Keymap
from textual.dom import DOMNode
from textual.driver import Driver
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.theme import Theme
from textual.widgets import OptionList

from studio.errors import ExitCode, unexpected
from studio.paths import app_folder
from studio.text import display_line
from studio.tui.keys import keys_file, read_keymap
from studio.tui.widgets.fields import turn_page

if sys.platform != "win32":
    from textual.drivers.linux_driver import LinuxDriver


class Unreadable(Message):
    """The terminal sent bytes that are no UTF-8: what was pasted from a Latin-1 file, or typed in a terminal set to it."""


if sys.platform != "win32":

    class BearingDriver(LinuxDriver):
        """Goes on after bytes that are no UTF-8, at the first of which Textual's own ends the app."""

        def run_input_thread(self) -> None:
            """Take what is typed. Of a paste that cannot be read nothing is taken: its rest would be read as keys."""
            while not self.exit_event.is_set():
                try:
                    super().run_input_thread()
                except UnicodeDecodeError:
                    while select.select([self.fileno], [], [], _PASTE_S)[0] and os.read(self.fileno, 4096):
                        pass
                    self.process_message(Unreadable())


_PASTE_S = 0.1
"""After so long without a byte a paste has ended."""
_LONGEST = 400
_LOOK_S = 2.0
_TITLES: dict[SeverityLevel, str] = {"information": "", "warning": "Careful", "error": "Failed"}


def _theme(name: str, *, dark: bool, shades: Mapping[str, str], **colours: Any) -> Theme:
    """Return a theme: `shades` are Textual's variables that no colour has already; bars and cursors take theirs of the `colours`."""
    primary, accent, surface, background = (colours[each] for each in ("primary", "accent", "surface", "background"))
    variables = {
        **shades,
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-foreground": colours["foreground"],
        "input-cursor-background": primary,
        "input-selection-background": f"{primary} 30%",
        "footer-background": surface,
        "footer-key-foreground": accent,
        "footer-key-background": surface,
        "footer-description-background": surface,
        "scrollbar": shades["border"],
        "scrollbar-active": primary,
        "scrollbar-background": background,
        "scrollbar-background-hover": background,
        "scrollbar-background-active": background,
        "scrollbar-corner-color": background,
    }
    return Theme(name, dark=dark, warning=accent, variables=variables, **colours)


THEME = _theme(
    "studio",
    dark=True,
    primary="#8fb8a8",
    secondary="#8aa4c8",
    accent="#d8b072",
    success="#94c08a",
    error="#d98880",
    foreground="#d5d9de",
    background="#15181c",
    surface="#1a1e23",
    panel="#22272e",
    shades={
        "border": "#353c45",
        "border-blurred": "#2a3038",
        "block-cursor-background": "#2d3a3a",
        "block-cursor-foreground": "#e8ece9",
        "block-cursor-blurred-background": "#23292f",
        "footer-description-foreground": "#a9b1ba",
        "scrollbar-hover": "#48525d",
    },
)
LIGHT = _theme(
    "studio-light",
    dark=False,
    primary="#2f6f5b",
    secondary="#37598c",
    accent="#8a5a00",
    success="#34702a",
    error="#a8362b",
    foreground="#23282e",
    background="#f7f6f2",
    surface="#efede7",
    panel="#e6e3db",
    shades={
        "border": "#b9b4a7",
        "border-blurred": "#cfcabd",
        "block-cursor-background": "#cfe0d8",
        "block-cursor-foreground": "#14201b",
        "block-cursor-blurred-background": "#dedbd1",
        "footer-description-foreground": "#4b535c",
        "scrollbar-hover": "#9f998a",
    },
)


def theme_file() -> Path:
    """Where the name of the theme chosen last is kept."""
    return app_folder("state") / "theme"


def wear_theme(app: App[None]) -> None:
    """Put on the theme chosen last, and keep what is chosen from now on. Where it cannot be kept or is not known, nothing is said."""
    for theme in (THEME, LIGHT):
        app.register_theme(theme)
    name = _kept()
    app.theme = name if name in app.available_themes else THEME.name
    app.theme_changed_signal.subscribe(app, _keep)


def _kept() -> str:
    with suppress(OSError, ValueError):
        return theme_file().read_text(encoding="utf-8").strip()
    return THEME.name


def _keep(theme: Theme) -> None:
    if theme.name == _kept():
        return
    with suppress(OSError):
        file = theme_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(theme.name, encoding="utf-8")


class TellingApp(App[None]):
    """What every app of the studio is. Rules instead of boxes, one colour for what is focused, muted text for what is said beside."""

    CSS = """
    StudioScreen, StartScreen {
        layers: base cover;
        background: $background;
        overflow: hidden;
    }

    .empty { color: $foreground-muted; }

    #body { height: 1fr; }
    #prompt-page { height: 11; }
    #verdict-page { height: 1fr; }
    #context { width: 1fr; }
    #stream { width: 1fr; margin-left: 1; }
    #decisions { width: 11fr; }
    #why { width: 9fr; margin-left: 1; }
    .-tall #prompt-page { height: 13; }

    /* Below 60 columns or 20 lines, and with few lines. */
    .-too-small { layers: base cover; overflow: hidden; }
    .-too-small TooSmall { display: block; }
    .-short StudioHeader { height: 1; }

    /* A narrow window shows one half at a time. */
    StudioScreen.-narrow #prompt-page { layout: vertical; height: 1fr; display: none; }
    StudioScreen.-narrow #verdict-page { layout: vertical; height: 1fr; }
    StudioScreen.-narrow.-prompt #prompt-page { display: block; }
    StudioScreen.-narrow.-prompt #verdict-page { display: none; }
    StudioScreen.-narrow #context { height: auto; max-height: 10; width: 1fr; }
    StudioScreen.-narrow #stream { height: 1fr; width: 1fr; margin: 0; }
    StudioScreen.-narrow #decisions { height: 1fr; width: 1fr; }
    StudioScreen.-narrow #why { height: 1fr; width: 1fr; margin: 0; }

    Toast { background: $panel; }
    """
    quitting = False
    """Whether it is being left: nothing is opened any more, it would not be put together."""
    own_keys: Keymap = {}  # noqa: RUF012  (replaced, never changed)
    """The user's own keys by verb."""

    def set_keymap(self, keymap: Keymap) -> None:
        """Give verbs other keys, and keep which."""
        self.own_keys = keymap
        super().set_keymap(keymap)

    def show(self) -> None:
        """Run in the terminal until the user leaves, with the keys of his own.

        Raises UsageError for a file of keys that cannot be used, SystemExit after an error of the app itself, which Textual has printed,
        and KeyboardInterrupt when SIGINT ended it.
        """
        self.set_keymap(read_keymap(keys_file()))
        self.run()
        if self.return_code is None:
            raise KeyboardInterrupt
        if self.return_code:
            raise SystemExit(ExitCode.UNEXPECTED)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do what a key is bound to. Textual's own page keys fail on a list that has no lines yet: it was just filled or opened."""
        if isinstance(default_namespace, OptionList) and action in ("page_up", "page_down"):
            turn_page(default_namespace, -1 if action == "page_up" else 1)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def on_ready(self) -> None:
        """Begin to look whether the terminal is still there."""
        if not self.is_headless and hasattr(select, "poll"):
            self.set_interval(_LOOK_S, self._leave_without_terminal)

    async def _leave_without_terminal(self) -> None:
        # One that vanishes sends no signal to a program that it does not control, as in a container: Textual would then read from it
        # for ever, with a core of its own, and the pool would stay locked.
        terminal = select.poll()
        terminal.register(0, 0)
        if any(said & (select.POLLHUP | select.POLLERR) for _, said in terminal.poll(0)):
            self.leave()

    def leave(self) -> None:
        """End, without a question."""
        self.exit()

    def get_driver_class(self) -> type[Driver]:
        """Textual's own, or what bears more."""
        found = super().get_driver_class()
        return BearingDriver if sys.platform != "win32" and found is LinuxDriver else found

    def on_unreadable(self) -> None:
        """Say why nothing came of it."""
        self.notify("What was typed or pasted is no UTF-8: nothing of it was taken.", severity="warning", markup=False)

    def fault(self, error: Exception) -> None:
        told = unexpected(error)
        self.notify(display_line(told.words("; "), _LONGEST), severity="error", markup=False)

    def get_key_display(self, binding: Binding) -> str:
        """How a key is written: function keys with the capital that stands on them."""
        shown = super().get_key_display(binding)
        return shown.upper() if shown[:1] == "f" and shown[1:].isdigit() else shown

    def action_help_quit(self) -> None:
        """Ctrl-C copies; whoever meant to leave by it is told the way. Textual's own words hold markup."""
        self.notify("Press ctrl+q", title="Do you want to quit?", markup=False)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # noqa: ARG002  (Textual's signature)
    ) -> None:
        """Show a note; one without a title of its own gets the word for its severity. It is never read as markup."""
        super().notify(message, title=title or _TITLES[severity], severity=severity, timeout=timeout, markup=False)
