"""The process that trains: PyTorch is imported here and nowhere else. It is told of one job, prepares it, and trains when told to.

When the studio dies, its pipe closes and this process ends at once; the last checkpoint is whole.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from studio.engine.llama.log import LOG
from studio.engine.process.child import Inbox, Outbox
from studio.errors import StudioError
from studio.tuning.events import message_of
from studio.tuning.job import job_of

BATCH = 1
"""The number under which a cancellation comes."""


def main() -> None:
    """Serve the studio on standard input and output. Whatever else writes to standard output lands in the log (standard error)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    # Everything is on this machine; a library that looks elsewhere would only wait for a network that may not be there.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    inbox = Inbox(0)
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

    plan = prepare(job_of(inbox.next()["job"]))
    outbox.send(message_of(plan.prepared))
    inbox.next()
    cancel = inbox.cancel_token(BATCH)
    for event in Trainer(plan, lambda: cancel.cancelled).events():
        outbox.send(message_of(event))
    outbox.send({"kind": "done"})


if __name__ == "__main__":
    main()
