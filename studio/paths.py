"""Paths that a user gives, and the studio's own folders in his home: either may be of no use, and is then told or done without."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from studio.errors import StudioError, UsageError
from studio.text import display_line

APP_NAME = "self-instruct-studio"

_LONGEST_SHOWN = 200
_HINTS = {
    errno.EACCES: "this user may not look into a folder on the way: change its permissions, or use another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.ELOOP: "links on the way point at each other",
}


def shown(path: str | Path) -> str:
    """Return `path` as text that is safe to print."""
    return display_line(str(path))


def user_path(given: str | os.PathLike[str], error: type[StudioError] = UsageError) -> Path:
    """Return the path that a user wrote, `~` and `~user` replaced by the home folder meant.

    Whether something is there can be asked of the result without a further error. Raises `error` for a path that no file can have, for
    one that leads through a folder this user may not search, and for a home that nobody has; UsageError for an empty one.
    """
    text = os.fspath(given)
    brief = display_line(text, _LONGEST_SHOWN)
    if not text:
        raise UsageError("a path is empty", "name a file")
    if "\0" in text:
        raise error(f"no file can be called {brief}", "a name cannot hold the character NUL")
    path = _at_home(text, brief, error)
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as refused:
        number = getattr(refused, "errno", 0) or 0
        reason = (getattr(refused, "strerror", "") or str(refused)).lower()
        raise error(f"cannot use the path {brief}: {reason}", _HINTS.get(number, "check the path")) from refused
    return path


def _at_home(text: str, brief: str, error: type[StudioError]) -> Path:
    path = Path(text)
    if not text.startswith("~"):
        return path
    first = path.parts[0]
    try:
        return path.expanduser()
    except RuntimeError as unknown:
        if first == "~":
            raise error(f"{brief}: there is no home folder here, HOME is not set", "write the whole path") from unknown
        if os.path.lexists(first):
            return path
        no_user = f"{brief}: there is no user {display_line(first[1:])!r} on this machine"
        raise error(no_user, f"a file of that name is written ./{brief}") from unknown


Kind = Literal["cache", "config", "data", "log", "state"]


def app_folder(kind: Kind) -> Path:
    """Return the studio's own folder of that kind; it may not be there.

    Always absolute: where nobody knows this user's home, as in a container, it is a place where nothing can be made, as a home that
    cannot be written is, and never a folder named `~` in the working directory.
    """
    import platformdirs

    # Without a home some versions of platformdirs raise and others name a folder `~`.
    with suppress(RuntimeError, OSError):
        found: Path = getattr(platformdirs, f"user_{kind}_path")(APP_NAME)
        if found.is_absolute():
            return found
    return Path(os.devnull) / APP_NAME
