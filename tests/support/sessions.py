"""Whole runs in one process: a pool of the bundled seeds, a scripted engine, and what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from studio.engine.api import Engine
from studio.engine.scripted import ScriptedEngine
from studio.loop.events import Event
from studio.loop.runs import Configuration, RunOptions, begin, intent
from studio.loop.session import Goal, Session
from studio.pool.pool import Pool, Queries
from studio.records import SeedTask
from studio.seeds.reading import bundled_seeds, read_tasks


def all_seeds() -> list[SeedTask]:
    """The seeds that come with the studio."""
    return read_tasks(bundled_seeds())


def configuration(profile: str = "studio", seed: str = "7", **overrides: Any) -> Configuration:
    """A configuration as the command line would give it; dots of a key are written as two underscores."""
    return Configuration(RunOptions(profile=profile, seed=seed), {key.replace("__", "."): value for key, value in overrides.items()})


def session_in(
    pool: Pool,
    engine: Engine | None = None,
    asked: Configuration | None = None,
    *,
    force: bool = False,
    answering: Engine | None = None,
) -> Session:
    """A session in `pool`, its run begun or resumed."""
    engine = engine or ScriptedEngine()
    wanted = intent(pool, asked or configuration(), force=force)
    run = begin(pool, wanted, engine.info, force=force, answering=None if answering is None else answering.info)
    return Session(pool, engine, run.method, run.seed, run.id, answering)


def play(
    path: Path, goal: Goal, engine: Engine | None = None, asked: Configuration | None = None, seeds: Sequence[SeedTask] | None = None
) -> list[Event]:
    """Run a session in the pool at `path`, which is made of `seeds` when it is not there, and return its events."""
    with Pool.open(path) if path.exists() else Pool.create(path, all_seeds() if seeds is None else seeds) as pool:
        return list(session_in(pool, engine, asked).run(goal))


_PLAYED: dict[str, bytes] = {}


def played(path: Path, rounds: int = 1, asked: Configuration | None = None, *, chats: bool = False, seeds: int | None = None) -> Path:
    """Put a pool at `path` that `rounds` rounds were played in, from the first `seeds` seeds: a copy of what was played once for all tests.

    For tests that need such a pool; those that ask how it comes about `play`.
    """
    asked = asked or configuration()
    key = repr((rounds, asked, chats, seeds))
    if key not in _PLAYED:
        with TemporaryDirectory(prefix="studio-played-") as folder:
            made = Path(folder) / "pool.db"
            play(made, Goal(rounds=rounds), ScriptedEngine(chats=chats), asked, all_seeds()[:seeds])
            _PLAYED[key] = made.read_bytes()
    path.write_bytes(_PLAYED[key])
    return path


MIXED = configuration(threshold=0.4)
"""A threshold at which the scripted engine's candidates are accepted and rejected."""


def mixed_pool(path: Path, rounds: int = 1) -> Path:
    """Make a small pool of `rounds` rounds under `MIXED`."""
    return played(path, rounds, MIXED, seeds=60)


CHAT = configuration(threshold=0.4, likely_share=0.5, best_of=3, min_agreement=0.3)
"""The same for a model that is asked in chat: candidates are unlikely and answers disagree as well."""


def chat_pool(path: Path, rounds: int = 2) -> Path:
    """Make a small pool of `rounds` rounds under `CHAT`."""
    return played(path, rounds, CHAT, chats=True, seeds=60)


@contextmanager
def mixed_session(path: Path, rounds: int = 1) -> Iterator[Session]:
    """A session in such a pool, newly made."""
    with Pool.open(mixed_pool(path, rounds)) as pool:
        yield session_in(pool, asked=MIXED)


def pool_of(session: Session) -> Pool:
    """The pool that a session writes."""
    return session._context.pool


def exported(path: Path) -> str:
    """Everything of the pool that an export could hold, as text: equal runs have equal text."""
    with Queries.open(path) as reader:
        return "\n".join(json.dumps(asdict(task), ensure_ascii=False) for task in reader.stream.export_tasks(include_seeds=True))
