"""Random steering: one action after another, each drawn from what the pool holds, and ways to compare what comes of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio.errors import UsageError
from studio.loop.events import StageFinished
from studio.loop.novelty import NoveltyIndex
from studio.loop.session import Goal, Session
from studio.loop.tokens import TOKENIZERS
from studio.loop.whatif import Change
from studio.pool.pool import Pool
from studio.records import STAGES, Origin, Stage, Verdict
from support.pools import ask, contents
from support.sessions import all_seeds, configuration, session_in

Act = Callable[[Session, Pool, random.Random], object]

# Low enough that the scripted engine's candidates fall on both sides.
ASKED = configuration(threshold=0.35)

WORDS = ("Name", "three", "rivers", "of", "Asia", "Write", "a", "poem", "about", "the", "sea", "Is", "this", "review", "kind")
PARAMETERS: tuple[dict[str, Any], ...] = (
    {"threshold": 0.4},
    {"threshold": 0.9, "min_words": 2},
    {"sampling.instructions.temperature": 1.3},
    {"requests_per_round": 3},
    {"in_context_tasks": 5, "sampling.input_first.temperature": 0.5},
    {"threshold": 0.7},
)


def step(session: Session) -> Stage | None:
    """Play the next stage; return the one after it."""
    events = session.play_round()
    for event in events:
        if isinstance(event, StageFinished):
            return event.next_stage
    raise AssertionError("no stage was finished")


def play_until(session: Session, stage: Stage) -> None:
    """Play until `stage` is the next one."""
    for _ in STAGES:
        if step(session) is stage:
            return
    raise AssertionError(f"{stage} never came")


def newest(pool: Pool, verdict: Verdict) -> int:
    """The id of the newest candidate with this verdict."""
    sql = "SELECT max(candidate_id) FROM verdicts WHERE verdict = ?"
    return int(ask(pool.path, sql, verdict.value)[0][0])


def _any(pool: Pool, rng: random.Random, table: str) -> int:
    ids = [found for (found,) in pool._database.rows(f"SELECT id FROM {table} ORDER BY id")]
    if not ids:
        raise UsageError(f"there are no {table} yet")
    # Rather one of the newest: what just happened is what people steer.
    return int(rng.choice(ids[-30:]))


def _text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))


ACTS: dict[str, Act] = {
    "resample": lambda session, _, rng: session.steering.resample(rng.randrange(5)),
    "swap": lambda session, pool, rng: session.steering.swap(
        rng.randrange(5), rng.randrange(8), None if rng.random() < 0.5 else _any(pool, rng, "tasks")
    ),
    "parameters": lambda session, _, rng: session.steering.set_round_parameters(rng.choice(PARAMETERS)),
    "regenerate": lambda session, _, __: session.steering.regenerate(),
    "override": lambda session, pool, rng: session.steering.override(_any(pool, rng, "candidates"), rng.choice(list(Verdict))),
    "edit": lambda session, pool, rng: session.steering.edit_candidate(
        _any(pool, rng, "candidates"), _text(rng), rng.choice((None, *Verdict))
    ),
    "edit instance": lambda session, pool, rng: session.steering.edit_instance(_any(pool, rng, "instances"), "", _text(rng)),
    "drop instance": lambda session, pool, rng: session.steering.drop_instance(_any(pool, rng, "instances")),
    "restore instance": lambda session, pool, rng: session.steering.restore_instance(_any(pool, rng, "instances")),
    "more instances": lambda session, pool, rng: list(session.steering.more_instances(_any(pool, rng, "tasks"))),
    "what if": lambda session, _, rng: session.steering.apply_what_if(Change(rng.choice((0.2, 0.35, 0.6)), {"length": rng.random() < 0.5})),
    "retire": lambda session, pool, rng: session.steering.retire(_any(pool, rng, "tasks")),
    "restore": lambda session, pool, rng: session.steering.restore(_any(pool, rng, "tasks")),
    "mark": lambda session, pool, rng: session.steering.mark(_any(pool, rng, "tasks"), rng.random() < 0.5),
}
TURNS: dict[str, Act] = {
    "undo": lambda session, _, __: session.steering.undo(),
    "redo": lambda session, _, __: session.steering.redo(),
}
STEP: dict[str, Act] = {"step": lambda session, _, __: step(session)}
MIXED = {**ACTS, **TURNS, **{f"step {number}": act for number in range(6) for act in STEP.values()}}
"""Steering in between the stages of a run, undo and redo among it."""


def script(seed: object, length: int, *, acts: dict[str, Act]) -> Iterator[tuple[Act, str]]:
    """Yield `length` acts, each with the seed of its own draws: what an act does depends on the pool and on that alone."""
    rng = random.Random(f"script/{seed}")
    names = list(acts)
    for number in range(length):
        yield acts[rng.choice(names)], f"{seed}/{number}"


def perform(act: Act, seed: str, session: Session, pool: Pool) -> bool:
    """Perform one act; return whether it fitted where the round stands."""
    with suppress(UsageError):
        act(session, pool, random.Random(seed))
        return True
    return False


def steered_pool(path: Path, seed: int) -> Path:
    """Make a pool that was steered at random, and then so that it has all of it: verdicts turned and turned back, a task retired, an
    attempt at its last round, which is open, written anew after some of it was decided."""
    with Pool.create(path, all_seeds()[:40]) as pool:
        session = session_in(pool, asked=configuration(requests_per_round=3, threshold=0.4))
        for act, own_seed in script(f"steered/{seed}", 40, acts=MIXED):
            perform(act, own_seed, session, pool)
        list(session.run(Goal(rounds=1)))
        play_until(session, Stage.CLASSIFY)
        steering = session.steering
        steering.override(newest(pool, Verdict.REJECTED), Verdict.ACCEPTED)
        steering.regenerate()
        play_until(session, Stage.CLASSIFY)
        steering.override(newest(pool, Verdict.REJECTED), Verdict.ACCEPTED)
        steering.override(newest(pool, Verdict.REJECTED), Verdict.ACCEPTED)
        steering.undo()
        steering.retire(pool.tasks.ids(origin=Origin.GENERATED)[0])
    return path


def assert_index_follows(session: Session, pool: Pool) -> None:
    """Assert that the session's novelty index is the one that a session opened now would fill."""
    kept = session._context.index
    fresh = NoveltyIndex(TOKENIZERS[session._context.method.tokenizer])
    fresh.extend(pool.tasks.instructions())
    assert (kept._task_ids, kept._lengths, kept._seeds) == (fresh._task_ids, fresh._lengths, fresh._seeds)
    for text in ("Name three rivers of Asia.", "Write a poem about the sea, is this review kind?"):
        assert kept.batch([text]).novelty(0) == fresh.batch([text]).novelty(0)


LOGS = ("actions", "action_steps", "action_targets", "decisions", "sqlite_sequence")
"""What only grows: to take something back is one more entry."""


def standing(path: Path) -> dict[str, list[Any]]:
    """All that counts now: every table but the logs, with the decisions that hold, and without what was withdrawn."""
    found = {name: rows for name, rows in contents(path).items() if name not in LOGS and "_fts" not in name}
    found["verdicts"] = ask(
        path,
        "SELECT candidate_id, verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, edited FROM verdicts ORDER BY 1",
    )
    found["tasks"] = ask(path, "SELECT * FROM tasks WHERE NOT (state = 'retired' AND NOT compared) ORDER BY id")
    found["instances"] = ask(path, "SELECT * FROM instances WHERE reason <> 'undone' ORDER BY id")
    live = "round_id NOT IN (SELECT id FROM rounds WHERE stage = 'superseded') AND ordinal >= 0"
    found["requests"] = ask(path, f"SELECT * FROM requests WHERE {live} ORDER BY id")
    live_requests = f"request_id IN (SELECT id FROM requests WHERE {live})"
    found["request_parents"] = ask(path, f"SELECT * FROM request_parents WHERE {live_requests}")
    found["completions"] = ask(path, f"SELECT * FROM completions WHERE {live_requests}")
    # A round that has begun and holds nothing yet is the same as none.
    begun = "stage <> 'superseded' AND (stage <> 'sample' OR overrides IS NOT NULL)"
    found["rounds"] = ask(path, f"SELECT id, run_id, number, stage, overrides FROM rounds WHERE {begun}")
    # Texts and parameters are stored once and pointed at: what nothing points at any more does no harm.
    del found["prompts"], found["sampling"], found["runs"]
    return found
