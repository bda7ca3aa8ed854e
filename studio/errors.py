"""The errors a user can meet: each names the thing and the place, says what to do next, and carries its exit code."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path

_HERE = Path(__file__).parent


class ExitCode(IntEnum):
    """What the process returns; part of the public interface."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    MODEL = 3
    POOL = 4
    STALLED = 5
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    """Whoever read stdout went away: what a shell says of a program that SIGPIPE ends."""


class StudioError(Exception):
    """An error with a cause a user can act upon.

    `message` names the thing and the place in one line; `hint` is the next step, or empty.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def words(self, between: str = ": ") -> str:
        """Return both in one line, the message alone where there is no hint."""
        return between.join(filter(None, (self.message, self.hint)))


class UsageError(StudioError):
    """An option, setting or input file that cannot be used as given."""

    exit_code = ExitCode.USAGE


class ModelError(StudioError):
    """A model that is missing, broken, or does not fit what is asked of it."""

    exit_code = ExitCode.MODEL


class PoolError(StudioError):
    """A pool, or a file written from one, that cannot be opened, read or written."""

    exit_code = ExitCode.POOL


class PoolInUse(PoolError):
    """A pool that another process is writing."""


class Stalled(StudioError):
    """The stop rule ended a run that yields nothing new; what it yielded before is kept."""

    exit_code = ExitCode.STALLED


class Interrupted(StudioError):
    """The user stopped the work; everything up to the last committed stage is kept."""

    exit_code = ExitCode.INTERRUPTED


def unexpected(error: BaseException) -> StudioError:
    """Return a `StudioError` as it is; for one that nobody foresaw, what says what happened and at which line of the studio's own."""
    if isinstance(error, StudioError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_HERE)] or frames
    place = f" at {Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}" if own else ""
    words = f"something unexpected happened: {type(error).__name__}: {error}{place}"
    return StudioError(words, "what was committed before is kept; please report this if it comes again")


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of, the innermost last."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            for inner in seen.exceptions:
                yield from causes_of(inner)
        seen = seen.__cause__ or seen.__context__


def nearest_name(wrong: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to `wrong`, or lists them all when none is near."""
    names = sorted(set(known))
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(names)


def missing_extra(done: str, extra: str) -> UsageError:
    """Return the error for what is `done` with packages of an extra that are not installed, and how to install them."""
    return UsageError(
        f"{done} with packages that are not installed",
        f"pip install 'self-instruct-studio[{extra}]'; in a checkout: uv sync --extra {extra}",
    )
