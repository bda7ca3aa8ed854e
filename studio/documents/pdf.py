"""The text of a PDF file, page by page, its lines joined to paragraphs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from studio.documents.faults import NoDocument
from studio.errors import missing_extra

if TYPE_CHECKING:
    from pypdf import PdfReader

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


def pdf_text(path: Path, notes: list[str]) -> Iterator[str]:
    """Yield the text of each page that has any, with a blank line behind it; `notes` gets how many pages have none.

    Raises NoDocument for a file that is encrypted or damaged.
    """
    with _opened(path) as (reader, count):
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
        notes.append(f"{empty:,} of {count:,} pages have no text; what is scanned has to be recognised (OCR) first")


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
