"""Keeps the evaluated state of few-shot templates on disk between runs. A cache: whatever goes wrong here costs time, never a run."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.paths import app_folder

State = ctypes.Array[ctypes.c_uint8]

SWITCH = "STUDIO_PREFIX_CACHE"
"""The environment variable that turns the cache off."""
BUDGET_BYTES = 2 << 30
_LEAST_FREE_BYTES = 1 << 30
"""Room the disk keeps for others."""
_SLOW_DISK_BYTES_PER_S = 100e6
_WORTH = 4.0
"""How many times slower than reading its state an evaluation must have been for the state to be stored."""
_LEAST_SECONDS = 0.5
"""What is evaluated quicker than this is not worth a file."""
_MAGIC = b"studio prefix 1\n"
_DIGEST_BYTES = 32
_ABANDONED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What is stored."""

    files: int
    bytes: int


def open_store(environment: Mapping[str, str] | None = None) -> PrefixStore | None:
    """Return the user's store, or None where `STUDIO_PREFIX_CACHE` says `off`."""
    words = os.environ if environment is None else environment
    if words.get(SWITCH, "").strip().lower() in ("off", "0", "no", "false"):
        return None
    return PrefixStore(store_folder())


def store_folder() -> Path:
    """The folder of the stored states."""
    return app_folder("cache") / "prefixes"


def worth_storing(seconds: float, size: int) -> bool:
    """Whether a state of `size` bytes that took `seconds` to evaluate should be stored: reading it, from a slow disk, is far quicker."""
    return seconds > max(_LEAST_SECONDS, _WORTH * size / _SLOW_DISK_BYTES_PER_S)


def state_key(fingerprint: str, tokens: Sequence[int]) -> str:
    """Return the name of a state: the hash of everything it depends on. `fingerprint` stands for model, library, device and context."""
    text = f"{fingerprint}\n{','.join(map(str, tokens))}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class PrefixStore:
    """States by their keys, a file each, the least recently used ones removed first once they take more than `budget` bytes.

    A file appears complete or not at all; one that is damaged is removed when it is met. Files are readable by their owner alone.
    """

    def __init__(self, folder: Path, budget: int = BUDGET_BYTES) -> None:
        self.folder = folder
        self._budget = budget

    def load(self, key: str) -> State | None:
        """Return the state stored under `key`, counted as used now, or None."""
        path = self._path(key)
        try:
            state = _read(path, key)
        except FileNotFoundError:
            return None
        except (OSError, MemoryError):
            state = None
        if state is None:
            self.remove(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return state

    def save(self, key: str, state: State) -> None:
        """Store `state` under `key`, if there is room for it."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            size = len(state)
            if size > self._budget or shutil.disk_usage(self.folder).free < size + _LEAST_FREE_BYTES:
                return
            self._make_room(size)
            self._write(key, state)

    def remove(self, key: str) -> None:
        """Remove the state of `key`, if it can be."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def usage(self) -> Usage:
        """Count what is stored."""
        sizes = [size for _, size, _ in self._files()]
        return Usage(len(sizes), sum(sizes))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.state"

    def _write(self, key: str, state: State) -> None:
        beside = self.folder / f"{key}.{os.getpid()}.partial"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0) as file:  # noqa: PTH123
                for part in (_MAGIC, _digest(key, state), memoryview(state).cast("B")):
                    left = memoryview(part)
                    while left:
                        left = left[file.write(left) :]
            beside.replace(self._path(key))
        finally:
            beside.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        files = sorted(self._files())
        held = size + sum(each for _, each, _ in files)
        for _, each, path in files:
            if held <= self._budget:
                break
            path.unlink(missing_ok=True)
            held -= each
        for path in self.folder.glob("*.partial"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield (when it was used last, its size, where it is) of each stored state."""
        with contextlib.suppress(OSError):
            for path in self.folder.glob("*.state"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime_ns, status.st_size, path


def _digest(key: str, state: State) -> bytes:
    digest = hashlib.sha256(key.encode("ascii"))
    digest.update(state)
    return digest.digest()


def _read(path: Path, key: str) -> State | None:
    """Return the state in a file, None when the file is damaged. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size - len(_MAGIC) - _DIGEST_BYTES
        if size <= 0 or file.read(len(_MAGIC)) != _MAGIC:
            return None
        digest = file.read(_DIGEST_BYTES)
        state = (ctypes.c_uint8 * size)()
        view = memoryview(state).cast("B")
        while view and (count := file.readinto(view)):
            view = view[count:]
    return state if not view and _digest(key, state) == digest else None
