"""The two ends between which the engine is measured: one request after another, and a bare loop that is the limit of one context.

The plain way is llama-cpp-python's high-level `Llama`; the limit a loop over `llama_decode` that does what has to be done, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.engine.api import SamplingParams
from studio.engine.llama.prefixes import common_prefix
from studio.engine.llama.sampling import Greedy
from studio.engine.process.pipe import Message, request_of

_CONTEXT = 4096
"""Room for the longest template of the method, an instruction and the longest completion."""
_PENALTY_TOKENS = 1024
"""OpenAI's presence penalty looks at the whole completion; llama-cpp-python's default is its last 64 tokens."""


@contextmanager
def open_llama(path: str, threads: int, gpu_layers: int) -> Iterator[Any]:
    """Load the model at `path`, with the same threads and layers as the studio's engine, and free it at the end."""
    from llama_cpp import Llama

    llama = Llama(
        path,
        n_ctx=_CONTEXT,
        n_batch=512,
        n_threads=threads,
        n_threads_batch=threads,
        n_gpu_layers=gpu_layers,
        last_n_tokens_size=_PENALTY_TOKENS,
        verbose=False,
    )
    try:
        yield llama
    finally:
        llama.close()


def complete_in_turn(path: str, threads: int, gpu_layers: int, requests: Sequence[Message]) -> dict[str, Any]:
    """Complete `requests` with `Llama.generate`, the fastest that the high-level class offers: no text is made of the tokens.

    It keeps what a prompt shares with the one before it, so the template is evaluated once. It cannot be told not to draw the
    end of the text without a Python callback a token, but goes on after it: the number of tokens is the same.
    """
    asked = [request_of(message) for message in requests]
    with open_llama(path, threads, gpu_layers) as llama:
        tokens = 0
        began = time.perf_counter()
        for request in asked:
            params = request.params
            prompt = llama.tokenize((request.prefix + request.suffix).encode("utf-8", "replace"), add_bos=True, special=False)
            drawn = llama.generate(
                prompt,
                temp=params.temperature,
                top_k=params.top_k,
                top_p=params.top_p,
                min_p=params.min_p,
                repeat_penalty=params.repeat_penalty,
                frequency_penalty=params.frequency_penalty,
                presence_penalty=params.presence_penalty,
            )
            tokens += sum(1 for _ in islice(drawn, params.max_tokens))
        seconds = time.perf_counter() - began
    return {"tokens": tokens, "seconds": seconds}


_BATCH = 512


def complete_bare(path: str, threads: int, gpu_layers: int, parallel: int, requests: Sequence[Message]) -> dict[str, Any]:
    """Complete `requests` in `parallel` sequences that share one evaluated prefix. Tokens stay numbers, nothing is matched or sent."""
    asked = [request_of(message) for message in requests]
    loop = RawLoop(path, threads, gpu_layers, parallel)
    prompts = [loop.tokenise(request.prefix + request.suffix) for request in asked]
    began = time.perf_counter()
    tokens = loop.complete(prompts, asked[0].params)
    return {"tokens": tokens, "seconds": time.perf_counter() - began}


class RawLoop:
    """A model and a loop over it. Nothing is freed: its process ends with it."""

    def __init__(self, path: str, threads: int, gpu_layers: int, parallel: int) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        self._model = llama_cpp.llama_model_load_from_file(path.encode("utf-8", "surrogateescape"), params)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._vocab_size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self._gpu = gpu_layers != 0 and llama_cpp.llama_supports_gpu_offload()
        self._parallel = parallel
        self._threads = threads
        self._batch = llama_cpp.llama_batch_init(_BATCH, 0, 1)

    def tokenise(self, text: str) -> list[int]:
        """Return a prompt's tokens."""
        data = text.encode("utf-8", "replace")
        tokens = (self._lib.llama_token * (len(data) + 8))()
        return list(tokens[: self._lib.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), True, False)])

    def complete(self, prompts: Sequence[Sequence[int]], params: SamplingParams) -> int:
        """Draw `params.max_tokens` tokens for each prompt and return how many that were in all."""
        lib = self._lib
        shared = min(common_prefix(prompts[0], prompts), min(map(len, prompts)) - 1)
        longest = max(map(len, prompts)) - shared + params.max_tokens
        context = self._open(shared + self._parallel * longest)
        memory = lib.llama_get_memory(context)
        prefix_sequence = self._parallel
        for start in range(0, shared, _BATCH):
            self._add(prompts[0][start : min(start + _BATCH, shared)], start, prefix_sequence, wants_logits=False)
            self._decode(context)
        waiting = list(range(len(prompts)))[::-1]
        drawn = [0] * len(prompts)
        last = [0] * len(prompts)
        running: dict[int, tuple[int, Greedy]] = {}
        while waiting or running:
            rows = {
                sequence: self._add([last[job]], len(prompts[job]) + drawn[job] - 1, sequence) for sequence, (job, _) in running.items()
            }
            for sequence in range(self._parallel):
                if sequence in running or not waiting or len(prompts[waiting[-1]]) - shared + self._batch.n_tokens > _BATCH:
                    continue
                job = waiting.pop()
                running[sequence] = (job, Greedy(params, self._never))
                lib.llama_memory_seq_cp(memory, prefix_sequence, sequence, -1, -1)
                rows[sequence] = self._add(prompts[job][shared:], shared, sequence)
            self._decode(context)
            for sequence, row in rows.items():
                job, greedy = running[sequence]
                last[job] = greedy.draw(self._logits(context, row))
                drawn[job] += 1
                if drawn[job] == params.max_tokens:
                    lib.llama_memory_seq_rm(memory, sequence, -1, -1)
                    del running[sequence]
        return sum(drawn)

    def _open(self, tokens: int) -> Any:
        lib = self._lib
        params = lib.llama_context_default_params()
        params.n_ctx = (tokens + 255) // 256 * 256
        params.n_batch = params.n_ubatch = _BATCH
        params.n_seq_max = self._parallel + 1
        params.n_threads = params.n_threads_batch = self._threads
        params.kv_unified = True
        params.swa_full = True
        # As in the engine: flash attention is slower for single rows on a CPU.
        params.flash_attn_type = -1 if self._gpu else 0
        return lib.llama_init_from_model(self._model, params)

    def _add(self, tokens: Sequence[int], position: int, sequence: int, *, wants_logits: bool = True) -> int:
        batch = self._batch
        for offset, token in enumerate(tokens):
            row = batch.n_tokens
            batch.token[row], batch.pos[row] = token, position + offset
            batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 1, sequence, 0
            batch.n_tokens += 1
        batch.logits[batch.n_tokens - 1] = wants_logits
        return int(batch.n_tokens - 1)

    def _decode(self, context: Any) -> None:
        status = self._lib.llama_decode(context, self._batch)
        if status != 0:
            raise RuntimeError(f"llama_decode failed with status {status}")
        self._batch.n_tokens = 0

    def _logits(self, context: Any, row: int) -> NDArray[np.float32]:
        return np.ctypeslib.as_array(self._lib.llama_get_logits_ith(context, row), (self._vocab_size,))

    @cached_property
    def _never(self) -> list[int]:
        """All tokens that end the text."""
        return [token for token in range(self._vocab_size) if self._lib.llama_vocab_is_eog(self._vocab, token)]
