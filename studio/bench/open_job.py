"""Opens a pool and fills the novelty index from it, in a process of its own, as a session does when it starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil

from studio.loop.novelty import NoveltyIndex
from studio.loop.profiles import DEFAULT_PROFILE, profile
from studio.loop.tokens import TOKENIZERS
from studio.pool.pool import Pool


def run(path: str) -> dict[str, Any]:
    """Return the seconds until the pool is open and until the index is filled, and the memory that both took, in bytes."""
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    with Pool.open(Path(path)) as pool:
        open_s = time.perf_counter() - began
        index = NoveltyIndex(TOKENIZERS[profile(DEFAULT_PROFILE).tokenizer])
        index.extend(pool.reader.instructions())
        index_s = time.perf_counter() - began - open_s
        memory = psutil.Process().memory_info().rss
        return {"tasks": len(index), "open_s": open_s, "index_s": index_s, "memory_bytes": memory - before, "peak_rss_bytes": _peak(memory)}


def _peak(now: int) -> int:
    """The most memory this process has had, in bytes; `now` where the system does not keep count."""
    try:
        import resource
    except ImportError:
        return now
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
