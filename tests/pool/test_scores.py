"""Scores of likelihood and agreement sort the pool and select what is exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.errors import ExitCode
from studio.pool.browse import Keep, Kind, Selection, Sort
from studio.pool.exchange.export import ExportOptions, left_out_by_scores
from studio.pool.pool import Pool, Queries
from studio.text import counted
from support.command import assert_fails, studio
from support.pools import ask
from support.sessions import CHAT, chat_pool, mixed_pool, session_in


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_pool(tmp_path_factory.mktemp("scores") / "pool.db", rounds=4)


@pytest.fixture
def reader(chat: Path) -> Iterator[Queries]:
    with Queries.open(chat) as opened:
        yield opened


def rows_of(path: Path, *options: str) -> list[dict[str, Any]]:
    done = studio("export", path, "-o", "-", "--format", "raw", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("sort", [Sort.NATS, Sort.AGREEMENT, Sort.ANSWER_NATS])
def test_tasks_are_sorted_by_a_score_and_those_without_come_last(reader: Queries, sort: Sort, down: bool) -> None:
    ids = reader.browse.ids(Selection(sort=sort, descending=down))
    scores = [getattr(row, sort.value) for row in reader.browse.rows(Kind.TASKS, ids)]
    known = [score for score in scores if score is not None]
    assert len(known) > 3 and None in scores
    assert scores == [*sorted(known, reverse=down), *[None] * (len(scores) - len(known))]
    assert sorted(ids) == sorted(reader.browse.ids(Selection()))


def test_rejected_candidates_are_sorted_by_how_likely_they_are(reader: Queries) -> None:
    ids = reader.browse.ids(Selection(kind=Kind.REJECTED, sort=Sort.NATS))
    nats = [row.nats for row in reader.browse.rows(Kind.REJECTED, ids) if row.nats is not None]
    assert len(nats) > 3 and nats == sorted(nats)
    assert list(reader.browse.ids(Selection(kind=Kind.REJECTED, sort=Sort.AGREEMENT))) == sorted(ids)


def test_raw_has_source_and_scores(chat: Path) -> None:
    stored = {
        task: (source, nats)
        for task, source, nats in ask(
            chat,
            "SELECT tasks.id, source, candidates.nats FROM tasks JOIN candidates ON candidates.id = candidate_id"
            " JOIN requests ON requests.id = candidates.request_id",
        )
    }
    answers = dict(ask(chat, "SELECT output, json_array(agreement, nats) FROM instances WHERE verdict = 'accepted'"))
    rows = rows_of(chat)
    assert {row["source"] for row in rows} == {"in_context", "template"}
    for row in rows:
        assert (row["source"], row["nats"]) == stored[row["id"]]
        for each in row["instances"]:
            assert [each["agreement"], each["nats"]] == pytest.approx(json.loads(answers[each["output"]]))


def test_raw_of_a_pool_without_scores_has_no_more_in_its_instances(tmp_path: Path) -> None:
    rows = rows_of(mixed_pool(tmp_path / "pool.db"), "--include-seeds")
    assert all(set(each) == {"input", "output"} for row in rows for each in row["instances"])
    assert {row["source"] for row in rows} == {None, "in_context"} and {row["nats"] for row in rows} == {None}


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def test_an_export_takes_what_is_likely_and_agrees(chat: Path) -> None:
    every = rows_of(chat)
    nats = middle([row["nats"] for row in every])
    assert [row["id"] for row in rows_of(chat, "--max-nats", f"{nats}")] == [row["id"] for row in every if row["nats"] <= nats]
    for option, key, wanted in (("--min-agreement", "agreement", max), ("--max-answer-nats", "nats", min)):
        limit = middle([each[key] for row in every for each in row["instances"]])
        expected = [
            {**row, "instances": kept}
            for row in every
            if (kept := [each for each in row["instances"] if wanted(each[key], limit) == each[key]])
        ]
        assert rows_of(chat, option, f"{limit}") == expected and len(expected) < len(every)


def test_what_has_no_score_passes_unless_scores_are_asked_for(chat: Path) -> None:
    seeds = {task for (task,) in ask(chat, "SELECT id FROM tasks WHERE origin = 'seed'")}
    for option in (("--max-nats", "100"), ("--min-agreement", "0"), ("--max-answer-nats", "100")):
        assert seeds < {row["id"] for row in rows_of(chat, "--include-seeds", *option)}
        scored = {row["id"] for row in rows_of(chat, "--include-seeds", *option, "--scored")}
        assert scored and not scored & seeds


def test_what_a_person_edited_has_lost_its_score(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        steering = session_in(pool, ScriptedEngine(chats=True), CHAT).steering
        task = next(pool.stream.export_tasks(False))
        steering.edit_instance(task.instance_ids[0], "", "Mine.")
        keep = Keep(min_agreement=1.0)
        assert [each.id for each in pool.stream.export_tasks(False, keep)] == [task.id]
        assert list(pool.stream.export_tasks(False, Keep(min_agreement=1.0, scored=True))) == []
        candidate = pool.candidates.of_task(task.id)
        assert candidate is not None
        steering.edit_candidate(candidate.id, "Describe the life of a river otter in winter, please.")
        assert [each.id for each in pool.stream.export_tasks(False, Keep(max_nats=0.0))] == [task.id]


def test_how_many_each_score_leaves_out_is_told(chat: Path, reader: Queries) -> None:
    tasks = list(reader.stream.export_tasks(False))
    nats, least = middle([each.nats or 0.0 for each in tasks]), 0.45
    options = ExportOptions(keep=Keep(max_nats=nats, min_agreement=least))
    likely = [each for each in tasks if (each.nats or 0.0) <= nats]
    kept = list(reader.stream.export_tasks(False, options.keep))
    found = left_out_by_scores(reader.stream, options)
    assert found == [
        ("max_nats", len(tasks) - len(likely), sum(len(each.instances) for each in tasks) - sum(len(each.instances) for each in likely)),
        ("min_agreement", len(likely) - len(kept), sum(len(each.instances) for each in likely) - sum(len(each.instances) for each in kept)),
    ]
    assert reader.stream.counted(False, options.keep) == (len(kept), sum(len(each.instances) for each in kept))
    assert all(each.scores[0].agreement is not None and each.scores[0].agreement >= least for each in kept)
    done = studio("export", chat, "-o", "-", "--max-nats", f"{nats}", "--min-agreement", f"{least}")
    for name, lost, instances in found:
        assert f"--{name.replace('_', '-')} left out {counted(lost, 'task')}, {counted(instances, 'instance')} in all" in done.stderr


def test_what_does_not_fit_is_said(chat: Path) -> None:
    assert_fails(studio("export", chat, "-o", "-", "--scored"), ExitCode.USAGE, "goes with --max-nats")
    assert_fails(studio("export", chat, "-o", "-", "--max-nats", "0"), ExitCode.POOL, "is left by --max-nats")


def test_the_card_says_by_which_scores_was_selected(chat: Path, tmp_path: Path) -> None:
    options = ("--max-nats", "2.25", "--min-agreement", "0.2", "--card", tmp_path / "README.md")
    done = studio("export", chat, "-o", tmp_path / "data.jsonl", *options)
    assert done.returncode == 0, done.stderr
    text = " ".join((tmp_path / "README.md").read_text(encoding="utf-8").replace("\\", "").split())
    assert "at most 2.25 nats a token by the model itself and instances whose answer agrees" in text
    assert "ROUGE-L of 0.2 or more or that were never measured" in text
