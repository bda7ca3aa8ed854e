"""What depends on the size of a pool: novelty against it, beside `rouge_score`, and how long the studio takes to be there.

Sizes are measured in processes of their own, for their memory. The instructions are made up, with word frequencies and lengths as in
real ones, near copies included."""

from __future__ import annotations

import gc
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer

from studio.bench.worker import Machine, in_worker
from studio.engine.scripted import words
from studio.errors import StudioError
from studio.loop.novelty import NoveltyIndex, rouge_l
from studio.loop.settings import DEFAULT_PROFILE, profile
from studio.loop.tokens import TOKENIZERS, ascii_tokens
from studio.pool.pool import Pool
from studio.records import Instance, Neighbour, Novelty, Origin, SeedTask
from studio.seeds.reading import bundled_seeds, read_tasks

_VOCABULARY = 40_000
"""Distinct words of a pool of about 50,000 instructions, by the order of magnitude."""
_MEAN_OWN_WORDS = 12.5
_LEAST_WORDS, _MOST_WORDS = 4, 60
_CHUNK = 10_000
_COPIES = 0.1
"""Share of instructions that are an earlier one with a few words replaced."""
_KEPT = 0.8
"""Share of its words that a near copy keeps."""
_ONSETS = tuple("bcdfghjklmnprstvwz")
_RIMES = tuple(vowel + end for vowel in ("a", "e", "i", "o", "u", "ea", "ou") for end in ("ck", "d", "l", "n", "p", "r", "st"))


def instructions(count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` instructions of about 16 words (4 to 60), the same for the same seed.

    Words are drawn by Zipf's law, the commonest from the bundled seed tasks and the scripted engine, the rare ones made of syllables.
    """
    rng = np.random.default_rng(seed)
    vocabulary = np.array(known_words(), dtype=object)
    weights = np.cumsum(1.0 / (np.arange(len(vocabulary)) + 2.0))
    earlier: list[list[str]] = []
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        lengths = np.clip(_LEAST_WORDS + rng.gamma(2.0, _MEAN_OWN_WORDS / 2.0, size).astype(np.int64), _LEAST_WORDS, _MOST_WORDS)
        drawn = vocabulary[np.searchsorted(weights, rng.random(int(lengths.sum())) * weights[-1])].tolist()
        copies = rng.random(size) < _COPIES
        position = 0
        for length, copy in zip(lengths.tolist(), copies.tolist(), strict=True):
            text = drawn[position : position + length]
            position += length
            if copy and earlier:
                text = _near_copy(earlier[int(rng.integers(len(earlier)))], text, rng)
            elif len(earlier) < _CHUNK:
                earlier.append(text)
            yield " ".join(text).capitalize() + "."


@cache
def known_words() -> tuple[str, ...]:
    """The vocabulary, the most frequent word first."""
    texts = [task.instruction for task in read_tasks(bundled_seeds())]
    texts += [part for kind, parts in words().items() if kind != "labels" for part in parts]
    counted: dict[str, int] = {}
    for word in re.findall(r"[a-z0-9]+", " ".join(texts).lower()):
        counted[word] = counted.get(word, 0) + 1
    common = sorted(counted, key=lambda word: (-counted[word], word))
    syllables = [onset + rime for rime in _RIMES for onset in _ONSETS]
    rare = dict.fromkeys(first + second for second in syllables[:60] for first in syllables if first + second not in counted)
    return (*common, *rare)[:_VOCABULARY]


def _near_copy(original: list[str], spare: list[str], rng: np.random.Generator) -> list[str]:
    kept = (rng.random(len(original)) < _KEPT).tolist()
    return [word if keep else spare[place % len(spare)] for place, (word, keep) in enumerate(zip(original, kept, strict=True))]


REPEATS = 5
_WHOLE_POOL = 52_445
"""`rouge_score` is run over at most this many instructions (the paper's number); a larger pool's time is scaled from them."""
_ENOUGH_S = 0.2
_MOST_REPEATS = 25
_PAIRS = 2_000
_MIB = 1 << 20


def measure_novelty(sizes: Sequence[int], batch: int, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    figures = []
    for size in sizes:
        say(f"{size:,} tasks ...")
        with machine.watch():
            figures.append(in_worker("novelty", size=size, batch=batch, repeats=REPEATS))
    return {"batch": batch, "novelty": figures}


def measure_size(size: int, batch: int, repeats: int, seed: int = 0) -> dict[str, Any]:
    """Measure a pool of `size` made-up instructions, with candidates in batches of `batch` and one alone."""
    texts = list(instructions(size + batch * 2, seed))
    pool, candidates = texts[:size], texts[size:]
    gc.collect()
    before = psutil.Process().memory_info().rss
    index = NoveltyIndex(ascii_tokens)
    began = time.perf_counter()
    index.extend((place, text, False) for place, text in enumerate(pool))
    load_s = time.perf_counter() - began
    gc.collect()
    index_bytes = psutil.Process().memory_info().rss - before
    together = _seconds(lambda: _novelties(index, candidates[:batch]), repeats)
    alone = _seconds(lambda: _novelties(index, candidates[:1]), repeats)
    rouge_s, scores = _rouge_score(candidates[0], pool[:_WHOLE_POOL])
    sample = len(scores)
    found = _novelties(index, candidates[:batch])
    mismatches, pairs = _compare(found, candidates, pool, scores, random.Random(seed))
    return {
        "size": size,
        "ms_per_candidate": together * 1000 / batch,
        "ms_alone": alone * 1000,
        "rouge_score_ms": rouge_s * 1000 * size / sample,
        "rouge_score_sample": sample,
        "speedup": rouge_s * size / sample / (together / batch),
        "mismatches": mismatches,
        "pairs_compared": pairs,
        "index_bytes": max(index_bytes, 0),
        "load_s": load_s,
        "mean_words": sum(len(text.split()) for text in pool) / size,
    }


def _novelties(index: NoveltyIndex, texts: Sequence[str]) -> list[Novelty]:
    batch = index.batch(texts)
    return [batch.novelty(place) for place in range(len(texts))]


def _seconds(action: Callable[[], object], repeats: int) -> float:
    """The median time of `action`, repeated at least `repeats` times, more where it is short; the first run, which warms up, left out."""
    action()
    times: list[float] = []
    while len(times) < repeats or (sum(times) < _ENOUGH_S and len(times) < _MOST_REPEATS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return median(times)


def _rouge_score(candidate: str, pool: Sequence[str]) -> tuple[float, list[float]]:
    """The seconds that the package needs to compare one candidate with `pool`, and its scores."""
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    began = time.perf_counter()
    scores = [float(scorer.score(candidate, text)["rougeL"].fmeasure) for text in pool]
    return time.perf_counter() - began, scores


def _compare(
    found: Sequence[Novelty], candidates: Sequence[str], pool: Sequence[str], scores: Sequence[float], rng: random.Random
) -> tuple[int, int]:
    """Count differences to `rouge_score`, bit for bit, and the pairs compared.

    Compared are all neighbours that the index found; the first candidate's ten best of the pool, where `scores` covers it; random pairs.
    """
    scorer = RougeScorer(["rougeL"], use_stemmer=False)

    def theirs(first: str, second: str) -> float:
        return float(scorer.score(first, second)["rougeL"].fmeasure)

    pairs = mismatches = 0
    for candidate, novelty in zip(candidates, found, strict=False):
        for neighbour in novelty.neighbours:
            pairs += 1
            mismatches += neighbour.score != theirs(candidate, pool[neighbour.task_id])
    if len(scores) == len(pool):
        ranked = sorted(enumerate(scores), key=lambda each: (-each[1], each[0]))
        best = [Neighbour(place, score) for place, score in islice(ranked, len(found[0].neighbours))]
        pairs += len(scores)
        mismatches += sum(mine != right for mine, right in zip(found[0].neighbours, best, strict=True))
    for _ in range(_PAIRS):
        first, second = rng.choice(candidates), rng.choice(pool)
        pairs += 1
        mismatches += rouge_l(ascii_tokens(first), ascii_tokens(second)) != theirs(first, second)
    return mismatches, pairs


def print_novelty(console: Console, figures: dict[str, Any]) -> None:
    console.print(f"ROUGE-L of a candidate over the whole pool, in batches of {figures['batch']}", highlight=False, soft_wrap=True)
    table = Table(padding=(0, 0))
    for name in ("tasks", "ms", "alone ms", "rouge_score ms", "speedup", "mismatches", "index MiB", "load s"):
        table.add_column(name, justify="right")
    for each in figures["novelty"]:
        scaled = "~" if each["rouge_score_sample"] < each["size"] else ""
        table.add_row(
            f"{each['size']:,}",
            f"{each['ms_per_candidate']:.3f}",
            f"{each['ms_alone']:.3f}",
            f"{scaled}{each['rouge_score_ms']:,.0f}",
            f"{scaled}{each['speedup']:,.0f}",
            f"{each['mismatches']:,}",
            f"{each['index_bytes'] / _MIB:.1f}",
            f"{each['load_s']:.2f}",
        )
    console.print(table)


_HELP_RUNS = 9
_HELP = (sys.executable, "-m", "studio", "--help")


def open_and_index(path: str) -> dict[str, Any]:
    """Return the seconds until the pool is open and until the index is filled, and the memory that both took, in bytes."""
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    with Pool.open(Path(path)) as pool:
        open_s = time.perf_counter() - began
        index = NoveltyIndex(TOKENIZERS[profile(DEFAULT_PROFILE).tokenizer])
        index.extend(pool.tasks.instructions())
        index_s = time.perf_counter() - began - open_s
        memory = psutil.Process().memory_info().rss
        return {"tasks": len(index), "open_s": open_s, "index_s": index_s, "memory_bytes": memory - before, "peak_rss_bytes": _peak(memory)}


def _peak(now: int) -> int:
    """The most memory this process has had, in bytes; `now` where the system does not keep count."""
    try:
        import resource
    except ImportError:
        return now
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure_start(tasks: int, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure `studio --help`, and opening a pool of `tasks` tasks beside the bundled seeds. Raises PoolError."""
    say("studio --help ...")
    with machine.watch():
        help_figures = _help()
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        path = Path(folder) / "pool.db"
        say(f"making a pool of {tasks:,} tasks ...")
        with machine.watch():
            fill_s = make_pool(path, tasks)
        size = path.stat().st_size
        say("opening it ...")
        with machine.watch():
            opened = in_worker("open", path=str(path))
    return {
        **help_figures,
        "pool": {"asked_tasks": tasks, "make_s": fill_s, "file_bytes": size, **opened, "ready_s": opened["open_s"] + opened["index_s"]},
    }


def make_pool(path: Path, tasks: int) -> float:
    """Make a pool of made-up tasks, with an instance each, and return the seconds it took."""
    began = time.perf_counter()
    with Pool.create(path, read_tasks(bundled_seeds())) as pool:
        made = enumerate(instructions(tasks))
        pool.tasks.add((SeedTask(f"t{n}", "", text, (Instance("", "An answer."),), False) for n, text in made), Origin.IMPORTED)
    return time.perf_counter() - began


def _help() -> dict[str, Any]:
    wall: list[float] = []
    cpu: list[float] = []
    for run in range(_HELP_RUNS + 1):
        began, spent = time.perf_counter(), _children_cpu()
        done = subprocess.run(_HELP, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StudioError("`studio --help` failed", done.stderr.strip()[-200:])
        if run:  # The first one reads the files from the disk.
            wall.append(time.perf_counter() - began)
            cpu.append(_children_cpu() - spent)
    return {"help_cpu_s": median(cpu), "help_wall_s": median(wall), "help_runs": _HELP_RUNS}


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def print_start(console: Console, figures: dict[str, Any]) -> None:
    pool = figures["pool"]
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("studio --help", f"{figures['help_cpu_s']:.3f} s of CPU, {figures['help_wall_s']:.3f} s")
    table.add_row(f"pool of {pool['tasks']:,} tasks, {pool['file_bytes'] / _MIB:.0f} MiB", f"made in {pool['make_s']:.1f} s")
    table.add_row("opened", f"{pool['open_s']:.3f} s")
    table.add_row("ready: novelty index filled", f"{pool['ready_s']:.2f} s, {pool['memory_bytes'] / _MIB:.0f} MiB")
    console.print(table)
