"""What can be wrong with a file of tasks, and how it is told."""

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
    """One fault of a file. `line` counts from 1, 0 is the file as a whole; `field` is empty where the fault is the whole line's."""

    line: int
    field: str
    fault: str

    def at(self, path: Path) -> str:
        """Return the fault as one harmless line: `FILE:LINE: field: fault`."""
        parts = [f"{path}:{self.line}" if self.line else str(path), self.field, self.fault]
        return display_line(": ".join(part for part in parts if part))


@dataclass(frozen=True, slots=True)
class ParsedTask:
    """What one record of a file gave: a task, or the reasons why there is none. `line` is where the record begins."""

    line: int
    task: SeedTask | None
    faults: tuple[FileFault, ...] = ()


def faulty_file(path: Path, faults: Sequence[FileFault], hint: str) -> UsageError:
    """Return the error for a file with `faults` (at least one): the first of them and how many more there are."""
    more = len(faults) - 1
    rest = f" (and {more} more {'fault' if more == 1 else 'faults'})" if more else ""
    return UsageError(faults[0].at(path) + rest, hint)


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
