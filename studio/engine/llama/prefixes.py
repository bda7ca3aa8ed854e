"""Evaluates few-shot templates once, puts them into the context, always in the same way, and keeps them: in memory, and on the disk.

llama.cpp sums over the cells of the context in their order, so a completion's last bits depend on where its prefix lies and on the shape of
the batches it was evaluated in. To have a warm cache give exactly what a cold one gives, a prefix is always evaluated alone in an empty
context, its state is taken out, and every wave begins with an empty context into which the states are put back in the wave's order. A state
from the disk, or from another context of the same size, is the same bytes, so it gives the same completions. Whatever goes wrong with those
on the disk costs time, never a run.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from studio.engine.llama.build import build_words
from studio.engine.llama.context import LlamaContext, State
from studio.engine.llama.model import LlamaModel
from studio.engine.options import KV_TYPE
from studio.errors import ModelError
from studio.paths import app_folder

Tokens = tuple[int, ...]
_BUDGET_BYTES = 1 << 30
"""For the states that are kept in memory."""
S = TypeVar("S", bound=Sized)


class PrefixCache(Generic[S]):
    """States by their tokens, their lengths bytes, least recently used dropped first once they hold more than `budget` bytes together.

    A state larger than the whole budget is not kept.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._states: OrderedDict[Tokens, S] = OrderedDict()
        self._held = 0

    def __len__(self) -> int:
        return len(self._states)

    def get(self, tokens: Tokens) -> S | None:
        """Return the state of exactly these tokens, and count it as used now."""
        state = self._states.get(tokens)
        if state is not None:
            self._states.move_to_end(tokens)
        return state

    def put(self, tokens: Tokens, state: S) -> None:
        """Keep a state, dropping others to make room."""
        if len(state) > self._budget:
            return
        if tokens in self._states:
            self._held -= len(self._states.pop(tokens))
        self._states[tokens] = state
        self._held += len(state)
        while self._held > self._budget:
            _, dropped = self._states.popitem(last=False)
            self._held -= len(dropped)

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()
        self._held = 0


SWITCH = "STUDIO_PREFIX_CACHE"
"""The environment variable that turns the cache off."""
BUDGET_BYTES = 2 << 30
_LEAST_FREE_BYTES = 1 << 30
"""Room the disk keeps for others."""
_SLOW_DISK_BYTES_PER_S = 100e6
_WORTH = 4.0
"""How many times slower than reading its state an evaluation must have been for the state to be stored."""
_LEAST_SECONDS = 0.5
"""What is evaluated quicker than this is not worth a file."""
_MAGIC = b"studio prefix 1\n"
_DIGEST_BYTES = 32
_ABANDONED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What is stored."""

    files: int
    bytes: int


def open_store(environment: Mapping[str, str] | None = None) -> PrefixStore | None:
    """Return the user's store, or None where `STUDIO_PREFIX_CACHE` says `off`."""
    words = os.environ if environment is None else environment
    if words.get(SWITCH, "").strip().lower() in ("off", "0", "no", "false"):
        return None
    return PrefixStore(store_folder())


def store_folder() -> Path:
    """The folder of the stored states."""
    return app_folder("cache") / "prefixes"


def worth_storing(seconds: float, size: int) -> bool:
    """Whether a state of `size` bytes that took `seconds` to evaluate should be stored: reading it, from a slow disk, is far quicker."""
    return seconds > max(_LEAST_SECONDS, _WORTH * size / _SLOW_DISK_BYTES_PER_S)


def state_key(fingerprint: str, tokens: Sequence[int]) -> str:
    """Return the name of a state: the hash of everything it depends on. `fingerprint` stands for model, library, device and context."""
    text = f"{fingerprint}\n{','.join(map(str, tokens))}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class PrefixStore:
    """States by their keys, a file each, the least recently used ones removed first once they take more than `budget` bytes.

    A file appears complete or not at all; one that is damaged is removed when it is met. Files are readable by their owner alone.
    """

    def __init__(self, folder: Path, budget: int = BUDGET_BYTES) -> None:
        self.folder = folder
        self._budget = budget

    def load(self, key: str) -> State | None:
        """Return the state stored under `key`, counted as used now, or None."""
        path = self._path(key)
        try:
            state = _read(path, key)
        except FileNotFoundError:
            return None
        except (OSError, MemoryError):
            state = None
        if state is None:
            self.remove(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return state

    def save(self, key: str, state: State) -> None:
        """Store `state` under `key`, if there is room for it."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            size = len(state)
            if size > self._budget or shutil.disk_usage(self.folder).free < size + _LEAST_FREE_BYTES:
                return
            self._make_room(size)
            self._write(key, state)

    def remove(self, key: str) -> None:
        """Remove the state of `key`, if it can be."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def usage(self) -> Usage:
        """Count what is stored."""
        sizes = [size for _, size, _ in self._files()]
        return Usage(len(sizes), sum(sizes))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.state"

    def _write(self, key: str, state: State) -> None:
        beside = self.folder / f"{key}.{os.getpid()}.partial"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0) as file:  # noqa: PTH123
                for part in (_MAGIC, _digest(key, state), memoryview(state).cast("B")):
                    left = memoryview(part)
                    while left:
                        left = left[file.write(left) :]
            beside.replace(self._path(key))
        finally:
            beside.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        files = sorted(self._files())
        held = size + sum(each for _, each, _ in files)
        for _, each, path in files:
            if held <= self._budget:
                break
            path.unlink(missing_ok=True)
            held -= each
        for path in self.folder.glob("*.partial"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield (when it was used last, its size, where it is) of each stored state."""
        with contextlib.suppress(OSError):
            for path in self.folder.glob("*.state"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime_ns, status.st_size, path


def _digest(key: str, state: State) -> bytes:
    digest = hashlib.sha256(key.encode("ascii"))
    digest.update(state)
    return digest.digest()


def _read(path: Path, key: str) -> State | None:
    """Return the state in a file, None when the file is damaged. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size - len(_MAGIC) - _DIGEST_BYTES
        if size <= 0 or file.read(len(_MAGIC)) != _MAGIC:
            return None
        digest = file.read(_DIGEST_BYTES)
        state = (ctypes.c_uint8 * size)()
        view = memoryview(state).cast("B")
        while view and (count := file.readinto(view)):
            view = view[count:]
    return state if not view and _digest(key, state) == digest else None


def fingerprint(sha256: str, model: LlamaModel, adapter_sha256: str = "") -> str:
    """Return all that a prefix's state depends on beside its tokens: model file, adapter, library, devices, the context's shape.

    The context's size is in it because some models choose their rotary embedding by it, the batch's because sums are taken over batches.
    Left out is what changes no bit of a state: the number of threads but for a CPU's flash attention, and of sequences in the unified
    cache.
    """
    setup = model.setup
    context = f"context {model.contexts[0].cells} batch {setup.batch} {setup.ubatch} flash {model.flash_attention}"
    context += f" gpu {model.layers_offloaded}"
    if model.flash_attention and model.layers_offloaded < model.layers:
        context += f" threads {setup.threads}"
    if setup.kv_type != KV_TYPE:
        context += f" kept as {setup.kv_type}"
    if setup.streams:
        context += f" divided among {setup.streams}"
    if setup.cpu_moe:
        context += f" experts {setup.cpu_moe}"
    if model.split:
        context += f" split {model.split}"
    adapter = f" adapter {adapter_sha256}" if adapter_sha256 else ""
    plain = " plain" if model.plain else ""
    return f"{sha256}{adapter}\n{context}{plain}\n{build_words()}"


class Prefixes:
    """Evaluates the prefixes of a model, in one of its contexts, and keeps their states for all of them.

    With a `store`, states that took long to evaluate are kept there and taken from there; `key` is the contexts' fingerprint.
    """

    def __init__(self, context: LlamaContext, store: PrefixStore | None = None, key: str = "") -> None:
        self._context = context
        self._store = store
        self._key = key
        self._cache: PrefixCache[State] = PrefixCache(_BUDGET_BYTES)
        self.evaluated: set[Tokens] = set()
        """Those that the last call of `states` had to evaluate."""

    def states(self, prefixes: Iterable[Tokens]) -> dict[Tokens, State] | None:
        """Return the states of `prefixes`, None when evaluating one was aborted. What the context held is lost."""
        self.evaluated.clear()
        states: dict[Tokens, State] = {}
        for prefix in prefixes:
            state = self._cache.get(prefix)
            if state is None:
                state = self._stored(prefix)
            if state is None:
                state = self._evaluate(prefix)
                self.evaluated.add(prefix)
            if state is None:
                return None
            self._cache.put(prefix, state)
            states[prefix] = state
        return states

    def forget(self) -> None:
        """Drop all states kept in memory."""
        self._cache.clear()

    def _stored(self, prefix: Tokens) -> State | None:
        """Return the state from the disk, if there is one that llama.cpp takes; another is removed."""
        if self._store is None:
            return None
        key = state_key(self._key, prefix)
        state = self._store.load(key)
        if state is None:
            return None
        self._context.clear()
        if self._context.put_state(state, 0):
            return state
        self._store.remove(key)
        return None

    def _evaluate(self, prefix: Tokens) -> State | None:
        began = time.perf_counter()
        self._context.clear()
        for start in range(0, len(prefix), self._context.rows):
            self._context.add(prefix[start : start + self._context.rows], start, 0, logits=0)
            if not self._context.evaluate():
                return None
        state = self._context.state(0)
        if self._store is not None and worth_storing(time.perf_counter() - began, len(state)):
            self._store.save(state_key(self._key, prefix), state)
        return state


def place_prefixes(context: LlamaContext, states: Sequence[State]) -> None:
    """Empty the context and put `states` into it: number `n` into sequence `context.parallel + n`. Raises ModelError without room."""
    context.clear()
    for number, state in enumerate(states):
        if not context.put_state(state, context.parallel + number):
            raise ModelError("llama.cpp cannot put a prompt template back into its context", "give it more room with --context")
