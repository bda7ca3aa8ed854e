"""`studio bench screen`, with the scripted model: it writes so fast that keys are pressed in a test of their own."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from studio.bench.keys import Pair, press_pair
from studio.bench.report_screen import print_screen
from studio.bench.terminal import in_terminal
from studio.errors import StudioError
from support.command import studio

ECHO = "import sys, tty; tty.setraw(0); print('ready', flush=True)\nwhile True:\n print('<' + sys.stdin.read(1) + '>', flush=True)"


@pytest.mark.slow
def test_both_ways_play_the_same_round(tmp_path: Path) -> None:
    done = studio("bench", "screen", "--model", "scripted", "--repeats", "2", "--keys", "0", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["tokens"] > 0 and report["keys_ms"] == {}
    assert len(report["tok_s"]["headless"]) == len(report["tok_s"]["screen"]) == 2
    assert min(report["screen_cpu_s"]) > 0
    pairs = zip(report["tok_s"]["screen"], report["tok_s"]["headless"], strict=True)
    low, high = sorted(ours / theirs for ours, theirs in pairs)
    assert report["screen_vs_headless"] == pytest.approx((low + high) / 2)
    assert report["screen_vs_headless_error"] == pytest.approx((high - low) / 2), "the standard error of two values"
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_said() -> None:
    done = studio("bench", "screen", "--model", "nowhere.gguf", "--json")
    assert done.returncode != 0
    assert "nowhere.gguf" in done.stderr and "Traceback" not in done.stderr


def test_a_key_is_timed_until_what_it_does_is_written() -> None:
    pair = Pair("letters", b"ready", ((b"x", b"<x>"), (b"y", b"<y>")))
    with in_terminal((sys.executable, "-c", ECHO), dict(os.environ)) as terminal:
        times = press_pair(terminal, pair, 5)
    assert len(times) == 5 and min(times) > 0


def test_a_key_without_an_answer_is_an_error() -> None:
    with in_terminal((sys.executable, "-c", ECHO), dict(os.environ)) as terminal:
        terminal.until(b"ready")
        terminal.press(b"x")
        with pytest.raises(StudioError, match="had not written '<y>'"):
            terminal.until(b"<y>", 0.2)


def test_a_table_for_people() -> None:
    console = Console(file=StringIO(), width=100)
    figures = {
        "tokens": 1_701,
        "headless_tok_s": 70.0,
        "screen_tok_s": 69.0,
        "tok_s": {"headless": [70.0, 71.0], "screen": [69.0, 68.0]},
        "seconds": {"headless": [10.0, 10.0], "screen": [10.0, 10.0]},
        "screen_cpu_s": [0.2, 0.4],
        "screen_vs_headless": 0.985,
        "screen_vs_headless_error": 0.012,
        "keys_ms": {"another prompt": {"median": 12.3, "p95": 20.0, "worst": 31.0, "all": [12.3]}},
    }
    print_screen(console, figures)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "1,701 tokens" in shown and "terminal studio / headless: 0.985 ± 0.012; it took 3.0% of one core" in shown
    assert [line for line in shown.splitlines() if "another prompt" in line and "12.3" in line and "31.0" in line]
    print_screen(console, figures | {"keys_ms": {}, "screen_vs_headless_error": None})
    assert "headless: 0.985; it took" in console.file.getvalue()
