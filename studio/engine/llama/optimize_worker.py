"""The process in which models are requantised and measured, perplexity and tokens a second, and the build is described: one job a message.

llama.cpp may crash here, and drivers print; the studio's own process and its terminal are spared. What a job held of a device is free again
when the process ends.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from studio.engine.llama.build import build_facts, list_devices
from studio.engine.llama.log import LOG, install_log, last_words
from studio.engine.llama.model import LlamaModel
from studio.engine.llama.sampling import rows_together, surprisals
from studio.engine.options import EngineOptions
from studio.engine.process.child import connect
from studio.engine.process.pipe import Message
from studio.errors import ModelError, StudioError

FILE_TYPE_NUMBERS = {"Q4_0": 2, "Q8_0": 7}
"""LLAMA_FTYPE of the quantisations that CPUs have fast kernels for."""
WINDOW = 512
WINDOWS = 8
SEQUENCES = 16
"""Decoded side by side, as a run does."""
_STEPS = 32
_PROMPT_TOKENS = 16


def main() -> None:
    """Do the studio's jobs."""
    inbox, outbox = connect()
    LOG.sink = sys.stderr
    while True:
        message = inbox.next()
        try:
            outbox.send({"kind": "done", "result": answer(message)})
        except StudioError as error:
            outbox.send({"kind": "failed", "message": error.message, "hint": error.hint})


def answer(message: Message) -> Any:
    """Do one job: `list devices`, `quantise`, `speeds` or `surprises`. Raises ModelError."""
    if message["kind"] == "list devices":
        return {"facts": asdict(build_facts()), "devices": [asdict(device) for device in list_devices()]}
    if message["kind"] == "quantise":
        return quantise(message["source"], message["target"], message["to"], message["threads"])
    model = open_for_measuring(message["path"], message["threads"])
    try:
        tokens = model.vocabulary.tokenise(message["text"])
        return speeds(model, tokens) if message["kind"] == "speeds" else surprises(model, tokens)
    finally:
        model.close()


def quantise(source: str, target: str, to: str, threads: int) -> None:
    """Write `source` to the file `target` in the quantisation `to`. Raises ModelError; `target` may then be there in part."""
    import llama_cpp

    install_log()
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FILE_TYPE_NUMBERS[to]
    params.nthread = threads
    params.allow_requantize = True
    status = llama_cpp.llama_model_quantize(
        source.encode("utf-8", "surrogateescape"), target.encode("utf-8", "surrogateescape"), ctypes.byref(params)
    )
    if status:
        raise ModelError(f"{source}: llama.cpp cannot quantise this model to {to}", last_words())


def open_for_measuring(path: str, threads: int) -> LlamaModel:
    """Return the model at `path` with one context that holds what is measured. Raises ModelError."""
    options = EngineOptions(context=SEQUENCES * (_PROMPT_TOKENS + _STEPS) + WINDOW, parallel=SEQUENCES, contexts=1, threads=threads)
    return LlamaModel(path, options, logits_rows=WINDOW // 2)


def surprises(model: LlamaModel, tokens: Sequence[int]) -> list[float]:
    """Return the negative log-likelihood, in nats, of each token that is scored.

    `tokens` fall into windows of 512, the beginning-of-text token in front counted where the model wants one; the last, shorter window
    is left out, and so is everything after the eighth. Each is evaluated alone; the tokens of its second half are scored, which have
    256 tokens or more before them: the way of llama.cpp's own `llama-perplexity`. Raises ModelError when there is no whole window.
    """
    [context] = model.contexts
    lead = model.vocabulary.tokenise("", begin=True)
    size = WINDOW - len(lead)
    windows = [[*lead, *tokens[start : start + size]] for start in range(0, len(tokens) - size + 1, size)][:WINDOWS]
    if not windows:
        raise ModelError(f"the text to measure has {len(tokens)} tokens; a whole window is {size}")
    found: list[float] = []
    scratch = np.empty((rows_together(model.vocabulary.size), model.vocabulary.size), dtype=np.float32)
    for window in windows:
        context.clear()
        context.add(window[: WINDOW // 2], 0, 0, logits=0)
        for place in range(WINDOW // 2, WINDOW):
            context.add(window[place : place + 1], place, 0, logits=1)
        context.evaluate()
        found += surprisals(context.block(WINDOW // 2, WINDOW // 2 - 1), window[WINDOW // 2 + 1 :], scratch)
    return found


def speeds(model: LlamaModel, tokens: Sequence[int]) -> dict[str, float]:
    """Return tokens a second: `prompt` of one prompt of 512 tokens, `decode` of 16 sequences that each go on for 32 tokens.

    `tokens` are put in as if they had been drawn: nothing is sampled.
    """
    import llama_cpp

    [context] = model.contexts
    window = [tokens[place % len(tokens)] for place in range(WINDOW)]

    def evaluate() -> float:
        """Evaluate the batch, wait for the result, and return the time."""
        context.evaluate()
        llama_cpp.llama_synchronize(context.handle)
        return time.perf_counter()

    context.add(window[:32], 0, 0, logits=0)
    evaluate()
    context.clear()
    began = time.perf_counter()
    context.add(window, 0, 0, logits=1)
    prompt = WINDOW / (evaluate() - began)
    context.clear()
    for sequence in range(SEQUENCES):
        context.add(window[16 * sequence : 16 * sequence + _PROMPT_TOKENS], 0, sequence, logits=1)
    began = evaluate()
    for step in range(_STEPS):
        for sequence in range(SEQUENCES):
            place = (step + 16 * sequence) % WINDOW
            context.add(window[place : place + 1], _PROMPT_TOKENS + step, sequence, logits=1)
        ended = evaluate()
    return {"prompt": prompt, "decode": SEQUENCES * _STEPS / (ended - began)}


if __name__ == "__main__":
    main()
