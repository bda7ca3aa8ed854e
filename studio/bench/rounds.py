"""Whole rounds of the studio's loop beside whole rounds of a straight port of the method."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studio.bench.machine import Machine
from studio.bench.worker import in_worker
from studio.engine.open import open_engine
from studio.engine.options import EngineOptions
from studio.loop.configuration import Configuration, RunOptions
from studio.loop.events import StageFinished, StageStarted
from studio.loop.runs import begin, intent
from studio.loop.session import Goal, Session
from studio.loop.settings import LEAST_REQUESTS
from studio.loop.summary import Summary
from studio.pool.pool import Pool
from studio.seeds.bundled import bundled_seeds
from studio.seeds.reading import read_tasks

SEED = "bench"


def compare_rounds(
    model: str, options: EngineOptions, plain: Mapping[str, Any], rounds: int, machine: Machine, say: Callable[[str], None]
) -> dict[str, Any]:
    """Play `rounds` rounds with both, from the bundled seed tasks; return accepted tasks a minute of each, the ratio, and where time went.

    Loading the model is not part of the time. Raises ModelError and PoolError.
    """
    say(f"the studio's loop, {rounds} rounds ...")
    with machine.watch():
        mine = play_rounds(model, options, rounds)
    say(f"a straight port of the method, {rounds} rounds: this takes several times as long ...")
    with machine.watch():
        theirs = in_worker("port", rounds=rounds, seed=SEED, **plain)
    for figures in (mine, theirs):
        figures["accepted_a_minute"] = figures["accepted"] * 60 / figures["seconds"]
    ratio = mine["accepted_a_minute"] / theirs["accepted_a_minute"] if theirs["accepted"] else None
    return {"rounds": rounds, "round_vs_port": ratio, "studio": mine, "port": theirs}


def play_rounds(model: str, options: EngineOptions, rounds: int) -> dict[str, Any]:
    """Play rounds in a fresh pool with the default profile, of as many requests as the port's, so that equal work is compared."""
    engine = open_engine(model, options)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="studio-bench-") as folder,
            Pool.create(Path(folder) / "pool.db", read_tasks(bundled_seeds())) as pool,
        ):
            wanted = intent(None, Configuration(RunOptions(seed=SEED), {"requests_per_round": LEAST_REQUESTS}), force=False)
            run = begin(pool, wanted, engine.info, force=False)
            return _play(Session(pool, engine, run.method, run.seed, run.id), rounds)
    finally:
        engine.close()


def _play(session: Session, rounds: int) -> dict[str, Any]:
    summary = Summary("", 0)
    stages: defaultdict[str, float] = defaultdict(float)
    stage_began = began = time.perf_counter()
    for event in session.run(Goal(rounds=rounds)):
        summary.add(event)
        match event:
            case StageStarted():
                stage_began = time.perf_counter()
            case StageFinished(_, stage, _):
                stages[str(stage)] += time.perf_counter() - stage_began
    return {
        "accepted": summary.accepted,
        "candidates": summary.candidates,
        "rejected": dict(summary.rejected),
        "instances": summary.instances,
        "prompt_tokens": summary.prompt_tokens,
        "cached_tokens": summary.cached_tokens,
        "completion_tokens": summary.completion_tokens,
        "seconds": time.perf_counter() - began,
        "stage_seconds": dict(stages),
    }
