"""How much memory a training takes, by arithmetic on the model's header, and the layout of it that fits a machine.

A layout decides how a step is computed, never what: the same examples make the same step, whatever passes through the model at once, within
rounding. Only weights in 4 bits are another model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from studio.engine.gguf import Gguf
from studio.engine.llama.setup import gigabytes
from studio.errors import ModelError

FLOAT32, BFLOAT16, FOUR_BITS = "float32", "bfloat16", "4bit"
_LIBRARIES = 700_000_000
"""PyTorch and what it brings, loaded, in the host's memory."""
_CUDA_LIBRARIES = 3_000_000_000
_WORKSPACE = 300_000_000
"""What the GPU's own libraries allocate for themselves."""
_READING = 1_000_000_000
"""Host memory that the weights pass through on their way to a GPU, part by part."""
_SPARE = {"cpu": 2.1, "cuda": 1.1, "mps": 1.3}
"""How much more than the tensors is taken. In the host's memory as much again lies between them, by measurement: the allocator's gaps."""
_ROOM = {"cpu": 1024, "cuda": 16_384, "mps": 4096}
"""Padded tokens that pass through the model at once, by device, where memory allows."""
_BUSY = {"cpu": 128, "cuda": 2048, "mps": 512}
"""Padded tokens at once with which a device is still busy. Fewer cost more time than computing what a block keeps once more."""
HEAD_AT_ONCE = 512
"""Labels that the head predicts at a time with checkpointing."""
_ADAPTER = 26
"""Bytes a number of the adapter: itself, its gradient, AdamW's moments and temporaries, all 32 bits wide, and a copy in bfloat16."""
_ADAPTER_ON_HOST = 24
"""Bytes a number of the adapter beside a GPU: the best one so far, and a checkpoint as it is written."""
_BYTES = {FLOAT32: 4.0, BFLOAT16: 2.0, FOUR_BITS: 0.57}
"""Bytes a number of the blocks' weights. The embeddings and the head stay 16 bits wide beside those of 4 bits."""
_LOGITS = {FLOAT32: 16, BFLOAT16: 14, FOUR_BITS: 14}
"""Bytes a logit on the way back: its log-softmax and two gradients, 32 bits wide in every precision, and itself."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training can have: bytes free on the `device` and in the `host`'s memory, and whether weights can be kept in 4 bits there."""

    device: str
    memory: int
    host: int
    four_bits: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What passes through the model at once at most: `tokens` with padding, `labels` of them with a loss.

    `longest` is the length of the longest example: no room can be smaller.
    """

    tokens: int
    labels: int
    longest: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a training is computed: the frozen weights' precision, how many padded tokens at once, and what is kept for the way back.

    With `checkpointing` only the input of each block and of the head is kept, and the rest computed once more: a third more time.
    """

    precision: str
    room: int
    checkpointing: bool = False


@dataclass(frozen=True, slots=True)
class Fitting:
    """A layout with its estimates in bytes, on the device and on the host, and in words why it is no faster one."""

    layout: Layout
    memory: int
    host: int
    why: tuple[str, ...] = ()


def adapter_parameters(base: Gguf, rank: int) -> int:
    """Return how many numbers the adapter has: rank times (in + out) of every linear weight of the blocks."""
    return sum(rank * sum(shape) for shape in _linear(base))


def _linear(base: Gguf) -> list[tuple[int, ...]]:
    """Return the shapes of the linear weights of the blocks."""
    return [shape for name, shape in base.tensors.items() if name.startswith("blk.") and len(shape) == 2]


def weights_needed(base: Gguf, precision: str) -> int:
    """Return the bytes of the frozen weights."""
    linear = [math.prod(shape) for shape in _linear(base)]
    blocks = sum(linear)
    others = (base.parameters - blocks) * (4 if precision == FLOAT32 else 2)
    # Weights of 4 bits are unpacked for every use, two at once on the way back.
    unpacked = 2 * 2 * max(linear, default=0) if precision == FOUR_BITS else 0
    return int(blocks * _BYTES[precision]) + others + unpacked


def memory_needed(base: Gguf, load: Load, layout: Layout, rank: int, device: str) -> int:
    """Return about how many bytes a training of the model with the header `base` takes on the device: an upper bound.

    The frozen weights, the adapter with gradient and AdamW's two moments, what each block keeps of a token for the way back, and the
    logits of the tokens that count.
    """
    layers, width = base.number(f"{base.architecture}.block_count"), base.number(f"{base.architecture}.embedding_length")
    inner, heads = _widest(base, "ffn_gate", width), _widest(base, "attn_q", width)
    vocabulary = _widest(base, "token_embd", 0)
    kept, passing = _of_token(base, layout.precision, width, inner, heads)
    if layout.precision == FLOAT32 and device != "cpu":
        # No fused kernel there: two matrices of attention are kept for each head.
        kept += 2 * 4 * load.longest * max(1, base.number(f"{base.architecture}.attention.head_count"))
    blocks = layers * width * (4 if layout.precision == FLOAT32 else 2) + kept if layout.checkpointing else layers * kept
    labels = min(load.labels, HEAD_AT_ONCE) if layout.checkpointing else load.labels
    logits = labels * vocabulary * _LOGITS[layout.precision] + 8 * load.labels * width
    used = _ADAPTER * adapter_parameters(base, rank) + load.tokens * blocks + max(load.tokens * passing, logits)
    fixed = _LIBRARIES if device == "cpu" else _WORKSPACE
    return int(fixed + weights_needed(base, layout.precision) + _SPARE[device] * used)


def _of_token(base: Gguf, precision: str, width: int, inner: int, heads: int) -> tuple[int, int]:
    """Return the bytes that a block keeps of a token, and those that pass by beside them on the way back.

    Counted are the tensors that PyTorch saves: the inputs of norms (32 bits wide in every precision), of attention, of the activation and
    its product, and of the adapter's branches, which are copies of their own in bfloat16.
    """
    wide = 8 * (width + heads) if base.architecture == "gemma3" else 0
    if precision == FLOAT32:
        return 16 * width + 16 * heads + 16 * inner + wide, 24 * inner + 16 * width
    return 18 * width + 10 * heads + 8 * inner + wide, 16 * inner + 16 * width


def _widest(base: Gguf, weight: str, otherwise: int) -> int:
    """Return the largest output of the weights of this name."""
    return max(
        (shape[1] for name, shape in base.tensors.items() if name.endswith(f"{weight}.weight") and len(shape) == 2), default=otherwise
    )


def choose(
    base: Gguf, load_of: Callable[[int], Load], rank: int, precision: str, machine: Machine, before: Layout | None = None
) -> Fitting:
    """Return the fastest layout that fits the machine: of fewer tokens at once, then with checkpointing, then with weights in 4 bits.

    `load_of` tells what passes through the model at once in a room of so many padded tokens. A `precision` of `auto` is bfloat16 on a GPU
    of CUDA, in 4 bits where nothing else fits, and float32 elsewhere. The layout of `before` is kept where it still fits, so that a
    training that is gone on with ends as one that was not interrupted. Raises ModelError when nothing fits.
    """
    # What a training on a GPU takes of the host's memory.
    on_host = _CUDA_LIBRARIES + _READING + _ADAPTER_ON_HOST * adapter_parameters(base, rank)
    beside = on_host if machine.device == "cuda" else 0
    if beside > machine.host:
        raise _too_little(beside, machine.host, "this machine")
    tried: list[tuple[Layout, int]] = []
    for layout in _layouts(load_of, precision, machine, before):
        needed = memory_needed(base, load_of(layout.room), layout, rank, machine.device)
        if needed <= machine.memory:
            return Fitting(layout, needed, beside or needed, tuple(_reasons(tried, layout, machine.memory)))
        tried.append((layout, needed))
    where = "this machine" if machine.device == "cpu" else "the GPU"
    fewer_bits = machine.device == "cuda" and not machine.four_bits and precision == "auto"
    more = "; install bitsandbytes to keep the weights in 4 bits" if fewer_bits else ""
    raise _too_little(min(needed for _, needed in tried), machine.memory, where, more)


def _layouts(load_of: Callable[[int], Load], precision: str, machine: Machine, before: Layout | None) -> Iterator[Layout]:
    """Yield what could be, the fastest first."""
    if before is not None:
        yield before
    most = _ROOM[machine.device]
    whole = load_of(most)
    # What never comes at once in training has no place in a validation either.
    rooms = [min(most, whole.tokens)]
    while rooms[-1] > whole.longest:
        rooms.append(max(rooms[-1] // 2, whole.longest))
    precisions = [precision]
    if precision == "auto":
        precisions = [BFLOAT16 if machine.device == "cuda" else FLOAT32, *([FOUR_BITS] if machine.four_bits else [])]
    for each in precisions:
        yield from (Layout(each, room) for room in rooms if room == rooms[0] or room >= _BUSY[machine.device])
        yield from (Layout(each, room, checkpointing=True) for room in rooms)


def _reasons(tried: Sequence[tuple[Layout, int]], chosen: Layout, memory: int) -> Iterator[str]:
    there = f"there are {gigabytes(memory)}"
    if others := [needed for layout, needed in tried if layout.precision != chosen.precision]:
        yield f"weights in 4 bits: wider ones need {gigabytes(min(others))} at least, {there}"
    same = [(layout, needed) for layout, needed in tried if layout.precision == chosen.precision]
    if chosen.checkpointing and (without := [each for each in same if not each[0].checkpointing]):
        layout, needed = without[-1]
        yield f"gradient checkpointing: without it {layout.room:,} tokens at once need {gigabytes(needed)}, {there}"
    if wider := [each for each in same if each[0].room > chosen.room and each[0].checkpointing == chosen.checkpointing]:
        layout, needed = wider[-1]
        yield f"{chosen.room:,} tokens at once: {layout.room:,} need {gigabytes(needed)}, {there}"


def _too_little(needed: int, there: int, where: str, more: str = "") -> ModelError:
    return ModelError(
        f"this training needs at least about {gigabytes(needed)} of memory, {where} has {gigabytes(there)} available",
        f"close other programs, or try a smaller --max-tokens or --rank, or a smaller model{more}",
    )
