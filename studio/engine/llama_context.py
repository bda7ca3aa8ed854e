"""One llama.cpp context of a loaded model, and the cores it computes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.engine.llama_model import LlamaModel


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
