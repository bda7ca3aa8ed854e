"""The lines of a text that grows at its end: what came is wrapped, what stood before stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.strip import Strip

Wrap = Callable[[str, int], Sequence[Strip]]
"""Returns the lines of a paragraph, which has no newline; the number is its place in the text, counted from 0."""


class GrowingLines:
    """Wraps paragraph by paragraph and keeps their lines, so that a token costs one paragraph, however long the text is."""

    def __init__(self, wrap: Wrap) -> None:
        self.strips: list[Strip] = []
        self._wrap = wrap
        self._paragraphs: list[str] = []
        self._ends: list[int] = []

    def show(self, text: str) -> int:
        """Make `strips` the lines of `text`; return the first one that may be other than before, their number when none is."""
        paragraphs = text.split("\n")
        same = 0
        for old, new in zip(self._paragraphs, paragraphs, strict=False):
            if old != new:
                break
            same += 1
        del self._paragraphs[same:], self._ends[same:]
        first = self._ends[-1] if self._ends else 0
        del self.strips[first:]
        for place, paragraph in enumerate(paragraphs[same:], same):
            self.strips += self._wrap(paragraph, place)
            self._paragraphs.append(paragraph)
            self._ends.append(len(self.strips))
        return first

    def clear(self) -> None:
        """Forget everything: another width or another style needs other lines."""
        self.strips.clear()
        self._paragraphs.clear()
        self._ends.clear()
