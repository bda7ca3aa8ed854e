"""A prompt as the model gets it: a raw text that it goes on with, or the turns of a chat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from studio.insight.quality import source_words
from studio.tui.base import Dialog, copy_from
from studio.tui.cells import LONG, cut
from studio.tui.keys import bind
from studio.tui.round.view import Prompt
from studio.tui.widgets.key_bar import KeyBar
from studio.tui.widgets.pane import MUTED, Pane


@dataclass(frozen=True, slots=True)
class Turn:
    """A part of a prompt under its name; `after` says in our words what comes where the text ends, or that there is none."""

    name: str
    text: str
    after: str = ""


def turns(prompt: Prompt) -> Iterator[Turn]:
    """The parts of a prompt, in their order."""
    chat = prompt.chat
    if chat is None:
        yield Turn("a raw text", prompt.text, "the model goes on from here")
        return
    yield Turn("system turn", chat.system, "" if chat.system else "none, or what the template has of its own")
    if chat.writes_request:
        yield Turn("user's turn", prompt.text, "the model goes on from here" if prompt.text else "the model writes it")
        return
    yield Turn("user's turn", prompt.text)
    yield Turn("the model's turn", chat.begins, "the model goes on from here" if chat.begins else "the model begins it")


def told(prompt: Prompt, most: int = LONG) -> Content:
    """All turns one below the other."""
    parts: list[str | tuple[str, str]] = []
    for turn in turns(prompt):
        parts.append((f"{turn.name}\n", f"{MUTED} bold"))
        parts.append(cut(turn.text, most))
        if turn.after:
            parts.append((f"{' ' if turn.text else ''}({turn.after})", MUTED))
        parts.append("\n")
    return Content.assemble(*parts).rstrip()


class ReadDialog(Dialog[None]):
    """A window with one text that scrolls, to be read and copied; `copied` is what of it goes to the clipboard."""

    DEFAULT_CSS = """
    ReadDialog > Vertical { width: 92%; max-width: 110; height: auto; max-height: 80%; }
    ReadDialog Pane, ReadDialog Pane:focus { border-top: none; height: auto; max-height: 100%; padding: 0; background: $panel; }
    ReadDialog Static { height: auto; }
    """

    def __init__(self, title: str, text: Content, copied: str) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._copied = copied

    def compose(self) -> ComposeResult:
        """The text."""
        with Vertical() as window:
            window.border_title = Content(self._title)
            with Pane(id="read-text"):
                yield Static(self._text, markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Arrows scroll at once."""
        self.query_one("#read-text").focus()

    def action_copy(self) -> None:
        """Copy the text that is not ours."""
        copy_from(self, self._copied)


class PromptDialog(ReadDialog):
    """The whole prompt; what is copied is the text that is not the model's."""

    HELP = """
    The prompt as the model gets it. In chat these are the system turn, the user's turn, and how the model's own turn begins; the model's
    template puts its marks between them. `ctrl+c` sends the text to the clipboard, `escape` closes the window.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bind("copy", "copy", "Copy", "Send the prompt's text to the clipboard.")]

    def __init__(self, prompt: Prompt) -> None:
        words = source_words(prompt.source)
        title = f"Prompt {prompt.ordinal + 1}" + (f" · {words.partition(':')[0]}" if words else "")
        super().__init__(title, told(prompt), "\n\n".join(turn.text for turn in turns(prompt) if turn.text))
