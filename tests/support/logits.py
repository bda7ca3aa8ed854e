"""What a model predicts after each token of a text, from llama.cpp itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from studio.engine.llama.model import LlamaModel
from studio.engine.options import EngineOptions


def llama_logits(path: str, tokens: Sequence[int], adapter: str = "", *, gpu_layers: int = -1, at_once: int = 1) -> Any:
    """Return the logits after each of `tokens`, (tokens, vocabulary), of llama.cpp with the model and the adapter.

    They are evaluated in batches of `at_once`.
    """
    options = EngineOptions(gpu_layers, context=512, threads=1, parallel=1, contexts=1, adapter=adapter)
    model = LlamaModel(path, options, logits_rows=at_once)
    [context] = model.contexts
    found: list[Any] = []
    try:
        for position in range(0, len(tokens), at_once):
            rows = tokens[position : position + at_once]
            context.add(rows, position, 0, logits=len(rows))
            assert context.evaluate()
            found.extend(context.block(row, 1)[0].copy() for row in range(len(rows)))
    finally:
        model.close()
    return np.array(found, dtype=np.float64)


def divergence(truth: Any, other: Any) -> float:
    """Return the mean Kullback-Leibler divergence, in nats a token, of predictions given as logits."""
    first, second = (values - np.logaddexp.reduce(values, axis=1, keepdims=True) for values in (truth, other))
    return float(np.mean(np.sum(np.exp(first) * (first - second), axis=1)))
