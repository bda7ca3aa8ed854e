"""The figures of a model, by its header, that its set-up follows from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from studio.engine.gguf import Gguf
from studio.engine.options import KV_BYTES, KV_TYPE

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
    expert_bytes: tuple[int, ...] = ()
    """What the experts of each layer take, about; empty for a model that has none."""

    def kept_bytes(self, tokens: int, kv_type: str = KV_TYPE) -> int:
        """Return what keys and values of `tokens` tokens take in that type."""
        return math.ceil(tokens * self.kv_bytes_per_token * KV_BYTES[kv_type] / _BYTES_OF_F16)

    def experts_on_cpu(self, layers: int) -> int:
        """Return the bytes of the experts of the first `layers` layers, -1 for all."""
        return sum(self.expert_bytes if layers < 0 else self.expert_bytes[:layers])


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
        expert_bytes=_expert_bytes(header, layers),
    )


EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""What the names of experts' weights have in them, as llama.cpp's own `--cpu-moe` finds them."""
_MOST_LAYERS = 4096
_EXPERTS_OF = re.compile(rf"blk\.(\d{{1,4}}){EXPERTS}")


def _expert_bytes(header: Gguf, layers: int) -> tuple[int, ...]:
    """Return what each layer's experts take, were all weights of the file of one type."""
    numbers = [0] * min(layers, _MOST_LAYERS)
    for name, shape in header.tensors.items():
        if (match := _EXPERTS_OF.match(name)) and int(match.group(1)) < len(numbers):
            numbers[int(match.group(1))] += math.prod(shape)
    each = header.file_size / max(1, header.parameters)
    return tuple(int(number * each) for number in numbers) if any(numbers) else ()


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


_CELL_BYTES = 64
"""What llama.cpp notes of each cell beside keys and values: its position and its sequences."""


def kv_too_large(context: int, facts: ModelFacts, memory: int, kv_type: str = KV_TYPE) -> bool:
    """Whether `context` tokens cannot fit a machine that has `memory` bytes on all its devices together, however much of it were free."""
    return facts.kept_bytes(context, kv_type) + context * _CELL_BYTES > memory
