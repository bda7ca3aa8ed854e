"""Starts the model's process and exchanges messages with it: lists of JSON objects over one pipe. Knows nothing of batches."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

from studio.engine.api import Chat, Completion, EngineEvent, EngineInfo, Finished, FinishReason, Request, SamplingParams, TextPiece
from studio.engine.llama.log import number_tried, speaks_of_memory
from studio.paths import app_folder
from studio.records import ModelIdentity

Message = dict[str, Any]


def pack(messages: Sequence[Message]) -> bytes:
    """Return the bytes of messages that travel together. Lone surrogates travel as JSON escapes."""
    return json.dumps(messages, separators=(",", ":")).encode("ascii")


def unpack(data: bytes) -> list[Message]:
    """Return the messages that `pack` put together. Raises ValueError."""
    messages: list[Message] = json.loads(data)
    return messages


def request_of(message: Message) -> Request:
    """Return the request of which the message has all fields."""
    params = dict(message["params"])
    params |= {"stop": tuple(params["stop"]), "choices": tuple(params["choices"])}
    chat = None if message["chat"] is None else Chat(**message["chat"])
    return Request(**{**message, "params": SamplingParams(**params), "chat": chat})


def event_message(batch: int, event: EngineEvent) -> Message:
    """Return an event of batch number `batch` as a message. Restarts are the studio's own and never travel."""
    match event:
        case TextPiece(index, text):
            return {"kind": "piece", "batch": batch, "index": index, "text": text}
        case Finished(index, completion):
            return {"kind": "finished", "batch": batch, "index": index, "completion": asdict(completion)}
        case _:
            raise TypeError(f"{event!r} is no event of a model")


def event_of(message: Message) -> EngineEvent:
    """Return the event that `event_message` described."""
    if message["kind"] == "piece":
        return TextPiece(message["index"], message["text"])
    fields = dict(message["completion"])
    fields["finish_reason"] = FinishReason(fields["finish_reason"])
    return Finished(message["index"], Completion(**fields))


def info_of(message: Message) -> EngineInfo:
    """Return the engine's description of which the message has all fields."""
    fields = dict(message["info"])
    fields["model"] = ModelIdentity(**fields["model"])
    fields |= {"askings": tuple(fields["askings"]), "notices": tuple(fields["notices"])}
    return EngineInfo(**fields)


CHILD_COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "studio.engine.process.child")
"""`-P` keeps files of the working folder from being imported in place of the studio's."""
_LONGEST_BYTES = 1 << 30
"""Of what is read at once: more is not meant to be a message."""
_CLOSE_S = 2.0
_KEEP_LOGS_S = 7 * 24 * 3600.0
_LINES_OF_A_DEATH = 60
_SIGNALS_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)


READY_LINE = "self-instruct-studio: the model is loaded"
"""Written to the log by the process once it has loaded; what the log says before is no cause of a later death."""


class ChildDied(Exception):
    """The model's process has ended; the text says how.

    `killed` says that it was ended from outside, `out_of_memory` that it, or the whole machine, lacked memory, and `setup` with which of
    `setup.setups_to_try`. `illegal` says that it ran into an instruction that this CPU has not or that was not set up.
    """

    def __init__(self, cause: str, *, killed: bool = False, out_of_memory: bool = False, setup: int = 0, illegal: bool = False) -> None:
        super().__init__(f"{cause}, out of memory" if out_of_memory else cause)
        self.killed = killed
        self.out_of_memory = out_of_memory
        self.setup = setup
        self.illegal = illegal


class ChildProcess:
    """One running process of the model, the pipe to the studio its standard input.

    What it prints goes to the file `log`, never to the terminal; Ctrl-C does not reach it.
    """

    def __init__(self, command: Sequence[str] = CHILD_COMMAND) -> None:
        self.log = _new_log()
        self._kills_before = machine_memory_kills()
        self._ready: deque[Message] = deque()
        self._pipe, theirs = Pipe()
        with self.log.open("wb") as sink, theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                # A crash should end the process at once, not start a debugger on it.
                env={**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONUNBUFFERED": "1"},
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Write one message. Raises ChildDied."""
        self._require_open()
        try:
            self._pipe.send_bytes(pack([message]))
        except OSError as error:
            raise self._death() from error

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, or None when none has come in time. Raises ChildDied once the process is gone and all is read."""
        if not self._ready:
            self._require_open()
            try:
                if not self._pipe.poll(timeout_s):
                    return None
                self._ready.extend(unpack(self._pipe.recv_bytes(_LONGEST_BYTES)))
            except (EOFError, OSError) as error:
                raise self._death() from error
            except ValueError as error:
                self.kill()
                raise ChildDied("it sent what is no message") from error
        return self._ready.popleft()

    def last_lines(self, count: int) -> str:
        """Return the last lines of the log on one line, for an error's hint."""
        # Python's own account of a crash comes last and is long; what matters stands before it.
        lines = self.log_text().split("Fatal Python error", 1)[0].splitlines()
        if lines:
            return f"the end of {self.log}: " + " / ".join(line.strip() for line in lines[-count:])
        return "its log is empty"

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self._process.kill()

    def close(self, *, keep_log: bool = False) -> None:
        """End the process and free its pipes. Safe to call twice."""
        self._pipe.close()
        self._end()
        if not keep_log:
            with contextlib.suppress(OSError):
                self.log.unlink(missing_ok=True)

    def _end(self) -> int | None:
        """Wait for the process's end and return its status, None where it had to be killed."""
        try:
            return self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def _require_open(self) -> None:
        if self._pipe.closed:
            raise ChildDied("it was closed")

    def _death(self) -> ChildDied:
        """Return how the process ended, waiting for it."""
        status = self._end()
        if status is None:
            return ChildDied("it closed its pipe")
        before, _, after = self.log_text().rpartition(READY_LINE)
        setup = number_tried((before or after).splitlines())
        if status == -signal.SIGKILL:
            memory = machine_memory_kills() > self._kills_before
        else:
            memory = speaks_of_memory(after.splitlines()[-_LINES_OF_A_DEATH:])
        if status >= 0:
            return ChildDied(f"it ended with status {status}", out_of_memory=memory, setup=setup)
        name = f"signal {-status}"
        with contextlib.suppress(ValueError):
            name = signal.Signals(-status).name
        killed = -status in _SIGNALS_FROM_OUTSIDE
        illegal = status == -signal.SIGILL
        return ChildDied(f"it was ended by {name}", killed=killed, out_of_memory=memory, setup=setup, illegal=illegal)

    def log_text(self) -> str:
        """Return what the process has logged, empty where it cannot be read."""
        with contextlib.suppress(OSError):
            return self.log.read_text("utf-8", "replace")
        return ""


def machine_memory_kills(counters: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes Linux has killed for want of memory since it started, 0 where it does not tell.

    A process killed for another reason must not make the model run smaller, because completions depend on how it runs.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in counters.read_text("ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def log_folder() -> Path:
    """The folder of the model process's logs."""
    return app_folder("log")


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
