"""How long the terminal studio takes from the start of its process to its first frame, in a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from studio.errors import StudioError
from studio.text import display_line

COLUMNS, LINES = 120, 40
HEADER = b"Insight"
"""The header's last label: a frame that has it was drawn whole."""
RUNS = 5
_PATIENCE_S = 120.0
_LEAVING_S = 10.0
_PIECE = 1 << 16


def measure_first_frame(pool: Path, runs: int = RUNS) -> float | None:
    """Return the median of `runs` starts, in seconds, on the pool at `pool` with the scripted model.

    None where there are no pseudo-terminals. One start before them reads the files from the disk. Raises StudioError when the studio
    ends before it has drawn anything.
    """
    if os.name != "posix":
        return None
    command = (sys.executable, "-m", "studio", "run", str(pool), "--model", "scripted")
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as state:
        # The list of recent pools is the user's own.
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state}
        return median([time_to(HEADER, command, environment) for _ in range(runs + 1)][1:])


def time_to(awaited: bytes, command: Sequence[str], environment: dict[str, str]) -> float:
    """Return the seconds from the start of `command` until it has written `awaited` to its terminal; it is ended then.

    Raises StudioError when it ends first, with the end of what it wrote.
    """
    began = time.perf_counter()
    with _in_terminal(command, environment) as (process, terminal):
        written = b""
        while awaited not in written:
            piece = _read(terminal, _PATIENCE_S - (time.perf_counter() - began))
            if not piece:
                late = time.perf_counter() - began >= _PATIENCE_S
                raise _silent(command, f"had not drawn its header after {_PATIENCE_S:.0f} s" if late else "ended", written)
            # What is awaited may come in two pieces.
            written = written[-_PIECE:] + piece
        seconds = time.perf_counter() - began
        _leave(process, terminal)
    return seconds


def _silent(command: Sequence[str], why: str, written: bytes) -> StudioError:
    end = display_line(written[-300:].decode(errors="replace"))
    return StudioError(f"{Path(command[0]).name} {' '.join(command[1:])} {why}", f"it wrote: {end}" if end else "it wrote nothing")


@contextmanager
def _in_terminal(command: Sequence[str], environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run `command` in a pseudo-terminal of `COLUMNS` by `LINES`; whatever is left of it at the end is killed."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        yield process, ours
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


def _leave(process: subprocess.Popen[bytes], terminal: int) -> None:
    """Press q, and read on for as long as the studio takes to close its pool, so that it never waits for the terminal."""
    os.write(terminal, b"q")
    deadline = time.perf_counter() + _LEAVING_S
    while process.poll() is None and time.perf_counter() < deadline:
        _read(terminal, 0.05)


def _read(terminal: int, patience_s: float) -> bytes:
    """Return what comes within `patience_s` seconds; nothing when nothing does, or when the terminal has no writer any more."""
    ready, _, _ = select.select([terminal], [], [], max(patience_s, 0.0))
    if not ready:
        return b""
    try:
        return os.read(terminal, _PIECE)
    except OSError:
        return b""
