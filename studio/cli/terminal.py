"""The three standard streams: whether they are a terminal, and what becomes of text that they cannot take."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import sys
from typing import TYPE_CHECKING

from studio.errors import StudioError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ERRORS = "studio"
_ASCII = "studio_ascii"
# What the studio draws with, in ASCII. Every other character that a stream has no bytes for is escaped as in JSON.
_DRAWN = "·•–—“”‘’→▸▶←↑↓─━│┼┿├└█■●▉▊▋░▌▍▎▏▼○◌✓✗"
_DRAWN_PLAINLY = "-*--\"\"''>>><^v--|++++##*###.::::vo.+x"
_PLAIN = dict(zip(_DRAWN, _DRAWN_PLAINLY, strict=True)) | {"…": "...", "≤": "<=", "≥": ">="}


class OutputError(StudioError):
    """What a command prints cannot be written."""


def is_terminal() -> bool:
    """Return whether keys come from a terminal and everything printed goes to one, or a server shows the studio in a browser.

    `textual serve` talks to the studio through pipes and names its driver in the environment.
    """
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def prepare_streams() -> None:
    """Make the standard streams of this process take whatever is printed, and tell a full disk under stdout as an OutputError.

    A stream that whoever called has closed is opened again as one that refuses every byte: a file, the pool for one, must not get its
    number, nor the chatter of a library that is printed there. Streams that are no longer the process's own are left alone.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    if _is_own(sys.stdout, 1):
        sys.stdout = text_stream(_Output(1, "wb", closefd=False), *_chosen(sys.stdout))
    if _is_own(sys.stderr, 2):
        sys.stderr = text_stream(_Narration(2, "wb", closefd=False), *_chosen(sys.stderr))


def finish_output() -> None:
    """Write what is still held back for stdout. Raises OutputError, BrokenPipeError."""
    sys.stdout.flush()


def give_up_output() -> None:
    """Let what Python still holds back for stdout vanish, after the error that stood for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def text_stream(raw: io.RawIOBase, encoding: str, errors: str = _ERRORS) -> io.TextIOWrapper:
    """Return a stream for text over `raw` that stops at no character, a line at a time where somebody watches."""
    codecs.register_error(_ERRORS, _escaped)
    if codecs.lookup(encoding).name == "ascii":
        # click takes a stream called ASCII for a mistake and writes UTF-8 on it; by another name it is left alone.
        codecs.register(_ascii)
        encoding = _ASCII
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=isinstance(raw, _Narration) or raw.isatty())


def takes_unicode() -> bool:
    """Whether stdout has bytes for every character."""
    return (getattr(sys.stdout, "encoding", "") or "utf-8").lower().startswith("utf")


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = "it is closed" if error.errno == errno.EBADF else (error.strerror or str(error)).lower()
            raise OutputError(f"cannot write to stdout: {reason}", "what was printed is not complete") from error


class _Narration(io.FileIO):
    """Nobody can be told that stderr is full, and no work is given up for it."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:
            return memoryview(data).nbytes


def _is_own(stream: object, number: int) -> bool:
    """Whether `stream` is Python's own for that descriptor: a test's, say, has none. None stands for one that was closed."""
    if stream is None:
        return True
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except (OSError, ValueError):
        return False


def _chosen(stream: object) -> tuple[str, str]:
    """The encoding that Python found for `stream`, and what is to become of characters that it lacks."""
    if not isinstance(stream, io.TextIOWrapper):
        return "utf-8", _ERRORS
    # Python's own choices end in an error or in bytes of no encoding; what a user chose by PYTHONIOENCODING stands.
    errors = stream.errors or "strict"
    return stream.encoding, _ERRORS if errors in ("strict", "surrogateescape", "backslashreplace") else errors


def _ascii(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(known.encode, known.decode, name=_ASCII, incrementalencoder=known.incrementalencoder)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or json.dumps(character)[1:-1] for character in text), error.end
