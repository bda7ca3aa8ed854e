"""Opens llama-cpp-python's high-level `Llama`, as a straight port of the method would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
