"""Chooses how a model is set up from the devices of the machine: plain data in, plain data out, no device is touched here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from studio.engine.model_facts import ModelFacts
from studio.engine.options import (
    BATCH_TOKENS_CPU,
    BATCH_TOKENS_GPU,
    PARALLEL_CPU,
    PARALLEL_GPU,
    PREFIX_SEQUENCES,
    TOKENS_PER_SEQUENCE,
    EngineOptions,
    default_context,
)


class DeviceKind(StrEnum):
    """What llama.cpp says a device is."""

    CPU = "cpu"
    GPU = "gpu"
    INTEGRATED = "integrated gpu"
    OTHER = "other"
    """A helper of the CPU, such as a BLAS library."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as llama.cpp reports it. Memory in bytes; a total of 0 means that it is not known."""

    name: str
    description: str
    kind: DeviceKind
    memory_free: int
    memory_total: int


@dataclass(frozen=True, slots=True)
class Setup:
    """How the model is loaded and its contexts made. `gpu_layers` -1 means all; `context` counts tokens of all sequences together.

    `parallel`, `context` and `threads` are divided among `contexts`, which compute side by side. `flash_attention` leaves that choice to
    llama.cpp; otherwise it is off. `notes` are sentences for the user about what was given up.
    """

    gpu_layers: int
    parallel: int
    context: int
    batch: int
    ubatch: int
    threads: int
    flash_attention: bool
    notes: tuple[str, ...] = ()
    contexts: int = 1

    @property
    def parallel_each(self) -> int:
        """The sequences of one context."""
        return -(-self.parallel // self.contexts)

    @property
    def context_each(self) -> int:
        """The tokens of one context."""
        return self.context // self.contexts


ROOMY_TOKENS = 2 * TOKENS_PER_SEQUENCE
"""Tokens a sequence is given where memory is plentiful: the longest request the stages make."""
UBATCH_TOKENS_SMALL = 512
_GPU_STEPS = (
    (PARALLEL_GPU, ROOMY_TOKENS, BATCH_TOKENS_GPU),
    (PARALLEL_GPU, TOKENS_PER_SEQUENCE, BATCH_TOKENS_GPU),
    (PARALLEL_GPU, TOKENS_PER_SEQUENCE, UBATCH_TOKENS_SMALL),
    (32, TOKENS_PER_SEQUENCE, UBATCH_TOKENS_SMALL),
    (16, TOKENS_PER_SEQUENCE, UBATCH_TOKENS_SMALL),
    (8, TOKENS_PER_SEQUENCE, UBATCH_TOKENS_SMALL),
)
"""(sequences, tokens for each, rows computed at once), the best first. Coarse on purpose: what other programs take
of the memory from one day to the next should seldom change how the model runs, because completions depend on it."""
_INTEGRATED_STEPS = _GPU_STEPS[3:]
_PARALLEL_PARTLY = 16
"""Sequences where a part of the layers stays on the CPU, which then sets the pace."""
_RESERVE_BYTES = 400 << 20
"""What a driver takes for itself on each device."""
_RESERVE_SHARE = 0.05
_SHARED_MEMORY_SHARE = 0.75
"""How much of the machine's own memory an integrated GPU may fill: the system lives there, too."""
_ACTIVATIONS = 16
"""Vectors of the model's width that a row of a batch needs while it is computed, about."""

LEAST_CONTEXT_EACH = 8192
"""Tokens of a context that hold the templates of a stage and several sequences."""

_CELL_BYTES = 64
"""What llama.cpp notes of each cell beside keys and values: its position and its sequences."""


def choose(options: EngineOptions, devices: Sequence[Device], facts: ModelFacts | None, threads: int) -> Setup:
    """Return the set-up for a model on these devices. What the user chose stands; the rest follows from the memory that is free.

    Without a GPU, or with no layers for it, or with nothing known of the model, this is the CPU's set-up, whatever its memory.
    `threads` is the number of cores to use where the options leave that open.
    """
    threads = options.threads or threads
    gpus = used_gpus(devices)
    if not gpus or options.gpu_layers == 0 or facts is None:
        return cpu_setup(options, threads)
    room = _room(gpus, devices)
    steps = _steps(options, gpus)
    for number, (parallel, tokens, ubatch) in enumerate(steps):
        context = _context(options, facts, parallel, tokens)
        if _bytes_on_gpu(options.gpu_layers, facts, parallel, context, ubatch) <= room:
            notes = () if parallel == steps[0][0] else (_fewer_sequences(steps[0][0], parallel, gpus),)
            return Setup(options.gpu_layers, parallel, context, BATCH_TOKENS_GPU, ubatch, threads, True, notes)
        if options.gpu_layers > 0 and number == len(steps) - 1:
            # The user's own number of layers: llama.cpp has the last word on whether they fit.
            return Setup(options.gpu_layers, parallel, context, BATCH_TOKENS_GPU, ubatch, threads, True)
    return _partly(options, facts, gpus, room, threads)


def cpu_setup(options: EngineOptions, threads: int) -> Setup:
    """Return the set-up for the CPU alone.

    Flash attention is off there: it divides its sums among the threads, is slower for single rows, and results would depend on the
    number of threads. Reproducible pools rest on these figures: they do not follow the memory.
    """
    parallel = options.parallel or PARALLEL_CPU
    threads = options.threads or threads
    contexts = min(options.contexts, parallel) or _contexts_on_cpu(parallel, options.context, threads)
    context = options.context or contexts * default_context(-(-parallel // contexts))
    return Setup(options.gpu_layers, parallel, context, BATCH_TOKENS_CPU, BATCH_TOKENS_CPU, threads, False, contexts=contexts)


def used_gpus(devices: Iterable[Device]) -> list[Device]:
    """Return the devices llama.cpp spreads the layers over: all GPUs, or the integrated ones where there is no other."""
    devices = list(devices)
    gpus = [device for device in devices if device.kind is DeviceKind.GPU]
    return gpus or [device for device in devices if device.kind is DeviceKind.INTEGRATED]


def shares_memory(device: Device) -> bool:
    """Whether the device works in the machine's own memory: integrated GPUs, and those of Apple, which llama.cpp calls `MTL0`."""
    return device.kind is DeviceKind.INTEGRATED or device.name.upper().startswith(("MTL", "METAL"))


def kv_too_large(context: int, facts: ModelFacts, memory: int) -> bool:
    """Whether `context` tokens cannot fit a machine that has `memory` bytes on all its devices together, however much of it were free."""
    return context * (facts.kv_bytes_per_token + _CELL_BYTES) > memory


def gigabytes(amount: float) -> str:
    """Return an amount of bytes for people.

    >>> gigabytes(8_500_000_000)
    '8.5 GB'
    """
    return f"{amount / 1e9:,.1f} GB"


def _contexts_on_cpu(parallel: int, context: int, threads: int) -> int:
    """Return how many contexts to divide the sequences among.

    Threads of one context wait for each other hundreds of times a token, and a sequence passes over the cells of all others in its context.
    Two contexts halve both. Each holds its own copy of the templates, so there are no more, and only one where `context` is small.
    """
    return 2 if threads > 1 and parallel > 1 and (not context or context >= 2 * LEAST_CONTEXT_EACH) else 1


def _steps(options: EngineOptions, gpus: Sequence[Device]) -> list[tuple[int, int, int]]:
    steps = _INTEGRATED_STEPS if all(device.kind is DeviceKind.INTEGRATED for device in gpus) else _GPU_STEPS
    if not options.parallel:
        return list(steps)
    kinds = dict.fromkeys((tokens, ubatch) for _, tokens, ubatch in steps)
    return [(options.parallel, tokens, ubatch) for tokens, ubatch in kinds]


def _context(options: EngineOptions, facts: ModelFacts, parallel: int, tokens: int) -> int:
    if options.context:
        return options.context
    context = default_context(parallel, tokens)
    most = facts.trained_context * (parallel + PREFIX_SEQUENCES)
    return min(context, most) if most else context


def _room(gpus: Sequence[Device], devices: Sequence[Device]) -> float:
    """Return the bytes that may be filled on `gpus` together, boundless where one of them does not tell."""
    if any(device.memory_total <= 0 for device in gpus):
        return float("inf")
    host = max((device.memory_total for device in devices if device.kind is DeviceKind.CPU), default=0)
    room = 0.0
    for device in gpus:
        free = float(device.memory_free)
        if shares_memory(device) and host:
            free = min(free, host * _SHARED_MEMORY_SHARE)
        room += max(0.0, free * (1 - _RESERVE_SHARE) - _RESERVE_BYTES)
    return room


def _bytes_on_gpu(gpu_layers: int, facts: ModelFacts, parallel: int, context: int, ubatch: int) -> float:
    share = 1.0 if gpu_layers < 0 or not facts.layers else min(1.0, gpu_layers / facts.layers)
    return share * (facts.file_size + facts.kv_bytes_per_token * context) + _compute_bytes(facts, parallel, context, ubatch)


def _compute_bytes(facts: ModelFacts, parallel: int, context: int, ubatch: int) -> int:
    """Return what one call takes beside weights and context: rows between the layers, the attention's mask (twice), the logits (twice)."""
    rows = ubatch * facts.embedding * 4 * _ACTIVATIONS
    mask = ubatch * context * 6
    logits = (parallel + PREFIX_SEQUENCES) * facts.vocabulary * 4 * 2
    return rows + mask + logits


def _partly(options: EngineOptions, facts: ModelFacts, gpus: Sequence[Device], room: float, threads: int) -> Setup:
    """Return the set-up that puts as many layers on the GPU as fit there."""
    parallel = options.parallel or _PARALLEL_PARTLY
    context = _context(options, facts, parallel, TOKENS_PER_SEQUENCE)
    left = room - _compute_bytes(facts, parallel, context, UBATCH_TOKENS_SMALL)
    # The file holds one layer's worth more, the embedding and the output.
    each = (facts.file_size + facts.kv_bytes_per_token * context) / max(1, facts.layers + 1)
    layers = min(facts.layers, max(0, int(left / max(1.0, each))))
    names = ", ".join(device.name for device in gpus)
    free = gigabytes(sum(device.memory_free for device in gpus))
    whole = gigabytes(facts.file_size + facts.kv_bytes_per_token * context)
    if not layers:
        note = f"the model runs on the CPU: {names} has {free} free, which holds none of its layers"
        return replace(cpu_setup(options, threads), gpu_layers=0, notes=(note,))
    note = f"{layers} of {facts.layers} layers are on {names}: {free} are free there, the model and its context take {whole}"
    return Setup(layers, parallel, context, BATCH_TOKENS_GPU, UBATCH_TOKENS_SMALL, threads, True, (note,))


def _fewer_sequences(usual: int, parallel: int, gpus: Sequence[Device]) -> str:
    names = ", ".join(device.name for device in gpus)
    free = gigabytes(sum(device.memory_free for device in gpus))
    return f"{parallel} sequences at once instead of {usual}: {names} has {free} free"
