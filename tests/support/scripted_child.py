"""Stands for the model's process in tests: the scripted engine behind the same messages, with the faults named on the command line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from studio.engine import child
from studio.engine.api import CancelToken, Engine, EngineEvent, EngineInfo, Request
from studio.engine.scripted import ScriptedEngine
from studio.engine.wire import Message
from studio.errors import ModelError


class Faulty:
    """The scripted engine that dies, hangs or fails after some events, as often as a counter file says."""

    def __init__(self, fault: str, after: int, counter: Path) -> None:
        self._inner = ScriptedEngine(delay_s=0.005 if fault == "slow" else 0.0)
        self._fault, self._after, self._counter = fault, after, counter

    @property
    def info(self) -> EngineInfo:
        return self._inner.info

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        left = int(self._counter.read_text()) if self._counter.exists() else 0
        for count, event in enumerate(self._inner.stream(requests, cancel)):
            if left > 0 and count == self._after:
                self._counter.write_text(str(left - 1))
                self._strike()
            yield event
            while self._fault == "deaf" and left > 0:
                signal.pause()

    def close(self) -> None:
        self._inner.close()

    def _strike(self) -> None:
        if self._fault == "kill":
            os.write(2, b"the last words of the model\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "error":
            raise ModelError("the context is full", "give it more")
        if self._fault == "exception":
            raise ValueError("a mistake in the engine")


def load(message: Message) -> Engine:
    fault, after, counter = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    os.write(1, b"chatter on standard output\n")
    assert set(message) == {"kind", "identity", "options"}
    if fault == "unloadable":
        raise ModelError("the model cannot be loaded", "it is broken")
    if fault == "dies-loading":
        os.write(2, b"assertion failed\n")
        os.abort()
    return Faulty(fault, after, counter)


if __name__ == "__main__":
    child.load_engine = load
    child.main()
