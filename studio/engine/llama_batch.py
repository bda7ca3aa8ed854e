"""The rows of one call of `llama_decode`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.engine.fitting import OutOfMemory, speaks_of_memory
from studio.engine.llama_context import LlamaContext
from studio.engine.llama_log import LOG, last_words
from studio.errors import ModelError

_ABORTED = 2
_NO_ROOM = 1
_NO_MEMORY = -2
_LINES_OF_A_FAILURE = 10


class BatchRows:
    """A batch that is filled by hand, row by row, and evaluated. Holds at most `capacity` rows."""

    def __init__(self, context: LlamaContext, capacity: int) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._context = context
        self.capacity = capacity
        self._batch: Any = llama_cpp.llama_batch_init(capacity, 0, 1)

    def add(self, tokens: Sequence[int], position: int, sequence: int, *, wants_logits: bool) -> int:
        """Append `tokens` of `sequence` from `position` on; logits, if wanted, of the last one. Returns that last row's number."""
        batch = self._batch
        row = batch.n_tokens
        token, pos, n_seq_id, seq_id, logits = batch.token, batch.pos, batch.n_seq_id, batch.seq_id, batch.logits
        for offset, value in enumerate(tokens):
            token[row] = value
            pos[row] = position + offset
            n_seq_id[row] = 1
            seq_id[row][0] = sequence
            logits[row] = 0
            row += 1
        logits[row - 1] = wants_logits
        batch.n_tokens = row
        return int(row - 1)

    def evaluate(self) -> bool:
        """Evaluate the rows and empty the batch; False when the computation was aborted.

        Raises OutOfMemory when a device has none left, and ModelError when llama.cpp fails otherwise. That it finds no room in the
        context cannot be as long as `scheduler.Slots` hands out no more cells than there are.
        """
        self._context.take_cores()
        status = int(self._lib.llama_decode(self._context.handle, self._batch))
        rows, self._batch.n_tokens = self._batch.n_tokens, 0
        if status == 0:
            return True
        if status == _ABORTED:
            return False
        if status == _NO_ROOM:
            raise ModelError(f"the context of {self._context.cells} tokens has no room for {rows} more", "give it more with --context")
        if status == _NO_MEMORY or speaks_of_memory(LOG.last(_LINES_OF_A_FAILURE)):
            raise OutOfMemory(f"no memory left to evaluate a batch of {rows} tokens", last_words())
        raise ModelError(f"llama.cpp failed to evaluate a batch of {rows} tokens (status {status})", last_words())

    def close(self) -> None:
        """Free the batch. Safe to call twice."""
        if self._batch is not None:
            self._lib.llama_batch_free(self._batch)
            self._batch = None
