"""What is read: a file, a pipe or standard input, opened once, unpacked and decoded, as often as asked; and what can be wrong with it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from studio.errors import UsageError
from studio.records import SeedTask
from studio.seeds.hub_dataset import cached, is_of_hub
from studio.seeds.kinds import DAMAGED, SHEET, TEXT, kind_of_file, unpacked
from studio.text import display_line, utf16_of

STDIN = ("-", "/dev/stdin")
"""The names of standard input."""
HEAD = 1 << 16
"""Bytes at the beginning from which format and encoding are told."""
LONGEST = 1 << 28
"""Characters of a record at the most: a few packed kilobytes can hold one that fills the memory, and a pool holds no longer text."""
_BUFFER = 1 << 18
_ESCAPED = re.compile("[\udc80-\udcff]")
_TAKEN: weakref.WeakSet[object] = weakref.WeakSet()
"""The standard input that has been read."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """One fault of a file.

    `line` counts from 1, 0 is the file as a whole; `index` is the place in a list, from 0, for records of one. `field` is empty where the
    fault is the whole record's.
    """

    line: int
    field: str
    fault: str
    index: int | None = None

    def at(self, path: Path) -> str:
        """Return the fault as one harmless line: `FILE:LINE: field: fault`, with `[INDEX]` before the field for records of a list."""
        place = "" if self.index is None else f"[{self.index}]"
        field = f"{place}.{self.field}" if place and self.field else place or self.field
        parts = [f"{path}:{self.line}" if self.line else str(path), field, self.fault]
        return display_line(": ".join(part for part in parts if part))


@dataclass(frozen=True, slots=True)
class ParsedTask:
    """What one record of a file gave: a task, or the reasons why there is none. `line` is where the record begins.

    `shape` is the name of what it looks like. `untaken` are the keys that hold something of which nothing was taken, `suspects` those of
    them that may be an answer where the task has none; `hollow` are outputs that should be there and are empty; `as_text` are fields whose
    number or truth value was taken as text; `renamed` are the keys that stand for `instruction`, `input` or `output`; `mended` are fields
    in which half a character was replaced; `taken` are the keys of which something was. `raw` is the record as it was read.
    """

    line: int
    task: SeedTask | None
    faults: tuple[FileFault, ...] = ()
    index: int | None = None
    shape: str = ""
    untaken: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    hollow: tuple[FileFault, ...] = ()
    as_text: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    raw: object = None
    taken: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where the record stands, as its faults say it."""
        return f"line {self.line}" if self.index is None else f"[{self.index}]"


class FaultyFile(UsageError):
    """A file that cannot be taken as it is. `listed` are its first faults, a line each, `MOST` at the most, of `faults` there are."""

    MOST = 50

    def __init__(self, message: str, hint: str, listed: Sequence[str] = (), faults: int = 0) -> None:
        super().__init__(message, hint)
        self.listed = tuple(listed)
        self.faults = faults

    def listing(self) -> Iterator[str]:
        """Yield the lines to print before the message; none for a single fault, which the message names."""
        if self.faults > 1:
            yield from self.listed
        if self.faults > len(self.listed):
            yield f"... and {self.faults - len(self.listed):,} more"


def faulty_file(path: Path, faults: Sequence[FileFault], hint: str, number: int = 0) -> FaultyFile:
    """Return the error for a file with `faults` (at least one), the first of `number` where there are more: one and how many more."""
    more = max(number, len(faults)) - 1
    rest = f" (and {more} more {'fault' if more == 1 else 'faults'})" if more else ""
    return FaultyFile(faults[0].at(path) + rest, hint, [fault.at(path) for fault in faults[: FaultyFile.MOST]], more + 1)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to read `path` into a UsageError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {path}", "check the path") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder, not a file of tasks", "name the file itself") from error
    except PermissionError as error:
        raise UsageError(f"{path} may not be read by this user", "change its permissions or copy it") from error
    except OSError as error:
        reason = error.strerror or errno.errorcode.get(error.errno or 0, "unknown reason")
        raise UsageError(f"{path} cannot be read: {reason}") from error


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; `number` counts from 1. `end` is empty for a last line with no line end after it."""

    number: int
    text: str
    end: str
    faults: tuple[FileFault, ...]


class _View(io.RawIOBase):
    """The bytes of a file from `start`, at a place of its own: several views of one file do not disturb each other."""

    def __init__(self, file: io.FileIO, start: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self.at = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        beginnings = {os.SEEK_SET: self._start, os.SEEK_CUR: self.at, os.SEEK_END: os.fstat(self._file.fileno()).st_size}
        self.at = max(beginnings[whence] + offset, self._start)
        return self.at - self._start

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._file.seek(self.at)
        count = self._file.readinto(buffer) or 0
        self.at += count
        return count


class Input:
    """A file of tasks that is open. Raises UsageError when it cannot be read or plainly holds no tasks.

    A pipe, a device or standard input is copied to a temporary file first, so that it can be looked at more than once; so is a packed file
    that is no text, for such files are not read from the beginning to the end.
    `kind` is one of `studio.seeds.kinds`, `sheet` the one of a spreadsheet that the path names, `encoding` Python's name of that of a text,
    `notes` is what a user should be told of it, `done` and `size` count bytes as they are stored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: dict[str, None] = {}
        with readable(path):
            self._file, self._start = self._stored = _open(path)
        weakref.finalize(self, self._file.close)
        self.size = os.fstat(self._file.fileno()).st_size
        self._view = _View(self._file, self._start)
        with self._unpacking():
            self.head = self._bytes().read(HEAD)
            self.kind = kind_of_file(path, self.head, self.whole)
        self.sheet = "" if is_of_hub(path) else sheet_of(path)[1]
        if self.sheet and self.kind != SHEET:
            raise UsageError(f"{path}: the file is no spreadsheet, and has no sheets", "leave # and what follows it out")
        wide = utf16_of(self.head) if self.kind == TEXT else None
        self.encoding = wide or "utf-8-sig"
        if wide:
            self.note(f"read as {wide}")
        self.head_text = self.head.decode(self.encoding, errors="replace").lstrip("\ufeff") if self.kind == TEXT else ""

    def note(self, words: str) -> None:
        """Note what a user should be told of it, once."""
        self.notes[words] = None

    @property
    def done(self) -> int:
        """How many bytes have been read on the latest way through."""
        return self._view.at

    def _text(self, newline: str | None) -> io.TextIOWrapper:
        # Bytes that are not UTF-8 come as lone surrogates, so that their line can be named.
        errors = "surrogateescape" if self.encoding == "utf-8-sig" else "strict"
        return io.TextIOWrapper(self._bytes(), self.encoding, errors, newline)

    def lines(self) -> Iterator[Line]:
        """Yield the lines, which end at LF, CR LF or CR; U+2028 and its like are ordinary characters.

        Bytes that are not UTF-8 come as U+FFFD, with a fault. Raises UsageError when the file is damaged, or a line longer than `LONGEST`.
        """
        with self._unpacking():
            text = self._text("")
            for number, whole in enumerate(iter(lambda: text.readline(LONGEST), ""), 1):
                if len(whole) >= LONGEST:
                    raise UsageError(f"{self.path}: line {number:,} is longer than {LONGEST:,} characters", "is it a file of records?")
                body = whole.removesuffix("\n").removesuffix("\r")
                # DOS ended its files with a control character.
                faults, shown = text_faults("" if body == "\x1a" else body, number)
                yield Line(number, shown, whole[len(body) :], faults)

    def chunks(self) -> Iterator[str]:
        """Yield the text in pieces of any length, all line ends as LF. Raises UsageError when the file is damaged."""
        with self._unpacking():
            text = self._text(None)
            while chunk := text.read(HEAD):
                yield chunk

    def stored(self) -> tuple[str, int]:
        """Return the SHA-256 of the file as it is stored, in hexadecimal, and its bytes."""
        view = _View(*self._stored)
        with readable(self.path):
            digest = hashlib.file_digest(io.BufferedReader(view, _BUFFER), "sha256").hexdigest()
            return digest, view.tell()

    def whole(self) -> BinaryIO:
        """Return all bytes, unpacked, as a file in which one can go to any place. Raises UsageError when a packed file is damaged."""
        with self._unpacking():
            self._view = _View(self._file, self._start)
            stream, is_packed = unpacked(self._view)
            if is_packed:
                self._file, self._start = _spooled(self.path, stream), 0
                weakref.finalize(self, self._file.close)
                self.size = os.fstat(self._file.fileno()).st_size
        self._view = _View(self._file, self._start)
        return cast("BinaryIO", io.BufferedReader(self._view, _BUFFER))

    def _bytes(self) -> BinaryIO:
        self._view = _View(self._file, self._start)
        return unpacked(self._view)[0]

    @contextmanager
    def _unpacking(self) -> Iterator[None]:
        with readable(self.path):
            try:
                yield
            except UnicodeDecodeError as error:
                raise UsageError(f"{self.path} begins like {self.encoding} and is not: {error.reason}", "save it as UTF-8") from error
            except (*DAMAGED, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                reason = f"{self.path} is damaged: what is packed in it cannot be unpacked ({error})"
                raise UsageError(reason, "download it or pack it anew") from error


def text_faults(text: str, number: int) -> tuple[tuple[FileFault, ...], str]:
    """Return what is wrong with the characters of a line, and the line as it can be shown."""
    if text.isascii() and "\0" not in text:
        return (), text
    faults = []
    if (nul := text.find("\0")) >= 0:
        faults.append(FileFault(number, "", f"NUL byte at column {nul + 1}"))
    if found := _ESCAPED.search(text):
        byte = ord(found[0]) - 0xDC00
        way_out = "Windows-1252? save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8"
        faults.append(FileFault(number, "", f"not UTF-8: byte 0x{byte:02X} at column {found.start() + 1} ({way_out})"))
        text = _ESCAPED.sub("\ufffd", text)
    return tuple(faults), text


def name_of(path: Path) -> str:
    """Return what a file is called without its folder, which tells of its owner."""
    return "standard input" if str(path) in STDIN else str(path) if is_of_hub(path) else path.name


def located(path: Path) -> Path:
    """Return where the file called `path` is: one of the hub is in its cache. Raises UsageError when it is not."""
    if not is_of_hub(path):
        return sheet_of(path)[0]
    if found := cached(path):
        return found
    raise UsageError(f"{path} is on the hub and not here", f"load it with: studio import POOL {path}")


def sheet_of(path: Path) -> tuple[Path, str]:
    """Return the file, and the sheet of it that `FILE#SHEET` names; no sheet where a file is called so itself."""
    file, mark, sheet = str(path).rpartition("#")
    if mark and file and sheet and not os.path.lexists(path) and os.path.lexists(file):
        return Path(file), sheet
    return path, ""


def is_regular(path: Path) -> bool:
    """Return whether `path` is a plain file, which another look does not use up. Raises UsageError when it is not there."""
    if str(path) in STDIN:
        return False
    with readable(path):
        return stat.S_ISREG(located(path).stat().st_mode)


def _open(path: Path) -> tuple[io.FileIO, int]:
    """Return a file that can be searched, and where in it the text begins."""
    if str(path) in STDIN:
        if sys.stdin is None:
            raise UsageError("there is no standard input", "name a file")
        if sys.stdin in _TAKEN:
            raise UsageError("standard input can be read once", "name it once, or save it to a file")
        _TAKEN.add(sys.stdin)
        try:
            number = os.dup(sys.stdin.fileno())
        except OSError:
            return _spooled(path, sys.stdin.buffer), 0
        source: io.FileIO = io.FileIO(number, "rb")
    else:
        source = io.FileIO(located(path), "rb")
    found = os.fstat(source.fileno())
    if stat.S_ISREG(found.st_mode):
        return source, source.tell()
    with source:
        device = stat.S_ISBLK(found.st_mode) or stat.S_ISCHR(found.st_mode)
        if device and not source.isatty() and found.st_rdev != Path(os.devnull).stat().st_rdev:
            # /dev/zero has no end.
            raise UsageError(f"{path} is a device, not a file of tasks", "name a file or a pipe")
        return _spooled(path, source), 0


def _spooled(path: Path, source: io.RawIOBase | BinaryIO) -> io.FileIO:
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (the input closes it)
    try:
        shutil.copyfileobj(source, copy, _BUFFER)
    except OSError as error:
        copy.close()
        if error.errno is None:
            # What is packed in it cannot be unpacked.
            raise
        place = tempfile.gettempdir()
        raise UsageError(f"{path} cannot be copied to {place}: {error.strerror}", "set TMPDIR to a folder with more space") from error
    except BaseException:
        copy.close()
        raise
    return copy
