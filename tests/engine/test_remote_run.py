"""Whole runs over a server, as users start them: the same data as the engine behind it gives, and no key anywhere."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from studio.headless_progress import Progress
from studio.loop.events import RequestRetried
from studio.loop.summary import Summary
from studio.records import Stage
from support.command import assert_fails, studio
from support.completions_server import CompletionsServer, Fault, serving
from support.pools import ask, assert_sound

KEY = "key-that-nobody-may-see"


def export(pool: Path) -> str:
    done = studio("export", pool, "-o", "-")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_over_a_faulty_server_gives_the_same_data(tmp_path: Path) -> None:
    here, there = tmp_path / "here.db", tmp_path / "there.db"
    flags = ("--headless", "--rounds", "2", "--seed", "blue")
    assert studio("run", here, *flags, "--model", "scripted").returncode == 0
    faults = (Fault("reset", after=9), Fault(status=429, headers={"Retry-After": "0"}, body={"message": KEY}), Fault("garbage", after=3))
    with serving(CompletionsServer(key=KEY)) as server:
        server.faults.extend(faults)
        done = studio("run", there, *flags, "--model", server.url, "--json", STUDIO_API_KEY=KEY, OPENAI_LOG="debug")
        assert done.returncode == 0, done.stderr
        assert "a request failed (status 429: (key)) and is sent again, attempt 2" in done.stderr
        again = studio("run", there, "--headless", "--rounds", "1", STUDIO_API_KEY=KEY)
        assert "going on with run 1" in again.stderr, again.stderr
        studio("run", here, "--headless", "--rounds", "1")
        refused = studio("run", there, "--headless", "--rounds", "1", STUDIO_API_KEY="another")
        assert_fails(refused, 3, "status 401", "STUDIO_API_KEY")
    assert export(there) == export(here)
    assert_sound(there)
    assert ask(there, "SELECT name FROM models") == [("scripted",)]
    assert ask(there, "SELECT sum(completion_tokens) > 0 AND sum(seconds) > 0 FROM completions") == [(1,)]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY.encode() not in written
    assert KEY not in done.stdout + done.stderr + again.stderr + refused.stderr


def test_a_server_that_is_not_there_leaves_no_pool(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    with serving(CompletionsServer()) as server:
        address = server.url
    assert_fails(studio("run", pool, "--headless", "--model", address), 3, f"cannot reach {address}", "hint: start the server")
    assert not pool.exists()
    assert_fails(studio("run", pool, "--headless", "--model", "http://me:pw@host/v1"), 2, "must not hold a user name")


def test_many_failures_of_one_cause_are_said_once_a_stage() -> None:
    out = StringIO()
    summary = Summary("pool.db", 1)
    with Progress(Console(file=out, width=300), generated=0, target=30) as progress:
        for ordinal in range(16):
            progress.show(RequestRetried(Stage.INSTRUCTIONS, ordinal, 2, "status 503: busy\x1b"), summary)
    assert out.getvalue() == "a request failed (status 503: busy␛) and is sent again, attempt 2\n"
