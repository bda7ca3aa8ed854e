"""Stands for the model's process in tests: the scripted engine behind the same messages, with the faults named on the command line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import studio.engine.process.child as child
from studio.engine.api import CancelToken, Engine, EngineEvent, EngineInfo, Request
from studio.engine.llama.log import OutOfMemory, trying_line
from studio.engine.process.pipe import Message
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError


class Faulty:
    """The scripted engine that dies, hangs or fails after some events, as often as a counter file says."""

    def __init__(self, fault: str, after: int, counter: Path, shrink: int = 0, *, plain: bool = False) -> None:
        self._inner = ScriptedEngine(delay_s=0.005 if fault == "slow" else 0.0)
        self._fault, self._after, self._counter, self._shrink = fault, after, counter, shrink
        self._plain = plain

    @property
    def info(self) -> EngineInfo:
        notices = [*([f"set-up {self._shrink}"] if self._shrink else []), *(["plain weights"] if self._plain else [])]
        return replace(self._inner.info, notices=tuple(notices))

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
        if self._fault == "illegal" and not self._plain:
            os.kill(os.getpid(), signal.SIGILL)
        if self._fault == "memory-assertion":
            os.write(2, b"ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed\n")
            os.abort()
        if self._fault == "memory-error":
            raise OutOfMemory("no memory left to evaluate a batch of 9 tokens", "llama.cpp says: cudaMalloc failed")
        if self._fault == "error":
            raise ModelError("the context is full", "give it more")
        if self._fault == "exception":
            raise ValueError("a mistake in the engine")


def load(message: Message) -> Engine:
    fault, after, counter = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    os.write(1, b"chatter on standard output\n")
    assert set(message) == {"kind", "identity", "options", "shrink", "plain"}
    if fault == "unloadable":
        raise ModelError("the model cannot be loaded", "it is broken")
    if fault == "dies-loading":
        os.write(2, b"assertion failed\n")
        os.abort()
    if fault == "always-illegal" or (fault == "illegal-loading" and not message["plain"]):
        os.kill(os.getpid(), signal.SIGILL)
    if fault == "killed-loading" and (left := int(counter.read_text())) > 0:
        counter.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    tried = message["shrink"] + 2 if fault.startswith("memory") else message["shrink"]
    for number in range(message["shrink"], tried + 1):
        os.write(2, trying_line(number, "4 sequences").encode())
        os.write(2, b"failed to allocate buffer for kv cache\n" if number < tried else b"it fits\n")
    if fault == "memory-loading" and message["shrink"] < 9:
        os.write(2, b"cudaMalloc failed: out of memory\n")
        os.abort()
    if fault == "memory-never":
        os.write(2, b"cudaMalloc failed: out of memory\n")
        os.abort()
    return Faulty(fault, after, counter, message["shrink"], plain=message["plain"])


if __name__ == "__main__":
    child.load_engine = load
    child.main()
