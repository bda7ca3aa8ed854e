"""How much memory a training takes, before it takes it."""

from __future__ import annotations

from dataclasses import dataclass

from studio.engine.gguf import Gguf
from studio.engine.llama.setup import gigabytes
from studio.errors import ModelError

_LIBRARIES = 700_000_000
"""PyTorch and what it brings, loaded."""
_LOGITS = 16
"""Bytes a logit: itself, its log-softmax, its gradient, all 32 bits wide, and one temporary."""
_SPARE = 1.1


@dataclass(frozen=True, slots=True)
class Load:
    """What passes through the model at once at most: `tokens` with padding, `labels` of them with a loss."""

    tokens: int
    labels: int


def estimate(base: Gguf, load: Load, rank: int, weight_bytes: int) -> int:
    """Return about how many bytes a training of the model with the header `base` takes in all.

    The frozen weights, the adapter with gradient and AdamW's two moments, what each block keeps of a token for the way back, and the
    logits of the tokens that count. An upper bound: 5.5 GB where a model of 135 million peaked at 4.8 GB with 1,024 tokens at once.
    """
    family = base.architecture
    layers, width = base.number(f"{family}.block_count"), base.number(f"{family}.embedding_length")
    inner = base.number(f"{family}.feed_forward_length")
    vocabulary = base.array_lengths.get("tokenizer.ggml.tokens", 0)
    adapter = 16 * adapter_parameters(base, rank)
    # A block keeps its inputs to norms, attention, projections and activation, and those of the adapter's branches beside them.
    kept = load.tokens * layers * (22 * width + 8 * inner) * 4
    return int(_SPARE * (_LIBRARIES + base.parameters * weight_bytes + adapter + kept + load.labels * vocabulary * _LOGITS))


def adapter_parameters(base: Gguf, rank: int) -> int:
    """Return how many numbers the adapter has: rank times (in + out) of every linear weight of the blocks."""
    return sum(rank * sum(shape) for name, shape in base.tensors.items() if name.startswith("blk.") and len(shape) == 2)


def check_memory(needed: int, available: int, where: str) -> None:
    """Raise ModelError when a training needs more bytes than there are."""
    if needed > available:
        raise ModelError(
            f"this training needs about {gigabytes(needed)} of memory, {where} has {gigabytes(available)} available",
            "close other programs, or try a smaller --max-tokens or --rank, or a smaller model",
        )
