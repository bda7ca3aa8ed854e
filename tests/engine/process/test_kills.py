"""The model's process killed at random moments of a run: while it loads, computes, answers, or waits for work."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import studio.engine.process.pipe as pipe
from studio.engine.api import CancelToken, EngineEvent, EngineInfo, Request, Restarted
from studio.engine.options import EngineOptions
from studio.engine.process.client import ProcessEngine
from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Goal
from studio.records import ModelIdentity
from support.sessions import exported, play

CHILD = Path(__file__).parents[2] / "support" / "scripted_child.py"
_LATEST_S = 0.2
"""About what a process needs to start and to answer."""


class KilledEngine:
    """Kills the process of `inner` twice a batch: at a random event, and a random time after the next process has begun.

    The second falls while that one starts, loads or computes, or when the batch is over already. Stops after `kills`.
    """

    def __init__(self, inner: ProcessEngine, kills: int) -> None:
        self._inner = inner
        self._rng = random.Random(11)
        self._left = kills
        self.phases: Counter[str] = Counter()
        self.restarts = 0
        self.begun_anew = 0
        """Restarts within a batch, after which it says again what it had said."""

    @property
    def info(self) -> EngineInfo:
        return self._inner.info

    def close(self) -> None:
        self._inner.close()

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        at_event = self._rng.randrange(1, 2 + 3 * len(requests))
        second: threading.Thread | None = None
        over = threading.Event()
        said = False
        try:
            for count, event in enumerate(self._inner.stream(requests, cancel), 1):
                restarted = isinstance(event, Restarted)
                self.restarts += restarted
                self.begun_anew += restarted and said
                said = not restarted
                if count >= at_event and second is None and self._left > 1:
                    second = threading.Thread(target=self._kill_the_next, args=(self._inner.pid, self._rng.uniform(0, _LATEST_S), over))
                    second.start()
                    self._kill("at an event")
                yield event
        finally:
            # However the batch ends: the thread would wait for a next process for ever, and the tests for the thread.
            over.set()
            if second is not None:
                second.join()

    def _kill_the_next(self, before: int, delay_s: float, over: threading.Event) -> None:
        while self._inner.pid == before and not over.wait(0.001):
            pass
        threading.Event().wait(delay_s)
        self._kill("after the batch" if over.is_set() else "at a time")

    def _kill(self, phase: str) -> None:
        self._left -= 1
        self.phases[phase] += 1
        with suppress(ProcessLookupError):
            os.kill(self._inner.pid, signal.SIGKILL)


@pytest.mark.parametrize(("kills", "rounds"), [(6, 2), pytest.param(50, 9, marks=pytest.mark.slow)])
def test_a_run_killed_at_many_moments_exports_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, rounds: int) -> None:
    monkeypatch.setattr(pipe, "log_folder", lambda: tmp_path / "logs")
    identity = ScriptedEngine().info.model
    command = (sys.executable, str(CHILD), "slow", "0", str(tmp_path / "counter"))
    engine = KilledEngine(ProcessEngine(ModelIdentity(identity.name, identity.sha256), EngineOptions(), command), kills)
    try:
        play(tmp_path / "killed.db", Goal(rounds=rounds), engine)
    finally:
        engine.close()
    play(tmp_path / "lived.db", Goal(rounds=rounds), ScriptedEngine())
    assert exported(tmp_path / "killed.db") == exported(tmp_path / "lived.db")
    assert engine.phases.total() == kills and engine.phases["at an event"] == kills // 2
    # Nothing may follow the last of them.
    assert engine.restarts >= kills // 2 - 1
    # The first kill of a batch falls within it: the process computes for longer than the kill takes.
    assert engine.begun_anew >= kills // 3
    assert engine.info.notices == ()
