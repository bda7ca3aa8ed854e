"""The engine in a process of its own, and jobs without an engine: a crash of llama.cpp ends one attempt, not the studio."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from studio.engine.api import CancelToken, EngineEvent, EngineInfo, OpenRequests, Request, Restarted
from studio.engine.llama.log import memory_of
from studio.engine.options import EngineOptions
from studio.engine.process.pipe import CHILD_COMMAND, ChildDied, ChildProcess, event_of, info_of
from studio.errors import ModelError
from studio.records import ModelIdentity

MAX_RESTARTS = 3
"""Restarts within one batch; a model that dies again after them is given up."""
_POLL_S = 0.05
_GRACE_S = 0.1
_STALE_S = 10.0
"""How long a cancelled batch may keep the process from the next one, before the process counts as hung."""
_LOG_LINES_IN_HINT = 4
_ENDS = ("done", "error")
"""The messages that end a batch."""
_MOST_SHRINKS = 16
"""More than there are set-ups to fall back to."""


class ProcessEngine:
    """Runs the llama.cpp engine in a child process. See `Engine` for the protocol; one batch at a time.

    When the process dies it is started again and the batch is repeated whole, announced by `Restarted`: completions depend on the batch
    alone, so the outcome is that of a process which lived. When it died for want of memory, the new one runs with a smaller set-up, and
    when of an illegal instruction, without the CPU's matrix instructions; `info.notices` then tells. `command` replaces the child's
    command line in tests.
    """

    def __init__(self, identity: ModelIdentity, options: EngineOptions, command: Sequence[str] = CHILD_COMMAND) -> None:
        """Start the process and wait until the model is loaded. Raises ModelError with the log's last lines when it cannot be."""
        self._identity = identity
        self._options = options
        self._command = command
        self._batch = 0
        self._stale = 0
        self._shrink = 0
        self._plain = False
        self._closed = False
        self._child = ChildProcess(command)
        self.info = self._load_first()
        """What is running."""

    @property
    def pid(self) -> int:
        """The number of the model's process."""
        return self._child.pid

    def memory(self) -> dict[str, dict[str, int]]:
        """Return what the model was reckoned to take of the devices' memory and what it took, see `memory_of`."""
        return memory_of(self._child.log_text().splitlines())

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. A cancellation takes effect even if the model's process does not answer."""
        if self._closed:
            raise ModelError("the engine is closed")
        self._end_stale()
        still_open = OpenRequests(len(requests))
        reason = ""
        for attempt in range(MAX_RESTARTS + 1):
            try:
                if attempt:
                    before = self.info.notices
                    self._restart(cancel)
                    news = [notice for notice in self.info.notices if notice not in before]
                    yield Restarted(attempt, "; ".join([reason, *news]))
                    still_open = OpenRequests(len(requests))
                yield from self._run(requests, still_open, cancel)
                return
            except ChildDied as death:
                reason = str(death)
                self._give_way_after(death)
            if cancel.cancelled:
                yield from still_open.cancelled()
                return
        hint = self._child.last_lines(_LOG_LINES_IN_HINT)
        raise ModelError(f"{self._identity.name}: the model's process died {MAX_RESTARTS + 1} times over one batch; last, {reason}", hint)

    def close(self) -> None:
        """End the process. Safe to call twice."""
        self._closed = True
        self._child.close()

    def _load_first(self) -> EngineInfo:
        """Load the model into the first process; one that is killed meanwhile, or finds no memory, is followed by another."""
        kills = 0
        while True:
            try:
                return self._load()
            except ChildDied as death:
                kills += death.killed and not death.out_of_memory
                plainer = self._give_way_after(death)
                if not (death.killed or death.out_of_memory or plainer) or kills > MAX_RESTARTS or self._shrink > _MOST_SHRINKS:
                    path, hint = self._identity.path, self._child.last_lines(_LOG_LINES_IN_HINT)
                    raise ModelError(f"{path}: the model's process died while loading: {death}", hint) from death
            self._child = ChildProcess(self._command)

    def _load(self, cancel: CancelToken | None = None) -> EngineInfo:
        """Have the process load the model. Raises ChildDied, after a cancellation as well, and ModelError as the process does."""
        model = {"identity": asdict(self._identity), "options": asdict(self._options), "shrink": self._shrink, "plain": self._plain}
        try:
            self._child.send({"kind": "load", **model})
            while (answer := self._child.receive(_POLL_S)) is None:
                if cancel is not None and cancel.cancelled:
                    # A load cannot be interrupted otherwise; the next batch finds the process gone and starts another.
                    self._child.kill()
        except ChildDied:
            self._child.close(keep_log=True)
            raise
        except BaseException:
            self._child.close()
            raise
        if answer["kind"] == "failed":
            self._child.close(keep_log=True)
            raise ModelError(answer["message"], answer["hint"])
        return info_of(answer)

    def _give_way_after(self, death: ChildDied) -> bool:
        """Ask the next process for less of what the last one died of; return whether it will do without matrix instructions from now on."""
        if death.out_of_memory:
            self._shrink = max(self._shrink, death.setup) + 1
        plainer = death.illegal and not self._plain
        self._plain = self._plain or death.illegal
        return plainer

    def _restart(self, cancel: CancelToken) -> None:
        self._stale = 0
        self._child.close(keep_log=True)
        self._child = ChildProcess(self._command)
        self.info = self._load(cancel)

    def _run(self, requests: Sequence[Request], still_open: OpenRequests, cancel: CancelToken) -> Iterator[EngineEvent]:
        """Yield the events of one attempt. Raises ChildDied, and ModelError as the engine in the process does."""
        self._batch = number = self._batch + 1
        self._child.send({"kind": "batch", "batch": number, "requests": [asdict(request) for request in requests]})
        self._stale = number  # until its end has come
        deadline = float("inf")
        try:
            while self._stale:
                if cancel.cancelled and deadline == float("inf"):
                    self._child.send({"kind": "cancel", "batch": number})
                    deadline = time.monotonic() + _GRACE_S
                message = self._child.receive(_POLL_S)
                if message is not None and message.get("batch") == number:
                    if message["kind"] in _ENDS:
                        self._stale = 0
                    if message["kind"] == "error":
                        raise ModelError(message["message"], message["hint"])
                    if message["kind"] != "done":
                        yield still_open.note(event_of(message))
                elif time.monotonic() >= deadline:
                    yield from still_open.cancelled()
                    return
        except ChildDied:
            self._stale = 0
            raise
        except GeneratorExit:
            # Nobody listens to the batch any more: the process should not go on computing it.
            with contextlib.suppress(ChildDied):  # The next batch will find that out and start a new process.
                self._child.send({"kind": "cancel", "batch": number})
            raise

    def _end_stale(self) -> None:
        """Wait for the end of a batch that was given up; a process that does not come to it is ended."""
        deadline = time.monotonic() + _STALE_S
        with contextlib.suppress(ChildDied):  # The next batch will find that out and start another.
            while self._stale:
                if time.monotonic() >= deadline:
                    self._child.kill()
                    return
                message = self._child.receive(_POLL_S)
                if message is not None and message.get("batch") == self._stale and message["kind"] in _ENDS:
                    self._stale = 0


WORKER_COMMAND = (sys.executable, "-P", "-m", "studio.engine.llama.optimize_worker")
Ask = Callable[..., Any]


@contextmanager
def llama_jobs() -> Iterator[Ask]:
    """Give what sends a job of a kind to the process that does the work and returns its result, or raises ModelError."""
    child = ChildProcess(WORKER_COMMAND)

    def ask(kind: str, **job: Any) -> Any:
        try:
            child.send({"kind": kind, **job})
            while (reply := child.receive(_POLL_S)) is None:
                continue
        except ChildDied as death:
            raise ModelError(f"llama.cpp's process died while it was to {kind}: {death}", child.last_lines(_LOG_LINES_IN_HINT)) from death
        if reply["kind"] == "failed":
            raise ModelError(reply["message"], reply["hint"])
        return reply["result"]

    try:
        yield ask
    except ModelError:
        child.close(keep_log=True)
        raise
    finally:
        # Closing its pipe ends the process whatever it is at.
        child.close()
