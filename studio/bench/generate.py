"""Tokens a second of the engine, beside one request after another and beside the limit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from studio.bench.machine import Machine
from studio.bench.requests import instance_requests
from studio.bench.rounds import compare_rounds
from studio.bench.worker import in_worker
from studio.engine import wire
from studio.engine.api import CancelToken, EngineInfo, Finished, Request
from studio.engine.catalog import find_model
from studio.engine.identity import identify
from studio.engine.open import open_engine
from studio.engine.options import EngineOptions
from studio.engine.prefix_store import SWITCH

ALTERNATIVES = ("sequential", "engine", "raw")
PARTS = (*ALTERNATIVES, "round")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GenerateBench:
    """What to measure: `requests` of `tokens` completion tokens each, `parts` of `PARTS`, and `rounds` whole rounds of loop and port."""

    model: str = ""
    options: EngineOptions = field(default_factory=EngineOptions)
    requests: int = 48
    tokens: int = 80
    repeats: int = 3
    parts: Collection[str] = PARTS
    rounds: int = 3


def measure(bench: GenerateBench, machine: Machine, say: Say) -> dict[str, Any]:
    """Run the alternatives in turn, each with a cold cache, and return every figure; those not asked for are None.

    Loading the model is not part of any time; evaluating the shared prefixes is part of all: the engine's store on disk is switched off.
    Raises ModelError.
    """
    with _cold_prefixes():
        return _measure(bench, machine, say)


def _measure(bench: GenerateBench, machine: Machine, say: Say) -> dict[str, Any]:
    identity = identify(find_model(bench.model))
    info = _engine_info(bench)
    plain = {"path": identity.path, "threads": info.threads, "gpu_layers": bench.options.gpu_layers}
    requests = instance_requests(bench.requests, bench.tokens)
    messages = [wire.request_message(request) for request in requests]
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "sequential": lambda: in_worker("sequential", requests=messages, **plain),
        "engine": lambda: run_engine(bench, requests),
        "raw": lambda: in_worker("raw", requests=messages, parallel=info.parallel, **plain),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ALTERNATIVES}
    totals: dict[str, int] = {}
    for repeat in range(bench.repeats):
        for name in ALTERNATIVES:
            if name not in bench.parts:
                continue
            say(f"{name}, run {repeat + 1} of {bench.repeats}: {bench.requests} requests of {bench.tokens} tokens ...")
            with machine.watch():
                done = runs[name]()
            speeds[name].append(done["tokens"] / done["seconds"])
            totals[name] = done["tokens"]
    figures = _figures(speeds) | {"completion_tokens": totals}
    rounds = compare_rounds(bench.model, bench.options, plain, bench.rounds, machine, say) if "round" in bench.parts else None
    return {
        "model": {
            "name": identity.name,
            "sha256": identity.sha256,
            "quantisation": identity.quantisation,
            "file": Path(identity.path).name,
        },
        "engine": {name: value for name, value in asdict(info).items() if name != "model"},
        "requests": bench.requests,
        "tokens": bench.tokens,
        "repeats": bench.repeats,
        **figures,
        "round_vs_port": rounds["round_vs_port"] if rounds else None,
        "rounds": rounds,
    }


def run_engine(bench: GenerateBench, requests: Sequence[Request]) -> dict[str, Any]:
    """Complete `requests` with the engine as users run it, in its own process and its events read here."""
    engine = open_engine(bench.model, bench.options)
    try:
        began = time.perf_counter()
        tokens = sum(event.completion.completion_tokens for event in engine.stream(requests, CancelToken()) if isinstance(event, Finished))
        return {"tokens": tokens, "seconds": time.perf_counter() - began}
    finally:
        engine.close()


@contextmanager
def _cold_prefixes() -> Iterator[None]:
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "off"  # The engine's process inherits it.
    try:
        yield
    finally:
        del os.environ[SWITCH]
        if before is not None:
            os.environ[SWITCH] = before


def _engine_info(bench: GenerateBench) -> EngineInfo:
    engine = open_engine(bench.model, bench.options)
    try:
        return engine.info
    finally:
        engine.close()


def _figures(speeds: dict[str, list[float]]) -> dict[str, Any]:
    figures: dict[str, Any] = {f"{name}_tok_s": median(values) if values else None for name, values in speeds.items()}
    figures["engine_vs_sequential"] = _ratio(speeds["engine"], speeds["sequential"])
    figures["engine_vs_raw"] = _ratio(speeds["engine"], speeds["raw"])
    return figures | {"tok_s": speeds}


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the ratios within each repeat: what slows a whole repeat down does not count."""
    return median(a / b for a, b in zip(mine, theirs, strict=True)) if mine and theirs else None
