"""The terminal studio measured, in a pseudo-terminal of its own: what it costs the model, and how long a key takes to be seen meanwhile.

python tests/screen_bench.py round [--model MODEL]     the same round headless and in the terminal studio, then its keys
python tests/screen_bench.py start [--tasks N]         its first frame, and the pool screen of many tasks
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import click
import psutil
from rich.console import Console
from rich.table import Table

from studio.bench.pools import make_pool
from studio.bench.worker import Machine
from studio.cli import main
from studio.cli.machine import run_bench
from studio.cli.shared import JSON
from studio.errors import StudioError
from studio.pool.pool import Queries
from support.pseudo_terminal import Terminal, in_terminal

READY = b"next: sample"
"""What the line under the rail says when the model has loaded, and again when a round is committed."""
_ANSWER_S = 10.0
"""A key that is not answered for so long does something else by now."""
_PAUSE_S = (0.15, 0.35)
"""Between two keys, so that they fall on any moment between two frames."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two keys pressed in turn once `begins` is on the screen, and what only the screen after each of them says."""

    name: str
    begins: bytes
    keys: tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


PAIRS = (
    Pair("another prompt, while instructions are written", b" \xc2\xb7 writing", ((b"]", b"prompt 2 of"), (b"[", b"prompt 1 of"))),
    Pair(
        "another candidate, while instances are written",
        b"\xe2\x96\xb6 instances",
        ((b"\x1b[B", b"candidate c2"), (b"\x1b[A", b"candidate c1")),
    ),
    Pair("another screen, while instances are written", b"instances", ((b"2", b"instruction"), (b"1", b"candidate c1"))),
)
"""In the order in which a round comes by them."""


def measure_keys(command: Sequence[str], environment: Mapping[str, str], presses: int) -> dict[str, Any]:
    """Start a run in a terminal of its own and press each pair's keys `presses` times; return what its times were, in milliseconds.

    Raises StudioError when a key is not answered.
    """
    rng = random.Random(0)
    with in_terminal(command, environment) as terminal:
        terminal.until(READY)
        terminal.press(b"R")
        found = {pair.name: press_pair(terminal, pair, presses, rng) for pair in PAIRS}
        terminal.leave()
    return {name: spread(times) for name, times in found.items()}


def spread(times: Sequence[float]) -> dict[str, Any]:
    """Median, 95th percentile and worst of some times, and all of them."""
    return {"median": median(times), "p95": sorted(times)[math.ceil(0.95 * len(times)) - 1], "worst": max(times), "all": list(times)}


def press_pair(terminal: Terminal, pair: Pair, presses: int, rng: random.Random | None = None) -> list[float]:
    """Press the two keys of a pair in turn, `presses` times in all, and return the milliseconds until each was seen."""
    rng = rng or random.Random(0)
    terminal.until(pair.begins)
    times = []
    for number in range(presses):
        key, awaited = pair.keys[number % 2]
        terminal.watch(rng.uniform(*_PAUSE_S))
        began = terminal.press(key)
        try:
            times.append(round(1000 * (terminal.until(awaited, _ANSWER_S) - began), 2))
        except StudioError:
            # A fast model has gone on to the next stage, where the key does something else.
            if not times:
                raise
            break
    return times


HEADER = b"Insight"
"""The header's last label: a frame that has it was drawn whole."""
RUNS = 5


def measure_first_frame(pool: Path, model: str = "scripted", runs: int = RUNS) -> float:
    """Return the median of `runs` starts, in seconds, on the pool at `pool`.

    One start before them reads the files from the disk. Raises StudioError when the studio ends before it has drawn anything.
    """
    command = (sys.executable, "-m", "studio", "run", str(pool), "--model", model)
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as state:
        environment = screen_environment(state)
        return median([time_to(HEADER, command, environment) for _ in range(runs + 1)][1:])


def screen_environment(state: str) -> dict[str, str]:
    """The environment of a studio that is measured: the list of recent pools is the user's own, so it has another in `state`."""
    return {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state}


def time_to(awaited: bytes, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the seconds from the start of `command` until it has written `awaited` to its terminal; it is ended then.

    Raises StudioError when it ends first, with the end of what it wrote.
    """
    began = time.perf_counter()
    with in_terminal(command, environment) as terminal:
        seconds = terminal.until(awaited) - began
        terminal.leave()
    return seconds


JUMPS = 20


def measure_pages(pool: Path) -> dict[str, Any]:
    """Go to the pool screen of the pool at `pool`, whose tasks have the ids from 1 on, and jump between its ends.

    `first_rows_ms` is the time from the key to the screen, `list_s` to the line that counts all tasks, which ends the reading of the ids;
    `jumps_ms` tells of keys whose rows were not in sight before. Raises StudioError when the studio does not answer.
    """
    with Queries.open(pool) as reader:
        first, count = reader.tasks.many([1])[0].instruction, sum(1 for _ in reader.tasks.instructions())
    command = (sys.executable, "-m", "studio", "run", str(pool), "--model", "scripted")
    begins, ends = first.split()[0].encode() + b" ", str(count).encode()
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as state, in_terminal(command, screen_environment(state)) as terminal:
        terminal.until(READY)
        pressed = terminal.press(b"2")
        first_rows = terminal.until(HEADER) - pressed
        listed = terminal.until(f"{count:,} tasks".encode()) - pressed
        terminal.press(b"g")
        jumps = press_pair(terminal, Pair("ends", b"", ((b"G", ends), (b"g", begins))), JUMPS)
        terminal.leave()
    return {"first_rows_ms": 1000 * first_rows, "list_s": listed, "jumps_ms": spread(jumps)}


_ROUND_S = 3600.0
_KEY_PROMPTS = 8
"""So that the model writes instructions for as long as keys are pressed."""


@dataclass(frozen=True, slots=True)
class ScreenBench:
    """What to measure: `prompts` requests for instructions in a round, `repeats` rounds each way, `keys` presses of each kind."""

    model: str = ""
    prompts: int = 5
    repeats: int = 3
    keys: int = 30
    settings: tuple[str, ...] = ()

    def command(self, pool: Path) -> list[str]:
        """The program with the run that all measurements play: one round of a new pool at `pool`, always with the same seed."""
        words = [sys.executable, "-m", "studio", "run", str(pool), "--seed", "bench", "--rounds", "1"]
        words += ["--model", self.model] if self.model else []
        for setting in (f"requests_per_round={self.prompts}", *self.settings):
            words += ["--set", setting]
        return words


@dataclass(frozen=True, slots=True)
class Played:
    """One round: how long it took, the tokens that the model wrote, and the CPU time of the program itself without its model."""

    seconds: float
    tokens: int
    cpu_s: float = 0.0


def measure_round(asked: ScreenBench, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    """Play the same round headless and in the terminal studio in turn, then press keys while the model writes.

    Seconds count from the loaded model to the committed round: the headless run's own, and from key to paint in the studio; the keys'
    times are in milliseconds. A pair of rounds is as noisy as the machine, so their ratio is a mean with its standard error, which twelve
    pairs bring down to some two hundredths. Raises StudioError when a run fails and when the two ways did not write the same.
    """
    headless: list[Played] = []
    screen: list[Played] = []
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name:
        folder = Path(name)
        say("a headless round, which leaves the prompts' templates in the cache ...")
        _headless(asked, folder / "warm.db")
        ways = [("headless", _headless, headless), ("in the terminal studio", _on_screen, screen)]
        for turn in range(asked.repeats):
            # Each begins every other time: a machine that gets warmer or busier must not count against one of them.
            for way, play, found in ways if turn % 2 == 0 else reversed(ways):
                say(f"round {turn + 1} of {asked.repeats}, {way} ...")
                with machine.watch():
                    found.append(play(asked, folder / f"{way[:2]}-{turn}.db"))
        say("keys while the model writes ...")
        with machine.watch():
            command = replace(asked, prompts=_KEY_PROMPTS).command(folder / "keys.db")
            keys = measure_keys(command, screen_environment(name), asked.keys) if asked.keys else {}
    if len({each.tokens for each in headless + screen}) > 1:
        raise StudioError("the rounds differ", "a model or a server that does not keep to its seed cannot be measured so")
    speeds = [[each.tokens / each.seconds for each in runs] for runs in (headless, screen)]
    ratios = [ours / theirs for theirs, ours in zip(*speeds, strict=True)]
    return {
        "prompts": asked.prompts,
        "repeats": asked.repeats,
        "tokens": headless[0].tokens,
        "headless_tok_s": median(speeds[0]),
        "screen_tok_s": median(speeds[1]),
        "tok_s": {"headless": speeds[0], "screen": speeds[1]},
        "seconds": {"headless": [each.seconds for each in headless], "screen": [each.seconds for each in screen]},
        "screen_cpu_s": [each.cpu_s for each in screen],
        "screen_vs_headless": fmean(ratios),
        "screen_vs_headless_error": stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else None,
        "keys_ms": keys,
    }


def _headless(asked: ScreenBench, pool: Path) -> Played:
    done = subprocess.run([*asked.command(pool), "--headless", "--json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StudioError("the headless round failed", " / ".join(done.stderr.strip().splitlines()[-2:]))
    summary = json.loads(done.stdout)
    return Played(summary["seconds"], summary["completion_tokens"])


def _on_screen(asked: ScreenBench, pool: Path) -> Played:
    with in_terminal(asked.command(pool), screen_environment(str(pool.parent))) as terminal:
        terminal.until(READY)
        process = psutil.Process(terminal.process_id)
        before = _cpu(process)
        began = terminal.press(b"R")
        seconds = terminal.until(READY, _ROUND_S) - began
        spent = _cpu(process) - before
        terminal.leave()
    with Queries.open(pool) as reader:
        return Played(seconds, reader.figures.counts().completion_tokens, spent)


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of the program itself; the model has a process of its own."""
    times = process.cpu_times()
    return float(times.user + times.system)


def print_round(console: Console, figures: dict[str, Any]) -> None:
    """The two ways to play a round, and the keys."""
    console.print(f"the same round of {figures['tokens']:,} tokens, in turn", highlight=False)
    table = Table()
    for name in ("", "tokens/s", "all rounds"):
        table.add_column(name, justify="left" if not name else "right")
    for name, label in (("headless", "headless"), ("screen", "terminal studio, 120x40")):
        table.add_row(label, f"{figures[f'{name}_tok_s']:.1f}", "  ".join(f"{each:.1f}" for each in figures["tok_s"][name]))
    console.print(table)
    share = sum(figures["screen_cpu_s"]) / sum(figures["seconds"]["screen"])
    error = figures["screen_vs_headless_error"]
    ratio = f"{figures['screen_vs_headless']:.3f}" + (f" ± {error:.3f}" if error is not None else "")
    console.print(f"terminal studio / headless: {ratio}; it took {share:.1%} of one core", highlight=False)
    if not figures["keys_ms"]:
        return
    keys = Table(title="from key to paint, in ms", title_justify="left")
    for name in ("", "median", "95 %", "worst"):
        keys.add_column(name, justify="left" if not name else "right")
    for name, times in figures["keys_ms"].items():
        keys.add_row(name, f"{times['median']:.1f}", f"{times['p95']:.1f}", f"{times['worst']:.1f}")
    console.print(keys)


def measure_start(tasks: int, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    """Time the first frame on a new pool, and the pool screen on one of `tasks` tasks beside the bundled seeds. Raises StudioError."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        seeds, path = Path(folder) / "seeds.db", Path(folder) / "pool.db"
        say("the terminal studio ...")
        make_pool(seeds, 0)
        with machine.watch():
            first_frame = measure_first_frame(seeds)
        say(f"making a pool of {tasks:,} tasks ...")
        make_pool(path, tasks)
        say("the pool screen on it ...")
        with machine.watch():
            pages = measure_pages(path)
    return {"first_frame_s": first_frame, "first_frame_runs": RUNS, "tasks": tasks, "pool_screen": pages}


def print_start(console: Console, figures: dict[str, Any]) -> None:
    """One line a figure."""
    screen = figures["pool_screen"]
    jumps = screen["jumps_ms"]
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("first frame of the terminal studio", f"{figures['first_frame_s']:.3f} s")
    table.add_row("pool screen: shown, all ids read", f"{screen['first_rows_ms']:.0f} ms, {screen['list_s']:.2f} s")
    table.add_row("pool screen: to its other end", f"{jumps['median']:.0f} ms, 95 % within {jumps['p95']:.0f}, worst {jumps['worst']:.0f}")
    console.print(table)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def program() -> None:
    """Measure the terminal studio in a pseudo-terminal of 120x40. Close other programs first."""


@program.command("round")
@click.option("-m", "--model", default="", metavar="MODEL", help="Name or path of a GGUF model. [the bundled one]")
@click.option("--prompts", type=click.IntRange(min=2), default=5, show_default=True, metavar="N", help="Instruction requests of a round.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, metavar="K", help="Rounds each way.")
@click.option("--keys", type=click.IntRange(min=0), default=30, show_default=True, metavar="N", help="Presses of each pair of keys.")
@JSON
def round_command(as_json: bool, **values: Any) -> None:
    """Play the same round headless and in the terminal studio, in turn, and time its keys while the model writes.

    A key's time ends with the bytes that paint what it does. About 5 minutes on 2 cores.
    """
    asked = ScreenBench(**values)
    run_bench(lambda machine, say: measure_round(asked, machine, say), print_round, as_json)


@program.command("start")
@click.option("--tasks", type=click.IntRange(min=1), default=1_000_000, show_default=True, metavar="N", help="Tasks of the pool.")
@JSON
def start_command(tasks: int, as_json: bool) -> None:
    """Time the first frame, and the pool screen on a pool of many tasks."""
    run_bench(lambda machine, say: measure_start(tasks, machine, say), print_start, as_json)


if __name__ == "__main__":
    main(program, Path(__file__).name)
