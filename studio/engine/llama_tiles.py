"""The CPU's matrix instructions (AMX): a build of llama.cpp may use them wrongly, which ends the process at the first computation.

GCC 12 removes the stores that fill the tiles' configuration, which it takes for dead, and the first tile instruction is then an illegal
one; builds for another machine die of the same. Without llama.cpp's extra buffers none of that code runs: weights stay as they are stored.
"""

from __future__ import annotations

from studio.engine.llama_batch import BatchRows
from studio.engine.llama_build import features
from studio.engine.llama_context import LlamaContext

_TILES = "AMX_INT8"
_ROWS = 2
"""A single row takes another way, without tiles."""

PLAIN_NOTICE = (
    "the CPU's matrix instructions (AMX) crash the installed llama.cpp: it runs without them, which takes two to three times as long; "
    "build it again with `uv sync --reinstall-package llama-cpp-python`"
)


def try_tiles(context: LlamaContext) -> None:
    """Compute two rows in the empty `context`, where llama.cpp would use tiles: a build that cannot does not survive it.

    Raises OutOfMemory and ModelError as any batch does.
    """
    import llama_cpp

    if _TILES not in features(llama_cpp.llama_print_system_info().decode("utf-8", "replace")):
        return
    batch = BatchRows(context, _ROWS)
    try:
        batch.add([0] * _ROWS, 0, 0, wants_logits=True)
        batch.evaluate()
    finally:
        batch.close()
    llama_cpp.llama_memory_clear(context.memory, True)
