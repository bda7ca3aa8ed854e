"""Talks to the process that trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from studio.engine.api import CancelToken
from studio.engine.process.pipe import ChildDied, ChildProcess
from studio.errors import ModelError, PoolError, StudioError, UsageError
from studio.tuning.events import Ended, Event, Prepared, Resumed, Step, Validated, event_of
from studio.tuning.job import Job

COMMAND = (sys.executable, "-P", "-m", "studio.tuning.worker")
_BATCH = 1
_POLL_S = 0.1
_LOG_LINES_IN_HINT = 4
_ERRORS: dict[str, type[StudioError]] = {"ModelError": ModelError, "PoolError": PoolError, "UsageError": UsageError}


def training_events(job: Job, cancel: CancelToken) -> Iterator[Event]:
    """Start the process and yield its events, `Prepared` first; the training begins when the next one is asked for.

    After `cancel` it ends with `Ended("interrupted")`: within seconds, all up to the last complete step saved. Raises the StudioError that
    the process met, and ModelError with the log's last lines when it dies.
    """
    child = ChildProcess(COMMAND)
    keep_log = True
    try:
        child.send({"kind": "job", "job": job.message()})
        yield from _events(child, cancel)
        keep_log = False
    except ChildDied as death:
        hint = child.last_lines(_LOG_LINES_IN_HINT)
        if death.out_of_memory:
            hint = f"close other programs, or try a smaller --max-tokens or a smaller model; {hint}"
        raise ModelError(f"the training's process died: {death}; the same command goes on from the last checkpoint", hint) from death
    except StudioError:
        keep_log = False
        raise
    finally:
        child.close(keep_log=keep_log)


def _events(child: ChildProcess, cancel: CancelToken) -> Iterator[Event]:
    told = working = False
    while True:
        if cancel.cancelled and not working:
            # Nothing is computed yet that could be lost, and loading hears nobody.
            child.kill()
            yield Ended("interrupted", 0)
            return
        if cancel.cancelled and not told:
            child.send({"kind": "cancel", "batch": _BATCH})
            told = True
        message = child.receive(_POLL_S)
        if message is None:
            continue
        if message["kind"] == "done":
            return
        if message["kind"] == "failed":
            raise _ERRORS.get(message["error"], StudioError)(message["message"], message["hint"])
        event = event_of(message)
        working = working or isinstance(event, Resumed | Step | Validated)
        yield event
        if isinstance(event, Prepared):
            child.send({"kind": "train"})
