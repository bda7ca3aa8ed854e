"""What can be wrong with a file of tasks, how it is told, and what came of one record of it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.errors import UsageError
from studio.records import SeedTask
from studio.text import display_line


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
    in which half a character was replaced. `raw` is the record as it was read.
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
