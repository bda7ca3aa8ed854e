"""The plain way to generate: llama-cpp-python's high-level `Llama`, one request after another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

from studio.bench.plain_llama import open_llama
from studio.engine import wire


def run(path: str, threads: int, gpu_layers: int, requests: Sequence[wire.Message]) -> dict[str, Any]:
    """Complete `requests` with `Llama.generate`, the fastest that the high-level class offers: no text is made of the tokens.

    It keeps what a prompt shares with the one before it, so the template is evaluated once. It cannot be told not to draw the
    end of the text without a Python callback a token, but goes on after it: the number of tokens is the same.
    """
    asked = [wire.request_of(message) for message in requests]
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
