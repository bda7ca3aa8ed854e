"""A completion as it streams, exactly as the model writes it."""

from __future__ import annotations

import re

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from studio.engine.api import FinishReason
from studio.loop.thoughts import told_apart
from studio.records import Stage
from studio.text import display, display_line
from studio.tui.round.live import LiveText
from studio.tui.widgets.pane import MUTED, Pane

EMPTY = "What the model writes streams in here."
READING = "The model reads its prompts; what it writes streams in here."
SHOWN = 8_000
"""Characters of a completion that are drawn: the last ones. The pool has all of them."""

# The same shape that parts the items, see `studio.loop.parsing`; here it only decides what is coloured.
_NUMBERS = re.compile(r"(?<=\n)\d++[^\S\n]?+\. ")
_MARKERS = re.compile(r"^(?:Example \d+|Input|Output|Class label)[^\S\n]?:?", re.MULTILINE)
_FINISH = {
    FinishReason.STOP: "stopped",
    FinishReason.LENGTH: "cut at its token limit",
    FinishReason.REPEAT: "ended: it only repeated itself",
    FinishReason.REFUSED: "refused",
    FinishReason.CANCELLED: "cancelled",
    FinishReason.UNKNOWN: "ended, the server did not say why",
}


def coloured(stage: Stage, text: str, first_number: int, start: int = 0) -> Content:
    """Clean a completion of `stage` from the character `start` on, colour what begins an item or a field, and dim thoughts.

    Its first item carries `first_number`; 0 for none.
    """
    parts: list[str | tuple[str, str]] = [(f"{first_number}.", MUTED)] if first_number and stage is Stage.INSTRUCTIONS else []
    for piece, thought in told_apart(text, start):
        at = len(piece) if thought else 0
        if thought:
            parts.append((display(piece), MUTED))
        for match in (_NUMBERS if stage is Stage.INSTRUCTIONS else _MARKERS).finditer(piece, at):
            parts += [display(piece[at : match.start()]), (display(match.group()), "$accent bold")]
            at = match.end()
        parts.append(display(piece[at:]))
    return Content.assemble(*parts)


class Stream(Pane):
    """The text of one request: live while it comes, with its finish reason and token count afterwards."""

    HELP = """
    The completion, character by character as the model wrote it; control characters show as visible marks.
    Numbers that begin a new item are coloured: there the text falls apart into candidates. What the model thinks first is dimmed. Scroll up
    to read in peace while it goes on.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._place = self._text = ""

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        yield Static(Content.styled(EMPTY, MUTED), markup=False)

    def show(self, stage: Stage, live: LiveText | None, place: str, first_number: int, tokens_per_second: float, *, running: bool) -> None:
        """Show `live`, which is the request that `place` names in words; None when there is nothing yet.

        `first_number` is the number that the prompt ends with, so that the first item carries one, too; 0 for none. `running` tells
        whether its stage is under way.
        """
        text = live.text if live is not None else ""
        if place != self._place or not text.startswith(self._text):
            # What is being written is read at its end until somebody scrolls away from there; what is complete, from its beginning.
            self.begin(at_its_end=live is not None and live.completion is None)
        self._place, self._text = place, text
        if live is None:
            self.border_title = Content(place)
            shown = Content.styled(READING if running else EMPTY, MUTED)
        else:
            self.border_title = Content(f"{place} · {self._state(live, tokens_per_second)}")
            cut = max(len(text) - SHOWN, 0)
            shown = coloured(stage, text, 0 if cut else first_number, cut)
        self.query_one(Static).update(shown)
        self.follow()

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
