"""What a model predicts after each token of a text, from llama.cpp itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from studio.engine.llama.model import LlamaModel
from studio.engine.options import EngineOptions


def llama_logits(path: str, tokens: Sequence[int], adapter: str = "") -> Any:
    """Return the logits after each of `tokens`, (tokens, vocabulary), of llama.cpp with the model and the adapter."""
    model = LlamaModel(path, EngineOptions(context=512, threads=1, parallel=1, contexts=1, adapter=adapter))
    [context] = model.contexts
    found = []
    try:
        for position, token in enumerate(tokens):
            context.add([token], position, 0, logits=1)
            assert context.evaluate()
            found.append(context.logits(0).copy())
    finally:
        model.close()
    return np.array(found, dtype=np.float64)


def divergence(truth: Any, other: Any) -> float:
    """Return the mean Kullback-Leibler divergence, in nats a token, of predictions given as logits."""
    first, second = (values - np.logaddexp.reduce(values, axis=1, keepdims=True) for values in (truth, other))
    return float(np.mean(np.sum(np.exp(first) * (first - second), axis=1)))
