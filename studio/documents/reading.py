"""The text of a document, in pieces: what a reader sees of it, line ends as LF, without control characters."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from studio.documents.faults import NoDocument
from studio.documents.found import HTML, MARKDOWN, PDF, DocumentFile, declared_encoding
from studio.documents.markup import visible_text
from studio.documents.pdf import pdf_text

_AT_A_TIME = 1 << 16
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
_BREAKS = re.compile("[\x0c\u2029]")
_FRONT_MATTER = re.compile(r"(?:---[ \t]*\n.*?\n(?:---|\.\.\.)|\+\+\+[ \t]*\n.*?\n\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL)
"""What static site generators put before a Markdown text: YAML or TOML."""


class Reading:
    """One document as it is read, in constant memory for text and Markdown. `notes` tell afterwards what of the file is not in its text."""

    def __init__(self, file: DocumentFile) -> None:
        self._file = file
        self._dropped = 0
        self.notes: list[str] = []

    def pieces(self) -> Iterator[str]:
        """Yield the text in pieces of any length. Raises NoDocument where the file has changed since it was found or cannot be read."""
        try:
            for piece in self._raw():
                whole = _BREAKS.sub("\n\n", piece).replace("\u2028", "\n")
                kept = _CONTROLS.sub("", whole)
                self._dropped += len(whole) - len(kept)
                if kept:
                    yield kept
        except (OSError, UnicodeDecodeError) as error:
            raise NoDocument(f"cannot be read any more: {error}", "run the same command again", changed=True) from error
        if self._dropped:
            self.notes.append(f"{self._dropped:,} control characters are left out")

    def _raw(self) -> Iterator[str]:
        if self._file.media_type == HTML:
            yield from self._html()
        elif self._file.media_type == PDF:
            yield from pdf_text(self._file.path, self.notes)
        else:
            yield from self._text()

    def _text(self) -> Iterator[str]:
        with self._file.path.open(encoding=self._file.encoding) as file:
            piece = file.read(_AT_A_TIME)
            if self._file.media_type == MARKDOWN and (front := _FRONT_MATTER.match(piece)):
                self.notes.append(f"its front matter, {len(front[0]):,} characters, is left out")
                piece = piece[front.end() :]
            while piece:
                yield piece
                piece = file.read(_AT_A_TIME)

    def _html(self) -> Iterator[str]:
        content = self._file.path.read_bytes()
        encoding = declared_encoding(content)
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            text = content.decode("cp1252" if encoding == "utf-8" else encoding, errors="replace")
            self.notes.append(f"some characters are not {encoding} and were replaced or guessed")
        seen = visible_text(io.StringIO(text, newline=None).read(), self.notes)
        yield from (seen[at : at + _AT_A_TIME] for at in range(0, len(seen), _AT_A_TIME))
