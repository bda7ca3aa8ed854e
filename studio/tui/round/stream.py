"""A completion as it streams, exactly as the model writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


_BEGINNINGS = {Stage.INSTRUCTIONS: _NUMBERS, Stage.CLASSIFY: _MARKERS, Stage.INSTANCES: _MARKERS}
"""What parts a completion; an answer is one text."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a request: where it stands, in words; what of it the prompt has said already; and what parts it.

    `before` is the number or the words that the completion goes on from, `beginnings` the stage whose items or fields are told apart in it,
    None for a text that is one.
    """

    place: str
    before: str = ""
    beginnings: Stage | None = None
    empty: str = ""
    """What is said while there is no text, in place of the usual."""


def coloured(shown: Shown, text: str, start: int = 0) -> Content:
    """Clean a completion from the character `start` on, colour what begins an item or a field, and dim thoughts."""
    parts: list[str | tuple[str, str]] = [(display(shown.before), MUTED)] if shown.before and not start else []
    pattern = _BEGINNINGS.get(shown.beginnings) if shown.beginnings is not None else None
    for piece, thought in told_apart(text, start):
        at = len(piece) if thought else 0
        if thought:
            parts.append((display(piece), MUTED))
        for match in pattern.finditer(piece, at) if pattern is not None else ():
            parts += [display(piece[at : match.start()]), (display(match.group()), "$accent bold")]
            at = match.end()
        parts.append(display(piece[at:]))
    return Content.assemble(*parts)


class Stream(Pane):
    """The text of one request: live while it comes, with its finish reason and token count afterwards."""

    HELP = """
    The completion, character by character as the model wrote it; control characters show as visible marks.
    Numbers that begin a new item are coloured: there the text falls apart into candidates. What the model thinks first is dimmed. Scroll up
    to read in peace while it goes on. `[` and `]` go from text to text; of several answers to one instance the title says which was taken.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._place = self._text = ""

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        yield Static(Content.styled(EMPTY, MUTED), markup=False)

    def show(self, shown: Shown, live: LiveText | None, tokens_per_second: float, *, running: bool) -> None:
        """Show `live`, which is the text of `shown`; None when there is nothing yet. `running` tells whether its stage is under way."""
        text, place = live.text if live is not None else "", shown.place
        if place != self._place or not text.startswith(self._text):
            # What is being written is read at its end until somebody scrolls away from there; what is complete, from its beginning.
            self.begin(at_its_end=live is not None and live.completion is None)
        self._place, self._text = place, text
        if live is None:
            self.border_title = Content(place)
            content = Content.styled(shown.empty or (READING if running else EMPTY), MUTED)
        else:
            self.border_title = Content(f"{place} · {self._state(live, tokens_per_second)}")
            cut = max(len(text) - SHOWN, 0)
            content = coloured(shown, text, cut)
        self.query_one(Static).update(content)
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
