"""How an engine is set up, and the defaults that follow from the machine."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from studio.errors import UsageError


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The user's choices. `gpu_layers` -1 means all; 0 for the other numbers means: choose.

    `context` counts tokens of all sequences together; they are divided among `contexts` of llama.cpp that compute side by side. `adapter`
    is the path of a LoRA adapter, a GGUF file, or empty. The fields named in `kept` are not the user's choice but what `origin`, in words,
    was made with: they stand where there is memory for them and are given up elsewhere, with a note.
    """

    gpu_layers: int = -1
    context: int = 0
    threads: int = 0
    parallel: int = 0
    contexts: int = 0
    adapter: str = ""
    kept: tuple[str, ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for a negative number, but for -1 GPU layers, and for more sequences than any engine has."""
        object.__setattr__(self, "kept", tuple(self.kept))  # a message between processes brings a list
        for name, least in (("gpu_layers", -1), ("context", 0), ("threads", 0), ("parallel", 0), ("contexts", 0)):
            if getattr(self, name) < least:
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} {getattr(self, name)}: must be at least {least}", f"leave --{flag} out to have it chosen")
        if self.parallel > MAX_PARALLEL_SERVER:
            self.require_parallel(MAX_PARALLEL_SERVER, "an engine")
        if self.context > MAX_CONTEXT:
            raise UsageError(f"--context {self.context}: llama.cpp counts at most {MAX_CONTEXT:,} tokens", "give a smaller number")

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


PARALLEL_CPU = 16
PARALLEL_GPU = 64
_LLAMA_SEQUENCES = 256
"""What llama.cpp has in a context (LLAMA_MAX_SEQ), those of templates among them."""
PREFIX_SEQUENCES = 4
"""Few-shot templates that can be in the context at once."""
MAX_PARALLEL = _LLAMA_SEQUENCES - PREFIX_SEQUENCES
MAX_PARALLEL_SERVER = 512
"""Requests under way at a server: each has a connection."""
PARALLEL_HELP = f"sequences decoded at once, at most {MAX_PARALLEL}, at a server {MAX_PARALLEL_SERVER}; 0 chooses"
MAX_CONTEXT = (1 << 31) - 1
_LEAST_MEASURED_ROWS = 16
_MEASURED_BYTES = 16 << 20
"""For the logits of a batch: 85 rows of a vocabulary of 49,152."""
_BYTES_OF_A_LOGIT = 4
BATCH_TOKENS_CPU = 512
BATCH_TOKENS_GPU = 2048
TOKENS_PER_SEQUENCE = 600
"""A typical request, beside its template."""
_TOKENS_FOR_PREFIXES = PREFIX_SEQUENCES * 2000


def default_context(parallel: int, each: int = TOKENS_PER_SEQUENCE) -> int:
    """Return the tokens to hold for all sequences together: a request of `each` tokens for every one, and four few-shot templates."""
    tokens = parallel * each + _TOKENS_FOR_PREFIXES
    return (tokens + 255) // 256 * 256


def rows_with_logits(parallel: int, vocabulary: int, batch: int) -> int:
    """Return how many rows of a batch of `batch` may want logits: one for each sequence, and more to measure prompts by.

    How many more is a matter of memory: a row has `vocabulary` numbers.
    """
    sequences = parallel + PREFIX_SEQUENCES
    measured = max(_LEAST_MEASURED_ROWS, _MEASURED_BYTES // (_BYTES_OF_A_LOGIT * max(1, vocabulary)) - sequences)
    return min(sequences + measured, max(sequences, batch))


def usable_cores() -> int:
    """Return the physical cores this process may use: its CPU affinity and its cgroup's quota counted in, at least 1.

    llama.cpp's threads spin at barriers, so one thread more than there are cores costs more than it brings.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    allowed: set[int] = affinity(0) if affinity is not None else set(range(os.cpu_count() or 1))
    cores = len({_core_of(cpu) for cpu in allowed})
    if affinity is None:
        import psutil

        cores = min(cores, psutil.cpu_count(logical=False) or cores)
    return max(1, min(cores, math.ceil(_cgroup_quota() or cores)))


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


def _core_of(cpu: int) -> str:
    """Return what hyperthreads of one core share; the CPU's own number where the system does not tell."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text("ascii").strip()
    except (OSError, ValueError):
        return str(cpu)


def _cgroup_quota() -> float:
    """Return the CPUs that the control group grants (version 2, then 1), 0 for no limit."""
    root = Path("/sys/fs/cgroup")
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = (float(part) for name in files for part in (root / name).read_text("ascii").split())
        except (OSError, ValueError):
            continue  # no such group, or its quota is the word "max"
        return max(0.0, quota / period)
    return 0.0
