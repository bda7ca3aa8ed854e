"""What the installed llama.cpp was built with, which devices it can compute on, and whether it can use the GPU this machine has."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from studio.engine.llama.log import LOG, install_log
from studio.engine.options import EngineOptions
from studio.errors import ModelError


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """Versions and abilities of the installed build. `features` are the instruction sets and libraries it uses.

    `gpu` says whether it can use a GPU that is here, `backends` are what it was built with beside the CPU, `said` what it said last when it
    looked for their devices.
    """

    bindings: str
    ggml: str
    gpu: bool
    features: tuple[str, ...]
    backends: tuple[str, ...] = ()
    said: str = ""


def build_facts() -> BuildFacts:
    """Ask the installed library. Raises ModelError when it cannot be imported."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        hint = "install it again: `uv sync --reinstall-package llama-cpp-python`"
        raise ModelError(f"llama-cpp-python cannot be loaded: {error}", hint) from error
    install_log()
    described = llama_cpp.llama_print_system_info().decode("utf-8", "replace")
    return BuildFacts(
        bindings=llama_cpp.__version__,
        ggml=_ggml_version(),
        gpu=bool(llama_cpp.llama_supports_gpu_offload()),
        features=features(described),
        backends=tuple(name for name in _backends() if name not in _HELPERS),
        said=" ".join(LOG.last(1)),
    )


def features(described: str) -> tuple[str, ...]:
    """Return the names that llama.cpp's own description (`CPU : AVX2 = 1 | ...`) says are on.

    >>> features("CPU : AVX2 = 1 | FMA = 0 | REPACK = 1 | ")
    ('AVX2', 'REPACK')
    """
    parts = (part.rsplit(":", 1)[-1].split("=") for part in described.split("|"))
    return tuple(name.strip() for name, _, value in ((part[0], "", part[1]) for part in parts if len(part) == 2) if value.strip() == "1")


def machine_gpus(root: Path = Path("/")) -> list[str]:
    """Return the kinds of GPU this machine shows, below the folder `root`: NVIDIA, AMD (ROCm) or Apple."""
    found = []
    if (root / "proc/driver/nvidia/version").exists() or (root / "dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        found.append("NVIDIA")
    if (root / "dev/kfd").exists():
        found.append("AMD")
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append("Apple")
    return found


def gpu_warning(gpus: list[str], facts: BuildFacts) -> str:
    """Return what to tell the owner of a GPU that the build cannot use, or empty."""
    if not gpus or facts.gpu:
        return ""
    if facts.backends:
        return (
            f"the installed llama.cpp is built for {' and '.join(facts.backends)} but finds no device; it says: {facts.said or 'nothing'}"
        )
    flags = {"NVIDIA": "-DGGML_CUDA=on", "AMD": "-DGGML_HIP=on", "Apple": "-DGGML_METAL=on"}
    return (
        f"this machine has a GPU ({', '.join(gpus)}) that the installed llama.cpp was not built for; "
        f'build it with CMAKE_ARGS="{flags[gpus[0]]}" uv sync --reinstall-package llama-cpp-python'
    )


def knows_architecture(name: str) -> bool:
    """Whether the installed llama.cpp has a model architecture of that name; True where that cannot be told.

    No function of it says so, but every name stands in its library, which is read, not loaded, for that.
    """
    words = _library_words()
    return f"{name}\0".encode() in words or b"llama\0" not in words


@cache
def _library_words() -> bytes:
    """Return llama.cpp's library as it lies on the disk; empty where it is not found."""
    for name in ("libllama.so", "libllama.dylib", "llama.dll", "libllama.dll"):
        with contextlib.suppress(OSError):
            return (_library_folder() / name).read_bytes()
    return b""


def _library_folder() -> Path:
    """Return where the libraries lie: the package's own, or another build's that is named in the way the bindings read it."""
    named = os.environ.get("LLAMA_CPP_LIB_PATH")
    if named is not None:
        return Path(named)
    spec = importlib.util.find_spec("llama_cpp")
    return next((Path(place) / "lib" for place in (spec and spec.submodule_search_locations) or ()), Path("lib"))


def _ggml_version() -> str:
    for library in sorted(_library_folder().glob("*ggml-base*")):
        with contextlib.suppress(OSError, AttributeError):
            version = ctypes.CDLL(str(library)).ggml_version
            version.restype = ctypes.c_char_p
            return str(version().decode())
    return ""


class DeviceKind(StrEnum):
    """What llama.cpp says a device is."""

    CPU = "cpu"
    GPU = "gpu"
    INTEGRATED = "integrated gpu"
    OTHER = "other"
    """A helper of the CPU, such as a BLAS library."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as llama.cpp reports it. Memory in bytes; a total of 0 means that it is not known."""

    name: str
    description: str
    kind: DeviceKind
    memory_free: int
    memory_total: int


_KINDS = {0: DeviceKind.CPU, 1: DeviceKind.GPU, 2: DeviceKind.INTEGRATED}
"""By `enum ggml_backend_dev_type` of ggml-backend.h."""


def list_devices() -> tuple[Device, ...]:
    """Return the devices of the installed build; none where its library does not tell, which is then used as if there were no GPU."""
    try:
        return tuple(_devices())
    except AttributeError:
        return ()


def used_gpus(devices: Iterable[Device], options: EngineOptions | None = None) -> list[Device]:
    """Return the devices llama.cpp spreads the layers over: all GPUs, or the integrated ones where there is no other, or the one asked for.

    Raises ModelError where there are fewer than asked for, but some.
    """
    devices, options = list(devices), options or EngineOptions()
    gpus = [device for device in devices if device.kind is DeviceKind.GPU]
    gpus = gpus or [device for device in devices if device.kind is DeviceKind.INTEGRATED]
    names = ", ".join(f"{number} is {device.name}" for number, device in enumerate(gpus))
    if gpus and options.main_gpu >= len(gpus):
        raise ModelError(f"--main-gpu {options.main_gpu}: llama.cpp sees no such GPU", names)
    if gpus and len(options.proportions) > len(gpus):
        raise ModelError(f"--tensor-split {options.tensor_split}: llama.cpp sees fewer GPUs", names)
    return [gpus[options.main_gpu]] if gpus and options.split_mode == "none" else gpus


def shares_memory(device: Device) -> bool:
    """Whether the device works in the machine's own memory: integrated GPUs, and those of Apple."""
    return device.kind is DeviceKind.INTEGRATED or in_machine_memory(device.name)


def in_machine_memory(name: str) -> bool:
    """Whether a device of that name is one of Apple's, which llama.cpp calls `MTL0`."""
    return name.upper().startswith(("MTL", "METAL"))


def build_words() -> str:
    """Return words that change whenever the installed library or the devices below it do, for the keys of what is kept between runs."""
    import llama_cpp

    words = [llama_cpp.__version__, llama_cpp.llama_print_system_info().decode("utf-8", "replace")]
    for library in sorted(_library_folder().iterdir()):
        status = library.stat()
        words.append(f"{library.name} {status.st_size} {status.st_mtime_ns}")
    words += [f"{device.name} {device.description}" for device in list_devices()]
    words.append(" ".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("GGML_")))
    return "\n".join(words)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """Return one of the functions `ggml_backend_*`, which the bindings load, as libraries below llama.cpp's own, but do not declare.

    They are looked up through llama.cpp's library: another copy of ggml's file would have a registry of its own.
    """
    import llama_cpp.llama_cpp as bindings

    found = getattr(bindings._lib, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


def cpu_memory() -> int:
    """Return the address of what llama.cpp calls the CPU's plain buffer type."""
    return int(_function("ggml_backend_cpu_buffer_type", ctypes.c_void_p)())


class BufferOverride(ctypes.Structure):
    """llama.h's llama_model_tensor_buft_override, which the bindings do not declare: a pattern of names, and the buffer type of these."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buft", ctypes.c_void_p))


_HELPERS = ("CPU", "BLAS", "AMX")


def _backends() -> Iterator[str]:
    pointer = ctypes.c_void_p
    get = _function("ggml_backend_reg_get", pointer, ctypes.c_size_t)
    name = _function("ggml_backend_reg_name", ctypes.c_char_p, pointer)
    for number in range(_function("ggml_backend_reg_count", ctypes.c_size_t)()):
        yield _text(name(get(number)))


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
