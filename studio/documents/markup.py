"""What a reader sees of an HTML page: its paragraphs, without scripts, styles, navigation and forms."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

_UNSEEN = frozenset(
    {"script", "style", "noscript", "template", "svg", "math", "title", "iframe", "object", "canvas", "audio", "video"}
    | {"nav", "footer", "aside", "form", "button", "select", "textarea"}
)
"""Elements that are no part of the text, or that stand around the text of every page of a site."""
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "main", "header", "blockquote", "figure", "figcaption", "table", "ul", "ol", "dl", "dt", "hr", "pre"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "body", "details", "summary", "address"}
)
_LINES = frozenset({"br", "li", "tr", "dd", "caption"})
_SPACE = re.compile(r"\s+")


class _VisibleText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.unseen = 0
        self._within: list[str] = []
        self._open: Counter[str] = Counter()
        """How often each stands in `_within`: a hostile page opens millions of them, and asks for each of millions of others."""
        self._breaks = 0
        self._verbatim = 0
        self._bullet = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  (the parser's signature)
        if tag in _UNSEEN:
            self._within.append(tag)
            self._open[tag] += 1
            return
        self._break(tag)
        self._verbatim += tag == "pre"
        self._bullet = "- " if tag == "li" else self._bullet

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  (the parser's signature)
        # An empty element of those unseen hides nothing behind it.
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open[tag]:
            while (ended := self._within.pop()) != tag:
                self._open[ended] -= 1
            self._open[tag] -= 1
            return
        if tag in ("body", "article", "main"):
            # What was opened and never closed ends here.
            self._within.clear()
            self._open.clear()
        self._break(tag)
        self._verbatim = max(0, self._verbatim - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self._within:
            if self._within[-1] not in ("script", "style", "title"):
                self.unseen += len(data.strip())
            return
        text = data if self._verbatim else _SPACE.sub(" ", data)
        if not text.strip():
            if self.parts and text and not self._breaks and not self.parts[-1].endswith((" ", "\n")):
                self.parts.append(" ")
            return
        if self._breaks or not self.parts:
            if self.parts:
                self.parts[-1] = self.parts[-1].rstrip(" ")
                self.parts.append("\n" * self._breaks)
            text = self._bullet + (text.lstrip("\n") if self._verbatim else text.lstrip())
        self._breaks, self._bullet = 0, ""
        self.parts.append(text)

    def _break(self, tag: str) -> None:
        if tag in ("td", "th") and self.parts and not self._breaks:
            self.parts.append(" ")
        wanted = 2 if tag in _BLOCKS else 1 if tag in _LINES else 0
        self._breaks = max(self._breaks, wanted)


def visible_text(markup: str, notes: list[str]) -> str:
    """Return what is seen of an HTML page, a blank line between paragraphs; `notes` gets what of its text is left out.

    >>> visible_text("<h1>Bees</h1><p>They <b>fly</b>.<script>x()</script><p>So\\n far.", [])
    'Bees\\n\\nThey fly.\\n\\nSo far.'
    """
    parser = _VisibleText()
    # The tag behind it ends its last text. The parser is not closed: it would look at the rest behind a comment or tag without an end
    # again from each of its characters, which takes hours for a page that was made for that.
    parser.feed(markup + "<p>")
    unread = len(markup) - _place(markup, *parser.getpos())
    if unread > 0:
        notes.append(f"{unread:,} characters from markup on that does not end are left out")
    if parser.unseen:
        notes.append(f"{parser.unseen:,} characters of navigation, footers and forms are left out")
    return "".join(parser.parts).strip()


def _place(text: str, line: int, column: int) -> int:
    """Where a line, counted from 1, and a column of it, from 0, are in a text."""
    at = 0
    for _ in range(line - 1):
        at = text.find("\n", at) + 1
    return at + column
