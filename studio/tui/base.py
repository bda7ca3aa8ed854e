"""What every screen of the studio stands on: pages and windows that open and close once, with rows of fields in them and a place where
they say how it stands; work beside the screen of which only the latest counts, editors that close when what they hold is stored, and the
windows that ask and tell.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from studio.errors import StudioError, UsageError
from studio.text import display, display_line
from studio.tui.keys import bind
from studio.tui.terminal import TellingApp
from studio.tui.widgets.frame import KeyBar

Result = TypeVar("Result")
Value = TypeVar("Value")


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
                if not isinstance(owner.app, TellingApp):
                    raise
                owner.app.fault(error)

    to_begin: Any = begun
    owner.run_worker(to_begin, group=group, exclusive=True)


class Page(Screen[Result]):
    """A screen that lies over another and fills the window."""

    @property
    def unsaved(self) -> str:
        """What would be lost if the studio ended now, in words; empty for nothing."""
        return ""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`, unless it has closed already."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Row(Horizontal):
    """Fields beside each other, with a name before them."""

    DEFAULT_CSS = """
    Row { height: 1; }
    Row Label { width: 12; color: $text-muted; }
    """

    def __init__(self, name: str, *fields: Widget, id: str | None = None) -> None:
        super().__init__(Label(name, markup=False), *fields, id=id)


class Said(Static):
    """How it stands with a form: what is done, or what is wrong with it. It takes no room while it says nothing."""

    DEFAULT_CSS = """
    Said { height: auto; max-height: 6; }
    Said.-error { color: $text-error; }
    Said.-done { color: $text-success; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False, id="said")
        self.display = False

    def say(self, words: str, kind: str = "") -> None:
        """Say `words` of any origin in the colour of a `kind`: `-error`, `-done`, or that of other texts."""
        for each in ("-error", "-done"):
            self.set_class(each == kind, each)
        self.update(Content(display(words[:_MOST_SAID])))
        self.display = bool(words)


_MOST_SAID = 1_000


class Dialog(ModalScreen[Result], Page[Result]):
    """A screen that lies over another and lets it show through: a window in the middle, with its `title` in the border."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        background: $panel; border: round $primary; padding: 0 1; border-title-color: $primary; border-title-style: bold;
        width: 92%; max-width: 110; height: 80%;
    }
    Dialog .buttons { height: 1; }
    Dialog .buttons Button { margin-right: 2; }
    Dialog Input:focus, Dialog TextArea:focus { background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "Close", "Close this window."),
        # A modal screen hides the app's own keys.
        bind("help", "app.help", "Help", "Explain this window."),
    ]

    def compose(self) -> ComposeResult:
        with Vertical() as window:
            window.border_title = Content(display_line(self.title or "", 100))
            yield from self.body()
            yield Said()
        yield KeyBar()

    @abstractmethod
    def body(self) -> ComposeResult:
        """What is in the window."""

    def say(self, words: str, kind: str = "") -> None:
        """Say in the window how it stands, as `Said` does."""
        self.query_one(Said).say(words, kind)

    def refuse(self, words: str) -> None:
        """Say what is wrong; nothing is, where there are no words."""
        self.say(words, "-error")

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

    def __init__(self, editor: Page[Any], store: Store[Value], say: Callable[[str], object]) -> None:
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
        words = error.words()
        if leaving(self._editor):
            self._editor.app.notify(display_line(words, 300), severity="warning", markup=False)
        else:
            self._say(words)


def copy_from(screen: Screen[Any], text: str) -> None:
    """Hand what is selected on `screen`, else `text`, to the terminal, which may take it; where there is neither, the key to the app.

    It is cleaned: what is in a clipboard is pasted into a shell sooner or later.
    """
    if not (chosen := screen.get_selected_text() or text):
        raise SkipAction
    screen.app.copy_to_clipboard(display(chosen))
    screen.app.notify("Sent to the clipboard.", markup=False)


class ErrorDialog(Dialog[None]):
    """What went wrong, where, and what to do: it lasts, and can be copied."""

    TITLE = "Something went wrong"
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

    def body(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Content(display(self._error.message)), markup=False, id="message")
            if self._error.hint:
                yield Static(Content(display(self._error.hint)), markup=False, id="hint")

    def action_copy(self) -> None:
        copy_from(self, f"{self._error.message}\n{self._error.hint}".strip())


class Editor(Dialog[None], Generic[Value]):
    """Closes when `store` has what was typed, or nothing was. Where it cannot be stored, the editor stays and says why."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Keep", "Store what stands here, and close.", priority=True),
        bind("back", "back", "Leave as it was", "Close and change nothing."),
    ]

    def __init__(self, store: Store[Value]) -> None:
        super().__init__()
        self._keeping = Keeping(self, store, self.refuse)

    @abstractmethod
    def changed(self) -> Value | None:
        """What is to be stored, None where everything is as it was. Raises UsageError for what does not fit."""

    @property
    def unsaved(self) -> str:
        try:
            changed = self.changed() is not None
        except UsageError:
            changed = True
        return "What you typed is not stored." if changed else ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field of one line is as good."""
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        try:
            value = self.changed()
        except UsageError as error:
            self.refuse(error.message)
            return
        if value is None:
            self._keeping.leave()
        else:
            self._keeping.keep(value)

    def action_back(self) -> None:
        self._keeping.leave()


@dataclass
class ReadFailed(Message):
    """What a part of a screen wanted of the pool could not be read."""

    error: StudioError


class GivenUp(Exception):
    """The user does not want something any more that takes a while."""


class Confirm(Dialog[bool]):
    """A question that is asked before something is lost; closes with whether the answer was yes."""

    HELP = "Something would be lost. `y` goes on all the same, `n` or `escape` goes back."
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("yes", "answer(True)", "Yes", "Go on."),
        bind("no", "answer(False)", "No", "Go back; nothing has happened."),
        bind("back", "answer(False)", "Back", "Go back; nothing has happened.", show=False),
    ]
    DEFAULT_CSS = """
    Confirm > Vertical { width: 64; max-width: 95%; height: auto; padding: 1 2; border: round $warning; border-title-color: $warning; }
    """

    def __init__(self, question: str, words: str) -> None:
        """`words` say what would be lost; both are the studio's own, with names from outside already cleaned."""
        super().__init__()
        self.title = self.question = question
        self._words = words

    def body(self) -> ComposeResult:
        yield Static(Content(self._words), markup=False)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


def confirm(owner: Screen[Any], question: str, words: str, then: Callable[[], object]) -> None:
    """Ask over `owner`, and go on with `then` where the answer is yes."""

    def answered(yes: bool | None) -> None:
        if yes:
            then()

    lay_over(owner, Confirm(question, words), answered)
