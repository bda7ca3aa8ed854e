"""The process in which models are requantised and measured, perplexity and tokens a second: one job a message, its answer back.

llama.cpp may crash here; the studio's own process must not.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from studio.engine.llama.log import LOG, install_log, last_words
from studio.engine.process.child import Inbox, Outbox
from studio.engine.process.pipe import Message
from studio.errors import ModelError, StudioError

WINDOW = 512
WINDOWS = 8
SEQUENCES = 16
"""Decoded side by side, as a run does."""
_STEPS = 32
_PROMPT_TOKENS = 16


class MeasuredModel:
    """A model file with a context of its own for measuring. `close` frees both."""

    def __init__(self, path: str, threads: int) -> None:
        """Load `path`. Raises ModelError with llama.cpp's last words when it cannot."""
        import llama_cpp

        self._lib: Any = llama_cpp
        self._context: Any = None
        self._batch: Any = None
        install_log()
        llama_cpp.llama_backend_init()
        self._model: Any = llama_cpp.llama_model_load_from_file(
            path.encode("utf-8", "surrogateescape"), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise ModelError(f"{path}: llama.cpp cannot load this model", last_words())
        self._vocab: Any = llama_cpp.llama_model_get_vocab(self._model)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = SEQUENCES * (_PROMPT_TOKENS + _STEPS) + WINDOW
        params.n_batch = params.n_ubatch = WINDOW
        params.n_seq_max = SEQUENCES
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        params.no_perf = True
        params.flash_attn_type = 0
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            self.close()
            raise ModelError(f"{path}: no room for a context to measure it in", last_words())
        self._batch = llama_cpp.llama_batch_init(WINDOW, 0, 1)

    def close(self) -> None:
        """Free everything. Safe to call twice."""
        if self._batch is not None:
            self._lib.llama_batch_free(self._batch)
            self._batch = None
        if self._context:
            self._lib.llama_free(self._context)
            self._context = None
        if self._model:
            self._lib.llama_model_free(self._model)
            self._model = None

    def tokenise(self, text: str) -> list[int]:
        """Return the tokens of `text`, without the beginning-of-text token."""
        data = text.encode("utf-8", "replace")
        tokens = (self._lib.llama_token * (len(data) + 8))()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), False, False)
        return list(tokens[: max(0, count)])

    def surprises(self, tokens: Sequence[int]) -> list[float]:
        """Return the negative log-likelihood, in nats, of each token that is scored.

        `tokens` fall into windows of 512, the beginning-of-text token in front counted where the model wants one; the last, shorter window
        is left out, and so is everything after the eighth. Each is evaluated alone; the tokens of its second half are scored, which have
        256 tokens or more before them: the way of llama.cpp's own `llama-perplexity`. Raises ModelError when there is no whole window.
        """
        import numpy as np

        lead = [self._lib.llama_vocab_bos(self._vocab)] if self._lib.llama_vocab_get_add_bos(self._vocab) else []
        size = WINDOW - len(lead)
        windows = [[*lead, *tokens[start : start + size]] for start in range(0, len(tokens) - size + 1, size)][:WINDOWS]
        if not windows:
            raise ModelError(f"the text to measure has {len(tokens)} tokens; a whole window is {size}")
        vocabulary = int(self._lib.llama_vocab_n_tokens(self._vocab))
        found = []
        for window in windows:
            self._forget()
            self._evaluate([(token, place, 0, place >= WINDOW // 2) for place, token in enumerate(window)])
            for place in range(WINDOW // 2, WINDOW - 1):
                pointer = self._lib.llama_get_logits_ith(self._context, place)
                logits = np.ctypeslib.as_array(pointer, (vocabulary,)).astype(np.float64)
                top = logits.max()
                found.append(float(top + math.log(np.exp(logits - top).sum()) - logits[window[place + 1]]))
        return found

    def speeds(self, tokens: Sequence[int]) -> dict[str, float]:
        """Return tokens a second: `prompt` of one prompt of 512 tokens, `decode` of 16 sequences that each go on for 32 tokens.

        `tokens` are put in as if they had been drawn: nothing is sampled.
        """
        window = [tokens[place % len(tokens)] for place in range(WINDOW)]
        self._forget()
        self._evaluate([(token, place, 0, False) for place, token in enumerate(window[:32])])
        self._forget()
        began = time.perf_counter()
        self._evaluate([(token, place, 0, place == WINDOW - 1) for place, token in enumerate(window)])
        prompt = WINDOW / (time.perf_counter() - began)
        self._forget()
        starts = [window[16 * sequence : 16 * sequence + _PROMPT_TOKENS] for sequence in range(SEQUENCES)]
        self._evaluate(
            [
                (token, place, sequence, place == _PROMPT_TOKENS - 1)
                for sequence, start in enumerate(starts)
                for place, token in enumerate(start)
            ]
        )
        began = time.perf_counter()
        for step in range(_STEPS):
            self._evaluate(
                [(window[(step + 16 * sequence) % WINDOW], _PROMPT_TOKENS + step, sequence, True) for sequence in range(SEQUENCES)]
            )
        return {"prompt": prompt, "decode": SEQUENCES * _STEPS / (time.perf_counter() - began)}

    def _forget(self) -> None:
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), False)

    def _evaluate(self, rows: Sequence[tuple[int, int, int, bool]]) -> None:
        """Evaluate rows of (token, position, sequence, whether its logits are wanted), and wait for the result."""
        batch = self._batch
        batch.n_tokens = len(rows)
        for row, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[row] = token
            batch.pos[row] = position
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = sequence
            batch.logits[row] = wanted
        status = int(self._lib.llama_decode(self._context, batch))
        if status:
            raise ModelError(f"llama.cpp failed to evaluate {len(rows)} tokens (status {status})", last_words())
        self._lib.llama_synchronize(self._context)


FILE_TYPE_NUMBERS = {"Q4_0": 2, "Q8_0": 7}
"""LLAMA_FTYPE of the quantisations that CPUs have fast kernels for."""


def main() -> None:
    """Serve the studio on standard input and output. Whatever else writes to standard output lands in the log (standard error)."""
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    inbox = Inbox(0)
    LOG.sink = sys.stderr
    while True:
        message = inbox.next()
        try:
            outbox.send({"kind": "done", "result": answer(message)})
        except StudioError as error:
            outbox.send({"kind": "failed", "message": error.message, "hint": error.hint})


def answer(message: Message) -> Any:
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


if __name__ == "__main__":
    main()
