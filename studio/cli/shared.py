"""What commands have in common: the standard streams, the paths and engine flags they take, what they print, and a progress bar."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import click

from studio.engine.options import FLAGS, EngineOptions, Flag, flag_of
from studio.errors import ExitCode, PoolError, StudioError, UsageError
from studio.paths import user_path
from studio.text import display_json, display_line

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import RenderableType


_ERRORS = "studio"
_ASCII = "studio_ascii"
# What the studio draws with, in ASCII. Every other character that a stream has no bytes for is escaped as in JSON.
_DRAWN = "·•–—“”‘’→▸▶←↑↓─━│┼┿├└█■●▉▊▋░▌▍▎▏▼○◌✓✗"
_DRAWN_PLAINLY = "-*--\"\"''>>><^v--|++++##*###.::::vo.+x"
_PLAIN = dict(zip(_DRAWN, _DRAWN_PLAINLY, strict=True)) | {"…": "...", "≤": "<=", "≥": ">="}


class OutputError(StudioError):
    """What a command prints cannot be written."""


class ReaderLeft(StudioError):
    """Whoever read what a command prints went away, as `head` does. No BrokenPipeError, of which click makes exit code 1."""

    exit_code = ExitCode.CLOSED_PIPE


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
    if isinstance(raw, _Narration):
        # Without a buffer that, interrupted while it is written, would be written again.
        return io.TextIOWrapper(cast("BinaryIO", raw), encoding, errors, line_buffering=True)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=raw.isatty())


def takes_unicode() -> bool:
    """Whether stdout has bytes for every character."""
    return (getattr(sys.stdout, "encoding", "") or "utf-8").lower().startswith("utf")


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderLeft("stdout is closed") from error
        except OSError as error:
            reason = "it is closed" if error.errno == errno.EBADF else (error.strerror or str(error)).lower()
            raise OutputError(f"cannot write to stdout: {reason}", "what was printed is not complete") from error


class _Narration(io.FileIO):
    """Nobody can be told that stderr is full, and no work is given up for it."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderLeft("stderr is closed") from error
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


class UserPath(click.Path):
    """A path as a user writes it, see `studio.paths.user_path`; `error` is what is raised for one that cannot be used."""

    def __init__(self, error: type[StudioError]) -> None:
        super().__init__(path_type=Path)
        self._error = error

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002  (click's signature)
        return user_path(value, self._error)


class _Target(UserPath):
    """A file to write, or `-` for stdout, as text."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "-" if value == "-" else str(super().convert(value, param, ctx))


POOL = UserPath(PoolError)
"""A pool, whether it is there already or not."""
INPUT = UserPath(UsageError)
"""A file to read."""
OUTPUT = UserPath(PoolError)
"""A file to write."""
TARGET = _Target(PoolError)
"""A file to write, or `-` for stdout."""


def print_json(value: Any) -> None:
    """Print `value` as one line of JSON that is harmless and valid in any encoding: escaped where stdout lacks characters."""
    click.echo(display_json(json.dumps(value, ensure_ascii=not takes_unicode())))


def print_tables(tables: RenderableType, *, soft_wrap: bool = False) -> None:
    """Print what rich draws, its texts taken as they are; `soft_wrap` leaves long lines to the terminal."""
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(tables, soft_wrap=soft_wrap)


def print_figures(plain: Mapping[str, Any], tables: Callable[[], RenderableType], as_json: bool, *, soft_wrap: bool = False) -> None:
    """Print `plain` as one line of JSON, or else what `tables` makes."""
    if as_json:
        print_json(plain)
    else:
        print_tables(tables(), soft_wrap=soft_wrap)


def in_columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """Yield rows of cells as lines with columns of equal width, two spaces apart; those of `right` stand on the right of theirs."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(cells)).rstrip()


def write_text(text: str, path: Path) -> int:
    """Write a whole file in UTF-8, or nothing, and return its bytes. Raises PoolError when it cannot be written."""
    from studio.pool.exchange.outputs import complete_file

    content = text.encode()
    with complete_file(path) as file:
        file.write(content)
    return len(content)


def write_lines(lines: Iterable[Mapping[str, Any]], target: str) -> int:
    """Write `lines` to `target`, `-` being stdout, and return how many they were. Raises PoolError when the file cannot be written."""
    from studio.pool.exchange.export import encode_line
    from studio.pool.exchange.outputs import complete_file

    count = 0
    with nullcontext(sys.stdout.buffer) if target == "-" else complete_file(Path(target)) as file:
        for line in lines:
            file.write(encode_line(line))
            count += 1
        file.flush()
    return count


_BESIDE_THE_BAR = 60
"""Characters of what is being done: it may name a file."""


@contextmanager
def progress_bar(*, of_bytes: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that takes what is being done, how many of how many are done; `of_bytes` shows sizes and the speed as well.

    Another `what` gets another bar in the place of the last one; the bar is gone when the block ends. A total of 0 means that nobody knows.
    """
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    sizes = (DownloadColumn(), Speed()) if of_bytes else ()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), *sizes, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        known: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in known:
                known[what] = bars.add_task(display_line(what, _BESIDE_THE_BAR), total=total or None, visible=False)
            if not bars.tasks[bars.task_ids.index(known[what])].visible:
                for each in known.values():
                    bars.update(each, visible=each == known[what])
            bars.update(known[what], completed=done)

        yield report


Command = TypeVar("Command", bound=Callable[..., Any])


def _engine_option(name: str, flag: Flag) -> Callable[[Any], Any]:
    kind: click.ParamType[Any] = click.STRING
    if flag.words:
        kind = click.Choice([*flag.words])
    elif flag.is_number:
        kind = click.IntRange(flag.least, flag.most)
    words = f"{flag.help[0].upper()}{flag.help[1:]}. [{flag.usual}]"
    return click.option(flag_of(name), type=kind, metavar=None if flag.words else flag.kind, help=words)


JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
JSON_AT_END = click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")


def engine_flags(command: Command) -> Command:
    """Give a command these flags; those that are not used come as None."""
    return with_options(command, [_engine_option(name, flag) for name, flag in FLAGS.items()])


def with_options(command: Command, options: Collection[Callable[[Any], Any]]) -> Command:
    """Give a command these options, in this order in its help."""
    return reduce(lambda flagged, option: option(flagged), reversed([*options]), command)


def taken_options(values: dict[str, Any], **more: Any) -> EngineOptions:
    """Return the options that the flags among `values` ask for, and `more`; they are taken out. Raises UsageError."""
    asked = {name: values.pop(name) for name in FLAGS}
    return EngineOptions(**{name: value for name, value in asked.items() if value is not None}, **more)
