"""What every screen of the studio stands on: the app that says its errors in words, pages and dialogs that open and close once, editors
that close when what they hold is stored, and work beside the screen of which only the latest counts.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from textual.actions import ActionParseResult, SkipAction
from textual.app import App, ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.driver import Driver
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, Static

from studio.errors import ExitCode, StudioError, unexpected
from studio.text import display, display_line
from studio.tui.keys import bind, keys_file, read_keymap
from studio.tui.widgets.fields import turn_page
from studio.tui.widgets.key_bar import KeyBar

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


def tell_fault(app: App[Any], error: Exception) -> None:
    """Tell of an error that nobody took, and where it comes from; in the log too, where the app keeps one."""
    if isinstance(app, TellingApp):
        app.fault(error)
    else:
        raise error


class TellingApp(App[None]):
    """What every app of the studio is."""

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
        self.notify(display_line(f"{told.message}; {told.hint}" if told.hint else told.message, _LONGEST), severity="error", markup=False)

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


def leaving(node: DOMNode) -> bool:
    """Return whether `node` is being removed, by itself or with the app: it may have lost its parts, and what comes for it is for nobody.

    Textual tells it by no public name: `display` is also false for what is merely hidden.
    """
    return node._pruning or not node.is_attached or (isinstance(node.app, TellingApp) and node.app.quitting)


def start_latest(owner: DOMNode, group: str, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
    """Start `work` in place of what `owner` started before in the same group, which is cancelled.

    What it raises is told as a note and ends nothing. A function and not its coroutine is handed on: one that is cancelled before it
    began would be a coroutine nobody awaited.
    """

    async def begun() -> None:
        try:
            await work(*arguments)
        except Exception as error:
            # The answer may come while its owner is being removed, which takes the parts first and ends the work afterwards.
            if not leaving(owner):
                tell_fault(owner.app, error)

    to_begin: Any = begun
    owner.run_worker(to_begin, group=group, exclusive=True)


Result = TypeVar("Result")
Value = TypeVar("Value")


class Page(Screen[Result]):
    """A screen that lies over another and fills the window."""

    @property
    def unsaved(self) -> str:
        """What would be lost if the studio ended now, in words; empty for nothing."""
        return ""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`, unless it has closed already."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Dialog(ModalScreen[Result]):
    """A screen that lies over another and lets it show through: a window with a title in its border, in the middle."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        background: $panel; border: round $primary; padding: 0 1; border-title-color: $primary; border-title-style: bold;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "Close", "Close this window."),
        # A modal screen hides the app's own keys.
        bind("help", "app.help", "Help", "Explain this window."),
    ]

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`, unless it has closed already."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    @property
    def unsaved(self) -> str:
        """What would be lost if the studio ended now, in words; empty for nothing."""
        return ""

    def action_back(self) -> None:
        """Close, with nothing."""
        self.dismiss()


def lay_over(owner: Screen[Any], above: Screen[Result], then: Callable[[Result | None], None] | None = None) -> bool:
    """Show `above` over `owner`; return whether. Not where another lies there already: keys that come together open one window.

    Nor when the app is being left: it would not be put together any more.
    """
    if owner.app.screen is not owner or leaving(owner):
        return False
    owner.app.push_screen(above, then)
    return True


Store = Callable[[Value, Callable[[], None], Callable[[StudioError], None]], None]
"""Stores a value, then calls the second; or tells the third why it could not."""


class Keeping(Generic[Value]):
    """How an editor closes: when what was typed is stored. Where it cannot be, the editor stays as it is, and `say` gets the reason."""

    def __init__(self, editor: Page[Any] | Dialog[Any], store: Store[Value], say: Callable[[str], object]) -> None:
        self._editor = editor
        self._store = store
        self._say = say
        self._storing = False
        self._stored: Value | None = None

    def keep(self, value: Value) -> None:
        """Store and close. Nothing is done while that is under way."""
        if value == self._stored:
            # Something lay over the editor when it was.
            self._editor.dismiss()
        elif not self._storing:
            self._storing = True
            self._store(value, lambda: self._done(value), self._failed)

    def leave(self) -> None:
        """Close; unless something is being stored, which may fail."""
        if not self._storing:
            self._editor.dismiss()

    def _done(self, value: Value) -> None:
        self._storing, self._stored = False, value
        self._editor.dismiss()

    def _failed(self, error: StudioError) -> None:
        self._storing = False
        words = f"{error.message}: {error.hint}" if error.hint else error.message
        if leaving(self._editor):
            self._editor.app.notify(display_line(words, 300), severity="warning", markup=False)
        else:
            self._say(words)


def send_to_clipboard(app: App[object], text: str) -> None:
    """Hand `text` to the terminal, which may or may not take it. Cleaned: what is in a clipboard is pasted into a shell sooner or later."""
    app.copy_to_clipboard(display(text))
    app.notify("Sent to the clipboard.", markup=False)


def copy_from(screen: Screen[Any], text: str) -> None:
    """Send to the clipboard what is selected on `screen`, else `text`. Where there is neither, the key is left to the app."""
    if not (chosen := screen.get_selected_text() or text):
        raise SkipAction
    send_to_clipboard(screen.app, chosen)


class ErrorDialog(Dialog[None]):
    """What went wrong, where, and what to do: it lasts, and can be copied."""

    HELP = "An error, and the next step. `ctrl+c` sends the text to the terminal's clipboard, `escape` closes the window."

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("copy", "copy", "Copy", "Send the text to the clipboard."),
    ]

    DEFAULT_CSS = """
    ErrorDialog > Vertical {
        width: 80%; max-width: 90; min-width: 50; height: auto; max-height: 80%;
        border: round $error; padding: 1 2; border-title-color: $error;
    }
    ErrorDialog VerticalScroll { height: auto; max-height: 12; }
    ErrorDialog #hint { margin-top: 1; color: $foreground-muted; }
    """

    def __init__(self, error: StudioError) -> None:
        super().__init__()
        self._error = error

    def compose(self) -> ComposeResult:
        """Message, hint, and the keys."""
        with Vertical() as window:
            window.border_title = Content("Something went wrong")
            with VerticalScroll():
                yield Static(Content(display(self._error.message)), markup=False, id="message")
                if self._error.hint:
                    yield Static(Content(display(self._error.hint)), markup=False, id="hint")
        yield KeyBar()

    def action_copy(self) -> None:
        """Copy message and hint."""
        copy_from(self, f"{self._error.message}\n{self._error.hint}".strip())
