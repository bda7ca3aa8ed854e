"""`studio run --headless` as a user runs it: what it prints, what it leaves, how it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import STUDIO, assert_fails, clean_environment, studio
from support.pools import ask, assert_sound, digest, make_pool

SCRIPTED = ("--headless", "--model", "scripted")


def test_json_is_all_that_is_on_stdout(tmp_path: Path) -> None:
    done = studio("run", tmp_path / "pool.db", *SCRIPTED, "--target", "30", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary) == {
        *("pool", "run_id", "rounds", "candidates", "accepted", "rejected", "instances"),
        *("prompt_tokens", "cached_tokens", "completion_tokens", "seconds", "stopped"),
    }
    assert summary["accepted"] >= 30
    assert summary["candidates"] == summary["accepted"] + sum(summary["rejected"].values())
    assert summary["stopped"] == "target"
    assert f"accepted {summary['accepted']} of 30" in done.stderr


def test_a_second_run_goes_on_with_the_pool_s_settings(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    studio("run", pool, *SCRIPTED, "--rounds", "1", "--profile", "paper", "--seed", "blue")
    done = studio("run", pool, "--headless", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert "going on with run 1" in done.stderr
    assert "profile paper, seed blue" in done.stderr


def test_a_reached_target_is_said(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    studio("run", pool, *SCRIPTED, "--target", "10")
    assert_fails(studio("run", pool, *SCRIPTED, "--target", "10"), 2, "the target of 10 is reached already", "higher --target")


def test_interrupted_runs_say_how_to_go_on(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    command = [*STUDIO, "run", str(pool), *SCRIPTED, "--target", "100000", "--json"]
    running = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if "round 2" in line:
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate()
    assert running.returncode == 130
    assert json.loads(out)["stopped"] == "cancelled"
    assert "goes on where it was" in err and "Traceback" not in err
    assert_sound(pool)
    assert studio("run", pool, *SCRIPTED, "--rounds", "1").returncode == 0


def test_nothing_new_ends_with_the_reason_and_what_to_try(tmp_path: Path) -> None:
    done = studio("run", tmp_path / "pool.db", *SCRIPTED, "--target", "9", "--set", "threshold=0", "--set", "stall_rounds=1")
    assert_fails(done, 5, "brought no new task", "not_novel", "hint: try")


def test_own_seeds(tmp_path: Path) -> None:
    seeds = tmp_path / "mine.txt"
    seeds.write_text("Name three rivers of Asia.\nWrite a haiku about rain.\n")
    pool = tmp_path / "pool.db"
    assert studio("run", pool, *SCRIPTED, "--rounds", "1", "--seeds", seeds).returncode == 0
    assert ask(pool, "SELECT count(*) FROM tasks WHERE origin = 'seed'") == [(2,)]
    assert_fails(studio("run", pool, *SCRIPTED, "--rounds", "1", "--seeds", seeds), 2, "exists already", "studio import")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--model", "no-such-model"), 3, ("no-such-model",)),
        (("--model", "scripted", "--profile", "papper"), 2, ("'papper'", "'paper'")),
        (("--model", "scripted", "--set", "treshold=0.5"), 2, ("'treshold'", "'threshold'")),
        (("--model", "scripted", "--target", "-3"), 2, ("--target",)),
        (("--model", "scripted", "--config", "no.toml"), 2, ("no.toml",)),
        (("--model", "scripted", "--seeds", "no.jsonl"), 2, ("no.jsonl",)),
        (("--modle", "scripted"), 2, ("--modle", "--model")),
    ],
)
def test_wrong_arguments_leave_no_pool(tmp_path: Path, arguments: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    assert_fails(studio("run", "pool.db", "--headless", *arguments, cwd=tmp_path), code, *words)
    assert list(tmp_path.iterdir()) == []


def test_broken_models(tmp_path: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("this is no model")
    assert_fails(studio("run", tmp_path / "pool.db", "--headless", "--model", text), 3, "text.gguf")
    assert not (tmp_path / "pool.db").exists()


def test_places_that_are_no_pool(tmp_path: Path) -> None:
    assert_fails(studio("run", tmp_path / "no" / "pool.db", *SCRIPTED), 4, "folder", "mkdir")
    foreign = tmp_path / "notes.txt"
    foreign.write_text("not a database at all, just notes")
    before = digest(foreign)
    assert_fails(studio("run", foreign, *SCRIPTED), 4, "notes.txt")
    assert digest(foreign) == before
    assert_fails(studio("run", tmp_path, *SCRIPTED), 4)


def test_seeds_of_any_shape(tmp_path: Path) -> None:
    seeds, pool = tmp_path / "mine.jsonl", tmp_path / "pool.db"
    lines = [json.dumps({"q": f"Name river number {number}.", "a": {"text": [f"River {number}."]}}) + "\n" for number in range(10)]
    seeds.write_text("".join(lines))
    started = ("run", pool, *SCRIPTED, "--rounds", "1", "--seeds", seeds)
    assert_fails(studio(*started, "--map", "instruction=q,output=a"), 2, "mine.jsonl:1: a: an object where text is needed", "seeds check")
    assert_fails(studio(*started[:-2], "--map", "instruction=q"), 2, "--map says how the files of --seeds are read", "add --seeds")
    assert not pool.exists()
    assert studio(*started, "--map", "instruction=q,output=a.text[0]").returncode == 0
    assert ask(pool, "SELECT count(*) FROM dataset WHERE origin = 'seed' AND output LIKE 'River %'") == [(10,)]
    assert ask(pool, "SELECT format, mapping FROM imports") == [("mapped", "instruction=q,output=a.text[0]")]
    checked = studio("seeds", "check", seeds, "--map", "instruction=q,output=a.text[-1]")
    assert checked.returncode == 0 and "10 tasks (mapped)" in checked.stdout


def test_broken_seeds_are_named_by_line_and_field(tmp_path: Path) -> None:
    seeds = tmp_path / "broken.jsonl"
    seeds.write_text('{"instruction": "Say hello.", "instances": [{"input": "", "output": "Hi"}], "is_classification": false}\n{"instr')
    assert_fails(studio("run", tmp_path / "pool.db", *SCRIPTED, "--seeds", seeds), 2, "broken.jsonl:2")
    assert not (tmp_path / "pool.db").exists()


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    pool = make_pool(tmp_path / "pool.db", 10)
    script = f"import pathlib, studio.pool.pool as s\nwith s.Pool.open(pathlib.Path({str(pool)!r})): print(1, flush=True), input()"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "1\n"
    assert_fails(studio("run", pool, *SCRIPTED), 4, str(holder.pid))
    assert studio("stats", pool).returncode == 0
    holder.communicate("\n")


def test_without_headless_the_way_is_shown(tmp_path: Path) -> None:
    assert_fails(studio("run", tmp_path / "pool.db"), 2, "--headless")


def test_model_text_never_reaches_the_terminal_raw(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    seeds = tmp_path / "nasty.jsonl"
    instruction = "Say [/bold] \x1b]52;c;aGk=\x07 three times, please"
    record = {"instruction": instruction, "instances": [{"input": "", "output": "[red]x"}], "is_classification": False}
    seeds.write_text(json.dumps(record))
    assert studio("run", pool, *SCRIPTED, "--rounds", "1", "--seeds", seeds).returncode == 0
    for command in (("show", pool), ("show", pool, "1"), ("stats", pool)):
        done = studio(*command, FORCE_COLOR="1")
        assert done.returncode == 0, done.stderr
        assert "\x1b]52" not in done.stdout
    assert "[/bold] ␛]52;c;aGk=␇ three times" in studio("show", pool, "1").stdout


@pytest.mark.parametrize(("brief", "words"), [("@", "--brief @ names no file"), ("@ ", "--brief @ names no file"), ("@.", ". is a folder")])
def test_a_brief_that_names_no_file(tmp_path: Path, brief: str, words: str) -> None:
    pool = tmp_path / "pool.db"
    assert_fails(studio("run", pool, *SCRIPTED, "--brief", brief), 2, words, "hint: ")
    assert not pool.exists()


def test_a_full_disk_is_said_and_the_pool_goes_on(tmp_path: Path) -> None:
    """The size of a file is limited as a disk would limit it."""
    pool = tmp_path / "pool.db"
    assert studio("run", pool, *SCRIPTED, "--rounds", "1").returncode == 0
    limit = pool.stat().st_size + 60_000
    script = (
        f"import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "from studio.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "run", str(pool), *SCRIPTED, "--rounds", "50"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert_fails(done, 4, "pool.db")
    assert_sound(pool)
    assert studio("run", pool, *SCRIPTED, "--rounds", "1").returncode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert_fails(studio("run", locked / "pool.db", *SCRIPTED), 4, "locked")
