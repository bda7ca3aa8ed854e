"""Stops llama.cpp in the middle of a computation, without Python taking part in it."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from studio.engine.api import CancelToken

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
