"""No question to the pool scans a big table for a few rows, or sorts one, where an index serves: seen in what SQLite is asked."""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from studio.errors import PoolError
from studio.pool import pool as opened
from studio.pool.browse import Keep, Kind, Selection, Sort
from studio.pool.evaluations import ComparisonPlan
from studio.pool.ledger import Ledger
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import ReviewPlan, Strata
from studio.records import Cutting, Origin, Source, Stage
from support.pools import ask, assert_sound, make_pool
from support.steering import steered_pool

BIG = ("tasks", "instances", "candidates", "decisions", "requests", "completions", "request_parents", "neighbours")

ASKED: dict[str, list[Any]] = {
    **{name: [1] for name in ("task_id", "candidate_id", "request_id", "instance_id", "round_id", "training_id", "judge_id")},
    **{name: [1] for name in ("review_id", "comparison_id", "evaluation_id", "contestant_id", "study_id", "last")},
    **{name: [[1, 2, 3]] for name in ("ids", "task_ids")},
    "run_id": [1],
    "limit": [5],
    "cutting": [Cutting(1000, 100, 150)],
    "source": [Source.QUESTION],
    "origin": [None, Origin.GENERATED],
    "stage": list(Stage),
    "kind": list(Kind),
    "strata": list(Strata),
    "rater": ["anna"],
    "name": ["first"],
    "text": ["rivers"],
    "search": [None, "rivers"],
    "include_seeds": [True, False],
    "made": [True],
    "plan": [ReviewPlan()],
    "wanted": [
        *(Selection(kind=kind, sort=sort, descending=down) for kind in Kind for sort in (Sort.ID,) for down in (False, True)),
        Selection(origin=Origin.GENERATED),
        Selection(text="rivers"),
        Selection(marked=True),
        Selection(rounds=(1, 2)),
        Selection(keep=Keep(tags=("good",))),
        Selection(keep=Keep(max_nats=2.0, min_agreement=0.5, max_answer_nats=2.0)),
        Selection(kind=Kind.REJECTED, reason="not_novel"),
    ],
}
"""What the methods of the read side are asked with, by the name of the parameter; those with a default are asked with that, too."""
BESIDES: dict[str, dict[str, list[Any]]] = {
    "comparisons.find": {"plan": [ComparisonPlan(1, 2, "0", 5)]},
    "figures.counts": {"run_id": [None, 1]},
}
WRITING = {
    "runs": {"start"},
    "rounds": {"begin", "commit", "abandon"},
    "tasks": {"add", "importing", "classify"},
    "instances": {"record", "answer"},
    "requests": {"plan", "replan", "answer"},
    "documents": {"bring"},
    "candidates": {"record"},
    "ledger": {name for name in vars(Ledger) if not name.startswith(("_", "next_")) and name != "steps"},
    "reviews": {"add", "put", "undo", "redo"},
    "comparisons": {"add", "put", "undo", "redo"},
    "judges": {"enter", "add"},
    "trainings": {"begin", "add_losses", "finish"},
    "evaluations": {"open", "enter", "add", "conclude"},
}
"""What is no question."""

READS_ALL = {
    "tasks.instructions": "fills the index with every instruction",
    "figures.active_instructions": "measures every instruction",
    "figures.instructions_by_round": "counts the words of every instruction",
    "stream.lint_tasks": "looks at every task",
    "stream.export_tasks": "exports every task",
    "stream.counted": "counts what an export has",
    "candidates.rule_decisions": "decides every candidate again",
    "candidates.most_nats": "finds the least likely candidate",
    "instances.scored_answers": "decides every answer again",
    "instances.most_nats": "finds the least likely answer",
    "instances.any_agreed": "stops at the first",
    "lineage.decided": "draws the whole family tree",
    "lineage.context_edges": "draws the whole family tree",
    "lineage.parent_pairs": "finds the depth of every task",
    "lineage.outside": "finds the roots of the whole family tree",
    "reviews.strata_values": "tells every generated task's stratum",
    "browse.ids": "lists the ids of every task",
    "tasks.ids": "lists the ids of every task",
}
"""What has to see a big table whole, row by row in its own order, and why. Nothing is sorted for these either."""
FEW = {
    "tasks.newest": "stops at the limit",
    "tasks.search": "the matches of some words, by rank",
    "candidates.rejected": "the matches of some words",
    **dict.fromkeys(("candidates.judged", "rounds.result", "instances.to_answer"), "what one round has"),
    **dict.fromkeys(("candidates.latest_nats", "instances.latest_nats"), "stops at the limit"),
    **dict.fromkeys(("lineage.children", "ledger.steps"), "what one task has"),
    **dict.fromkeys(("evaluations.contestants", "judges.human_answers", "trainings.losses", "judges.opinions"), "what one study has"),
}
"""What sorts, or looks through, only what belongs to one thing."""
PARTIAL = ("tasks_marked", "tasks_held_out", "decisions_rejected", "instances_rejected")
"""Indexes of few rows: to scan one is to read what was asked for."""
SORTS = {
    "figures.counts": "a run's candidates are counted by reason: which run, no index of verdicts knows",
    "candidates.rejected_by_reason": "candidates are scattered by a number made of their ids",
}
"""What sorts, and why no index serves."""


def ask_everything(reader: Queries) -> dict[str, set[str]]:
    """Call every method that reads in every way that `ASKED` has; return what SQLite was asked, by method."""
    asked: dict[str, set[str]] = {}
    entities = {name: entity for name, entity in vars(reader).items() if not name.startswith("_")}
    for kind, name, method in (
        (kind, *each) for kind, entity in entities.items() for each in inspect.getmembers(entity, inspect.isroutine)
    ):
        if name.startswith("_") or name in WRITING.get(kind, ()):
            continue
        found = asked[f"{kind}.{name}"] = set()
        reader._database.connection.set_trace_callback(found.add)
        given = {**ASKED, **BESIDES.get(f"{kind}.{name}", {})}
        parameters = [key for key, each in inspect.signature(method).parameters.items() if each.default is each.empty or key in given]
        values = [given[key] for key in parameters]
        for chosen in product(*values):
            with suppress(PoolError):
                told = method(**dict(zip(parameters, chosen, strict=True)))
                if isinstance(told, Iterable):
                    list(told)
        reader._database.connection.set_trace_callback(None)
    return asked


def test_every_question_is_answered_by_an_index(tmp_path: Path) -> None:
    path = steered_pool(tmp_path / "pool.db", 0)
    with Queries.open(path) as reader:
        asked = ask_everything(reader)
    faults = []
    with closing(sqlite3.connect(path)) as connection:
        for name, questions in asked.items():
            for sql in sorted(each for each in questions if each.lstrip().startswith(("SELECT", "WITH"))):
                for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}"):
                    scanned = re.match(r"SCAN (\w+)(?: USING INDEX (\w+))?$", step)
                    whole = scanned and scanned[1] in BIG and scanned[2] not in PARTIAL and name not in READS_ALL | FEW
                    # Of a verdict there are as many as there are instances.
                    whole = whole or step.endswith("(verdict=?)")
                    if whole or ("TEMP B-TREE" in step and name not in SORTS | FEW):
                        faults.append(f"{name}: {step}: {' '.join(sql.split())}")
    assert not faults, "\n".join(faults)
    assert sum(map(len, asked.values())) > 90
    assert all(asked.values())


def test_sqlite_learns_the_size_of_a_large_pool_when_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_pool(tmp_path / "pool.db")
    known = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'"
    assert ask(path, known) == [(0,)]
    monkeypatch.setattr(opened, "_ANALYSED_FROM", 5)
    with Pool.open(path) as pool:
        assert pool.tasks.ids(origin=Origin.SEED)
        pool.instances.of_task(1)
    assert ask(path, known) == [(1,)]
    assert_sound(path)
