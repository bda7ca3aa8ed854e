"""The figures of a model, by its header, that its set-up follows from."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from studio.engine.gguf import Gguf
from studio.engine.options import KV_BYTES, KV_TYPE

_BYTES_OF_F16, _BYTES_OF_F32 = 2, 4
_MOST_LAYERS = 4096


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Figures of a model; a 0 means that the header does not say.

    `kv_bytes_per_token` is what one token of context takes in all layers together, keys and values in 16-bit floats, and `state_bytes` what
    a sequence takes in the layers that keep a state instead, whatever its length.
    """

    layers: int
    file_size: int
    kv_bytes_per_token: int
    trained_context: int
    embedding: int
    vocabulary: int
    expert_bytes: tuple[int, ...] = ()
    """What the experts of each layer take, about; empty for a model that has none."""
    state_bytes: int = 0
    heads: int = 0
    """Of the layer that has most."""
    inner: int = 0
    """The width of a feed-forward network, of all experts together that work on a token."""

    def kept_bytes(self, tokens: int, sequences: int = 0, kv_type: str = KV_TYPE) -> int:
        """Return what `tokens` tokens, keys and values in that type, and the states of `sequences` take."""
        return math.ceil(tokens * self.kv_bytes_per_token * KV_BYTES[kv_type] / _BYTES_OF_F16) + sequences * self.state_bytes

    def experts_on_cpu(self, layers: int) -> int:
        """Return the bytes of the experts of the first `layers` layers, -1 for all."""
        return sum(self.expert_bytes if layers < 0 else self.expert_bytes[:layers])


def model_facts(header: Gguf) -> ModelFacts:
    """Return the facts in `header`, by the keys of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""
    layers = _Layers(header)
    return ModelFacts(
        layers=header.number(f"{header.architecture}.block_count"),
        file_size=header.file_size,
        kv_bytes_per_token=layers.kept_of_token() * _BYTES_OF_F16,
        trained_context=header.context_length,
        embedding=layers.embedding,
        vocabulary=header.array_lengths.get("tokenizer.ggml.tokens", 0),
        expert_bytes=_expert_bytes(header, layers.count),
        state_bytes=layers.state() * _BYTES_OF_F32 * sum(layers.recurrent),
        heads=max(layers.heads, default=0),
        inner=layers.inner(),
    )


class _Layers:
    """What a header says of its layers, one by one, read as llama.cpp does."""

    def __init__(self, header: Gguf) -> None:
        self._header = header
        self._family = header.architecture
        self.count = min(self.number("block_count"), _MOST_LAYERS)
        self.embedding = self.number("embedding_length")
        # Where it cannot be told how many heads a layer has, it counts as one that keeps all its keys and values.
        unread = f"{self._family}.attention.head_count" in header.array_lengths
        self.heads = self.each("attention.head_count", [1 if unread else 0] * self.count)
        self.kv_heads = self.each("attention.head_count_kv", self.heads)
        self.recurrent = self._recurrent()

    def number(self, key: str) -> int:
        """Return a number of the model's own, 0 when it is missing."""
        return max(0, self._header.number(f"{self._family}.{key}"))

    def each(self, key: str, usual: Sequence[int] = ()) -> list[int]:
        """Return what `key` is in each layer, whether it stands there for all of them or by layer; `usual`, or 0, when it is missing."""
        name = f"{self._family}.{key}"
        listed = self._header.numbers.get(name)
        if listed is None:
            return [self.number(key)] * self.count if name in self._header.metadata or not usual else list(usual)
        return [max(0, number) for number in (*listed, *[0] * self.count)[: self.count]]

    def inner(self) -> int:
        """Return the width of the widest feed-forward network."""
        experts = self.number("expert_feed_forward_length") * max(self.each("expert_used_count"), default=0)
        return max(*self.each("feed_forward_length"), experts, 0)

    def kept_of_token(self) -> int:
        """Return how many numbers all layers together keep of one token.

        A sliding window has as many cells as the rest (`swa_full`). Without flash attention values take the same room in every layer.
        """
        sliding = self.each("attention.sliding_window_pattern") if self.number("attention.key_length_swa") else [0] * self.count
        latent = self.number("attention.key_length_mla") > 0  # keys that the values are worked out from
        keys, values = [], [0]
        for layer in range(self.count - self.number("attention.shared_kv_layers")):
            if any(self.recurrent) and self._family not in _BOTH and (self.recurrent[layer] or not self.kv_heads[layer]):
                continue
            size = self.embedding // self.heads[layer] if self.heads[layer] else 0
            suffix = "_swa" if sliding[layer] else ""
            keys.append(self.kv_heads[layer] * (self.number(f"attention.key_length{suffix}") or size))
            values.append(0 if latent else self.kv_heads[layer] * (self.number(f"attention.value_length{suffix}") or size))
        return sum(keys) + len(keys) * max(values)

    def state(self) -> int:
        """Return how many numbers a recurrent layer keeps of a sequence: its latest inputs, and what it made of all before."""
        width, kernel = self.embedding, self.number("ssm.conv_kernel")
        if head := self.number("wkv.head_size"):
            return (self.number("token_shift_count") or 2) * width + width * head
        if length := self.number("shortconv.l_cache"):
            return width * (length - 1)
        if head := self.number("kda.head_dim"):
            inner = max(self.heads, default=0) * head
            return 3 * (kernel - 1 if kernel else 3) * inner + head * inner
        inner, state = self.number("ssm.inner_size"), self.number("ssm.state_size")
        return max(0, kernel - 1) * (inner + 2 * self.number("ssm.group_count") * state) + state * inner

    def _recurrent(self) -> list[bool]:
        """Return which layers keep a state, by llama.cpp's rules."""
        if not self.state():
            return [False] * self.count
        if self.number("wkv.head_size") or self._family in _BOTH:
            return [True] * self.count
        if any(listed := self.each("attention.recurrent_layers")):
            return [bool(each) for each in listed]
        if interval := self.number("full_attention_interval") or (4 if self._family.startswith(_EVERY_FOURTH) else 0):
            return [(layer + 1) % interval != 0 for layer in range(self.count)]
        # Nemotron's layers without heads may be feed-forward networks and nothing else.
        inner = self.each("feed_forward_length") if self._family.startswith("nemotron") else [0] * self.count
        return [not heads and not width for heads, width in zip(self.kv_heads, inner, strict=True)]


_BOTH = ("falcon-h1",)
"""Architectures whose layers attend and keep a state."""
_EVERY_FOURTH = ("qwen3next", "qwen35")
"""Architectures of which every fourth layer attends, where the file does not say which."""
EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""What the names of experts' weights have in them, as llama.cpp's own `--cpu-moe` finds them."""
_EXPERTS_OF = re.compile(rf"blk\.(\d{{1,4}}){EXPERTS}")


def _expert_bytes(header: Gguf, layers: int) -> tuple[int, ...]:
    """Return what each layer's experts take, were all weights of the file of one type."""
    numbers = [0] * layers
    for name, shape in header.tensors.items():
        if (match := _EXPERTS_OF.match(name)) and int(match.group(1)) < len(numbers):
            numbers[int(match.group(1))] += math.prod(shape)
    each = header.file_size / max(1, header.parameters)
    return tuple(int(number * each) for number in numbers) if any(numbers) else ()


_CELL_BYTES = 64
"""What llama.cpp notes of each cell beside keys and values: its position and its sequences."""


def kv_too_large(context: int, facts: ModelFacts, memory: int, kv_type: str = KV_TYPE) -> bool:
    """Whether `context` tokens cannot fit a machine that has `memory` bytes on all its devices together, however much of it were free."""
    return facts.kept_bytes(context, kv_type=kv_type) + context * _CELL_BYTES > memory
