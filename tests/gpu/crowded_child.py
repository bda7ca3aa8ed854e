"""The model's process on a device whose memory somebody else takes: while the model loads, or at its first batch.

    crowded_child.py WHEN BYTES_LEFT MARK

`WHEN` names the function before which the memory is taken: one of llama.cpp's, or that of the process which answers a batch. With a `MARK`,
a file's path, it is taken once: by the process that makes the file.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import llama_cpp

from studio.engine.process import child

TAKEN: list[Any] = []
_LARGEST, _SMALLEST = 1 << 30, 1 << 12


def take_memory(left: int) -> None:
    """Fill every GPU, by llama.cpp's own functions, until so many bytes are left."""
    from studio.engine.llama.build import _KINDS, DeviceKind, _function

    pointer = ctypes.c_void_p
    get = _function("ggml_backend_dev_get", pointer, ctypes.c_size_t)
    kind = _function("ggml_backend_dev_type", ctypes.c_int, pointer)
    buffers_of = _function("ggml_backend_dev_buffer_type", pointer, pointer)
    allocate = _function("ggml_backend_buft_alloc_buffer", pointer, pointer, ctypes.c_size_t)
    free = _function("ggml_backend_buffer_free", None, pointer)
    for number in range(_function("ggml_backend_dev_count", ctypes.c_size_t)()):
        device = get(number)
        if _KINDS.get(kind(device)) not in (DeviceKind.GPU, DeviceKind.INTEGRATED):
            continue
        kept_free = allocate(buffers_of(device), left) if left else None
        size = _LARGEST
        while size >= _SMALLEST:
            if buffer := allocate(buffers_of(device), size):
                TAKEN.append(buffer)
            else:
                size //= 2
        if kept_free:
            free(kept_free)


def crowd(when: str, left: int, mark: str) -> None:
    """Have the memory taken before the function `when` is called the first time."""
    owner = llama_cpp if hasattr(llama_cpp, when) else child
    function = getattr(owner, when)

    def take_and_call(*arguments: Any) -> Any:
        if not TAKEN and not (mark and Path(mark).exists()):
            if mark:
                Path(mark).touch()
            take_memory(left)
            TAKEN.append(None)
        return function(*arguments)

    setattr(owner, when, take_and_call)


if __name__ == "__main__":
    crowd(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    child.main()
