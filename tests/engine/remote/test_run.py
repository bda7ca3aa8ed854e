"""Whole runs over a server, as users start them: the same data as the engine behind it gives, and no key anywhere."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from studio.headless import Progress
from studio.loop.events import RequestRetried, Summary
from studio.loop.session import Goal
from studio.pool.pool import Pool
from studio.records import Stage
from support.chat_kinds import KINDS, instructed
from support.command import STUDIO, assert_fails, clean_environment, studio
from support.completions_server import CompletionsServer, Fault, serving
from support.pools import ask, assert_sound
from support.sessions import all_seeds, exported, session_in

KEY = "key-that-nobody-may-see"


def export(pool: Path) -> str:
    done = studio("export", pool, "-o", "-")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_over_a_faulty_server_gives_the_same_data(tmp_path: Path) -> None:
    here, there = tmp_path / "here.db", tmp_path / "there.db"
    flags = ("--headless", "--rounds", "2", "--seed", "blue", "--set", "requests_per_round=3")
    assert studio("run", here, *flags, "--model", "scripted").returncode == 0
    faults = (Fault("reset", after=9), Fault(status=429, headers={"Retry-After": "0"}, body={"message": KEY}), Fault("garbage", after=3))
    with serving(CompletionsServer(key=KEY)) as server:
        server.faults.extend(faults)
        done = studio("run", there, *flags, "--model", server.url, "--json", STUDIO_API_KEY=KEY, OPENAI_LOG="debug")
        assert done.returncode == 0, done.stderr
        assert "a request failed (status 429: (key)) and is sent again at once, attempt 2" in done.stderr
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


@pytest.mark.parametrize("name", ["openrouter", "vllm"])
def test_a_run_over_a_server_that_answers_chat(tmp_path: Path, name: str) -> None:
    calm, faulty, kind = tmp_path / "calm.db", tmp_path / "faulty.db", KINDS[name]
    flags = ("--headless", "--rounds", "1", "--seed", "blue", "--set", "requests_per_round=4")
    with serving(CompletionsServer(ScriptedEngine(instructed), chat=kind)) as server:
        assert studio("run", calm, *flags, "--model", server.url).returncode == 0
        server.faults.extend([Fault("end", after=9), Fault(status=429, headers={"Retry-After": "0"}, body={"message": "slow"})])
        done = studio("run", faulty, *flags, "--model", server.url)
        assert done.returncode == 0 and "is sent again" in done.stderr, done.stderr
    assert exported(faulty) == exported(calm)
    assert_sound(calm)
    instances = ask(calm, "SELECT count(*) FROM instances JOIN tasks ON tasks.id = task_id WHERE origin = 'generated'")[0][0]
    thinking = ask(calm, "SELECT count(*) FROM completions WHERE text LIKE '<think>%</think>%'")[0][0]
    assert instances > 10 and (thinking > 10) == bool(kind.thoughts)
    assert "think>" not in export(calm) and "Here are more" not in export(calm)


def test_a_profile_that_a_server_cannot_be_asked_with_leaves_no_pool(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    with serving(CompletionsServer(chat=KINDS["openai"])) as server:
        done = studio("run", pool, "--headless", "--profile", "paper", "--model", server.url)
    assert_fails(done, 3, "speaks chat only", "hint: leave --asking out")
    assert not pool.exists() and server.bodies == []


def test_a_server_that_is_not_there_leaves_no_pool(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    with serving(CompletionsServer()) as server:
        address = server.url
    assert_fails(
        studio("run", pool, "--headless", "--model", address), 3, f"cannot reach {address}: connection refused", "hint: does the server run"
    )
    assert not pool.exists()
    assert_fails(studio("run", pool, "--headless", "--model", "http://me:pw@host/v1"), 2, "must not hold a user name")


def test_many_failures_of_one_cause_are_said_once_a_stage() -> None:
    out = StringIO()
    summary = Summary("pool.db", 1)
    with Progress(Console(file=out, width=300), generated=0, target=30) as progress:
        for ordinal in range(16):
            progress.show(RequestRetried(Stage.INSTRUCTIONS, ordinal, 2, "status 503: busy\x1b"), summary)
    assert out.getvalue() == "a request failed (status 503: busy␛) and is sent again at once, attempt 2\n"


def played(path: Path, server: CompletionsServer, *, until_it_hangs: bool = False) -> None:
    """Play a round, one request at a time, and cancel it once the server hangs if it shall be so."""
    new = not path.exists()
    with (
        closing(open_engine(server.url, EngineOptions(parallel=1))) as engine,
        Pool.create(path, all_seeds()) if new else Pool.open(path) as pool,
    ):
        session = session_in(pool, engine)
        if until_it_hangs:

            def cancel() -> None:
                server.hanging.wait()
                session.cancel.cancel()

            threading.Thread(target=cancel).start()
        list(session.run(Goal(rounds=1)))


def asked(server: CompletionsServer) -> list[tuple[Any, Any]]:
    """What tells the requests that the server saw apart."""
    return [(body["prompt"], body["seed"]) for body in server.bodies]


@pytest.mark.parametrize("answered", [3, 8])
@pytest.mark.parametrize("ends", ["error", "cancelled"])
def test_what_a_server_answered_is_not_asked_again(tmp_path: Path, ends: str, answered: int) -> None:
    calm, broken = tmp_path / "calm.db", tmp_path / "broken.db"
    with serving(CompletionsServer()) as server:
        played(calm, server)
        server.bodies.clear()
        server.faults.extend([Fault()] * answered)
        server.always = Fault(status=401) if ends == "error" else Fault("silent_hang")
        if ends == "error":
            with pytest.raises(ModelError, match="status 401"):
                played(broken, server)
        else:
            played(broken, server, until_it_hangs=True)
        assert ask(broken, "SELECT count(*) FROM completions") == [(answered,)]
        assert_sound(broken)
        before = asked(server)[:answered]
        server.always = None
        server.bodies.clear()
        played(broken, server)
        assert not set(before) & set(asked(server))
        assert len(before) + len(server.bodies) == ask(broken, "SELECT count(*) FROM requests")[0][0]
    assert exported(broken) == exported(calm)


def test_killed_in_the_middle_of_a_stage_only_the_rest_is_asked_again(tmp_path: Path) -> None:
    """Four requests are in flight when the process dies; the two answers that had come are in the pool already."""
    calm, killed = tmp_path / "calm.db", tmp_path / "killed.db"
    with serving(CompletionsServer()) as server:
        played(calm, server)
        server.faults.extend([Fault()] * 2)
        server.always = Fault("silent_hang")
        command = ("run", str(killed), "--headless", "--rounds", "1", "--seed", "7", "--model", server.url, "--parallel", "4")
        with subprocess.Popen([*STUDIO, *command], env=clean_environment(), stderr=subprocess.DEVNULL) as running:
            while not killed.exists() or ask(killed, "SELECT count(*) FROM completions") != [(2,)]:
                assert running.poll() is None
                time.sleep(0.02)
            running.kill()
        assert_sound(killed)
        prompts = "requests JOIN prompts ON prompts.id = prefix_id JOIN completions ON request_id = requests.id"
        stored = ask(killed, f"SELECT prompts.text || suffix, seed FROM {prompts}")
        server.always = None
        server.bodies.clear()
        assert studio(*command).returncode == 0
        assert len(stored) == 2 and not set(stored) & set(asked(server))
    assert exported(killed) == exported(calm)
