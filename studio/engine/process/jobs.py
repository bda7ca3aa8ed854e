"""Jobs for llama.cpp that need no engine, done in a process of their own: it may crash, and drivers may print, away from the studio."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from studio.engine.process.pipe import ChildDied, ChildProcess
from studio.errors import ModelError

WORKER_COMMAND = (sys.executable, "-P", "-m", "studio.engine.llama.optimize_worker")
_POLL_S = 0.2
_LOG_LINES_IN_HINT = 4

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
