"""`studio evaluate` as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from studio.pool.pool import Pool
from studio.seeds.reading import draw_hold_out
from support.command import STUDIO, assert_fails, clean_environment, studio
from support.pools import ask, assert_sound, make_pool
from support.sessions import all_seeds
from support.tiny_models import tiny_model

SCRIPTED = ("--model", "scripted", "--max-tokens", "30")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path, seeds = tmp_path / "pool.db", all_seeds()
    Pool.create(path, seeds, draw_hold_out(seeds, 30, "0")).close()
    return path


def test_json_is_all_that_is_on_stdout(pool: Path) -> None:
    done = studio("evaluate", pool, *SCRIPTED, "--against", "format=alpaca", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["pool"], found["evaluation"]["items"], found["overlap"]["checked"]) == (str(pool), 30, 30)
    assert [each["label"] for each in found["contestants"]] == ["scripted [plain]", "scripted [alpaca]"]
    assert found["pairs"][0]["items"] == 30
    assert found["pairs"][0]["rouge_l"]["difference"]["low"] <= found["pairs"][0]["rouge_l"]["difference"]["value"]


def test_the_table_and_the_report_of_what_is_stored(pool: Path) -> None:
    assert_fails(studio("evaluate", pool, "--report"), 4, "has no evaluation yet")
    done = studio("evaluate", pool, *SCRIPTED, "--against", "scripted,format=alpaca")
    assert done.returncode == 0, done.stderr
    for words in ("held-out seeds, 30 items", "A  scripted [plain]", "95 % interval", "at equal length", "alone right"):
        assert words in done.stdout
    assert "all answers are kept in" in done.stderr
    assert studio("evaluate", pool, "--report").stdout == done.stdout
    assert len(json.loads(studio("evaluate", pool, "--report", "--json").stdout)["evaluations"]) == 1


def test_overlap_is_refused_with_the_list(pool: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    kept = ask(pool, "SELECT instruction FROM tasks WHERE NOT held_out")
    lines = [{"instruction": text, "instances": [{"input": "", "output": "x"}], "is_classification": False} for (text,) in kept[:25]]
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused = studio("evaluate", tasks, "--pool", pool, *SCRIPTED)
    assert_fails(refused, 2, "25 of 25 evaluation tasks overlap", "--without-overlap", "ROUGE-L 1.00 with task", "and 5 more")
    refused = studio("evaluate", tasks, "--pool", pool, *SCRIPTED, "--json")
    assert len(json.loads(refused.stdout)["overlaps"]) == 25
    assert_fails(studio("evaluate", tasks, "--pool", pool, *SCRIPTED, "--without-overlap"), 4, "none is left")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--model", "scripted", "--format", "chta"), 2, "unknown format"),
        (("--model", "no-such-model"), 3, "no-such-model"),
        (("--model", "scripted", "--against", "scripted,formt=chat"), 2, "did you mean 'format'"),
        (("--model", "scripted", "--adapter", "nothing.gguf"), 2, "adapter"),
        (("--adapter", "nothing.gguf"), 2, "there is no adapter at nothing.gguf"),
        (("--model", "mute.gguf", "--format", "chat"), 3, "the model has no chat template"),
        (("--model", "scripted", "--pool", "other.db"), 2, "--pool goes with a file"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(pool: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    tiny_model(pool.parent / "mute.gguf", template="")
    assert_fails(studio("evaluate", pool, *arguments, cwd=pool.parent), code, words)
    assert ask(pool, "SELECT count(*) FROM evaluations") == [(0,)]


def test_the_scripted_model_is_asked_in_its_template(pool: Path) -> None:
    done = studio("evaluate", pool, *SCRIPTED, "--format", "chat", "--json")
    assert done.returncode == 0, done.stderr
    assert [each["label"] for each in json.loads(done.stdout)["contestants"]] == ["scripted [chat]"]


def test_a_pool_that_holds_nothing_out_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert_fails(studio("evaluate", make_pool(tmp_path / "pool.db"), *SCRIPTED), 4, "holds no tasks out", "--hold-out")
    assert_fails(studio("evaluate", tmp_path / "none.jsonl", *SCRIPTED), 2, "no such file")


@pytest.mark.slow
@pytest.mark.real_model
def test_interrupted_in_a_terminal_it_goes_on(pool: Path) -> None:
    """The real bundled model, stopped by Ctrl-C as its progress bar moves."""
    asked = [*STUDIO, "evaluate", str(pool), "--format", "chat", "--max-tokens", "4", "--sample", "4", "--threads", "1"]
    ours, theirs = pty.openpty()
    running = subprocess.Popen(asked, env=clean_environment(TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"loading" not in seen:
        seen += os.read(ours, 4096)
    while b"%" not in seen.partition(b"loading")[2]:
        seen += os.read(ours, 4096)
    running.send_signal(signal.SIGINT)
    try:
        while more := os.read(ours, 4096):
            seen += more
    except OSError:
        pass  # The terminal's other end is gone: the process has ended.
    running.communicate()
    os.close(ours)
    assert running.returncode in (0, 130)
    assert b"Traceback" not in seen
    assert_sound(pool)
    done = studio(*asked[len(STUDIO) :])
    assert done.returncode == 0, done.stderr
    assert ask(pool, "SELECT count(*) FROM answers") == [(4,)]
