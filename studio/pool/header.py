"""Is this file a pool? Answered from its first bytes, so that a foreign file is never handed to SQLite, let alone changed."""

from __future__ import annotations

import stat
from pathlib import Path

from studio.errors import PoolError
from studio.paths import shown
from studio.pool import schema

# https://www.sqlite.org/fileformat.html section 1.3: 100 bytes, big-endian.
_SIZE = 100
_MAGIC = b"SQLite format 3\x00"
_USER_VERSION = slice(60, 64)
_APPLICATION_ID = slice(68, 72)

_NAME_A_POOL = "name a pool made by `studio run`, or a new file to make one"


def resolved(path: Path) -> Path:
    """Return the absolute path behind `path`, so that all its names share one lock. Raises PoolError for a loop of links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PoolError(
            f"cannot read {shown(path)}: {reason.lower()}", "check the path, and that the working directory is still there"
        ) from error


def check_header(path: Path) -> int:
    """Return the schema version that the pool file at `path` states.

    Raises PoolError when there is no such file, when it cannot be read, is no pool, or is of a newer version than this studio knows.
    """
    head = _head(path)
    if not head:
        raise PoolError(f"{shown(path)} is empty, not a pool", "delete it, or name another file")
    if len(head) < _SIZE or not head.startswith(_MAGIC):
        raise PoolError(f"{shown(path)} is not a pool: it is no SQLite database", _NAME_A_POOL)
    if int.from_bytes(head[_APPLICATION_ID]) != schema.APPLICATION_ID:
        raise PoolError(f"{shown(path)} is a SQLite database of another program, not a pool", _NAME_A_POOL)
    version = int.from_bytes(head[_USER_VERSION])
    check_version(path, version)
    return version


def check_version(path: Path, version: int) -> None:
    """Raise PoolError when a pool of schema `version` is newer than this studio."""
    known = len(schema.MIGRATIONS)
    if version > known:
        raise PoolError(
            f"pool {shown(path)} has version {version}, this studio knows versions up to {known}",
            "it was written by a newer studio: upgrade self-instruct-studio",
        )


def _head(path: Path) -> bytes:
    try:
        # A named pipe would block for ever when opened.
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder, not a pool" if path.is_dir() else "no file, but a device or a pipe"
            raise PoolError(f"{shown(path)} is {what}", "name the pool's file")
        with path.open("rb") as file:
            return file.read(_SIZE)
    except FileNotFoundError as error:
        raise PoolError(f"there is no pool at {shown(path)}", "`studio run POOL` makes one") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PoolError(f"cannot read {shown(path)}: {reason}", "check the path and its permissions") from error
