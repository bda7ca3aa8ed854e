"""What is tried when a set-up finds no memory: each one smaller than the one before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from studio.engine.llama.setup import UBATCH_TOKENS_SMALL, Setup, cpu_setup
from studio.engine.options import EngineOptions, default_context
from studio.errors import ModelError

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
    words = f"there was no memory for {_words(first)}{whose}; it runs with {_words(setup)}"
    if first.cpu_moe != setup.cpu_moe and setup.on_gpu:
        words += ", all experts on the CPU"
    if first.gpu_layers == setup.gpu_layers:
        return words
    return f"{words} and {setup.gpu_layers or 'no'} layers on the GPU"


def _words(setup: Setup) -> str:
    context = "a context" if setup.contexts == 1 else f"{setup.contexts} contexts"
    return f"{setup.parallel} sequences in {context} of {setup.context_each:,} tokens"
