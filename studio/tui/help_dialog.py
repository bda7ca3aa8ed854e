"""Help for the focused part: what it shows, and the keys that work there now."""

from __future__ import annotations

from inspect import cleandoc
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Markdown, Static

from studio.tui.closing import Dialog
from studio.tui.widgets.key_bar import KeyBar


class HelpDialog(Dialog[None]):
    """The texts of the focused widget and of its screen, and every key with what it does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q", "leave", "Close", id="help.close", key_display="esc", tooltip="Close the help."),
        Binding("j", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down."),
        Binding("k", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up."),
    ]

    DEFAULT_CSS = """
    HelpDialog > Vertical { width: 90%; max-width: 92; height: 90%; }
    HelpDialog Markdown { background: $panel; margin: 0; padding: 0; height: auto; }
    HelpDialog MarkdownHeader { margin: 1 0; content-align: left middle; }
    HelpDialog MarkdownBlock:first-child { margin-top: 0; }
    HelpDialog Static { height: auto; }
    """

    def __init__(self, asked_on: Screen[object]) -> None:
        super().__init__()
        self._texts = _help_of(asked_on)
        self._keys = _keys_of(asked_on)

    def compose(self) -> ComposeResult:
        """Texts first, keys below."""
        with Vertical() as window:
            window.border_title = Content("Help")
            with VerticalScroll():
                # HELP texts are the studio's own; nobody else's text is ever shown as Markdown.
                yield Markdown("\n\n".join(self._texts))
                yield Static(self._keys, markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Arrows scroll at once."""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss()


def _help_of(screen: Screen[object]) -> list[str]:
    """The HELP of the focused widget and of everything around it, the nearest first."""
    start: DOMNode = screen.focused or screen
    texts = [str(node.HELP) for node in start.ancestors_with_self if getattr(node, "HELP", None)]
    return [cleandoc(text) for text in texts]


def _keys_of(screen: Screen[object]) -> Content:
    lines: dict[str, tuple[list[str], str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not active.enabled or not binding.description or binding.system:
            continue
        keys, _ = lines.setdefault(binding.action, ([], binding.tooltip or binding.description))
        keys.append(screen.app.get_key_display(binding))
    shown = [(" ".join(dict.fromkeys(keys)), words) for keys, words in lines.values()]
    width = max((len(keys) for keys, _ in shown), default=0)
    return Content("\n").join(Content.assemble((f"{keys:>{width}}  ", "$accent bold"), words) for keys, words in shown)
