"""The real program in a terminal of its own: a pseudo-terminal, its keys, and the screen that a terminal would show."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

from support.command import STUDIO, clean_environment

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "end": "\x1b[F",
    "home": "\x1b[H",
    "f1": "\x1bOP",
    "ctrl+o": "\x0f",
    "ctrl+s": "\x13",
}
"""What a terminal sends for keys that are no character; all others stand for themselves."""

_LOOK_S = 0.2
_SILENCE_S = 600.0
"""A program that prints nothing for so long is taken to hang; no test asks how fast it is."""


class Terminal:
    """`studio` with arguments in a pseudo-terminal of `size` columns and lines, with a home folder of its own in `folder`."""

    def __init__(self, folder: Path, arguments: Sequence[str | Path], size: tuple[int, int] = (80, 24), **environment: str) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        own = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        given = clean_environment(**own, **environment)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        command = [*STUDIO, *map(str, arguments)]
        self._process = subprocess.Popen(
            command, cwd=folder, env=given, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the program if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._master >= 0:
            os.close(self._master)

    @property
    def text(self) -> str:
        """What the screen shows, line by line."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def press(self, *keys: str) -> None:
        """Send keys as a terminal does; `\udc80` to `\udcff` stand for bytes that are no UTF-8."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode(errors="surrogateescape"))

    def until(self, condition: str | Callable[[str], bool]) -> str:
        """Let the program go on until its screen shows a text or a condition is fulfilled, and return the screen.

        A condition may be about more than the screen, so it is looked at again where nothing is printed.
        """
        holds = condition if callable(condition) else lambda text: condition in text
        latest = time.monotonic() + _SILENCE_S
        while not holds(self.text):
            if self.read(_LOOK_S):
                latest = time.monotonic() + _SILENCE_S
            elif time.monotonic() > latest or (self._process.poll() is not None and not self.read(0) and not holds(self.text)):
                raise AssertionError(f"this never came: {condition!r}\n{self.text}")
        return self.text

    def read(self, timeout: float = _SILENCE_S) -> bool:
        """Take in what it prints next; False when it has ended or prints nothing for `timeout` seconds."""
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # Linux says so when the other side has been closed.
            return False
        self._stream.feed(data)
        return bool(data)

    def ended(self) -> int:
        """Wait for the end of the program and return its exit code."""
        while self.read(1.0) or self._process.poll() is None:
            pass
        return self._process.wait()

    def vanish(self) -> int:
        """Take the terminal away from under the program, as a window that is closed does; return its exit code."""
        os.close(self._master)
        self._master = -1
        return self._process.wait()

    def interrupt(self) -> None:
        """Send SIGINT, as `kill -INT` does; Ctrl-C is a key like others."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the program as a power cut does: it cannot do anything more."""
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL

    def answer_time(self, key: str) -> float:
        """Press a key and return the seconds until the screen has changed."""
        before, start = self.text, time.perf_counter()
        self.press(key)
        while self.text == before:
            if not self.read():
                raise AssertionError(f"{key} changed nothing\n{self.text}")
        return time.perf_counter() - start
