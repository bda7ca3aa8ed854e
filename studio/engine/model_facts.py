"""What the choice of a set-up needs to know of a model, read from its file's header."""

from __future__ import annotations

from dataclasses import dataclass

from studio.engine.gguf import Gguf

_BYTES_OF_F16 = 2
_KEYS_AND_VALUES = 2


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Figures of a model; a 0 means that the header does not say.

    `kv_bytes_per_token` is what one token of context takes in all layers together, keys and values in 16-bit floats. It is an upper
    bound where layers differ from each other, and 0 for a model without attention.
    """

    layers: int
    file_size: int
    kv_bytes_per_token: int
    trained_context: int
    embedding: int
    vocabulary: int


def model_facts(header: Gguf) -> ModelFacts:
    """Return the facts in `header`, by the keys of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""
    family = header.architecture
    layers = header.number(f"{family}.block_count")
    embedding = header.number(f"{family}.embedding_length")
    return ModelFacts(
        layers=layers,
        file_size=header.file_size,
        kv_bytes_per_token=layers * _kv_width(header, family, embedding) * _BYTES_OF_F16,
        trained_context=header.context_length,
        embedding=embedding,
        vocabulary=header.array_lengths.get("tokenizer.ggml.tokens", 0),
    )


def _kv_width(header: Gguf, family: str, embedding: int) -> int:
    """Return how many numbers a layer keeps of one token.

    Some models give heads by layer, in an array, whose values the header's reader leaves out: then every head counts as one that keeps
    its own keys and values, which is the most there can be.
    """
    heads = header.number(f"{family}.attention.head_count")
    kv_heads = header.metadata.get(f"{family}.attention.head_count_kv", heads)
    if not isinstance(kv_heads, int):
        kv_heads = heads
    if not heads:
        return _KEYS_AND_VALUES * embedding if f"{family}.attention.head_count" in header.array_lengths else 0
    size = embedding // heads
    key = header.number(f"{family}.attention.key_length") or size
    value = header.number(f"{family}.attention.value_length") or size
    return kv_heads * (key + value)
