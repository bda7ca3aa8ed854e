"""The benchmark of the terminal studio, with the scripted model: it writes so fast that keys are pressed in a test of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import screen_bench
from screen_bench import Pair, measure_first_frame, press_pair, print_round, print_start, time_to
from studio.bench.pools import make_pool
from studio.errors import StudioError
from support import pseudo_terminal
from support.command import clean_environment
from support.pools import assert_sound
from support.pseudo_terminal import in_terminal

ECHO = "import sys, tty; tty.setraw(0); print('ready', flush=True)\nwhile True:\n print('<' + sys.stdin.read(1) + '>', flush=True)"


def bench(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as a user does."""
    command = [sys.executable, screen_bench.__file__, *words]
    return subprocess.run(command, env=clean_environment(**environment), capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_both_ways_play_the_same_round(tmp_path: Path) -> None:
    done = bench("round", "--model", "scripted", "--repeats", "2", "--keys", "0", "--json", TMPDIR=str(tmp_path))
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
    done = bench("round", "--model", "nowhere.gguf", "--json")
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
    print_round(console, figures)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "1,701 tokens" in shown and "terminal studio / headless: 0.985 ± 0.012; it took 3.0% of one core" in shown
    assert [line for line in shown.splitlines() if "another prompt" in line and "12.3" in line and "31.0" in line]
    print_round(console, figures | {"keys_ms": {}, "screen_vs_headless_error": None})
    assert "headless: 0.985; it took" in console.file.getvalue()


@pytest.mark.slow
def test_first_frame_and_pool_screen(tmp_path: Path) -> None:
    done = bench("start", "--tasks", "200", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["first_frame_s"] > 0 and report["first_frame_runs"] == 5
    screen = report["pool_screen"]
    assert 0 < screen["first_rows_ms"] <= 1000 * screen["list_s"]
    assert len(screen["jumps_ms"]["all"]) == 20 and screen["jumps_ms"]["median"] <= screen["jumps_ms"]["p95"] <= screen["jumps_ms"]["worst"]
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_the_start() -> None:
    console = Console(file=StringIO(), width=100)
    jumps = {"median": 40.0, "p95": 70.0, "worst": 90.0}
    print_start(console, {"first_frame_s": 1.25, "pool_screen": {"first_rows_ms": 60.0, "list_s": 0.5, "jumps_ms": jumps}})
    assert isinstance(console.file, StringIO)
    table = console.file.getvalue()
    assert "1.250 s" in table and "60 ms, 0.50 s" in table and "40 ms, 95 % within 70, worst 90" in table


def test_a_first_frame_is_the_headers_in_a_terminal_of_its_size(tmp_path: Path) -> None:
    make_pool(tmp_path / "pool.db", 0)
    seconds = measure_first_frame(tmp_path / "pool.db", runs=1)
    assert seconds > 0
    assert_sound(tmp_path / "pool.db")


def test_the_command_is_in_a_terminal_of_its_own_and_does_not_outlive_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, sys, time; size = os.get_terminal_size(); assert sys.stdin.isatty();"
        f" open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); print('ready', *size, flush=True); time.sleep(600)"
    )
    monkeypatch.setattr(pseudo_terminal, "LEAVING_S", 0.0)
    assert time_to(b"ready 120 40", (sys.executable, "-c", code), dict(os.environ)) > 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_that_ends_before_it_has_drawn_is_an_error_with_its_last_words() -> None:
    with pytest.raises(StudioError, match="ended") as caught:
        time_to(b"never", (sys.executable, "-c", "print('it \x1b[31mbroke')"), dict(os.environ))
    assert "it ␛[31mbroke" in caught.value.hint
