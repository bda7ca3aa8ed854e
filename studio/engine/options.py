"""How an engine is set up, the defaults that follow from the machine, and which of its cores are worth a thread."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from studio.errors import UsageError


class FlashAttention(StrEnum):
    """Whether attention is computed piece by piece, without a table of all scores: `AUTO` does where a GPU can."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""The bytes that a number among keys and values takes, by the type they are kept in."""
KV_TYPE = "f16"
KV_CELLS = ("unified", "separate")
"""How sequences have their keys and values: in the same cells, which each passes over, or each in cells of its own; the usual one first."""
SPLIT_MODES = ("layer", "row", "none")
"""How several GPUs share a model, see `EngineOptions`; the usual one first."""
MAX_CONTEXT = (1 << 31) - 1
"""llama.cpp counts tokens in 32 bits."""
PARALLEL_CPU = 16
PARALLEL_GPU = 64
_LLAMA_SEQUENCES = 256
"""What llama.cpp has in a context (LLAMA_MAX_SEQ), those of templates among them."""
PREFIX_SEQUENCES = 4
"""Few-shot templates that can be in the context at once."""
MAX_PARALLEL = _LLAMA_SEQUENCES - PREFIX_SEQUENCES
MAX_PARALLEL_SERVER = 512
"""Requests under way at a server: each has a connection."""


@dataclass(frozen=True, slots=True)
class Flag:
    """What a user may say of an option: a number from `least` to `most`, or one of `words`; `kind` is its name in the help.

    `usual` is what is so unless something is said.
    """

    help: str
    usual: str = "0"
    kind: str = "N"
    least: int = 0
    most: int | None = None
    words: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is counted: neither one of some words nor a text."""
        return not self.words and self.kind in ("N", "TOKENS")


FLAGS: Mapping[str, Flag] = {
    "gpu_layers": Flag("layers to offload to the GPU; -1 is all", "-1", least=-1),
    "context": Flag("context tokens over all sequences; 0 chooses", kind="TOKENS"),
    "threads": Flag("CPU threads; 0 is the physical cores, of two kinds the fast ones"),
    "parallel": Flag(
        f"sequences decoded at once, at most {MAX_PARALLEL}, at a server {MAX_PARALLEL_SERVER}; 0 chooses", most=MAX_PARALLEL_SERVER
    ),
    "flash_attention": Flag(
        "attention piece by piece; auto where a GPU can; on a CPU results then depend on the number of threads",
        "auto",
        words=tuple(each.value for each in FlashAttention),
    ),
    "kv_type": Flag(
        "what keys and values are kept in; q8_0 takes about half the memory, q4_0 a quarter, with flash attention",
        "the pool's, or f16",
        words=tuple(KV_BYTES),
    ),
    "kv_cells": Flag(
        "keys and values of all sequences together, where a template is kept once, or each sequence's apart",
        "the pool's, or unified",
        words=KV_CELLS,
    ),
    "tensor_split": Flag("shares of several GPUs, such as 3,1", "by their free memory", kind="N,N,..."),
    "split_mode": Flag("GPUs share by layer, by row of each weight, or not at all", "layer", words=SPLIT_MODES),
    "main_gpu": Flag("the GPU that has all with split mode none, counted from 0"),
    "cpu_moe": Flag("layers whose experts stay on the CPU, from the first on; -1 is all, 0 those that do not fit", least=-1),
}
"""By the name of the option."""
_EVERYWHERE = ("gpu_layers", "context", "threads", "parallel")
"""Options that are no error where a server runs the model."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The user's choices, see `FLAGS`, and what an earlier run had.

    Tokens of the context are divided among `contexts` of llama.cpp that compute side by side; 0 chooses. `adapter` is the path of a LoRA
    adapter, a GGUF file, or empty. The fields named in `kept` are not the user's choice but what `origin`, in words, was made with: they
    stand where there is memory for them and are given up elsewhere, with a note.
    """

    gpu_layers: int = -1
    context: int = 0
    threads: int = 0
    parallel: int = 0
    contexts: int = 0
    adapter: str = ""
    flash_attention: str = FlashAttention.AUTO
    kv_type: str = KV_TYPE
    kv_cells: str = KV_CELLS[0]
    split_mode: str = SPLIT_MODES[0]
    tensor_split: str = ""
    main_gpu: int = 0
    cpu_moe: int = 0
    kept: tuple[str, ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for what is no option's value, and for options that contradict each other."""
        object.__setattr__(self, "kept", tuple(self.kept))  # a message between processes brings a list
        for name, flag in FLAGS.items():
            _check(name, getattr(self, name), flag)
        if self.contexts < 0:
            raise UsageError(f"{self.contexts} contexts: must be at least 0, which chooses")
        if self.context > MAX_CONTEXT:
            raise UsageError(f"--context {self.context}: llama.cpp counts at most {MAX_CONTEXT:,} tokens", "give a smaller number")
        if self.kv_type != KV_TYPE and self.flash_attention == FlashAttention.OFF:
            raise UsageError(f"--kv-type {self.kv_type} needs flash attention", "leave --flash-attention out, or keep f16")
        if self.main_gpu and self.split_mode != "none":  # llama.cpp looks at it in that mode alone
            raise UsageError(f"--main-gpu {self.main_gpu} has no effect where GPUs share the model", "add --split-mode none")
        _ = self.proportions

    @property
    def proportions(self) -> tuple[float, ...]:
        """The numbers of `tensor_split`. Raises UsageError where they are none."""
        try:
            numbers = tuple(float(part) for part in self.tensor_split.split(",")) if self.tensor_split else ()
        except ValueError:
            numbers = (math.nan,)
        if numbers and not (all(0 <= number < math.inf for number in numbers) and sum(numbers) > 0):
            raise UsageError(f"--tensor-split {self.tensor_split}: must be numbers with commas between them", "such as 3,1")
        return numbers

    @property
    def separate(self) -> bool:
        """Whether each sequence is to have cells of its own."""
        return self.kv_cells == KV_CELLS[1]

    @property
    def split(self) -> str:
        """What was chosen of how several GPUs share the model, in words; empty for what is usual."""
        if self.split_mode == "none":
            return f"GPU {self.main_gpu} alone"
        chosen = self.split_mode if self.split_mode != SPLIT_MODES[0] else ""
        return " ".join(filter(None, (chosen, self.tensor_split)))

    def refuse_elsewhere(self, model: str) -> None:
        """Raise UsageError where something was chosen that a server, or whatever `model` is, knows nothing of."""
        usual = self.elsewhere()
        for name in FLAGS:
            if getattr(self, name) != getattr(usual, name):
                words = f"{flag_of(name)} is for llama.cpp on this machine, not for {model}"
                raise UsageError(words, "a server is told such things when it is started")

    def elsewhere(self) -> EngineOptions:
        """Return the options without what only llama.cpp on this machine knows, for a server beside it."""
        usual: dict[str, Any] = {each.name: each.default for each in fields(self) if each.name in FLAGS and each.name not in _EVERYWHERE}
        return replace(self, **usual)

    def require_parallel(self, most: int, who: str) -> None:
        """Raise UsageError for more than `most` sequences."""
        if self.parallel > most:
            raise UsageError(f"--parallel {self.parallel}: {who} runs at most {most} sequences at once", "give a smaller number")

    def chosen(self, name: str) -> int:
        """Return the user's own number of that name, 0 where it is to be chosen or may be given up."""
        return 0 if name in self.kept else int(getattr(self, name))

    def released(self) -> EngineOptions:
        """Return the options without what was kept of an earlier run."""
        context, parallel, contexts = map(self.chosen, ("context", "parallel", "contexts"))
        return replace(self, context=context, parallel=parallel, contexts=contexts, kept=(), origin="")


def flag_of(name: str) -> str:
    """Return an option's name as it is written in a command."""
    return f"--{name.replace('_', '-')}"


def _check(name: str, value: int | str, flag: Flag) -> None:
    given, left_out = f"{flag_of(name)} {value}", f"leave {flag_of(name)} out to have it chosen"
    if flag.words and value not in flag.words:
        raise UsageError(f"{given}: must be one of {', '.join(flag.words)}")
    if isinstance(value, int) and value < flag.least:
        raise UsageError(f"{given}: must be at least {flag.least}", left_out)
    if isinstance(value, int) and flag.most is not None and value > flag.most:
        raise UsageError(f"{given}: must be at most {flag.most:,}", left_out)


_LEAST_MEASURED_ROWS = 16
_MEASURED_BYTES = 16 << 20
"""For the logits of a batch: 85 rows of a vocabulary of 49,152."""
_BYTES_OF_A_LOGIT = 4
BATCH_TOKENS_CPU = 512
BATCH_TOKENS_GPU = 2048
TOKENS_PER_SEQUENCE = 600
"""A typical request, beside its template."""
ROOMY_TOKENS = 2 * TOKENS_PER_SEQUENCE
"""Tokens a sequence is given where memory is plentiful: the longest request the stages make."""
_TOKENS_OF_PREFIX = 2000


def default_context(parallel: int, each: int = TOKENS_PER_SEQUENCE, *, separate: bool = False) -> int:
    """Return the tokens to hold for all sequences together: a request of `each` tokens for every one, and four few-shot templates.

    With `separate` cells each holds a template beside its request, and so do the templates' own.
    """
    if separate:
        return (parallel + PREFIX_SEQUENCES) * _padded(_TOKENS_OF_PREFIX + each)
    return _padded(parallel * each + PREFIX_SEQUENCES * _TOKENS_OF_PREFIX)


def _padded(tokens: int) -> int:
    """Return a number of cells as llama.cpp has them."""
    return (tokens + 255) // 256 * 256


def rows_with_logits(parallel: int, vocabulary: int, batch: int) -> int:
    """Return how many rows of a batch of `batch` may want logits: one for each sequence, and more to measure prompts by.

    How many more is a matter of memory: a row has `vocabulary` numbers.
    """
    sequences = parallel + PREFIX_SEQUENCES
    measured = max(_LEAST_MEASURED_ROWS, _MEASURED_BYTES // (_BYTES_OF_A_LOGIT * max(1, vocabulary)) - sequences)
    return min(sequences + measured, max(sequences, batch))


def memory_of_machine(*, swap: bool = True) -> int:
    """Return the bytes of memory this process can have at the very most: the machine's, or less where a control group says so.

    Without `swap` only those that are as fast as memory is.
    """
    import psutil

    total = int(psutil.virtual_memory().total) + (int(psutil.swap_memory().total) if swap else 0)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text("ascii")))
    return total


_LEAST_CAPACITY = 0.5
"""Of the fastest core's: of a processor with three kinds the two larger ones are used."""


def usable_cores(root: Path = Path("/")) -> int:
    """Return the physical cores this process may use: its CPU affinity and its cgroup's quota counted in, at least 1.

    llama.cpp's threads spin at barriers, so one thread more than there are cores costs more than it brings, and so does one on an
    efficiency core, which all others wait for: where there are such, only the others count. `root` is the folder of the system's files.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is not None:
        fast = fast_cpus(affinity(0), root)
        cores = len({_core_of(cpu, root) for cpu in fast})
    else:
        import psutil

        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        if sys.platform == "darwin":
            cores = mac_performance_cores(_sysctl) or cores
    return max(1, min(cores, math.ceil(_cgroup_quota(root) or cores)))


def fast_cpus(allowed: Collection[int], root: Path) -> set[int]:
    """Return the CPUs of `allowed` that are performance cores, all where Linux tells of no others or none of those may be used."""
    named = set(allowed) & _cpu_list(root / "sys/devices/cpu_core/cpus")  # Intel's, beside cpu_atom
    if named:
        return named
    capacities = {cpu: _capacity(cpu, root) for cpu in allowed}
    most = max(capacities.values(), default=0)
    return {cpu for cpu, capacity in capacities.items() if capacity >= _LEAST_CAPACITY * most}


def mac_performance_cores(ask: Callable[[str], str]) -> int:
    """Return how many performance cores a Mac has; 0 where `ask`, which looks a name up, knows of no such kind."""
    with contextlib.suppress(OSError, ValueError):
        if int(ask("hw.nperflevels")) > 1:
            return int(ask("hw.perflevel0.physicalcpu"))
    return 0


def _sysctl(name: str) -> str:
    return subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False).stdout


def _cpu_list(path: Path) -> set[int]:
    """Return the numbers in a list such as `0-7,16`; none where it cannot be read."""
    try:
        parts = [part.partition("-") for part in path.read_text("ascii").strip().split(",") if part]
        return {cpu for first, _, last in parts for cpu in range(int(first), int(last or first) + 1)}
    except (OSError, ValueError):
        return set()


def _capacity(cpu: int, root: Path) -> int:
    """Return how much a CPU does beside others, of 1,024; 0 where Linux does not tell, as for equal ones."""
    with contextlib.suppress(OSError, ValueError):
        return int((root / f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity").read_text("ascii"))
    return 0


def _core_of(cpu: int, root: Path) -> str:
    """Return what hyperthreads of one core share; the CPU's own number where the system does not tell."""
    try:
        return (root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text("ascii").strip()
    except (OSError, ValueError):
        return str(cpu)


def _cgroup_quota(root: Path) -> float:
    """Return the CPUs that the control group grants (version 2, then 1), 0 for no limit."""
    group = root / "sys/fs/cgroup"
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = (float(part) for name in files for part in (group / name).read_text("ascii").split())
        except (OSError, ValueError):
            continue  # no such group, or its quota is the word "max"
        return max(0.0, quota / period)
    return 0.0
