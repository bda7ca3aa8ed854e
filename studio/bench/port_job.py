"""A straight port of the method to llama-cpp-python, as one would write it from the paper and its released code: no batching, no engine."""

from __future__ import annotations

import time
from typing import Any

from studio.bench.plain_llama import open_llama
from studio.bench.port import Port


def run(path: str, threads: int, gpu_layers: int, rounds: int, seed: str) -> dict[str, Any]:
    """Play `rounds` rounds and return what came of them. Loading the model is not part of the time."""
    with open_llama(path, threads, gpu_layers) as llama:
        port = Port(llama.create_completion, seed)
        began = time.perf_counter()
        for number in range(rounds):
            port.play_round(number)
        seconds = time.perf_counter() - began
    return {
        "accepted": port.accepted,
        "candidates": port.candidates,
        "instances": port.instances,
        "prompt_tokens": port.prompt_tokens,
        "completion_tokens": port.completion_tokens,
        "seconds": seconds,
        "stage_seconds": dict(port.seconds),
    }
