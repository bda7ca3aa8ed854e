"""`studio run` with a model that writes here and one behind a server that answers, as users name them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from studio.engine.scripted import ScriptedEngine
from support.chat_kinds import KINDS, instructed
from support.command import STUDIO, assert_fails, clean_environment, studio
from support.completions_server import CompletionsServer, Fault, serving
from support.pools import ask, assert_sound
from support.sessions import exported

RUN = ("--headless", "--rounds", "1", "--seed", "blue", "--set", "requests_per_round=5", "--model", "scripted")


def tutor() -> CompletionsServer:
    """A server that answers chat, under the name of a model of its own."""
    return CompletionsServer(ScriptedEngine(instructed), models=[{"id": "tutor", "object": "model"}], chat=KINDS["openai"])


def test_one_model_writes_and_another_answers(tmp_path: Path) -> None:
    pool, settings, card = tmp_path / "pool.db", tmp_path / "settings.toml", tmp_path / "README.md"
    with serving(tutor()) as server:
        settings.write_text(f'[models]\nanswer = "{server.url}"\n', "utf-8")
        done = studio("run", pool, *RUN, "--config", settings)
        assert done.returncode == 0, done.stderr
        assert "tasks are answered by tutor, server, 16 sequences, asked in chat" in done.stderr
        assert all("messages" in body for body in server.bodies)
        again = studio("run", pool, "--headless", "--rounds", "1")
        assert "going on with run 1" in again.stderr and "answered by tutor" in again.stderr, again.stderr
        more = studio("run", pool, *RUN, STUDIO_MODELS__ANSWER=server.url)
        assert "going on with run 1" in more.stderr, more.stderr
        for other in ("none", "scripted"):
            refused = studio("run", pool, *RUN, "--answer-model", other)
            assert_fails(refused, 2, "the pool's tasks were answered by tutor", "hint: leave --answer-model out")
        forced = studio("run", pool, *RUN, "--answer-model", "none", "--force")
        assert "starting run 2" in forced.stderr and "answered by" not in forced.stderr
    answered, other = ask(pool, "SELECT sum(stage = 'answer'), sum(stage <> 'answer' AND chat_id NOTNULL) FROM requests")[0]
    assert answered > 10 and other == 0
    assert ask(pool, "SELECT name FROM models ORDER BY name") == [("scripted",), ("tutor",)]
    (task,) = ask(pool, "SELECT task_id FROM requests WHERE stage = 'answer' LIMIT 1")[0]
    shown = studio("show", pool, str(task)).stdout
    assert "model tutor" in shown and "model scripted" in shown
    assert studio("export", pool, "-o", tmp_path / "data.jsonl", "--card", card).returncode == 0
    written = card.read_text("utf-8")
    assert "scripted: apache-2\\.0, tutor: not stated in the file" in written and "answered by tutor" in written
    assert_sound(pool)


def test_killed_while_the_other_model_answers(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm.db", tmp_path / "killed.db"
    with serving(tutor()) as server:
        flags = (*RUN, "--answer-model", server.url)
        assert studio("run", calm, *flags).returncode == 0
        asked = len(server.bodies)
        server.bodies.clear()
        server.faults.extend([Fault()] * 3)
        server.always = Fault("silent_hang")
        running = subprocess.Popen([*STUDIO, "run", str(killed), *flags], env=clean_environment(), stderr=subprocess.DEVNULL)
        assert server.hanging.wait(60)
        running.kill()
        running.communicate()
        assert running.returncode == -9
        assert_sound(killed)
        server.always = None
        done = studio("run", killed, "--headless", "--rounds", "1")
        assert "going on with run 1" in done.stderr, done.stderr
        assert len(server.bodies) < 2 * asked
    assert exported(killed) == exported(calm)


def test_a_model_that_cannot_answer_leaves_no_pool(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    with serving(CompletionsServer(models=[{"id": "mute", "object": "model"}])) as server:
        done = studio("run", pool, *RUN, "--answer-model", server.url)
    assert_fails(done, 3, "mute: the model has no chat template to answer in", "hint: name an instruct model")
    assert not pool.exists()
    assert_fails(studio("run", pool, *RUN, "--answer-model", "no-such-model"), 3, "no-such-model")
    assert not pool.exists()


def test_the_same_model_named_twice_is_loaded_once(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    done = studio("run", pool, *RUN, "--profile", "paper", "--answer-model", "scripted")
    assert done.returncode == 0 and done.stderr.count("loading scripted") == 1
    assert ask(pool, "SELECT count(*) FROM models") == [(1,)]
    assert ask(pool, "SELECT sum(stage = 'answer') > 3, sum(chat_id NOTNULL AND stage <> 'answer') FROM requests") == [(1, 0)]
