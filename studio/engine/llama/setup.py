"""Chooses how a model is set up from its figures and the devices of the machine.

Plain data in, plain data out: no device is touched here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from studio.engine.llama.build import Device, DeviceKind, shares_memory, used_gpus
from studio.engine.llama.facts import ModelFacts
from studio.engine.llama.log import OutOfMemory
from studio.engine.options import (
    BATCH_TOKENS_CPU,
    BATCH_TOKENS_GPU,
    KV_TYPE,
    PARALLEL_CPU,
    PARALLEL_GPU,
    PREFIX_SEQUENCES,
    ROOMY_TOKENS,
    TOKENS_PER_SEQUENCE,
    EngineOptions,
    FlashAttention,
    default_context,
    rows_with_logits,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """How the model is loaded and its contexts made. `gpu_layers` -1 means all; `context` counts tokens of all sequences together.

    `parallel`, `context` and `threads` are divided among `contexts`, which compute side by side. `gpus` are how many take part. With
    `flash_attention` "auto" a device that cannot goes without. `cpu_moe` layers, from the first on, have their experts on the CPU, -1 means
    all. With `separate` the tokens of a context are divided among its sequences. `notes` are sentences for the user about what was given
    up.
    """

    gpu_layers: int
    parallel: int
    context: int
    batch: int
    ubatch: int
    threads: int
    flash_attention: FlashAttention
    notes: tuple[str, ...] = ()
    contexts: int = 1
    gpus: int = 0
    kv_type: str = KV_TYPE
    separate: bool = False
    cpu_moe: int = 0

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU takes part."""
        return self.gpus > 0

    @property
    def parallel_each(self) -> int:
        """The sequences of one context."""
        return -(-self.parallel // self.contexts)

    @property
    def context_each(self) -> int:
        """The tokens of one context."""
        return self.context // self.contexts

    @property
    def streams(self) -> int:
        """The sequences among which a context's tokens are divided, those of templates among them; 0 where they share them."""
        return self.parallel_each + PREFIX_SEQUENCES if self.separate else 0

    @property
    def cells_passed(self) -> int:
        """The tokens among which a row finds its own, those of others masked."""
        return self.context_each // (self.streams or 1)

    @property
    def words(self) -> str:
        """Sequences and contexts, for people."""
        context = "a context" if self.contexts == 1 else f"{self.contexts} contexts"
        return f"{self.parallel} sequences in {context} of {self.context_each:,} tokens"


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
_BYTES_OF_A_FLOAT = 4
_COPIES = 4
"""Of what a batch begins with: GGML_SCHED_MAX_COPIES."""

LEAST_CONTEXT_EACH = 8192
"""Tokens of a context that hold the templates of a stage and several sequences."""


def choose(options: EngineOptions, devices: Sequence[Device], facts: ModelFacts | None, threads: int) -> Setup:
    """Return the set-up for a model on these devices. What the user chose stands; the rest follows from the memory that is free.

    Without a GPU, or with no layers for it, or with nothing known of the model, this is the CPU's set-up, whatever its memory.
    `threads` is the number of cores to use where the options leave that open. Raises ModelError for GPUs that are not there.
    """
    threads = options.threads or threads
    gpus = used_gpus(devices, options)
    if not gpus or options.gpu_layers == 0 or facts is None:
        return cpu_setup(options, threads)
    room = _room(gpus, devices, options)
    steps = _steps(options, gpus)
    usual = Setup(options.gpu_layers, 0, 0, BATCH_TOKENS_GPU, 0, threads, flash_attention(options, on_gpu=True), gpus=len(gpus))
    usual = replace(usual, kv_type=options.kv_type, separate=options.separate, cpu_moe=options.cpu_moe)
    for number, (parallel, tokens, ubatch) in enumerate(steps):
        setup = replace(usual, parallel=parallel, context=_context(options, facts, parallel, tokens), ubatch=ubatch)
        if bytes_on_gpu(setup, facts) <= room:
            return setup if parallel == steps[0][0] else replace(setup, notes=(_fewer_sequences(steps[0][0], parallel, gpus),))
        if options.gpu_layers > 0 and number == len(steps) - 1:
            # The user's own number of layers: llama.cpp has the last word on whether they fit.
            return setup
    parallel = options.parallel or _PARALLEL_PARTLY
    context = _context(options, facts, parallel, TOKENS_PER_SEQUENCE)
    usual = replace(usual, parallel=parallel, context=context, ubatch=UBATCH_TOKENS_SMALL)
    return _without_experts(usual, facts, gpus, room) or _partly(usual, options, facts, gpus, room)


def cpu_setup(options: EngineOptions, threads: int) -> Setup:
    """Return the set-up for the CPU alone.

    Flash attention is off there unless it is asked for: it divides its sums among the threads, is slower for single rows, and results
    depend on the number of threads. Contexts that compute side by side lend each other theirs, so that there is only one with it.
    Reproducible pools rest on these figures: they do not follow the memory.
    """
    parallel = options.parallel or PARALLEL_CPU
    threads = options.threads or threads
    flash = flash_attention(options, on_gpu=False)
    alone = 1 if flash is FlashAttention.ON else 0
    contexts = alone or min(options.contexts, parallel) or _contexts_on_cpu(parallel, options.context, threads)
    context = options.context or contexts * default_context(-(-parallel // contexts), separate=options.separate)
    setup = Setup(options.gpu_layers, parallel, context, BATCH_TOKENS_CPU, BATCH_TOKENS_CPU, threads, flash, contexts=contexts)
    return replace(setup, kv_type=options.kv_type, separate=options.separate, cpu_moe=options.cpu_moe)


def flash_attention(options: EngineOptions, *, on_gpu: bool) -> FlashAttention:
    """Return what the options come to: where nothing was chosen a GPU uses it where it can, a CPU for values that are kept in less bits."""
    if options.flash_attention != FlashAttention.AUTO:
        return FlashAttention(options.flash_attention)
    if options.kv_type != KV_TYPE:
        return FlashAttention.ON
    return FlashAttention.AUTO if on_gpu else FlashAttention.OFF


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
    context = default_context(parallel, tokens, separate=options.separate)
    most = facts.trained_context * (parallel + PREFIX_SEQUENCES)
    return min(context, most) if most else context


def _room(gpus: Sequence[Device], devices: Sequence[Device], options: EngineOptions) -> float:
    """Return the bytes that may be filled on `gpus` together, boundless where one of them does not tell."""
    if any(device.memory_total <= 0 for device in gpus):
        return float("inf")
    host = max((device.memory_total for device in devices if device.kind is DeviceKind.CPU), default=0)
    rooms = []
    for device in gpus:
        free = float(device.memory_free)
        if shares_memory(device) and host:
            free = min(free, host * _SHARED_MEMORY_SHARE)
        rooms.append(max(0.0, free * (1 - _RESERVE_SHARE) - _RESERVE_BYTES))
    shares = options.proportions
    if not shares or options.split_mode == "none":
        return sum(rooms)
    # The first one to be full ends it.
    return min(room * sum(shares) / share for room, share in zip(rooms, shares, strict=False) if share)


def bytes_on_gpu(setup: Setup, facts: ModelFacts) -> float:
    """Return what the set-up takes of the memory of all its GPUs together, about.

    Each of them computes. Where they have the whole model in turns, each works on a batch of its own, for which llama.cpp has four masks.
    """
    share = 1.0 if setup.gpu_layers < 0 or not facts.layers else min(1.0, setup.gpu_layers / facts.layers)
    weights = facts.file_size - facts.experts_on_cpu(setup.cpu_moe)
    more = (_COPIES - 1) * _mask_bytes(setup) if setup.gpus > 1 and setup.gpu_layers < 0 and not setup.cpu_moe else 0
    return share * (weights + context_bytes(setup, facts)) + setup.gpus * (computing_bytes(setup, facts) + more)


def reckoned(setup: Setup, facts: ModelFacts) -> dict[str, int]:
    """Return what the set-up takes, about, in bytes, and what of it on GPUs."""
    parts = {"weights": facts.file_size, "context": context_bytes(setup, facts), "computing": computing_bytes(setup, facts)}
    return parts | ({"on_gpu": int(bytes_on_gpu(setup, facts))} if setup.on_gpu else {})


def context_bytes(setup: Setup, facts: ModelFacts) -> int:
    """Return what the contexts keep: keys and values of all cells, and the states of all sequences, those of templates among them."""
    sequences = setup.contexts * (setup.parallel_each + PREFIX_SEQUENCES)
    return facts.kept_bytes(setup.context, sequences, setup.kv_type)


def computing_bytes(setup: Setup, facts: ModelFacts) -> int:
    """Return what the contexts compute in, within about a tenth of what llama.cpp sets apart for it.

    The rows of a batch between the layers, or later their logits in the same place; and for each row the mask of all cells, without flash
    attention in larger numbers and with a score for each head beside it.
    """
    rows = setup.ubatch * max(_ACTIVATIONS * facts.embedding, 3 * facts.inner + 5 * facts.embedding) * _BYTES_OF_A_FLOAT
    outputs = rows_with_logits(setup.parallel_each, facts.vocabulary, setup.batch)
    scores = 0 if setup.flash_attention is not FlashAttention.OFF else setup.ubatch * setup.cells_passed * facts.heads * _BYTES_OF_A_FLOAT
    return setup.contexts * (max(rows, outputs * facts.vocabulary * _BYTES_OF_A_FLOAT) + scores + _mask_bytes(setup))


def _mask_bytes(setup: Setup) -> int:
    number = 2 if setup.flash_attention is not FlashAttention.OFF else _BYTES_OF_A_FLOAT
    return setup.ubatch * setup.cells_passed * number


def _without_experts(usual: Setup, facts: ModelFacts, gpus: Sequence[Device], room: float) -> Setup | None:
    """Return the set-up with all layers on the GPU but the experts of as few as it takes; None where that does not do, or was chosen."""
    if usual.cpu_moe or not facts.expert_bytes:
        return None
    for layers in range(1, len(facts.expert_bytes) + 1):
        setup = replace(usual, cpu_moe=layers)
        if bytes_on_gpu(setup, facts) <= room:
            note = f"the experts of {layers} of {facts.layers} layers are on the CPU, all else on {_free_there(usual, facts, gpus)}"
            return replace(setup, notes=(note,))
    return None


def _partly(usual: Setup, options: EngineOptions, facts: ModelFacts, gpus: Sequence[Device], room: float) -> Setup:
    """Return the set-up that puts as many layers on the GPU as fit there."""
    if facts.expert_bytes and not usual.cpu_moe:
        usual = replace(usual, cpu_moe=-1)  # a layer without its experts is small, and they are the least of its work
    # The file holds one layer's worth more, the embedding and the output.
    kept = facts.file_size - facts.experts_on_cpu(usual.cpu_moe) + context_bytes(usual, facts)
    each = kept / max(1, facts.layers + 1)
    layers = min(facts.layers, max(0, int((room - len(gpus) * computing_bytes(usual, facts)) / max(1.0, each))))
    if not layers:
        names, free = _names_and_free(gpus)
        note = f"the model runs on the CPU: {names} has {free} free, which holds none of its layers"
        return replace(cpu_setup(options, usual.threads), gpu_layers=0, notes=(note,))
    experts = " without their experts" if facts.experts_on_cpu(usual.cpu_moe) else ""
    note = f"{layers} of {facts.layers} layers are{experts} on {_free_there(usual, facts, gpus)}"
    return replace(usual, gpu_layers=layers, notes=(note,))


def _free_there(usual: Setup, facts: ModelFacts, gpus: Sequence[Device]) -> str:
    names, free = _names_and_free(gpus)
    whole = gigabytes(facts.file_size + context_bytes(usual, facts))
    return f"{names}: {free} are free there, the model and its context take {whole}"


def _names_and_free(gpus: Sequence[Device]) -> tuple[str, str]:
    return ", ".join(device.name for device in gpus), gigabytes(sum(device.memory_free for device in gpus))


def _fewer_sequences(usual: int, parallel: int, gpus: Sequence[Device]) -> str:
    names, free = _names_and_free(gpus)
    return f"{parallel} sequences at once instead of {usual}: {names} has {free} free"


_LEAST_PARALLEL = 4
_LEAST_CONTEXT = 4096
"""Tokens below which a request beside its template would be refused."""


def setups_to_try(first: Setup, options: EngineOptions, layers: int, *, experts: bool = False) -> list[Setup]:
    """Return `first` and what to fall back to, each smaller than the one before: fewer sequences, less context, fewer layers on the GPU.

    Of a model that has `experts` these leave the GPU before its layers do. What the user chose is never changed: with everything chosen
    only `first` is left. What was kept of an earlier run is given up like what the studio chose itself. `layers` is how many the model has.
    Each fallback has one note more than `first`, which says what was given up.
    """
    smaller = _smaller(first, options, layers, experts=experts)
    return [first, *(replace(setup, notes=(*first.notes, _given_up(first, setup, options.origin))) for setup in smaller)]


def first_that_fits(setups: Sequence[Setup], attempt: Callable[[Setup], T]) -> T:
    """Return what `attempt` makes of the first set-up it has memory for. Raises the last OutOfMemory when there is none."""
    for setup in setups[:-1]:
        try:
            return attempt(setup)
        except OutOfMemory:
            continue
    return attempt(setups[-1])


def _smaller(setup: Setup, options: EngineOptions, layers: int, *, experts: bool = False) -> Iterator[Setup]:
    if setup.contexts > 1 and not options.chosen("contexts"):
        setup = replace(
            setup,
            contexts=1,
            context=options.chosen("context") or min(setup.context, default_context(setup.parallel, separate=setup.separate)),
        )
        yield setup
    while not options.chosen("parallel") and setup.parallel > _LEAST_PARALLEL:
        parallel = max(_LEAST_PARALLEL, setup.parallel // 2)
        needed = setup.contexts * default_context(-(-parallel // setup.contexts), separate=setup.separate)
        context = options.chosen("context") or min(setup.context, needed)
        setup = replace(setup, parallel=parallel, context=context, ubatch=min(setup.ubatch, UBATCH_TOKENS_SMALL))
        yield setup
    # With cells of their own sequences have no more than a template and a request take.
    while not options.chosen("context") and not setup.separate and setup.context // 2 >= _LEAST_CONTEXT:
        setup = replace(setup, context=setup.context // 512 * 256)
        yield setup
    if not setup.on_gpu:
        return
    if experts and not options.cpu_moe and setup.cpu_moe >= 0:
        setup = replace(setup, cpu_moe=-1)
        yield setup
    if options.gpu_layers >= 0:
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
    words = f"there was no memory for {first.words}{whose}; it runs with {setup.words}"
    if first.cpu_moe != setup.cpu_moe and setup.on_gpu:
        words += ", all experts on the CPU"
    if first.gpu_layers == setup.gpu_layers:
        return words
    return f"{words} and {setup.gpu_layers or 'no'} layers on the GPU"
