"""Small pools to test with, and ways to look at one from outside and to die inside one."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.pool.candidates import DecidedCandidate
from studio.pool.exchange.export import ExportOptions, ExportSummary, export_to_files
from studio.pool.instances import DecidedInstance
from studio.pool.pool import Pool, Queries
from studio.pool.requests import PlannedRequest
from studio.records import Instance, ModelIdentity, Neighbour, Novelty, SeedTask, Stage, Verdict

MODEL = ModelIdentity(
    name="Tiny",
    sha256="ab" * 32,
    quantisation="Q4_K_M",
    licence="apache-2.0",
    architecture="llama",
    parameters=135,
    context_length=2048,
    file_size=99,
)
PARAMS = SamplingParams(temperature=0.7, top_p=0.5, presence_penalty=2.0, max_tokens=1024, stop=("\n16", "16."))
PREFIX = "Come up with a series of tasks:\n"
RAW = "9. Name three rivers.\n10. Say if the review is kind.\n11. Name three rivers!"
NOBODY = 65534


def export(pool: Path, target: Path, name: str = "alpaca", **options: Any) -> ExportSummary:
    """Export the pool at a path to `target`, in the format of that name."""
    with Queries.open(pool) as source:
        return export_to_files(source.stream, target, ExportOptions(name, **options), pool)


def seed_tasks(number: int = 10) -> list[SeedTask]:
    """Return seeds with ids 1 to `number` in a new pool; every fifth is a classification task."""
    return [
        SeedTask(
            f"seed_{index}",
            f"name {index}",
            f"Describe the animal with number {index}.",
            (Instance("", f"It is {index}."),),
            index % 5 == 0,
        )
        for index in range(1, number + 1)
    ]


def make_pool(path: Path, seeds: int = 10) -> Path:
    """Make a pool of seeds only, closed again."""
    Pool.create(path, seed_tasks(seeds)).close()
    return path


def walk_round(pool: Pool) -> int:
    """Walk one round through all its stages; return its id.

    Two requests; the first yields three candidates, two of them accepted, the second none. The second accepted one is a classification
    task; the first has an accepted and a rejected instance.
    """
    latest = pool.runs.latest()
    run = pool.runs.start('{"profile": "studio"}', "42", "0.1.0", MODEL) if latest is None else latest.id
    current = pool.rounds.begin(run)
    planned = [PlannedRequest(PREFIX, f"suffix {index}", PARAMS, 7 + index, tuple(range(8, 0, -1))) for index in range(2)]
    pool.requests.plan(current.id, Stage.INSTRUCTIONS, planned, Stage.INSTRUCTIONS)
    completions = [Completion(RAW, FinishReason.STOP, 100, 40, 90, 1.5, "\n16"), Completion("", FinishReason.LENGTH, 100, 1024, 95, 2.5)]
    store_completions(pool, current.id, Stage.INSTRUCTIONS, completions, Stage.FILTER)
    request = pool.requests.planned(current.id, Stage.INSTRUCTIONS)[0].id
    first = pool.tasks.next_id()
    pool.candidates.record(current.id, decided_candidates(request, first), Stage.CLASSIFY)
    pool.tasks.classify(current.id, [(first, False), (first + 1, True)], Stage.INSTANCES)
    about = [
        PlannedRequest("Examples\n", "Task: rivers", PARAMS, 9, (), first),
        PlannedRequest("Examples\n", "Task: review", PARAMS, 10, (), first + 1),
    ]
    pool.requests.plan(current.id, Stage.INSTANCES, about, None)
    answers = [Completion("Output: Elbe", FinishReason.STOP, 50, 5), Completion("Class label: kind", FinishReason.STOP, 50, 6)]
    store_completions(pool, current.id, Stage.INSTANCES, answers, None)
    stored = pool.requests.planned(current.id, Stage.INSTANCES)
    pool.instances.record(current.id, decided_instances(first, stored[0].id, stored[1].id), Stage.COMMIT)
    pool.rounds.commit(current.id)
    return current.id


def store_completions(pool: Pool, round_id: int, stage: Stage, completions: Sequence[Completion], next_stage: Stage | None) -> None:
    """Store what came back for a stage, one completion for each of its requests, in their order."""
    requests = pool.requests.planned(round_id, stage)
    pool.requests.answer(round_id, [(request.id, each) for request, each in zip(requests, completions, strict=True)], next_stage)


def actions(pool: Queries) -> list[tuple[str, str]]:
    """Return words and state of everything a person did, the newest first."""
    return [(row["words"], row["state"]) for row in pool._database.rows("SELECT words, state FROM actions ORDER BY id DESC")]


def decided_candidates(request: int, first: int) -> list[DecidedCandidate]:
    """Return three candidates of a completion, the first two accepted as tasks `first` and `first + 1`, the third too like the first."""
    return [
        DecidedCandidate(
            request,
            0,
            "Name three rivers.",
            Verdict.ACCEPTED,
            "novel",
            Novelty((Neighbour(3, 0.25), Neighbour(1, 0.125)), 0.1, 0.25),
            task_id=first,
        ),
        DecidedCandidate(
            request,
            1,
            "Say if the review is kind.",
            Verdict.ACCEPTED,
            "novel",
            Novelty((Neighbour(first, 0.2),), 0.05, 0.0),
            "in",
            "out",
            first + 1,
        ),
        DecidedCandidate(request, 2, "Name three rivers!", Verdict.REJECTED, "not_novel", Novelty((Neighbour(first, 1.0),), 0.15, 0.25)),
    ]


def decided_instances(first: int, river_request: int | None, review_request: int | None) -> list[DecidedInstance]:
    """Return two accepted instances and a rejected one."""
    return [
        DecidedInstance(first, river_request, "", "Elbe, Oder, Rhine", Verdict.ACCEPTED, "valid"),
        DecidedInstance(first, river_request, "", "", Verdict.REJECTED, "empty_output"),
        DecidedInstance(first + 1, review_request, "I loved it.", "kind", Verdict.ACCEPTED, "valid"),
    ]


def digest(path: Path) -> str:
    """Return the hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ask(path: Path, sql: str, *values: object) -> list[Any]:
    """Return the rows of a query, asked with plain SQLite."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, values).fetchall()


def contents(path: Path) -> dict[str, list[Any]]:
    """Return every row of every table but the writer's, the times left as they are."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names if name != "writer"}


def assert_sound(path: Path) -> None:
    """Assert that SQLite finds nothing wrong with the file, its foreign keys or its search indexes."""
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "PRAGMA foreign_key_check") == []
    with closing(sqlite3.connect(path)) as connection:
        for table in ("tasks_fts", "candidates_fts"):
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")


def in_child(action: Callable[[], None], *, ordinary_user: bool = False) -> int:
    """Run `action` in a forked process and return its exit code: 0 when it returned, 99 when it raised.

    `ordinary_user` gives up root's rights first, which no file mode stops.
    """
    child = os.fork()
    if child == 0:
        try:
            if ordinary_user and os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
