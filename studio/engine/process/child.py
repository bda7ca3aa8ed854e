"""The model's process: loads the model, answers batches, and ends when the pipe to the studio closes."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from multiprocessing.connection import Connection

from studio.engine.api import CancelToken, Engine
from studio.engine.llama.log import OutOfMemory
from studio.engine.options import EngineOptions
from studio.engine.process.pipe import READY_LINE, Message, event_message, pack, request_of, unpack
from studio.errors import StudioError
from studio.records import ModelIdentity

_GATHER_S = 0.1


def connect() -> tuple[Inbox, Outbox]:
    """Return both directions of the pipe to the studio, which is standard input; from now on nothing else can read from it."""
    connection: Connection = Connection(os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    return Inbox(connection), Outbox(connection)


class Inbox:
    """Reads messages on a thread of its own, so that a cancellation is seen while the model computes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._cancels: dict[int, CancelToken] = {}
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next(self) -> Message:
        """Return the next batch or load message, waiting for it."""
        return self._messages.get()

    def cancel_token(self, batch: int) -> CancelToken:
        """Return the token that a cancel message for `batch` sets, whether it has come already or not."""
        return self._cancels.setdefault(batch, CancelToken())

    def forget(self, batch: int) -> None:
        """Drop the token of a finished batch."""
        self._cancels.pop(batch, None)

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                for message in unpack(self._connection.recv_bytes()):
                    if message["kind"] == "cancel":
                        self.cancel_token(message["batch"]).cancel()
                    else:
                        self._messages.put(message)
        # The studio has closed the pipe or died: nobody needs the model any more, in whatever state it is.
        os._exit(0)


class Outbox:
    """Writes messages to the studio, in order.

    Each write wakes the studio, which takes a core from llama.cpp's threads while they wait for each other; a wake-up for each token would
    cost several percent. So the tokens of 0.1 s travel together.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[Message] = []
        self._lock = threading.Lock()
        self._posted = threading.Event()
        threading.Thread(target=self._deliver, name="outbox", daemon=True).start()

    def post(self, message: Message) -> None:
        """Write the message within 0.1 s, together with those that come meanwhile."""
        with self._lock:
            self._waiting.append(message)
        self._posted.set()

    def send(self, message: Message) -> None:
        """Write the message, and all that wait, now."""
        with self._lock:
            self._waiting.append(message)
            self._flush()

    def _deliver(self) -> None:
        while self._posted.wait():
            time.sleep(_GATHER_S)
            with self._lock:
                self._posted.clear()
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._connection.send_bytes(pack(self._waiting))
            self._waiting.clear()


def main() -> None:
    """Load the model that the studio names and answer its batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    inbox, outbox = connect()
    try:
        engine = load_engine(inbox.next())
    except StudioError as error:
        outbox.send({"kind": "failed", "message": error.message, "hint": error.hint})
        sys.exit(int(error.exit_code))
    sys.stderr.write(f"{READY_LINE}\n")
    sys.stderr.flush()
    outbox.send({"kind": "ready", "info": asdict(engine.info)})
    while True:
        _answer(engine, inbox, outbox, inbox.next())


def load_engine(message: Message) -> Engine:
    """Return the engine that the studio's first message asks for. Raises ModelError."""
    from studio.engine.llama.engine import LlamaEngine
    from studio.engine.llama.log import LOG
    from studio.engine.llama.prefixes import open_store

    LOG.sink = sys.stderr
    identity, options = ModelIdentity(**message["identity"]), EngineOptions(**message["options"])
    return LlamaEngine(identity, options, store=open_store(), shrink=message["shrink"], plain=message["plain"])


def _answer(engine: Engine, inbox: Inbox, outbox: Outbox, message: Message) -> None:
    batch = message["batch"]
    requests = [request_of(each) for each in message["requests"]]
    try:
        for event in engine.stream(requests, inbox.cancel_token(batch)):
            outbox.post(event_message(batch, event))
    except OutOfMemory as error:
        # Only a new process gives all memory back; the studio starts one and asks it to run smaller.
        sys.exit(f"out of memory: {error.message}; {error.hint}")
    except StudioError as error:
        outbox.send({"kind": "error", "batch": batch, "message": error.message, "hint": error.hint})
    else:
        outbox.send({"kind": "done", "batch": batch})
    finally:
        inbox.forget(batch)


if __name__ == "__main__":
    main()
