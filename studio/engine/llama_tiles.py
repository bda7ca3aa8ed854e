"""The CPU's matrix instructions (AMX): a build of llama.cpp may use them wrongly, which ends the process at the first computation.

GCC 12 removes the stores that fill the tiles' configuration, which it takes for dead, and the first tile instruction is then an illegal
one; builds for another machine die of the same. Without llama.cpp's extra buffers none of that code runs: weights stay as they are stored.
"""

from __future__ import annotations

from typing import Any

from studio.engine.llama_build import features

_TILES = "AMX_INT8"
_ROWS = 2
"""A single row takes another way, without tiles."""

PLAIN_NOTICE = (
    "the CPU's matrix instructions (AMX) crash the installed llama.cpp: it runs without them, which takes two to three times as long; "
    "build it again with `uv sync --reinstall-package llama-cpp-python`"
)


def try_tiles(lib: Any, context: Any) -> None:
    """Compute two rows in the empty `context`, where llama.cpp would use tiles: a build that cannot does not survive it."""
    if _TILES not in features(lib.llama_print_system_info().decode("utf-8", "replace")):
        return
    batch = lib.llama_batch_init(_ROWS, 0, 1)
    for row in range(_ROWS):
        batch.token[row], batch.pos[row], batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 0, row, 1, 0, row == _ROWS - 1
    batch.n_tokens = _ROWS
    # What llama.cpp says of it, other than by dying, the first real batch tells again.
    lib.llama_decode(context, batch)
    lib.llama_batch_free(batch)
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
