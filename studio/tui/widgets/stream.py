"""A completion as it streams, exactly as the model writes it."""

from __future__ import annotations

import re

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from studio.engine.api import FinishReason
from studio.records import Stage
from studio.text import display, display_line
from studio.tui.live import LiveText
from studio.tui.repaint import show_text, show_title
from studio.tui.widgets.pane import Pane

EMPTY = "What the model writes streams in here."
READING = "The model reads its prompts; what it writes streams in here."
SHOWN = 8_000
"""Characters of a completion that are drawn: the last ones. The pool has all of them."""

# The same shape that parts the items, see `studio.loop.parsing`; here it only decides what is coloured.
_NUMBER = re.compile(r"\n\d++\s?+\. ")
_MARKERS = re.compile(r"^(?:Example \d+|Input|Output|Class label)\s?.*?:?", re.MULTILINE)
_FINISH = {
    FinishReason.STOP: "stopped",
    FinishReason.LENGTH: "cut at its token limit",
    FinishReason.REPEAT: "ended: it only repeated itself",
    FinishReason.REFUSED: "refused",
    FinishReason.CANCELLED: "cancelled",
}


class Stream(Pane):
    """The text of one request: live while it comes, with its finish reason and token count afterwards."""

    HELP = """
    The completion, character by character as the model wrote it; control characters show as visible marks.
    Numbers that begin a new item are coloured: there the text falls apart into candidates. Scroll up to read in peace while it goes on.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._place = self._text = ""

    def compose(self) -> ComposeResult:
        """One static that is updated ten times a second at most."""
        yield Static(EMPTY, markup=False, classes="empty")

    def show(self, stage: Stage, live: LiveText | None, place: str, first_number: int, tokens_per_second: float, *, running: bool) -> None:
        """Show `live`, which is the request that `place` names in words; None when there is nothing yet.

        `first_number` is the number that the prompt ends with, so that the first item carries one, too; 0 for none. `running` tells
        whether its stage is under way.
        """
        static = self.query_one(Static)
        text = live.text if live is not None else ""
        if place != self._place or not text.startswith(self._text):
            # Another text begins at its beginning: anchored to the end of a longer one, it would stand at the bottom.
            self.anchor(False)
            self.scroll_home(animate=False)
        self._place, self._text = place, text
        if live is None:
            show_title(self, "Completion")
            static.set_class(True, "empty")
            show_text(static, Content(READING if running else EMPTY))
            return
        show_title(self, f"Completion {place} · {self._state(live, tokens_per_second)}")
        static.set_class(False, "empty")
        # An anchored text that is shorter than the pane would stand at its bottom.
        if not self.is_anchored and self.max_scroll_y > 0 and self.is_vertical_scroll_end:
            self.anchor()
        show_text(static, _content(stage, live.text, first_number))

    def _state(self, live: LiveText, tokens_per_second: float) -> str:
        if live.completion is None:
            rate = f" · {tokens_per_second:.0f} tokens/s" if tokens_per_second else ""
            return f"writing{rate}" if live.count else "waiting"
        done = live.completion
        tokens = f" · {done.completion_tokens} tokens" if done.completion_tokens else ""
        at = f" at {_visible(done.detail)}" if done.finish_reason is FinishReason.STOP and done.detail else ""
        return f"{_FINISH[done.finish_reason]}{at}{tokens}"


def _visible(text: str) -> str:
    return display_line(text.replace("\n", "⏎"), 12)


def _content(stage: Stage, text: str, first_number: int) -> Content:
    cut = text[-SHOWN:]
    lead = f"{first_number}." if stage is Stage.INSTRUCTIONS and first_number and len(cut) == len(text) else ""
    parts: list[Content | str | tuple[str, str]] = [(lead, "$foreground-muted")]
    pattern = _NUMBER if stage is Stage.INSTRUCTIONS else _MARKERS
    at = 0
    for match in pattern.finditer(cut):
        parts += [display(cut[at : match.start()]), (display(match.group()), "$accent bold")]
        at = match.end()
    parts.append(display(cut[at:]))
    return Content.assemble(*parts)
