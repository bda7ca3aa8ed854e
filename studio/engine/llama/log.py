"""Keeps llama.cpp's chatter off the terminal: its log callback fills a buffer that errors quote from."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from studio.errors import ModelError

_DEBUG, INFORMATION, _CONTINUED = 1, 2, 5
"""Of ggml.h's ggml_log_level: 3 is a warning, 4 an error. The numbers in llama-cpp-python's own logger are older ones."""
_OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers")
_FLASH_ATTENTION = re.compile(r"Flash Attention (enabled|not supported)|flash_attn is not compatible")
_LINES_LOOKED_AT, _LINES_IN_HINT = 20, 2
_CAUSE = re.compile(r"(?:error loading model(?: \w+)?|failed to initialize the context): ")
"""What stands before the reason that llama.cpp gives; lines after it only say that it gave up."""
_DEVICE = re.compile(r"using device (\S+)")


class LogBuffer:
    """The last lines that llama.cpp logged. It logs in fragments; lines are put together here. Debug lines are left out."""

    def __init__(self, lines: int = 500) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._partial = ""
        self._level = 0
        self.sink: TextIO | None = None
        """Where lines go as well, such as a log file."""

    def write(self, level: int, text: str) -> None:
        """Take a fragment; level 5 continues the level of the one before."""
        if level != _CONTINUED:
            self._level = level
        if self._level == _DEBUG:
            return
        *complete, self._partial = (self._partial + text).split("\n")
        whole = [line.rstrip() for line in complete if line.strip(" .\r")]
        self._lines.extend(whole)
        if self.sink is not None:
            self.sink.writelines(f"{line}\n" for line in whole)
            self.sink.flush()

    def last(self, count: int) -> list[str]:
        """Return the last `count` lines, oldest first."""
        return [*self._lines, *([self._partial] if self._partial.strip() else [])][-count:]

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._partial = ""

    def offloaded(self) -> tuple[int, int]:
        """Return (layers on the GPU, layers that could be) of the last load; zeros when llama.cpp did not say."""
        for line in reversed(self._lines):
            if match := _OFFLOADED.search(line):
                return int(match.group(1)), int(match.group(2))
        return 0, 0

    def has_flash_attention(self) -> bool:
        """Whether the last context that asked for flash attention has it; where llama.cpp says nothing, it has."""
        said = (match for line in reversed(self._lines) if (match := _FLASH_ATTENTION.search(line)))
        return (match := next(said, None)) is None or match.group(1) == "enabled"

    def devices(self) -> list[str]:
        """Return the names of the devices llama.cpp said it uses, such as `CUDA0`."""
        return [match.group(1) for line in self._lines if (match := _DEVICE.search(line))]


_BUFFER = re.compile(r"(\S+)\s+(model|KV|RS|compute|output) buffer size =\s+(\d+\.\d+) MiB")


def buffers_of(lines: Iterable[str]) -> dict[str, int]:
    """Return the bytes of the buffers that llama.cpp says it made, by device and use, such as `CUDA0 KV`."""
    found: dict[str, int] = {}
    for match in filter(None, map(_BUFFER.search, lines)):
        name = f"{match.group(1)} {match.group(2)}"
        found[name] = found.get(name, 0) + round(float(match.group(3)) * (1 << 20))
    return found


_RECKONED = "self-instruct-studio: reckoned "


def reckoned_line(figures: Mapping[str, int]) -> str:
    """Return the line of a log that says how many bytes a set-up is reckoned to take, before llama.cpp says what it takes."""
    return f"{_RECKONED}{json.dumps(figures)}\n"


def memory_of(lines: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return what a log says in bytes of the set-up tried last: what it was `reckoned` to take, and what was `taken`, by device and use."""
    last = max((place for place, line in enumerate(lines) if line.startswith(_RECKONED)), default=-1)
    reckoned = json.loads(lines[last].removeprefix(_RECKONED)) if last >= 0 else {}
    return {"reckoned": reckoned, "taken": buffers_of(lines[last + 1 :])}


_MEMORY_WORDS = re.compile(
    r"out of (\w+ )?memory|outof(device|host)memory|(unable|failed) to (allocate|alloc\b)|cannot allocate memory"
    r"|insufficient memory|bad_alloc|memoryerror|(malloc|memalign|alloc\w*) failed|GGML_ASSERT\(.*(buffer|work_data) != NULL\) failed",
    re.IGNORECASE,
)
_TRYING = "self-instruct-studio: trying set-up"
_TRIED = re.compile(rf"^{_TRYING} (\d+)")


class OutOfMemory(ModelError):
    """A model, its context or a batch found no memory; a smaller set-up may."""


def speaks_of_memory(lines: Iterable[str]) -> bool:
    """Whether the lines of a log, of llama.cpp or of a device's library, complain that memory cannot be had."""
    return any(_MEMORY_WORDS.search(line) for line in lines)


def trying_line(number: int, setup: str) -> str:
    """Return the line that a process logs before it tries set-up `number`, from 0, for those who find the log when it has died."""
    return f"{_TRYING} {number}: {setup}\n"


def number_tried(lines: Iterable[str]) -> int:
    """Return the number in the last such line of a log, 0 when there is none."""
    return max((int(match.group(1)) for line in lines if (match := _TRIED.match(line))), default=0)


LOG = LogBuffer()
"""llama.cpp has one log for the whole process."""


def last_words() -> str:
    """Return why llama.cpp gave up, by its last log lines, on one line for an error's hint."""
    lines = LOG.last(_LINES_LOOKED_AT)
    cause = next((line for line in reversed(lines) if _CAUSE.search(line)), "")
    return "llama.cpp says: " + (_CAUSE.split(cause)[-1] if cause else " / ".join(lines[-_LINES_IN_HINT:]))


_callback: Any = None


def install_log() -> None:
    """Send llama.cpp's log into `LOG`. Safe to call again; the package sets its own callback when it is imported, so import it first."""
    global _callback
    import ctypes

    import llama_cpp

    if _callback is None:

        def receive(level: int, text: bytes, _data: object) -> None:
            LOG.write(level, text.decode("utf-8", "replace"))

        _callback = llama_cpp.llama_log_callback(receive)
    llama_cpp.llama_log_set(_callback, ctypes.c_void_p(0))
