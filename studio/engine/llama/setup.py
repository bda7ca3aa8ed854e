"""Chooses how a model is set up from its header and the devices of the machine, and what is tried when that does not fit the memory.

Plain data in, plain data out: no device is touched here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from studio.engine.gguf import Gguf
from studio.engine.options import (
    BATCH_TOKENS_CPU,
    BATCH_TOKENS_GPU,
    PARALLEL_CPU,
    PARALLEL_GPU,
    PREFIX_SEQUENCES,
    TOKENS_PER_SEQUENCE,
    EngineOptions,
    default_context,
    rows_with_logits,
)
from studio.errors import ModelError

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
    logits = rows_with_logits(parallel, facts.vocabulary, BATCH_TOKENS_GPU) * facts.vocabulary * 4 * 2
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


T = TypeVar("T")

_LEAST_PARALLEL = 4
_LEAST_CONTEXT = 4096
"""Tokens below which a request beside its template would be refused."""
_MEMORY_WORDS = re.compile(
    r"out of (\w+ )?memory|outof(device|host)memory|(unable|failed) to (allocate|alloc\b)|cannot allocate memory"
    r"|insufficient memory|bad_alloc|memoryerror|(malloc|memalign|alloc\w*) failed|GGML_ASSERT\(.*(buffer|work_data) != NULL\) failed",
    re.IGNORECASE,
)
_TRYING = "self-instruct-studio: trying set-up"
_TRIED = re.compile(rf"^{_TRYING} (\d+)")


class OutOfMemory(ModelError):
    """A model, its context or a batch found no memory; a smaller set-up may."""


def speaks_of_memory(lines: Iterable[str]) -> bool:
    """Whether the lines of a log, of llama.cpp or of a device's library, complain that memory cannot be had."""
    return any(_MEMORY_WORDS.search(line) for line in lines)


def trying_line(number: int, setup: Setup) -> str:
    """Return the line that a process logs before it tries set-up `number`, from 0, for those who find the log when it has died."""
    return f"{_TRYING} {number}: {_words(setup)}, GPU layers {setup.gpu_layers}\n"


def number_tried(lines: Iterable[str]) -> int:
    """Return the number in the last such line of a log, 0 when there is none."""
    return max((int(match.group(1)) for line in lines if (match := _TRIED.match(line))), default=0)


def setups_to_try(first: Setup, options: EngineOptions, layers: int) -> list[Setup]:
    """Return `first` and what to fall back to, each smaller than the one before: fewer sequences, less context, fewer layers on the GPU.

    What the user chose is never changed: with everything chosen only `first` is left. What was kept of an earlier run is given up like
    what the studio chose itself. `layers` is how many the model has. Each fallback has one note more than `first`, which says what was
    given up.
    """
    smaller = _smaller(first, options, layers)
    return [first, *(replace(setup, notes=(*first.notes, _given_up(first, setup, options.origin))) for setup in smaller)]


def first_that_fits(setups: Sequence[Setup], attempt: Callable[[Setup], T]) -> T:
    """Return what `attempt` makes of the first set-up it has memory for. Raises the last OutOfMemory when there is none."""
    for setup in setups[:-1]:
        try:
            return attempt(setup)
        except OutOfMemory:
            continue
    return attempt(setups[-1])


def _smaller(setup: Setup, options: EngineOptions, layers: int) -> Iterator[Setup]:
    if setup.contexts > 1 and not options.chosen("contexts"):
        setup = replace(setup, contexts=1, context=options.chosen("context") or min(setup.context, default_context(setup.parallel)))
        yield setup
    while not options.chosen("parallel") and setup.parallel > _LEAST_PARALLEL:
        parallel = max(_LEAST_PARALLEL, setup.parallel // 2)
        needed = setup.contexts * default_context(-(-parallel // setup.contexts))
        context = options.chosen("context") or min(setup.context, needed)
        setup = replace(setup, parallel=parallel, context=context, ubatch=min(setup.ubatch, UBATCH_TOKENS_SMALL))
        yield setup
    while not options.chosen("context") and setup.context // 2 >= _LEAST_CONTEXT:
        setup = replace(setup, context=setup.context // 512 * 256)
        yield setup
    if options.gpu_layers >= 0 or not setup.flash_attention:
        return
    most = setup.gpu_layers if setup.gpu_layers >= 0 else layers
    for quarters in (3, 2, 1):
        if 0 < layers * quarters // 4 < most:
            yield replace(setup, gpu_layers=layers * quarters // 4)
    options = options.released()
    alone = replace(cpu_setup(options, setup.threads), gpu_layers=0)
    yield alone
    yield from _smaller(alone, options, layers)


def _given_up(first: Setup, setup: Setup, origin: str) -> str:
    whose = f", as {origin} had it" if origin else ""
    words = f"there was no memory for {_words(first)}{whose}; it runs with {_words(setup)}"
    if first.gpu_layers == setup.gpu_layers:
        return words
    return f"{words} and {setup.gpu_layers or 'no'} layers on the GPU"


def _words(setup: Setup) -> str:
    context = "a context" if setup.contexts == 1 else f"{setup.contexts} contexts"
    return f"{setup.parallel} sequences in {context} of {setup.context_each:,} tokens"
