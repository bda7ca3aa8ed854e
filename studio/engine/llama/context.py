"""One llama.cpp context of a loaded model: its batch of rows, the states of its sequences, its share of the cores, and how it is stopped.

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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.engine.api import CancelToken
from studio.engine.llama.build import features
from studio.engine.llama.log import LOG, OutOfMemory, last_words, speaks_of_memory
from studio.engine.llama.sampling import Block, DrawingThreads
from studio.engine.llama.vocab import Vocabulary
from studio.errors import ModelError

State = ctypes.Array[ctypes.c_uint8]
"""What llama.cpp knows of a sequence's tokens: their keys and values."""

_ABORTED = 2
_NO_ROOM = 1
_NO_MEMORY = -2
_LINES_OF_A_FAILURE = 10
_BOUNDLESS = 1 << 62
_TILES = "AMX_INT8"
_TILE_ROWS = 2
"""A single row takes another way, without tiles."""
_POLL_S = 0.02

PLAIN_NOTICE = (
    "the CPU's matrix instructions (AMX) crash the installed llama.cpp: it runs without them, which takes two to three times as long; "
    "build it again with `uv sync --reinstall-package llama-cpp-python`"
)


class Cores:
    """Divides `threads` among the contexts that compute at the moment. Results do not depend on it: no sum is divided among threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
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
                return self.threads
            each, over = divmod(self.threads, len(self._computing))
            return max(1, each + (self._computing.index(context) < over))


class _Batch:
    """A `llama_batch` over arrays of numpy's, one entry a row, each row of one sequence: a prompt is written at once."""

    def __init__(self, rows: int) -> None:
        import llama_cpp

        self._token, self._position, self._sequence = (np.zeros(rows, dtype=np.int32) for _ in range(3))
        self._one = np.ones(rows, dtype=np.int32)
        self._wanted = np.zeros(rows, dtype=np.int8)
        # llama.cpp has an array of sequences for each row: here each of them is one element of the same array.
        self._pointers = self._sequence.ctypes.data + self._sequence.itemsize * np.arange(rows, dtype=np.uintp)
        arrays: dict[str, NDArray[Any]] = {
            "token": self._token,
            "pos": self._position,
            "n_seq_id": self._one,
            "seq_id": self._pointers,
            "logits": self._wanted,
        }
        kinds: dict[str, Any] = {name: kind for name, kind, *_ in llama_cpp.llama_batch._fields_}
        self._batch = llama_cpp.llama_batch(**{name: array.ctypes.data_as(kinds[name]) for name, array in arrays.items()})
        self._steps = np.arange(rows, dtype=np.int32)
        self._rows = 0

    def add(self, tokens: Sequence[int], position: int, sequence: int, logits: int) -> int:
        """Append rows and return the last one's number."""
        begin, end = self._rows, self._rows + len(tokens)
        self._token[begin:end] = tokens
        self._position[begin:end] = self._steps[: len(tokens)] + position
        self._sequence[begin:end] = sequence
        self._wanted[begin:end] = 0
        self._wanted[end - logits : end] = 1
        self._rows = end
        return end - 1

    def taken(self) -> tuple[int, Any]:
        """Return how many rows there are, and the batch of them; the next row is the first of another."""
        rows, self._rows = self._rows, 0
        self._batch.n_tokens = rows
        return rows, self._batch


class LlamaContext:
    """Cells and sequences of a model, and a batch of at most `rows` rows that is filled by hand and evaluated.

    Sequences 0 to `parallel - 1` are for requests, those after them for templates. Not safe for use from several threads at once; several
    contexts of one model may compute at the same time.
    """

    def __init__(self, handle: Any, vocabulary: Vocabulary, *, parallel: int, rows: int, outputs: int, cores: Cores) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self.handle: Any = handle
        self.vocabulary = vocabulary
        self.parallel = parallel
        self.rows = rows
        self.outputs = outputs
        """Rows of a batch that may want logits, more than there are sequences."""
        self.cores = cores
        self.cells = int(llama_cpp.llama_n_ctx(handle))
        self.cells_each = int(llama_cpp.llama_n_ctx_seq(handle))
        """Those that one sequence may fill: all, or where each has its own, these."""
        self._memory: Any = llama_cpp.llama_get_memory(handle)
        self.drawing = DrawingThreads(vocabulary.size, cores.threads)
        self._row = ctypes.c_float * vocabulary.size
        self._batch = _Batch(rows)
        self._threads = 0

    @property
    def separate(self) -> bool:
        """Whether each sequence, those of templates among them, has cells of its own, which no other one passes over."""
        return self.cells_each < self.cells

    @property
    def shared_cells(self) -> int:
        """The cells that sequences divide among themselves; boundless where none takes any from another."""
        return _BOUNDLESS if self.separate else self.cells

    def add(self, tokens: Sequence[int], position: int, sequence: int, *, logits: int) -> int:
        """Append `tokens` of `sequence` from `position` on to the batch, the last `logits` of them with logits.

        Returns the last one's row.
        """
        return self._batch.add(tokens, position, sequence, logits)

    def evaluate(self) -> bool:
        """Evaluate the rows, on the context's share of the cores, and empty the batch; False when the computation was aborted.

        Raises OutOfMemory when a device has none left, and ModelError when llama.cpp fails otherwise. That it finds no room in the
        context cannot be as long as `scheduler.Slots` hands out no more cells than there are.
        """
        threads = self.cores.share(self)
        if threads != self._threads:
            self._threads = threads
            self._lib.llama_set_n_threads(self.handle, threads, threads)
        rows, batch = self._batch.taken()
        status = int(self._lib.llama_decode(self.handle, batch))
        if status == 0:
            return True
        if status == _ABORTED:
            return False
        if status == _NO_ROOM:
            raise ModelError(f"the context of {self.cells} tokens has no room for {rows} more", "give it more with --context")
        if status == _NO_MEMORY or speaks_of_memory(LOG.last(_LINES_OF_A_FAILURE)):
            raise OutOfMemory(f"no memory left to evaluate a batch of {rows} tokens", last_words())
        raise ModelError(f"llama.cpp failed to evaluate a batch of {rows} tokens (status {status})", last_words())

    def block(self, row: int, rows: int) -> Block:
        """Return the logits of `rows` rows of the last batch from `row` on, all of which wanted some, one for each token.

        They are in llama.cpp's own memory, good until the next batch. It puts them into the order of the batch when they
        are first asked for: that is for one thread.
        """
        pointer = self._lib.llama_get_logits_ith(self.handle, row)
        return np.frombuffer(memoryview((self._row * rows).from_address(ctypes.addressof(pointer.contents))), dtype=np.float32).reshape(
            rows, -1
        )

    def clear(self, *, data: bool = False) -> None:
        """Forget all sequences; with `data` the contents of their cells, too."""
        self._lib.llama_memory_clear(self._memory, data)

    def forget(self, sequence: int) -> None:
        """Free the cells of a sequence."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def copy(self, sequence: int, target: int) -> None:
        """Let the empty sequence `target` begin as `sequence` is. Data moves only where each has cells of its own, with the next batch."""
        self._lib.llama_memory_seq_cp(self._memory, sequence, target, -1, -1)

    def state(self, sequence: int) -> State:
        """Return the state of a sequence. Raises ModelError."""
        size = int(self._lib.llama_state_seq_get_size(self.handle, sequence))
        state = (ctypes.c_uint8 * size)()
        if self._lib.llama_state_seq_get_data(self.handle, state, size, sequence) != size:
            raise ModelError("llama.cpp cannot save the state of a prompt template")
        return state

    def put_state(self, state: State, sequence: int) -> bool:
        """Fill a sequence with a saved state; whether llama.cpp took it."""
        return bool(self._lib.llama_state_seq_set_data(self.handle, state, len(state), sequence))

    def close(self) -> None:
        """Free it. Safe to call twice."""
        self.drawing.close()
        if self.handle is not None:
            self._lib.llama_free(self.handle)
            self.handle = None


def try_tiles(context: LlamaContext) -> None:
    """Compute two rows in the empty `context`, where llama.cpp would use tiles: a build that cannot does not survive it.

    Raises OutOfMemory and ModelError as any batch does.
    """
    import llama_cpp

    if _TILES in features(llama_cpp.llama_print_system_info().decode("utf-8", "replace")):
        context.add([0] * _TILE_ROWS, 0, 0, logits=1)
        context.evaluate()
        context.clear(data=True)


class AbortFlag:
    """Stops llama.cpp in the middle of a computation: an abort callback that fires while this flag is raised.

    llama.cpp asks `bool callback(void *data)` once for every node of its graph, hundreds of times a token. A Python callback would need
    the interpreter's lock each time and slow decoding down whenever another thread holds it. So the callback is C's own `strlen` and the
    data a byte string: an empty one gives 0, go on; one of a single byte gives 1, abort.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)

    def attach(self, context: LlamaContext) -> None:
        """Let `context` ask this flag. CPU backends ask; others finish the step they are in."""
        import llama_cpp

        self._function = ctypes.cast(ctypes.CDLL(None).strlen, llama_cpp.ggml_abort_callback)
        llama_cpp.llama_set_abort_callback(context.handle, self._function, ctypes.cast(self._text, ctypes.c_void_p))

    @contextmanager
    def raised_by(self, cancel: CancelToken) -> Iterator[None]:
        """While entered, abort within 0.02 s of the token's cancellation what is computed, and everything after it."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_POLL_S):
                if cancel.cancelled:
                    self._text[0] = b"!"
                    return

        self._text[0] = b"\0"
        watching = threading.Thread(target=watch, name="abort-on-cancel", daemon=True)
        watching.start()
        try:
            yield
        finally:
            done.set()
            watching.join()
            self._text[0] = b"\0"
