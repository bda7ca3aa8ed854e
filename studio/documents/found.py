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
            for each in _walked(path, notes):
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


def _walked(folder: Path, notes: list[str]) -> Iterator[DocumentFile]:
    """Yield the documents of a folder, walked whole; afterwards tell what was left out."""
    unknown: Counter[str] = Counter()
    hidden = 0
    for path in _paths(folder, notes):
        suffix = path.suffix.lower()
        if path.name.startswith("."):
            hidden += 1
        elif suffix not in SUFFIXES:
            unknown[suffix] += 1
        else:
            try:
                yield examined(path, (Path(folder.name) / path.relative_to(folder)).as_posix())
            except NoDocument as error:
                notes.append(f"{path} {error}")
    if number := unknown.total():
        kinds = ", ".join(f"{suffix} {count:,}" for suffix, count in unknown.most_common(8))
        words = "1 file of another kind is" if number == 1 else f"{number:,} files of other kinds are"
        notes.append(f"{folder}: {words} left out ({kinds})")
    if hidden:
        notes.append(f"{folder}: {hidden:,} hidden files and folders are left out")


def _paths(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yield the files below a folder, and what is hidden there, which is not looked into.

    Links are followed, each folder is entered once: a link that leads back up is told.
    """
    entered: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        path = pending.pop()
        try:
            if (path is not folder and path.name.startswith(".")) or not path.is_dir():
                yield path
                continue
            found = path.stat()
            if (found.st_dev, found.st_ino) in entered:
                notes.append(f"{path} is a folder that was walked already")
                continue
            entered.add((found.st_dev, found.st_ino))
            pending += sorted(path.iterdir(), reverse=True)
        except OSError as error:
            notes.append(f"{path} cannot be read: {error.strerror or error}")


def examined(path: Path, name: str) -> DocumentFile:
    """Read all of a file once: its hash, its kind, and whether its text can be decoded. Raises NoDocument."""
    try:
        # A pipe with nobody at its other end would be waited for.
        if not stat.S_ISREG(path.stat().st_mode):
            raise NoDocument("is no plain file", "name files and folders")
        with path.open("rb") as file:
            piece = file.read(_AT_A_TIME)
            kind, wide, size = _kind(path, piece), utf16_of(piece), 0
            encoding = (wide or "utf-8-sig") if kind in (PLAIN, MARKDOWN) else ""
            decode = codecs.getincrementaldecoder(encoding)().decode if encoding else None
            digest = hashlib.sha256()
            while piece:
                size += len(piece)
                digest.update(piece)
                if decode is not None and wide is None and b"\0" in piece:
                    raise NoDocument("is no text: it has zero bytes", "name text, Markdown, HTML or PDF files")
                following = file.read(_AT_A_TIME)
                if decode is not None:
                    decode(piece, not following)
                piece = following
    except FileNotFoundError as error:
        raise NoDocument("is not there", "check the path") from error
    except OSError as error:
        raise NoDocument(f"cannot be read: {error.strerror or error}", "check the path, and that this user may read it") from error
    except UnicodeDecodeError as error:
        way = "save it as UTF-8; a file of an older Windows program: iconv -f WINDOWS-1252 -t UTF-8"
        wrong = error.object[error.start : error.start + 1]
        raise NoDocument(f"is not {wide or 'UTF-8'}{f': byte 0x{wrong[0]:02X}' if wrong else ''}", way) from error
    if kind == HTML and size > MOST_HTML:
        raise NoDocument(f"is HTML of {size / 1e6:.0f} MB, more than is parsed at once", "save its text, or part it")
    if kind == PDF:
        require_readable(path)
    return DocumentFile(path, name, kind, digest.hexdigest(), encoding)


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
