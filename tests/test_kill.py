"""Killed at any moment, a run goes on where it was and ends in the same data as one that nobody killed."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from studio.documents.found import find_documents
from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Goal
from studio.pool.database import Database
from studio.pool.pool import Pool, Queries
from support.command import STUDIO, clean_environment, studio
from support.pools import assert_sound
from support.sessions import all_seeds, configuration, exported, play, session_in


@pytest.mark.parametrize(("kills", "target"), [(3, "400"), pytest.param(20, "1200", marks=pytest.mark.slow)])
def test_sigkill_at_random_moments(tmp_path: Path, kills: int, target: str) -> None:
    """Processes die, each a random while after it began to generate; the next goes on, a last one finishes."""
    asked = ("--headless", "--model", "scripted", "--target", target)
    rng = random.Random(20)
    calm, killed = tmp_path / "calm.db", tmp_path / "killed.db"
    assert studio("run", calm, *asked).returncode == 0
    died = 0
    for _ in range(kills):
        running = subprocess.Popen([*STUDIO, "run", str(killed), *asked], env=clean_environment(), stderr=subprocess.PIPE, text=True)
        assert running.stderr is not None
        for line in running.stderr:
            if "run 1 in" in line:
                break
        time.sleep(rng.uniform(0, 0.15))
        running.kill()
        running.communicate()
        died += running.returncode == -9
        assert_sound(killed)
    assert died == kills
    assert studio("run", killed, *asked).returncode == 0
    assert exported(killed) == exported(calm)


class _Killed(BaseException):
    """Stands for the end of the process: nothing of the program runs after it but what the system does."""


@pytest.mark.parametrize("profile", ["studio", "alpaca", "chat", "documents"])
def test_death_at_every_single_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """Each session dies when it is about to begin its second transaction, so every stage's commit is somebody's last."""
    (tmp_path / "text.txt").write_text("\n\n".join(f"Paragraph {number} of a text. " * 5 for number in range(20)))
    chats = profile in ("chat", "documents")
    asked = configuration(best_of=3, thinking="keep", min_agreement=0.3) if chats else configuration(profile)
    if profile == "documents":
        asked = configuration(
            document_requests=8, passage_size=200, passage_gain=0.2, passage_words=0, requests_per_round=1
        ).with_documents()
    for name in ("calm", "killed"):
        with Pool.create(tmp_path / name, all_seeds()) as pool:
            if profile == "documents":
                pool.documents.bring(find_documents([tmp_path / "text.txt"]).files, "", asked.method().cutting)
    play(tmp_path / "calm", Goal(rounds=2), ScriptedEngine(chats=chats), asked)
    begin = Database.transaction
    deaths = 0
    while not _two_rounds(tmp_path / "killed"):
        left = 2

        def dying(self: Database) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise _Killed
            return begin(self)

        with Pool.open(tmp_path / "killed") as pool:
            session = session_in(pool, ScriptedEngine(chats=chats), asked)
            monkeypatch.setattr(Database, "transaction", dying)
            try:
                list(session.run(Goal(rounds=1)))
            except _Killed:
                deaths += 1
            monkeypatch.setattr(Database, "transaction", begin)
    assert deaths >= 8
    assert exported(tmp_path / "killed") == exported(tmp_path / "calm")


def _two_rounds(path: Path) -> bool:
    with Queries.open(path) as pool:
        return pool.figures.counts().rounds >= 2
