"""A program in a pseudo-terminal of its own: its keys, and what it writes to the screen."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from studio.errors import StudioError
from studio.text import display_line

COLUMNS, LINES = 120, 40
PATIENCE_S = 120.0
LEAVING_S = 10.0
_PIECE = 1 << 16


class Terminal:
    """What a terminal emulator sees of a program. All times are those of `time.perf_counter`, in seconds."""

    def __init__(self, command: Sequence[str], process: subprocess.Popen[bytes], master: int) -> None:
        self._command = command
        self._process = process
        self._master = master
        self._written = b""

    @property
    def process_id(self) -> int:
        """The program's process."""
        return self._process.pid

    def press(self, keys: bytes) -> float:
        """Send keys as a terminal does, and return the time just before. What was written so far no longer counts for `until`."""
        self._written = b""
        began = time.perf_counter()
        os.write(self._master, keys)
        return began

    def until(self, awaited: bytes, patience_s: float = PATIENCE_S) -> float:
        """Read until the program has written `awaited` since the last key, and return the time when it had.

        Raises StudioError when it ends first or takes longer than `patience_s`, with the end of what it wrote.
        """
        deadline = time.perf_counter() + patience_s
        while awaited not in self._written:
            piece = self._read(deadline - time.perf_counter())
            if not piece:
                late = time.perf_counter() >= deadline
                why = f"had not written {awaited.decode()!r} after {patience_s:.0f} s" if late else "ended"
                raise self._failed(why)
            # What is awaited may come in two pieces.
            self._written = self._written[-_PIECE:] + piece
        return time.perf_counter()

    def watch(self, seconds: float) -> None:
        """Take in what it writes for so long, as a terminal does: a program whose terminal is full waits."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self._written = self._written[-_PIECE:] + self._read(left)

    def leave(self, keys: bytes = b"\x11\x11") -> None:
        """Press the keys that quit at once, and read on for as long as the program takes to close what it has open."""
        os.write(self._master, keys)
        deadline = time.perf_counter() + LEAVING_S
        while self._process.poll() is None and time.perf_counter() < deadline:
            self._read(0.05)

    def _failed(self, why: str) -> StudioError:
        end = display_line(self._written[-300:].decode(errors="replace"))
        name = f"{Path(self._command[0]).name} {' '.join(self._command[1:])}"
        return StudioError(f"{name} {why}", f"it wrote: {end}" if end else "it wrote nothing")

    def _read(self, patience_s: float) -> bytes:
        """Return what comes within `patience_s` seconds; nothing when nothing does, or when the terminal has no writer any more."""
        ready, _, _ = select.select([self._master], [], [], max(patience_s, 0.0))
        if not ready:
            return b""
        try:
            return os.read(self._master, _PIECE)
        except OSError:
            return b""


@contextmanager
def in_terminal(command: Sequence[str], environment: Mapping[str, str], size: tuple[int, int] = (COLUMNS, LINES)) -> Iterator[Terminal]:
    """Run `command` in a pseudo-terminal of `size` columns and lines; whatever is left of it at the end is killed.

    POSIX only.
    """
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        yield Terminal(command, process, ours)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
