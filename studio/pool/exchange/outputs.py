"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from studio.errors import PoolError, UsageError
from studio.paths import shown

_HINTS = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "your disk quota is used up: free some space, or write to another disk",
    errno.EFBIG: "the file grew larger than this system allows",
    errno.ENOENT: "make the folder first",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "the disk is read-only: choose another with -o",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write `path` into a PoolError that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise PoolError(f"cannot write {shown(path)}: {reason.lower()}", _HINTS.get(error.errno or 0, "")) from error


def check_is_file(path: Path) -> None:
    """Raise UsageError when `path` is a folder."""
    if path.is_dir():
        raise UsageError(f"{shown(path)} is a folder, not a file", "name a file in it with -o")


def check_is_not_pool(path: Path, pool: Path) -> None:
    """Raise UsageError when `path` is the pool or one of the files that SQLite and the lock keep beside it."""
    own = {os.path.realpath(f"{pool}{ending}") for ending in ("", "-wal", "-shm", "-journal", ".lock")}
    if os.path.realpath(path) in own:
        raise UsageError(f"{shown(path)} is the pool itself", "name another file with -o")


def refuse_existing(path: Path, pool: Path, force: bool) -> None:
    """Raise UsageError when `path` is a folder, the pool itself, or a file that is there already and not to be replaced.

    Raises PoolError when there is no folder for it: so that this is said before the work and not after it.
    """
    with writing(path):
        check_is_file(path)
        check_is_not_pool(path, pool)
        if not force and os.path.lexists(path) and _is_replaced(path):
            raise UsageError(f"{shown(path)} is there already", "name another file, or replace it with --force")
        Path(os.path.realpath(path)).parent.stat()


@contextmanager
def complete_files(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Open a temporary file beside each of `paths`; when the block ends well they all take their places, otherwise none does.

    A path that is a device or a pipe is written directly; a symbolic link stays and what it points to is replaced. Raises PoolError when
    one cannot be written; whatever was there before is then still there.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(_temporary(path)) for path in paths]
        yield [file for file, _ in opened]
        for path, (file, _) in zip(paths, opened, strict=True):
            with writing(path):
                file.flush()
                if _is_replaced(path):
                    os.fsync(file.fileno())
                file.close()
        for path, (_, temporary) in zip(paths, opened, strict=True):
            if temporary is not None:
                with writing(path):
                    temporary.replace(os.path.realpath(path))


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block ends well. Raises PoolError when it cannot be written."""
    with complete_files([path]) as (file,), writing(path):
        yield file


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[BinaryIO, Path | None]]:
    if not _is_replaced(path):
        with writing(path):
            device = path.open("wb")
        with _closed_quietly(device):
            yield device, None
        return
    temporary = Path(os.path.realpath(path)).with_name(f".studio-{secrets.token_hex(6)}.part")
    with writing(path):
        file = temporary.open("xb")
    try:
        with _closed_quietly(file):
            yield file, temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _closed_quietly(file: BinaryIO) -> Iterator[None]:
    """Close `file` at the end. That flushes it: on a full disk it fails a second time, after the failure that matters."""
    try:
        yield
    finally:
        with suppress(OSError):
            file.close()


def _is_replaced(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
