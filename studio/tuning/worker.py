"""The process that trains, and the studio's end of the pipe to it. PyTorch is imported in that process and nowhere else.

It is told of one job, prepares it, and trains when told to. When the studio dies, its pipe closes and the process ends at once; the last
checkpoint is whole.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Generator, Iterator
from dataclasses import asdict

from studio.engine.api import CancelToken
from studio.engine.llama.log import LOG
from studio.engine.process.child import Inbox, Outbox, connect
from studio.engine.process.pipe import ChildDied, ChildProcess
from studio.errors import ModelError, PoolError, StudioError, UsageError
from studio.tuning.job import Ended, Event, Job, Prepared, Resumed, Step, Validated, event_of, message_of, read_record

COMMAND = (sys.executable, "-P", "-m", "studio.tuning.worker")
_BATCH = 1
"""The number under which a cancellation comes."""
_POLL_S = 0.1
_LOG_LINES_IN_HINT = 4
_ERRORS: dict[str, type[StudioError]] = {"ModelError": ModelError, "PoolError": PoolError, "UsageError": UsageError}


def main() -> None:
    """Prepare and train what the studio asks for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    # Everything is on this machine; a library that looks elsewhere would only wait for a network that may not be there.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
    inbox, outbox = connect()
    LOG.sink = sys.stderr
    try:
        _serve(inbox, outbox)
    except StudioError as error:
        outbox.send({"kind": "failed", "message": error.message, "hint": error.hint, "error": type(error).__name__})
        sys.exit(int(error.exit_code))
    sys.stderr.flush()
    # All is written. To take PyTorch apart first would keep the studio waiting for a second.
    os._exit(0)


def _serve(inbox: Inbox, outbox: Outbox) -> None:
    from studio.tuning.plan import prepare
    from studio.tuning.trainer import Trainer

    plan = prepare(read_record(Job, inbox.next()["job"]))
    outbox.send(message_of(plan.prepared))
    inbox.next()
    cancel = inbox.cancel_token(_BATCH)
    for event in Trainer(plan, lambda: cancel.cancelled).events():
        outbox.send(message_of(event))
    outbox.send({"kind": "done"})


def training_events(job: Job, cancel: CancelToken) -> Generator[Event]:
    """Start the process and yield its events, `Prepared` first; the training begins when the next one is asked for.

    After `cancel` it ends with `Ended("interrupted")`: within seconds, all up to the last complete step saved. Raises the StudioError that
    the process met, and ModelError with the log's last lines when it dies.
    """
    child = ChildProcess(COMMAND)
    keep_log = True
    try:
        child.send({"kind": "job", "job": {**asdict(job), "settings": job.settings.model_dump()}})
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


if __name__ == "__main__":
    main()
