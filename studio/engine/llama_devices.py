"""Asks llama.cpp which devices it can compute on, and what its build is."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from studio.engine.devices import Device, DeviceKind

_KINDS = {0: DeviceKind.CPU, 1: DeviceKind.GPU, 2: DeviceKind.INTEGRATED}
"""By `enum ggml_backend_dev_type` of ggml-backend.h."""


def list_devices() -> tuple[Device, ...]:
    """Return the devices of the installed build; none where its library does not tell, which is then used as if there were no GPU."""
    try:
        return tuple(_devices())
    except AttributeError:
        return ()


def build_words() -> str:
    """Return words that change whenever the installed library or the devices below it do, for the keys of what is kept between runs."""
    import llama_cpp

    words = [llama_cpp.__version__, llama_cpp.llama_print_system_info().decode("utf-8", "replace")]
    for library in sorted((Path(llama_cpp.__file__).parent / "lib").iterdir()):
        status = library.stat()
        words.append(f"{library.name} {status.st_size} {status.st_mtime_ns}")
    words += [f"{device.name} {device.description}" for device in list_devices()]
    words.append(" ".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("GGML_")))
    return "\n".join(words)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """Return one of the functions `ggml_backend_dev_*`, which the bindings load, as libraries below llama.cpp's own, but do not declare.

    They are looked up through llama.cpp's library: another copy of ggml's file would have a registry of its own.
    """
    import llama_cpp.llama_cpp as bindings

    found = getattr(bindings._lib, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


def _devices() -> list[Device]:
    pointer = ctypes.c_void_p
    get = _function("ggml_backend_dev_get", pointer, ctypes.c_size_t)
    name = _function("ggml_backend_dev_name", ctypes.c_char_p, pointer)
    description = _function("ggml_backend_dev_description", ctypes.c_char_p, pointer)
    kind = _function("ggml_backend_dev_type", ctypes.c_int, pointer)
    size = ctypes.POINTER(ctypes.c_size_t)
    memory = _function("ggml_backend_dev_memory", None, pointer, size, size)
    found = []
    for number in range(_function("ggml_backend_dev_count", ctypes.c_size_t)()):
        device = get(number)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        found.append(
            Device(_text(name(device)), _text(description(device)), _KINDS.get(kind(device), DeviceKind.OTHER), free.value, total.value)
        )
    return found


def _text(words: bytes | None) -> str:
    return (words or b"").decode("utf-8", "replace")
