"""A completion as it streams, exactly as the model writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from textual.content import Content

from studio.engine.api import FinishReason
from studio.records import Stage
from studio.text import display, display_line
from studio.tui.repaint import show_title
from studio.tui.round.live import LiveText
from studio.tui.widgets.pane import GrowingText

EMPTY = "What the model writes streams in here."
READING = "The model reads its prompts; what it writes streams in here."
SHOWN = 8_000
"""Characters of a completion that are drawn: the last ones. The pool has all of them."""
_CUT = 1_000
"""A longer text loses so many characters at a time: its lines are wrapped anew with each cut."""

# The same shape that parts the items, see `studio.loop.parsing`; here it only decides what is coloured.
_NUMBER = re.compile(r"\d++\s?+\. ")
_MARKER = re.compile(r"(?:Example \d+|Input|Output|Class label)\s?.*?:?")
_FINISH = {
    FinishReason.STOP: "stopped",
    FinishReason.LENGTH: "cut at its token limit",
    FinishReason.REPEAT: "ended: it only repeated itself",
    FinishReason.REFUSED: "refused",
    FinishReason.CANCELLED: "cancelled",
    FinishReason.UNKNOWN: "ended, the server did not say why",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a text is drawn: the stage that it comes from, None for words of the studio's own, and the number before its first item or 0."""

    stage: Stage | None
    first_number: int = 0

    def __call__(self, paragraph: str, place: int) -> Content:
        """A paragraph, the text's first one at place 0: what begins an item or a field is coloured."""
        if self.stage is None:
            return Content.styled(paragraph, "$foreground-muted")
        lead = ""
        pattern = _MARKER
        if self.stage is Stage.INSTRUCTIONS:
            pattern = _NUMBER
            lead = f"{self.first_number}." if self.first_number and not place else ""
        match = pattern.match(paragraph) if place or pattern is _MARKER else None
        mark = match.group() if match else ""
        return Content.assemble((lead, "$foreground-muted"), (display(mark), "$accent bold"), display(paragraph[len(mark) :]))


class Stream(GrowingText):
    """The text of one request: live while it comes, with its finish reason and token count afterwards."""

    HELP = """
    The completion, character by character as the model wrote it; control characters show as visible marks.
    Numbers that begin a new item are coloured: there the text falls apart into candidates. Scroll up to read in peace while it goes on.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(EMPTY, Look(None), id=id)
        self._place = self._whole = ""

    def show(self, stage: Stage, live: LiveText | None, place: str, first_number: int, tokens_per_second: float, *, running: bool) -> None:
        """Show `live`, which is the request that `place` names in words; None when there is nothing yet.

        `first_number` is the number that the prompt ends with, so that the first item carries one, too; 0 for none. `running` tells
        whether its stage is under way.
        """
        text = live.text if live is not None else ""
        grows = live is not None and live.completion is None
        another = place != self._place or not text.startswith(self._whole)
        # What is being written is read at its end until somebody scrolls away from there; what is complete, from its beginning.
        self.follows = grows if another else self.is_vertical_scroll_end and (grows or self.follows)
        self._place, self._whole = place, text
        if another:
            self.scroll_to(y=0, animate=False, force=True)
        if live is None:
            show_title(self, place)
            self.draw(READING if running else EMPTY, Look(None))
            return
        show_title(self, f"{place} · {self._state(live, tokens_per_second)}")
        cut = max(-(-(len(text) - SHOWN) // _CUT) * _CUT, 0)
        self.draw(text[cut:], Look(stage, 0 if cut else first_number))

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
