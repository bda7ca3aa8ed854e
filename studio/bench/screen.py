"""What the terminal studio costs the model, and what the model costs whoever presses a key: the real program, in a terminal of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import psutil

from studio.bench.first_frame import screen_environment
from studio.bench.keys import measure_keys
from studio.bench.terminal import in_terminal
from studio.bench.worker import Machine
from studio.errors import StudioError
from studio.pool.pool import Queries

READY = b"next: sample"
"""What the line under the rail says when the model has loaded, and again when a round is committed."""
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


def measure(asked: ScreenBench, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    """Play the same round headless and in the terminal studio in turn, then press keys while the model writes.

    Seconds count from the loaded model to the committed round: the headless run's own, and from key to paint in the studio; the keys'
    times are in milliseconds. A pair of rounds is as noisy as the machine, so their ratio is a mean with its standard error, which twelve
    pairs bring down to some two hundredths. Raises StudioError when a run fails, when the two ways did not write the same, and where there
    are no pseudo-terminals.
    """
    if os.name != "posix":
        raise StudioError("there are no pseudo-terminals here", "measure on Linux or macOS")
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
        began = terminal.press(b"a")
        seconds = terminal.until(READY, _ROUND_S) - began
        spent = _cpu(process) - before
        terminal.leave()
    with Queries.open(pool) as reader:
        return Played(seconds, reader.counts().completion_tokens, spent)


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of the program itself; the model has a process of its own."""
    times = process.cpu_times()
    return float(times.user + times.system)
