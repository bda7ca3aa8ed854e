"""What one model does on this machine: tokens a second at several set-ups, and where a step's time goes. One JSON object a line.

`python -m gpu.measure MODEL SECONDS`: a set-up is measured for so many seconds at most.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from unittest import mock

from studio.bench.generate import instance_requests
from studio.engine.api import CancelToken, Completion, Engine, Finished
from studio.engine.catalog import find_model, identify
from studio.engine.llama.prefixes import SWITCH
from studio.engine.opening import open_engine
from studio.engine.options import MAX_PARALLEL, EngineOptions
from studio.errors import StudioError

TOKENS = 64
"""Of a completion."""
_PROFILED = 64
_LISTED = 14

SETUPS: tuple[dict[str, Any], ...] = (
    {"parallel": 64},
    {"parallel": 1},
    {"parallel": 16},
    {"parallel": MAX_PARALLEL},
    {"parallel": 64, "kv_cells": "separate"},
    {"parallel": 64, "flash_attention": "off"},
    {"parallel": 64, "kv_cells": "separate", "flash_attention": "off"},
    {"parallel": 16, "kv_cells": "separate"},
    {"parallel": 1, "flash_attention": "off"},
    {"parallel": MAX_PARALLEL, "kv_cells": "separate"},
    {"parallel": 64, "kv_type": "q8_0"},
)
"""Those worth most first. What this version of the studio has no option for is told as skipped."""


def sweep(model: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the figures of each set-up of `SETUPS`, the profile after the first of them."""
    known = {field.name for field in fields(EngineOptions)}
    for place, setup in enumerate(SETUPS):
        if unknown := set(setup) - known:
            yield {"setup": setup, "skipped": f"no option {', '.join(sorted(unknown))}"}
            continue
        try:
            yield {"setup": setup, **measure(model, EngineOptions(**setup), seconds)}
            if place == 0:
                for threads, sampled in ((0, True), (1, True), (0, False)):
                    told = {"parallel": _PROFILED, "sampling_threads": threads, "sampled": sampled}
                    yield {"setup": told, "profile": profile(model, seconds, threads=threads, sampled=sampled)}
        except StudioError as error:
            yield {"setup": setup, "error": f"{error.message}; {error.hint}"}


def measure(model: str, options: EngineOptions, seconds: float) -> dict[str, Any]:
    """Return tokens a second of the engine as users run it, in its own process; templates are evaluated within that time."""
    began = time.perf_counter()
    engine = open_engine(model, options)
    try:
        loaded = time.perf_counter() - began
        info = engine.info
        told = {name: getattr(info, name) for name in ("backend", "parallel", "contexts", "context_tokens", "layers_offloaded", "layers")}
        return {"load_s": loaded, **complete(engine, options.parallel, seconds), **told, "notices": list(info.notices)}
    finally:
        engine.close()


def profile(model: str, seconds: float, *, threads: int = 0, sampled: bool = False) -> dict[str, Any]:
    """Return where the time of an engine goes that runs in this process, with so many threads for sampling, 0 for all.

    Tokens are drawn greedily, or `sampled` and measured as those of instructions are.

    `decode_s` lasts until the device has the logits, `sampling_s` until all sequences have their tokens. The seconds of `functions` are
    their own, without those that they call, on the engine's thread; the profiler makes Python itself slower.
    """
    import llama_cpp

    from studio.engine.llama.context import LlamaContext
    from studio.engine.llama.engine import LlamaEngine
    from studio.engine.llama.sampling import DrawingThreads

    evaluate, draw = LlamaContext.evaluate, DrawingThreads.map

    def evaluated(context: LlamaContext) -> bool:
        done = evaluate(context)
        llama_cpp.llama_synchronize(context.handle)  # the device computes on after llama_decode returns
        return done

    def drawn(drawing: DrawingThreads, work: Any, items: Any, rows: float, most: int) -> list[Any]:
        return draw(drawing, work, items, rows, threads or most)

    decoding, sampling, profiler = Clock(evaluated), Clock(drawn), cProfile.Profile()
    engine = LlamaEngine(identify(find_model(model)), EngineOptions(parallel=_PROFILED))
    try:
        with mock.patch.object(LlamaContext, "evaluate", decoding.method), mock.patch.object(DrawingThreads, "map", sampling.method):
            profiler.enable()
            figures = complete(engine, _PROFILED, seconds, sampled=sampled)
            profiler.disable()
    finally:
        engine.close()
    rows: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    most = sorted(((own, calls, f"{Path(file).name}:{name}") for (file, _, name), (_, calls, own, *_) in rows.items()), reverse=True)
    functions = [{"function": name, "seconds": own, "calls": calls} for own, calls, name in most[:_LISTED]]
    return {**figures, "steps": decoding.calls, "decode_s": decoding.seconds, "sampling_s": sampling.seconds, "functions": functions}


class Clock:
    """Counts the calls of a function and their seconds; `method` is the function with it, for a class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.calls = 0
        self.seconds = 0.0

        def method(*values: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*values)
            finally:
                self.calls += 1
                self.seconds += time.perf_counter() - began

        self.method = method


def complete(engine: Engine, parallel: int, seconds: float, *, sampled: bool = False) -> dict[str, Any]:
    """Run requests for `seconds`, or three for each sequence; what was begun counts, too. `steady_tok_s` begins with the first token."""
    requests = instance_requests(3 * parallel, TOKENS)
    if sampled:
        requests = [replace(each, params=replace(each.params, temperature=1.0, top_p=0.9, measure=True)) for each in requests]
    cancel = CancelToken()
    alarm = threading.Timer(seconds, cancel.cancel)
    ends: list[Completion] = []
    first = 0.0
    began = time.perf_counter()
    alarm.start()
    try:
        for event in engine.stream(requests, cancel):
            first = first or time.perf_counter() - began
            if isinstance(event, Finished):
                ends.append(event.completion)
    finally:
        alarm.cancel()
    took = time.perf_counter() - began
    tokens = sum(end.completion_tokens for end in ends)
    whole = sum(end.completion_tokens == TOKENS for end in ends)
    steady = tokens / max(took - first, 1e-9)
    return {"tok_s": tokens / took, "steady_tok_s": steady, "first_s": first, "seconds": took, "tokens": tokens, "whole_requests": whole}


def main() -> None:
    """Write the figures of the model to standard output."""
    os.environ[SWITCH] = "off"
    out = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(out, "w", encoding="ascii") as pipe:
        for figures in sweep(sys.argv[1], float(sys.argv[2])):
            pipe.write(json.dumps(figures) + "\n")
            pipe.flush()


if __name__ == "__main__":
    main()
