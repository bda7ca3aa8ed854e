"""What a reader sees of an HTML page: its paragraphs, without scripts, styles, navigation and forms."""

from __future__ import annotations

import re
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
        self._breaks = 0
        self._verbatim = 0
        self._bullet = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  (the parser's signature)
        if tag in _UNSEEN:
            self._within.append(tag)
            return
        self._break(tag)
        self._verbatim += tag == "pre"
        self._bullet = "- " if tag == "li" else self._bullet

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  (the parser's signature)
        # An empty element of those unseen hides nothing behind it.
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            while self._within.pop() != tag:
                pass
            return
        if tag in ("body", "article", "main"):
            # What was opened and never closed ends here.
            self._within.clear()
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
    """Return what is seen of an HTML page, a blank line between paragraphs; `notes` gets how much text was taken for navigation.

    >>> visible_text("<h1>Bees</h1><p>They <b>fly</b>.<script>x()</script><p>So\\n far.", [])
    'Bees\\n\\nThey fly.\\n\\nSo far.'
    """
    parser = _VisibleText()
    parser.feed(markup)
    parser.close()
    if parser.unseen:
        notes.append(f"{parser.unseen:,} characters of navigation, footers and forms are left out")
    return "".join(parser.parts).strip()
