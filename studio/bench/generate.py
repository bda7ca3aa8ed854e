"""Tokens a second of the engine, beside one request after another and beside the limit; then whole rounds beside a straight port."""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from studio.bench.peers import Complete, SetUp, compare_peers, comparison_table, find_peers, print_peers
from studio.bench.worker import Machine, in_worker
from studio.engine.api import CancelToken, Finished, Request
from studio.engine.catalog import find_model, identify
from studio.engine.llama.prefixes import SWITCH
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.loop.events import StageFinished, StageStarted, Summary
from studio.loop.prompts import Template, builtin_prompt
from studio.loop.runs import Configuration, RunOptions, begin, intent
from studio.loop.session import Goal, Session
from studio.loop.settings import DEFAULT_PROFILE, LEAST_REQUESTS, profile
from studio.pool.pool import Pool
from studio.records import Stage
from studio.seeds.reading import bundled_seeds, read_tasks
from studio.text import display_line


def instance_requests(count: int, tokens: int) -> list[Request]:
    """Return `count` input-first requests about seed tasks, each of exactly `tokens` completion tokens.

    The decoding is the default profile's, without its stop strings and with tokens that end the text never drawn: all alternatives do
    the same work. Seed tasks come again when `count` is above their number.
    """
    template = Template.parse("input_first", builtin_prompt("input_first"))
    decoding = profile(DEFAULT_PROFILE).sampling.input_first.params()
    params = replace(decoding, max_tokens=tokens, stop=(), ignore_eos=True)
    tasks = [task for task in read_tasks(bundled_seeds()) if not task.is_classification]
    return [
        Request(template.prefix, template.suffix(task.instruction.strip()), params, seed)
        for seed, task in enumerate(islice(cycle(tasks), count))
    ]


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
    with (
        closing(open_engine(model, options)) as engine,
        tempfile.TemporaryDirectory(prefix="studio-bench-") as folder,
        Pool.create(Path(folder) / "pool.db", read_tasks(bundled_seeds())) as pool,
    ):
        wanted = intent(None, Configuration(RunOptions(seed=SEED), {"requests_per_round": LEAST_REQUESTS}), force=False)
        run = begin(pool, wanted, engine.info, force=False)
        return _play(Session(pool, engine, run.method, run.seed, run.id), rounds)


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
    told = ("accepted", "candidates", "rejected", "instances", "prompt_tokens", "cached_tokens", "completion_tokens")
    figures = {name: getattr(summary, name) for name in told}
    return {**figures, "seconds": time.perf_counter() - began, "stage_seconds": dict(stages)}


ASKING_STAGES = (Stage.INSTRUCTIONS, Stage.FILTER, Stage.CLASSIFY, Stage.INSTANCES, Stage.ANSWER)
"""Stages in which a model is asked or decisions take time."""
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
    peers: Mapping[str, str] | None = None
    """Which other programs to measure beside the engine, each with its place, or empty for where it is found; see `find_peers`."""


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


@_cold_prefixes()
def measure(bench: GenerateBench, machine: Machine, say: Say) -> dict[str, Any]:
    """Run the alternatives in turn, each with a cold cache, and return every figure; those not asked for are None.

    Loading the model is not part of any time; evaluating the shared prefixes is part of all: the engine's store on disk is switched off.
    Raises ModelError.
    """
    peers = None if bench.peers is None else find_peers(bench.peers)
    identity = identify(find_model(bench.model))
    with closing(open_engine(bench.model, bench.options)) as engine:
        info = engine.info
    plain = {"path": identity.path, "threads": info.threads, "gpu_layers": bench.options.gpu_layers}
    requests = instance_requests(bench.requests, bench.tokens)
    messages = [asdict(request) for request in requests]
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
    set_up = SetUp(identity.path, info.threads, bench.options.gpu_layers, info.parallel, info.context_tokens)
    compared = peers and compare_peers(peers, lambda: running_engine(bench), requests, set_up, bench.repeats, machine, say)
    return {
        "model": {name: getattr(identity, name) for name in ("name", "sha256", "quantisation")} | {"file": Path(identity.path).name},
        "engine": {name: value for name, value in asdict(info).items() if name != "model"},
        "requests": bench.requests,
        "tokens": bench.tokens,
        "repeats": bench.repeats,
        **figures,
        "round_vs_port": rounds["round_vs_port"] if rounds else None,
        "rounds": rounds,
        "peers": compared,
    }


def run_engine(bench: GenerateBench, requests: Sequence[Request]) -> dict[str, Any]:
    with running_engine(bench) as complete:
        began = time.perf_counter()
        return {"tokens": complete(requests), "seconds": time.perf_counter() - began}


@contextmanager
def running_engine(bench: GenerateBench) -> Iterator[Complete]:
    """Give the engine as users run it, in its own process and its events read here."""
    with closing(open_engine(bench.model, bench.options)) as engine:
        yield lambda requests: sum(
            event.completion.completion_tokens for event in engine.stream(requests, CancelToken()) if isinstance(event, Finished)
        )


def _figures(speeds: dict[str, list[float]]) -> dict[str, Any]:
    figures: dict[str, Any] = {f"{name}_tok_s": median(values) if values else None for name, values in speeds.items()}
    figures["engine_vs_sequential"] = _ratio(speeds["engine"], speeds["sequential"])
    figures["engine_vs_raw"] = _ratio(speeds["engine"], speeds["raw"])
    return figures | {"tok_s": speeds}


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the ratios within each repeat: what slows a whole repeat down does not count."""
    return median(a / b for a, b in zip(mine, theirs, strict=True)) if mine and theirs else None


def print_generate(console: Console, figures: dict[str, Any]) -> None:
    engine = figures["engine"]
    model = f"{display_line(figures['model']['name'])}, {display_line(figures['model']['quantisation'])}"
    work = f"{figures['requests']} instance requests of {figures['tokens']} tokens"
    setup = f"{engine['parallel']} sequences, {engine['threads']} threads, contexts of the engine: {engine['contexts']}"
    title = f"{work}, {setup}: {model}"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = comparison_table("tokens/s", "all runs")
    words = {"sequential": "one after another (Llama)", "engine": "the studio's engine", "raw": "bare llama_decode loop"}
    for name, label in words.items():
        if (value := figures[f"{name}_tok_s"]) is not None:
            table.add_row(label, f"{value:.1f}", "  ".join(f"{each:.1f}" for each in figures["tok_s"][name]))
    if table.row_count:
        console.print(table)
    for name, label in (("engine_vs_sequential", "engine / one after another"), ("engine_vs_raw", "engine / bare loop")):
        if figures[name] is not None:
            console.print(f"{label}: {figures[name]:.3f}", highlight=False)
    if figures["rounds"] is not None:
        _print_rounds(console, figures["rounds"])
    if figures["peers"] is not None:
        print_peers(console, figures["peers"])


def _print_rounds(console: Console, rounds: dict[str, Any]) -> None:
    console.print(f"{rounds['rounds']} whole rounds from the seed tasks", highlight=False, soft_wrap=True)
    # Those in which a model is asked; a port has fewer of them, and so has a model that is not asked in chat.
    asking = [stage for stage in ASKING_STAGES if any(rounds[key]["stage_seconds"].get(stage) for key in ("studio", "port"))]
    table = comparison_table("accepted", "seconds", "accepted a minute", "tokens/s", *(f"{stage} s" for stage in asking))
    for key, label in (("studio", "the studio"), ("port", "a straight port")):
        each = rounds[key]
        stages = [f"{each['stage_seconds'].get(stage, 0.0):.1f}" for stage in asking]
        speed = each["completion_tokens"] / each["seconds"]
        table.add_row(label, str(each["accepted"]), f"{each['seconds']:.1f}", f"{each['accepted_a_minute']:.2f}", f"{speed:.1f}", *stages)
    console.print(table)
    ratio = rounds["round_vs_port"]
    console.print(f"rounds / port: {f'{ratio:.2f}' if ratio is not None else 'the port accepted nothing'}", highlight=False)
