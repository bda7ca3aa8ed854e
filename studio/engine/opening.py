"""Opens an engine by the name of its model, or two of one run: both at once where the memory holds both, else in turns by stage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from studio.engine.api import CancelToken, Engine, EngineEvent, EngineInfo, Noted, OpenRequests, Request
from studio.engine.catalog import find_model, identify, known_sha256
from studio.engine.llama.build import in_machine_memory
from studio.engine.llama.facts import model_facts
from studio.engine.model_file import check_adapter, read_model, refuse_adapter
from studio.engine.not_gguf import refuse_downloads
from studio.engine.options import KV_TYPE, MAX_PARALLEL, EngineOptions, memory_of_machine
from studio.engine.remote.address import is_address, parse_address
from studio.engine.scripted import SCRIPTED_MODEL, ScriptedEngine
from studio.errors import ModelError


def open_engine(model: str = "", options: EngineOptions | None = None) -> Engine:
    """Return a running engine for `model`: a catalogue name, a path to a GGUF file, a server's address, `scripted`, or
    empty for the bundled default.

    llama.cpp runs in a process of its own.
    Raises ModelError when the model is unknown, broken or cannot be loaded, or the adapter does not fit it; UsageError for an adapter
    beside something else than a GGUF file.
    """
    options = options or EngineOptions()
    refuse_downloads(model)
    if model == SCRIPTED_MODEL or is_address(model):
        refuse_adapter(model, options.adapter)
        options.refuse_elsewhere(model)
    if model == SCRIPTED_MODEL:
        return ScriptedEngine()
    if is_address(model):
        from studio.engine.remote.engine import RemoteEngine

        return RemoteEngine(parse_address(model), options)
    options.require_parallel(MAX_PARALLEL, "llama.cpp")
    path = find_model(model)
    if options.adapter:
        check_adapter(Path(options.adapter), read_model(path))
    identity = identify(path)
    from studio.engine.process.client import ProcessEngine

    return ProcessEngine(identity, options)


def bytes_to_hash(model: str) -> int:
    """How many bytes of model files `open_engine` has to read whole first, for their sha256; 0 where it is known or nothing is read."""
    if model == SCRIPTED_MODEL or is_address(model):
        return 0
    try:
        header = read_model(find_model(model))
    except ModelError:
        return 0
    return 0 if known_sha256(header) else header.file_size


Opener = Callable[[str, EngineOptions], Engine]
"""Loads the model of that name."""

TAKE_TURNS = "the memory does not hold both models at once: they take turns by stage, each loaded anew for it, which takes longer"
_START = "the start of this run"


@dataclass(frozen=True, slots=True)
class Wish:
    """A model to open: its name, path or address, and how it is to be set up."""

    model: str
    options: EngineOptions

    @property
    def key(self) -> tuple[str, str]:
        """What is equal for one and the same model with one and the same adapter, by whatever name it was called."""
        model = self.model
        if model != SCRIPTED_MODEL and not is_address(model):
            with suppress(ModelError):  # Who opens it will say so.
                model = os.path.realpath(find_model(model))
        return model, os.path.realpath(self.options.adapter) if self.options.adapter else ""


def open_both(first: Wish, second: Wish, opener: Opener, memory: int | None = None) -> tuple[Engine, Engine]:
    """Open two models; the same one named twice is one engine.

    The second gets what memory the first one has left, and its notices say what it gives up for that. Where both are on this machine and
    there is too little, they take turns: one is closed before the other opens. `memory` is what they may fill of the machine's own, in
    bytes; None is all of it. Raises ModelError and UsageError as `opener` does.
    """
    if is_address(first.model) != is_address(second.model):
        # What is for llama.cpp is meant for the one that it runs.
        first, second = (Wish(each.model, each.options.elsewhere()) if is_address(each.model) else each for each in (first, second))
    engine = opener(first.model, first.options)
    try:
        if first.key == second.key:
            return engine, engine
        try:
            other = opener(second.model, second.options)
        except ModelError:
            if not engine.info.is_local or is_address(second.model):
                raise
            return _taking_turns(first, second, opener, engine)
        asked = second.options.cpu_moe
        if not crowded(engine.info, other.info, memory_of_machine(swap=False) if memory is None else memory, cpu_moe=asked):
            return engine, other
        other.close()
        return _taking_turns(first, second, opener, engine)
    except BaseException:
        engine.close()
        raise


def crowded(first: EngineInfo, second: EngineInfo, memory: int, *, cpu_moe: int = 0) -> bool:
    """Whether two models that are open have too little: the second lacks layers on the GPU, or both take more than `memory` bytes.

    It lacks something as well where other experts than those of `cpu_moe` layers, which were asked for, are on the CPU. What lies in a
    GPU's own memory takes nothing of the machine's.
    """
    if not (first.is_local and second.is_local):
        return False
    if first.layers_offloaded and (second.layers_offloaded < second.layers or second.cpu_moe != cpu_moe):
        return True
    return sum(_bytes_on_machine(each) for each in (first, second)) > memory


def _taking_turns(first: Wish, second: Wish, opener: Opener, engine: Engine) -> tuple[Engine, Engine]:
    """The two as engines that take turns; `engine` is the first one, open, which is closed."""
    engine.close()
    shift = Shift()
    one = TurnEngine(shift, first, opener, engine.info, (TAKE_TURNS,))
    other = opener(second.model, second.options)
    two = TurnEngine(shift, second, opener, other.info)
    shift.begin(two, other)
    return one, two


class Shift:
    """Whose turn it is: of the engines that share it one is open at most."""

    def __init__(self) -> None:
        self._whose: TurnEngine | None = None
        self._engine: Engine | None = None

    def begin(self, whose: TurnEngine, engine: Engine) -> None:
        """Note that `engine` was opened for `whose`; nothing else may be open."""
        self._whose, self._engine = whose, engine

    def engine_for(self, whose: TurnEngine, open_it: Callable[[], Engine]) -> Engine:
        """Return the engine of `whose`, opened when it is not, after the other one was closed. Raises ModelError as `open_it` does."""
        if self._whose is not whose or self._engine is None:
            self.end()
            self.begin(whose, open_it())
        assert self._engine is not None
        return self._engine

    def engine_of(self, whose: TurnEngine) -> Engine | None:
        """Return the engine of `whose` where it is open."""
        return self._engine if self._whose is whose else None

    def end(self, whose: TurnEngine | None = None) -> None:
        """Close what is open; with `whose` only if it is that one's."""
        if self._whose is not None and self._engine is not None and (whose is None or whose is self._whose):
            self._whose.remember(self._engine.info)
            engine, self._engine, self._whose = self._engine, None, None
            engine.close()


class TurnEngine:
    """An engine that is open only while its turn lasts. See `Engine` for the protocol.

    Each time it is set up as the first time, since completions depend on that; where it cannot be, its notices say so.
    """

    def __init__(self, shift: Shift, wish: Wish, opener: Opener, info: EngineInfo, notices: tuple[str, ...] = ()) -> None:
        """`info` is what ran when the model was open first; `notices` are said besides those of the model's own."""
        self._shift = shift
        self._wish = Wish(wish.model, _as_before(wish.options, info))
        self._opener = opener
        self._info = info
        self._notices = notices
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        """What is running, or was when it was this model's turn last."""
        engine = self._shift.engine_of(self)
        info = self._info if engine is None else engine.info
        return replace(info, notices=(*self._notices, *info.notices))

    def remember(self, info: EngineInfo) -> None:
        """Note what ran, before it is closed."""
        self._info = info

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. A model that is being loaded cannot be interrupted; the batch is then cancelled when it is there."""
        if self._closed:
            raise ModelError("the engine is closed")
        if cancel.cancelled:
            yield from OpenRequests(len(requests)).cancelled()
            return
        before = self.info.notices
        engine = self._shift.engine_for(self, lambda: self._opener(self._wish.model, self._wish.options))
        yield from (Noted(notice) for notice in self.info.notices if notice not in before)
        yield from engine.stream(requests, cancel)

    def close(self) -> None:
        """Free the model if it is loaded. Safe to call twice."""
        self._closed = True
        self._shift.end(self)


def _as_before(options: EngineOptions, info: EngineInfo) -> EngineOptions:
    """The options that set the model up as `info` says it ran; what the user did not choose may be given up, with a note."""
    if not info.is_local:
        return options
    kept = tuple(name for name in ("context", "parallel", "contexts") if not options.chosen(name))
    found = replace(options, context=info.context_tokens, parallel=info.parallel, contexts=info.contexts)
    return replace(found, kept=kept, origin=options.origin or _START)


def _bytes_on_machine(info: EngineInfo) -> float:
    """What a model takes of the machine's own memory, about; Apple's GPUs work in that, too."""
    shared = any(map(in_machine_memory, info.backend.removeprefix("llama.cpp (").split(", ")))
    on_gpu = info.layers_offloaded / info.layers if info.layers and not shared else 0.0
    facts = model_facts(read_model(Path(info.model.path)))
    experts = facts.experts_on_cpu(info.cpu_moe)
    return experts + (1 - min(1.0, on_gpu)) * (
        facts.file_size - experts + facts.kept_bytes(info.context_tokens, info.parallel, info.kv_type or KV_TYPE)
    )
