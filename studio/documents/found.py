"""Which files are documents: those that were named, and in folders all of a known kind. Nothing is left out without being told."""

from __future__ import annotations

import codecs
import hashlib
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.documents.reading import HTML, MARKDOWN, PDF, PLAIN, DocumentFile, NoDocument, require_readable
from studio.errors import UsageError
from studio.text import display_line, utf16_of

SUFFIXES = {
    **dict.fromkeys((".txt", ".text", ".rst", ".adoc", ".org", ""), PLAIN),
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), MARKDOWN),
    **dict.fromkeys((".html", ".htm", ".xhtml"), HTML),
    ".pdf": PDF,
}
"""What is taken of a folder, by the end of its name; a file that is named itself may be called anything."""
MOST_HTML = 1 << 24
"""Bytes of HTML that are parsed at once."""
_AT_A_TIME = 1 << 20
_TOLD = 20


@dataclass(frozen=True, slots=True)
class Found:
    """The documents under the paths that were named, in order, and sentences about what was left out."""

    files: tuple[DocumentFile, ...]
    notes: tuple[str, ...]


def find_documents(paths: Sequence[Path]) -> Found:
    """Find the documents under `paths`, which are files and folders; folders are walked whole, in the order of their names.

    Raises UsageError for a path that is not there, for a file named itself that cannot be read, and where there is no document at all.
    """
    files: dict[str, DocumentFile] = {}
    notes: list[str] = []
    for path in paths:
        if _is_folder(path):
            for each in _Walk(path, notes).files():
                _take(each, files, notes)
        else:
            try:
                _take(examined(path, path.name), files, notes)
            except NoDocument as error:
                raise UsageError(f"{path} {error}", error.hint) from error
    if not files:
        told = f" ({notes[0]})" if notes else ""
        raise UsageError(
            f"there is no document in {', '.join(map(str, paths))}{display_line(told, 300)}", "name text, Markdown, HTML or PDF files"
        )
    if len(notes) > _TOLD:
        notes[_TOLD:] = [f"and {len(notes) - _TOLD:,} more files are left out"]
    return Found(tuple(files.values()), tuple(notes))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", "check the path, and that this user may read it") from error


def _take(found: DocumentFile, files: dict[str, DocumentFile], notes: list[str]) -> None:
    if (same := files.setdefault(found.sha256, found)) is not found and same.path != found.path:
        notes.append(f"{found.name} is the same as {same.name} and is read once")


class _Walk:
    """One folder, walked whole. Links are followed, each folder is entered once: a link that leads back up is told."""

    def __init__(self, folder: Path, notes: list[str]) -> None:
        self._folder = folder
        self._notes = notes
        self._entered: set[tuple[int, int]] = set()
        self._unknown: Counter[str] = Counter()
        self._hidden = 0

    def files(self) -> Iterator[DocumentFile]:
        """Yield the documents; afterwards tell what was left out."""
        for path in self._paths(self._folder):
            try:
                yield examined(path, (Path(self._folder.name) / path.relative_to(self._folder)).as_posix())
            except NoDocument as error:
                self._notes.append(f"{path} {error}")
        if self._unknown:
            kinds = ", ".join(f"{suffix} {count:,}" for suffix, count in self._unknown.most_common(8))
            number = self._unknown.total()
            words = "1 file of another kind is" if number == 1 else f"{number:,} files of other kinds are"
            self._notes.append(f"{self._folder}: {words} left out ({kinds})")
        if self._hidden:
            self._notes.append(f"{self._folder}: {self._hidden:,} hidden files and folders are left out")

    def _paths(self, folder: Path) -> Iterator[Path]:
        pending = [folder]
        while pending:
            path = pending.pop()
            try:
                if not path.is_dir():
                    suffix = path.suffix.lower()
                    if suffix in SUFFIXES:
                        yield path
                    else:
                        self._unknown[suffix] += 1
                    continue
                found = path.stat()
                if (found.st_dev, found.st_ino) in self._entered:
                    self._notes.append(f"{path} is a folder that was walked already")
                    continue
                self._entered.add((found.st_dev, found.st_ino))
                names = sorted((each.name for each in path.iterdir()), reverse=True)
            except OSError as error:
                self._notes.append(f"{path} cannot be read: {error.strerror or error}")
                continue
            self._hidden += sum(name.startswith(".") for name in names)
            pending += [path / name for name in names if not name.startswith(".")]


def examined(path: Path, name: str) -> DocumentFile:
    """Read all of a file once: its hash, its kind, and whether its text can be decoded. Raises NoDocument."""
    try:
        # A pipe with nobody at its other end would be waited for.
        if not stat.S_ISREG(path.stat().st_mode):
            raise NoDocument("is no plain file", "name files and folders")
        with path.open("rb") as file:
            head = file.read(_AT_A_TIME)
            kind = _kind(path, head)
            digest = hashlib.sha256(head)
            decoding = _Decoding(head) if kind in (PLAIN, MARKDOWN) else None
            size, piece = 0, head
            while piece:
                size += len(piece)
                if decoding is not None:
                    decoding.feed(piece)
                piece = file.read(_AT_A_TIME)
                digest.update(piece)
    except FileNotFoundError as error:
        raise NoDocument("is not there", "check the path") from error
    except OSError as error:
        raise NoDocument(f"cannot be read: {error.strerror or error}", "check the path, and that this user may read it") from error
    if kind == HTML and size > MOST_HTML:
        raise NoDocument(f"is HTML of {size / 1e6:.0f} MB, more than is parsed at once", "save its text, or part it")
    if kind == PDF:
        require_readable(path)
    return DocumentFile(path, name, kind, digest.hexdigest(), "" if decoding is None else decoding.end())


def _kind(path: Path, head: bytes) -> str:
    """What the first bytes say, else what the name says."""
    start = head[:1024].lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower()
    if b"%pdf-" in head[:1024].lower():
        return PDF
    named = SUFFIXES.get(path.suffix.lower(), PLAIN)
    if start.startswith((b"<!doctype html", b"<html")):
        return HTML
    if named == PDF:
        raise NoDocument("is called PDF and is none", "download it anew")
    return named


class _Decoding:
    """Whether a text can be decoded, told piece by piece."""

    def __init__(self, head: bytes) -> None:
        self._wide = utf16_of(head)
        self._encoding = self._wide or "utf-8-sig"
        self._decoder = codecs.getincrementaldecoder(self._encoding)()

    def feed(self, piece: bytes) -> None:
        """Look at the next piece. Raises NoDocument where it is no text in that encoding."""
        if self._wide is None and b"\0" in piece:
            raise NoDocument("is no text: it has zero bytes", "name text, Markdown, HTML or PDF files")
        self._decode(piece)

    def end(self) -> str:
        """Return the encoding. Raises NoDocument where the text ends within a character."""
        self._decode(b"", final=True)
        return self._encoding

    def _decode(self, piece: bytes, *, final: bool = False) -> None:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            way = "save it as UTF-8; a file of an older Windows program: iconv -f WINDOWS-1252 -t UTF-8"
            wrong = error.object[error.start : error.start + 1]
            raise NoDocument(f"is not {self._wide or 'UTF-8'}{f': byte 0x{wrong[0]:02X}' if wrong else ''}", way) from error
