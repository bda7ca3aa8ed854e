"""The process in which models are requantised and measured: one job a message, its answer back."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

from studio.engine import llama_log, wire
from studio.engine.child import Inbox, Outbox
from studio.engine.perplexity import MeasuredModel
from studio.errors import ModelError, StudioError

FILE_TYPE_NUMBERS = {"Q4_0": 2, "Q8_0": 7}
"""LLAMA_FTYPE of the quantisations that CPUs have fast kernels for."""


def main() -> None:
    """Serve the studio on standard input and output. Whatever else writes to standard output lands in the log (standard error)."""
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    inbox = Inbox(0)
    llama_log.LOG.sink = sys.stderr
    while True:
        message = inbox.next()
        try:
            outbox.send({"kind": "done", "result": answer(message)})
        except StudioError as error:
            outbox.send({"kind": "failed", "message": error.message, "hint": error.hint})


def answer(message: wire.Message) -> Any:
    """Do one job: `quantise`, `speeds` or `surprises`. Raises ModelError."""
    if message["kind"] == "quantise":
        return quantise(message["source"], message["target"], message["to"], message["threads"])
    model = MeasuredModel(message["path"], message["threads"])
    try:
        tokens = model.tokenise(message["text"])
        return model.speeds(tokens) if message["kind"] == "speeds" else model.surprises(tokens)
    finally:
        model.close()


def quantise(source: str, target: str, to: str, threads: int) -> None:
    """Write `source` to the file `target` in the quantisation `to`. Raises ModelError; `target` may then be there in part."""
    import llama_cpp

    llama_log.install()
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FILE_TYPE_NUMBERS[to]
    params.nthread = threads
    params.allow_requantize = True
    status = llama_cpp.llama_model_quantize(
        source.encode("utf-8", "surrogateescape"), target.encode("utf-8", "surrogateescape"), ctypes.byref(params)
    )
    if status:
        raise ModelError(f"{source}: llama.cpp cannot quantise this model to {to}", llama_log.last_words())


if __name__ == "__main__":
    main()
