"""The text of a document, in pieces: what a reader sees of text, Markdown, HTML or PDF, line ends as LF, without control characters."""

from __future__ import annotations

import codecs
import io
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import missing_extra
from studio.text import counted, utf16_of

if TYPE_CHECKING:
    from pypdf import PdfReader


PLAIN, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"


class NoDocument(Exception):
    """Why a file cannot be read as a document, in words that follow its name; and the way on."""

    def __init__(self, words: str, hint: str, *, changed: bool = False) -> None:
        super().__init__(words)
        self.hint = hint
        self.changed = changed
        """Whether it could be read when it was found."""


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file that can be read as a document: `sha256` of its bytes, `encoding` Python's name of it.

    `name` is its own, with the folders from the one that was named on: those above it tell of their owner.
    """

    path: Path
    name: str
    media_type: str
    sha256: str
    encoding: str = ""


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


_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]\n(?=[^\W\d_])")
_PAGE_NUMBER = re.compile(r"(?:[-–—]\s*)?(?:\d{1,4}|[ivxl]{1,6})(?:\s*[-–—/]\s*\d{0,4})?")
_END = re.compile(r"[.!?…:。！？][\"'”’»)\]]*$")
_SHORT = 0.8
"""Of the longest line of a page: a shorter one that ends a sentence ends its paragraph."""
_FEWEST = 40
"""Characters of a line from which on lines are taken for those of running text."""


def require_readable(path: Path) -> None:
    """Raise NoDocument for a file that is encrypted or damaged as a whole, and where the library that reads PDF is not installed."""
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[tuple[PdfReader, int]]:
    """Open a file and count its pages."""
    try:
        import pypdf
    except ImportError as error:
        missing = missing_extra("is PDF, which is read", "data")
        raise NoDocument(missing.message, missing.hint or "") from error
    # What it finds strange in a file it tells by way of the log; what is lost is told here.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with path.open("rb") as file:
        try:
            reader = pypdf.PdfReader(file)
            locked = reader.is_encrypted and not reader.decrypt("")
            count = 0 if locked else len(reader.pages)
        # A hostile file makes the library raise anything.
        except Exception as error:
            raise NoDocument(f"cannot be read as PDF: {type(error).__name__}", "save it anew, or save its text") from error
        if locked:
            raise NoDocument("is an encrypted PDF file", "save it without a password")
        yield reader, count


def _pdf(file: DocumentFile, notes: list[str]) -> Iterator[str]:
    """Yield the text of each page that has any, with a blank line behind it."""
    with _opened(file.path) as (reader, count):
        empty, broken = 0, 0
        for number in range(count):
            text = _page(reader, number)
            broken += text is None
            empty += text == ""
            if text:
                yield f"{text}\n\n"
    if broken:
        notes.append(f"{broken:,} of {count:,} pages cannot be read")
    if empty:
        notes.append(f"there is no text on {empty:,} of {count:,} pages; what is scanned has to be recognised (OCR) first")


def _page(reader: PdfReader, number: int) -> str | None:
    try:
        return joined(reader.pages[number].extract_text())
    except Exception:  # The same: one page must not cost the others.
        return None


def joined(page: str) -> str:
    """Return the text of a page with the lines of a paragraph joined and words put together that were parted at a line's end.

    A paragraph ends at a blank line, and where a sentence ends in a line that is clearly shorter than others. Page numbers go.

    >>> joined("A long line of text that goes on and is hyphen-\\nated here.\\n12")
    'A long line of text that goes on and is hyphenated here.'
    """
    lines = [line.strip() for line in page.replace("\r\n", "\n").split("\n")]
    while lines and (not lines[-1] or _PAGE_NUMBER.fullmatch(lines[-1])):
        lines.pop()
    while lines and (not lines[0] or _PAGE_NUMBER.fullmatch(lines[0])):
        lines.pop(0)
    longest = max(map(len, lines), default=0)
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if not line:
            paragraphs.append([])
            continue
        paragraphs[-1].append(line)
        if longest < _FEWEST or (len(line) < longest * _SHORT and (_END.search(line) or len(paragraphs[-1]) == 1)):
            paragraphs.append([])
    return "\n\n".join(_HYPHEN.sub("", "\n".join(each)).replace("\n", " ") for each in paragraphs if each)


_AT_A_TIME = 1 << 16
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
_BREAKS = re.compile("[\x0c\u2029]")
_CHARSET = re.compile(rb"charset=[\s\"']*+([^\s\"';>/]{1,40}+)", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"(?:---[ \t]*\n.*?\n(?:---|\.\.\.)|\+\+\+[ \t]*\n.*?\n\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL)
"""What static site generators put before a Markdown text: YAML or TOML."""


def text_of(file: DocumentFile, notes: list[str]) -> Iterator[str]:
    """Yield the text of a document in pieces of any length, in constant memory for text and Markdown.

    `notes` get what of the file is not in its text. Raises NoDocument where the file has changed since it was found or cannot be read.
    """
    raw = {HTML: _html, PDF: _pdf}.get(file.media_type, _plain)
    dropped = 0
    try:
        for piece in raw(file, notes):
            whole = _BREAKS.sub("\n\n", piece).replace("\u2028", "\n")
            kept = _CONTROLS.sub("", whole)
            dropped += len(whole) - len(kept)
            if kept:
                yield kept
    except (OSError, UnicodeDecodeError) as error:
        raise NoDocument(f"cannot be read any more: {error}", "run the same command again", changed=True) from error
    if dropped:
        notes.append(f"{counted(dropped, 'control character')} left out")


def _plain(file: DocumentFile, notes: list[str]) -> Iterator[str]:
    with file.path.open(encoding=file.encoding) as opened:
        piece = opened.read(_AT_A_TIME)
        if file.media_type == MARKDOWN and (front := _FRONT_MATTER.match(piece)):
            notes.append(f"its front matter, {len(front[0]):,} characters, is left out")
            piece = piece[front.end() :]
        while piece:
            yield piece
            piece = opened.read(_AT_A_TIME)


def _html(file: DocumentFile, notes: list[str]) -> Iterator[str]:
    content = file.path.read_bytes()
    encoding = declared_encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252" if encoding == "utf-8" else encoding, errors="replace")
        notes.append(f"some characters are not {encoding} and were replaced or guessed")
    seen = visible_text(io.StringIO(text, newline=None).read(), notes)
    yield from (seen[at : at + _AT_A_TIME] for at in range(0, len(seen), _AT_A_TIME))


def declared_encoding(content: bytes) -> str:
    """Return the encoding of an HTML file: by its byte order mark, by what its head declares, else UTF-8 or Windows-1252."""
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if (wide := utf16_of(content[:1024])) is not None:
        return wide
    if declared := _CHARSET.search(content[:4096]):
        with suppress(LookupError, UnicodeDecodeError, ValueError):
            known = codecs.lookup(declared[1].decode("ascii"))
            # Web pages that say Latin-1 mean Windows-1252.
            return "cp1252" if known.name in ("iso8859-1", "ascii") else known.name if known._is_text_encoding else "utf-8"
    return "utf-8"
