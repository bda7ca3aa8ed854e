"""Cutting a text into passages: where a section, a paragraph or a sentence ends, each with a little of the one before it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from studio.records import Cutting, Passage

_PARAGRAPH = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SENTENCE = re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]+[」』”]*\s*|\n")
_SPACE = re.compile(r"\s+")
_HEADING = re.compile(r"(?:#{1,6}\s[^\n]+|[^\n]{1,80}\n[=\-~^]{3,}|[^\n]{0,79}[^\s.!?…:;,。！？])\Z")
"""One line without an end: it belongs to what follows it."""
_EARLIEST = 0.4
"""The part of a passage that is full before a good place to end it is looked for."""
_AHEAD = 200
"""Characters behind an end that are looked at for a heading."""


class Passages:
    """The passages of a text that comes in pieces, in constant memory.

    While they are drawn `characters` counts the text and `short` those passages that were left out for having fewer than `least`.
    """

    def __init__(self, pieces: Iterable[str], cutting: Cutting) -> None:
        self._pieces = iter(pieces)
        self._cutting = cutting
        self._text = ""
        self._at = 0
        """Where in the whole text `_text` begins."""
        self.characters = 0
        self.short = 0

    def __iter__(self) -> Iterator[Passage]:
        size, least = self._cutting.size, self._cutting.least
        said = 0
        while self._fill(2 * size + least + _AHEAD):
            stop = self._end()
            whole = self._text[:stop]
            text = whole.strip()
            start = self._at + len(whole) - len(whole.lstrip())
            if not text or start + len(text) <= said:
                # Nothing, or nothing behind what was said again.
                self._drop(stop)
                continue
            said = start + len(text)
            if len(text) >= least:
                yield Passage(start, said, text)
            else:
                self.short += 1
            self._drop(self._next(stop))

    def _fill(self, wanted: int) -> bool:
        """Have that many characters before us, or all that are left; return whether there are any."""
        pieces = [self._text]
        length = len(self._text)
        while length < wanted and (piece := next(self._pieces, None)) is not None:
            self.characters += len(piece)
            pieces.append(piece)
            length += len(piece)
        self._text = "".join(pieces)
        return bool(self._text)

    def _drop(self, count: int) -> None:
        self._text = self._text[count:]
        self._at += count

    def _end(self) -> int:
        """Where the passage ends that begins here."""
        size, left = self._cutting.size, len(self._text)
        if left <= size:
            return left
        # Two halves rather than a whole and a rest that is too short to be one.
        most = size if left >= size + self._cutting.least else max(1, left // 2)
        window = self._text[: most + 1]
        earliest = int(most * _EARLIEST)
        breaks = [mark.span() for mark in _PARAGRAPH.finditer(window)]
        ends = [end for end, _ in breaks if end >= earliest and not _ends_with_heading(window, end, breaks)]
        for headed in (True, False):
            for end in reversed(ends):
                if headed == _begins_with_heading(self._text, end):
                    return end
        sentences, spaces = (
            [mark.end() for mark in pattern.finditer(window) if earliest <= mark.end() <= most] for pattern in (_SENTENCE, _SPACE)
        )
        for end in reversed(sentences):
            if not _ends_with_heading(window, end, breaks):
                return end
        return spaces[-1] if spaces else most

    def _next(self, stop: int) -> int:
        """Where the next passage begins: at the first sentence within the overlap, but never in the middle of one."""
        if stop >= len(self._text):
            return stop
        earliest = max(1, stop - self._cutting.overlap)
        for pattern in (_PARAGRAPH, _SENTENCE):
            for mark in pattern.finditer(self._text, max(0, earliest - 1), stop):
                if earliest <= mark.end() < stop:
                    return mark.end()
        return stop


def _begins_with_heading(text: str, at: int) -> bool:
    following = text[at : at + _AHEAD].lstrip()
    paragraph = _PARAGRAPH.search(following)
    return paragraph is not None and _HEADING.match(following[: paragraph.start()]) is not None


def _ends_with_heading(text: str, end: int, breaks: Sequence[tuple[int, int]]) -> bool:
    """Whether the last paragraph of `text[:end]` is a heading; `breaks` are all the breaks between paragraphs of `text`."""
    place = bisect_left(breaks, (end, end))
    if place and breaks[place - 1][1] > end and text.count("\n", breaks[place - 1][0], end) < 2:
        # Of this break too little is left to be one.
        place -= 1
    begin = breaks[place - 1][1] if place else 0
    return _HEADING.match(text[begin:end].strip()) is not None
