"""The flags of commands that load a model: how llama.cpp sets it up. What is not given is left to the pool, or chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

from studio.engine.options import KV_BYTES, KV_CELLS, MAX_PARALLEL_SERVER, PARALLEL_HELP, SPLIT_MODES, FlashAttention

if TYPE_CHECKING:
    from studio.engine.options import EngineOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = {
    "gpu_layers": click.option(
        "--gpu-layers", type=click.IntRange(min=-1), metavar="N", help="Layers to offload to the GPU; -1 is all. [-1]"
    ),
    "context": click.option("--context", type=click.IntRange(min=0), metavar="TOKENS", help="Context over all sequences; 0 chooses. [0]"),
    "threads": click.option("--threads", type=click.IntRange(min=0), metavar="N", help="CPU threads; 0 is the physical cores. [0]"),
    "parallel": click.option("--parallel", type=click.IntRange(0, MAX_PARALLEL_SERVER), metavar="N", help=f"S{PARALLEL_HELP[1:]}. [0]"),
    "flash_attention": click.option(
        "--flash-attention",
        type=click.Choice([each.value for each in FlashAttention]),
        help="Compute attention piece by piece; auto does where a GPU can. On a CPU results then depend on the number of threads. [auto]",
    ),
    "kv_type": click.option(
        "--kv-type",
        type=click.Choice([*KV_BYTES]),
        help="What keys and values are kept in; q8_0 takes about half the memory, q4_0 a quarter, with flash attention. [f16]",
    ),
    "kv_cells": click.option(
        "--kv-cells",
        type=click.Choice(KV_CELLS),
        help="Keep keys and values of all sequences together, where a template is kept once, or each sequence's apart. [unified]",
    ),
    "tensor_split": click.option("--tensor-split", metavar="N,N,...", help="Shares of several GPUs, such as 3,1. [by their free memory]"),
    "split_mode": click.option(
        "--split-mode", type=click.Choice(SPLIT_MODES), help="Share GPUs by layer, by row of each weight, or not at all. [layer]"
    ),
    "main_gpu": click.option(
        "--main-gpu", type=click.IntRange(min=0), metavar="N", help="The GPU that has all with --split-mode none, counted from 0. [0]"
    ),
    "cpu_moe": click.option(
        "--cpu-moe",
        type=click.IntRange(min=-1),
        metavar="N",
        help="Layers whose experts stay on the CPU, from the first on; -1 is all, 0 those that do not fit. [0]",
    ),
}


def engine_flags(command: Command) -> Command:
    """Give a command these flags; those that are not used come as None."""
    return reduce(lambda flagged, flag: flag(flagged), reversed(_FLAGS.values()), command)


def taken_options(values: dict[str, Any], **more: Any) -> EngineOptions:
    """Return the options that the flags among `values` ask for, and `more`; they are taken out. Raises UsageError."""
    from studio.engine.options import EngineOptions

    asked = {name: values.pop(name) for name in _FLAGS}
    return EngineOptions(**{name: value for name, value in asked.items() if value is not None}, **more)
