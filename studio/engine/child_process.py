"""Starts the model's process and exchanges messages with it; knows nothing of batches."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import platformdirs

from studio.engine import wire
from studio.engine.identity import APP_NAME

CHILD_COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "studio.engine.child")
"""`-P` keeps files of the working folder from being imported in place of the studio's."""
_READ_BYTES = 1 << 16
_CLOSE_S = 2.0
_KEEP_LOGS_S = 7 * 24 * 3600.0


class ChildDied(Exception):
    """The model's process has ended; the text says how."""


class ChildProcess:
    """One running process of the model. Its chatter goes to the file `log`, never to the terminal; Ctrl-C does not reach it."""

    def __init__(self, command: Sequence[str] = CHILD_COMMAND) -> None:
        self.log = _new_log()
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                start_new_session=True,
                # A crash should end the process at once, not start a debugger on it.
                env={**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONUNBUFFERED": "1"},
                bufsize=0,
            )
        self._decoder = wire.Decoder()
        self._ready: list[wire.Message] = []

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, message: wire.Message) -> None:
        """Write one message. Raises ChildDied."""
        pipe = _pipe(self._process.stdin)
        data = memoryview(wire.encode(message))
        try:
            while data:
                data = data[os.write(pipe, data) :]
        except OSError as error:
            raise ChildDied(self._cause()) from error

    def receive(self, timeout_s: float) -> wire.Message | None:
        """Return the next message, or None when none has come in time. Raises ChildDied once the process is gone and all is read."""
        if not self._ready:
            pipe = _pipe(self._process.stdout)
            if not select.select([pipe], [], [], timeout_s)[0]:
                return None
            data = os.read(pipe, _READ_BYTES)
            if not data:
                raise ChildDied(self._cause())
            self._ready.extend(self._decoder.feed(data))
        return self._ready.pop(0) if self._ready else None

    def last_lines(self, count: int) -> str:
        """Return the last lines of the log on one line, for an error's hint."""
        with contextlib.suppress(OSError):
            # Python's own account of a crash comes last and is long; what matters stands before it.
            lines = self.log.read_text("utf-8", "replace").split("Fatal Python error", 1)[0].splitlines()
            if lines:
                return f"the end of {self.log}: " + " / ".join(line.strip() for line in lines[-count:])
        return "its log is empty"

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self._process.kill()

    def close(self, *, keep_log: bool = False) -> None:
        """End the process and free its pipes. Safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if not keep_log:
            with contextlib.suppress(OSError):
                self.log.unlink(missing_ok=True)

    def _cause(self) -> str:
        """Return how the process ended, waiting for it."""
        try:
            status = self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "it closed its pipe"
        if status >= 0:
            return f"it ended with status {status}"
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"


def _pipe(stream: IO[bytes] | None) -> int:
    if stream is None or stream.closed:
        raise ChildDied("it was closed")
    return stream.fileno()


def log_folder() -> Path:
    """The folder of the model process's logs."""
    return Path(platformdirs.user_log_dir(APP_NAME))


def _new_log() -> Path:
    """Return a new empty log file, in the temporary folder where the proper one cannot be written; week-old logs are removed."""
    folder = log_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("engine-*.log"):
            if time.time() - old.stat().st_mtime > _KEEP_LOGS_S:
                old.unlink(missing_ok=True)
        descriptor, name = tempfile.mkstemp(".log", "engine-", folder)
    except OSError:
        descriptor, name = tempfile.mkstemp(".log", "engine-")
    os.close(descriptor)
    return Path(name)
