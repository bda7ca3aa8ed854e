"""What every app of the studio is in its terminal: how it looks, in which colours, what it bears of the terminal, how it tells errors."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.driver import Driver
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.theme import Theme
from textual.widgets import OptionList

from studio.errors import ExitCode, StudioError, unexpected
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

THEME = Theme(
    name="studio",
    primary="#8fb8a8",
    secondary="#8aa4c8",
    accent="#d8b072",
    success="#94c08a",
    warning="#d8b072",
    error="#d98880",
    foreground="#d5d9de",
    background="#15181c",
    surface="#1a1e23",
    panel="#22272e",
    dark=True,
    variables={
        "border": "#353c45",
        "border-blurred": "#2a3038",
        "block-cursor-background": "#2d3a3a",
        "block-cursor-foreground": "#e8ece9",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#23292f",
        "block-cursor-blurred-foreground": "#d5d9de",
        "input-cursor-background": "#8fb8a8",
        "input-selection-background": "#8fb8a8 30%",
        "footer-background": "#1a1e23",
        "footer-key-foreground": "#d8b072",
        "footer-key-background": "#1a1e23",
        "footer-description-foreground": "#a9b1ba",
        "footer-description-background": "#1a1e23",
        "scrollbar": "#353c45",
        "scrollbar-hover": "#48525d",
        "scrollbar-active": "#8fb8a8",
        "scrollbar-background": "#15181c",
        "scrollbar-background-hover": "#15181c",
        "scrollbar-background-active": "#15181c",
        "scrollbar-corner-color": "#15181c",
    },
)

LIGHT = Theme(
    name="studio-light",
    primary="#2f6f5b",
    secondary="#37598c",
    accent="#8a5a00",
    success="#34702a",
    warning="#8a5a00",
    error="#a8362b",
    foreground="#23282e",
    background="#f7f6f2",
    surface="#efede7",
    panel="#e6e3db",
    dark=False,
    variables={
        "border": "#b9b4a7",
        "border-blurred": "#cfcabd",
        "block-cursor-background": "#cfe0d8",
        "block-cursor-foreground": "#14201b",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#dedbd1",
        "block-cursor-blurred-foreground": "#23282e",
        "input-cursor-background": "#2f6f5b",
        "input-selection-background": "#2f6f5b 30%",
        "footer-background": "#efede7",
        "footer-key-foreground": "#8a5a00",
        "footer-key-background": "#efede7",
        "footer-description-foreground": "#4b535c",
        "footer-description-background": "#efede7",
        "scrollbar": "#b9b4a7",
        "scrollbar-hover": "#9f998a",
        "scrollbar-active": "#2f6f5b",
        "scrollbar-background": "#f7f6f2",
        "scrollbar-background-hover": "#f7f6f2",
        "scrollbar-background-active": "#f7f6f2",
        "scrollbar-corner-color": "#f7f6f2",
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
        """Tell of an error that nobody took."""
        told = error if isinstance(error, StudioError) else unexpected(error)
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
