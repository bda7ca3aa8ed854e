"""One llama.cpp context of a loaded model: the cores it computes on, the rows of a call of `llama_decode`, and how one is stopped.

The CPU's matrix instructions (AMX) are tried in it: a build of llama.cpp may use them wrongly, which ends the process at the first
computation. GCC 12 removes the stores that fill the tiles' configuration, which it takes for dead, and the first tile instruction is then
an illegal one; builds for another machine die of the same. Without llama.cpp's extra buffers none of that code runs: weights stay as they
are stored.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from studio.engine.api import CancelToken
from studio.engine.llama.build import features
from studio.engine.llama.log import LOG, last_words
from studio.engine.llama.setup import OutOfMemory, speaks_of_memory
from studio.errors import ModelError

if TYPE_CHECKING:
    from studio.engine.llama.model import LlamaModel


class Cores:
    """Divides `threads` among the contexts that compute at the moment. Results do not depend on it: no sum is divided among threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._computing: list[object] = []
        self._lock = threading.Lock()

    @contextmanager
    def computing(self, context: object) -> Iterator[None]:
        """While entered, `context` has a share of the cores."""
        with self._lock:
            self._computing.append(context)
        try:
            yield
        finally:
            with self._lock:
                self._computing.remove(context)

    def share(self, context: object) -> int:
        """Return how many threads `context` should use now, at least 1; the first ones to come get what is left over."""
        with self._lock:
            if context not in self._computing:
                return self._threads
            each, over = divmod(self._threads, len(self._computing))
            return max(1, each + (self._computing.index(context) < over))


class LlamaContext:
    """Cells and sequences of `model`. Sequences 0 to `parallel - 1` are for requests, those after them for templates.

    Not safe for use from several threads at once; several contexts of one model may compute at the same time.
    """

    def __init__(self, model: LlamaModel, handle: Any, parallel: int, cores: Cores) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self.model = model
        self.handle: Any = handle
        self.memory: Any = llama_cpp.llama_get_memory(handle)
        self.parallel = parallel
        self.cells = int(llama_cpp.llama_n_ctx(handle))
        self.cores = cores
        self._threads = 0

    def take_cores(self) -> None:
        """Let the next computation use the context's share of the cores."""
        threads = self.cores.share(self)
        if threads != self._threads:
            self._threads = threads
            self._lib.llama_set_n_threads(self.handle, threads, threads)

    def close(self) -> None:
        """Free it. Safe to call twice."""
        if self.handle is not None:
            self._lib.llama_free(self.handle)
            self.handle = None


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


_POLL_S = 0.02


class AbortFlag:
    """An abort callback for llama.cpp that fires while this flag is raised.

    llama.cpp asks `bool callback(void *data)` once for every node of its graph, hundreds of times a token. A Python callback would need
    the interpreter's lock each time and slow decoding down whenever another thread holds it. So the callback is C's own `strlen` and the
    data a byte string: an empty one gives 0, go on; one of a single byte gives 1, abort.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)

    def attach(self, context: Any) -> None:
        """Let `context` ask this flag. CPU backends ask; others finish the step they are in."""
        import llama_cpp

        self._function = ctypes.cast(ctypes.CDLL(None).strlen, llama_cpp.ggml_abort_callback)
        llama_cpp.llama_set_abort_callback(context, self._function, ctypes.cast(self._text, ctypes.c_void_p))

    def raise_flag(self) -> None:
        """Abort what is being computed, and everything after it until `lower`."""
        self._text[0] = b"!"

    def lower(self) -> None:
        """Let computations run again."""
        self._text[0] = b"\0"


class AbortOnCancel:
    """While entered, raises the flag within 0.02 s of the token's cancellation."""

    def __init__(self, flag: AbortFlag, cancel: CancelToken) -> None:
        self._flag = flag
        self._cancel = cancel
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="abort-on-cancel", daemon=True)

    def __enter__(self) -> AbortOnCancel:
        self._flag.lower()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._flag.lower()

    def _watch(self) -> None:
        while not self._done.wait(_POLL_S):
            if self._cancel.cancelled:
                self._flag.raise_flag()
                return
