"""Figures of a pool, against a computation by hand and by plain SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rouge_score import rouge_scorer

from studio.insight.statistics.figures import histogram, saturation, statistics
from studio.insight.statistics.report import report
from studio.insight.statistics.texts import opening_word
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.pool.rounds import RoundYield
from studio.records import Stage
from support.pools import ask, make_pool, walk_round
from support.sessions import all_seeds, configuration, play, session_in
from support.steering import play_until


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("statistics") / "pool.db"
    play(path, Goal(rounds=10), asked=configuration(threshold=0.5), seeds=all_seeds()[:40])
    return path


def test_a_small_pool_by_hand(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        walk_round(pool)
    with Queries.open(path) as reader:
        figures = statistics(reader)
    assert (figures.seeds, figures.generated, figures.imported) == (10, 2, 0)
    assert figures.classification_share == 0.5
    assert (figures.instances, figures.tasks_with_instances, figures.instances_per_task) == (2, 2, 1.0)
    assert figures.empty_input_share == 0.5
    assert figures.mean_instruction_words == (3 + 6) / 2
    assert figures.mean_input_words == 3.0
    assert figures.mean_output_words == (3 + 1) / 2
    assert (figures.candidates, figures.accepted) == (3, 2)
    assert figures.rejected == {"not_novel": 1}
    assert figures.rejected_instances == {"empty_output": 1}
    assert [(row.round, row.candidates, row.accepted) for row in figures.rounds] == [(1, 3, 2)]
    assert figures.seed_score_histogram == (1, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    assert figures.completion_tokens == 40 + 1024 + 5 + 6
    assert figures.nearest_score_histogram == (0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
    assert (figures.mean_seed_score, figures.mean_nearest_score) == (0.25 / 2, (0.25 + 0.2) / 2)
    assert figures.opening_words == figures.rounds[0].new_openings == 2
    assert (figures.instruction_words.minimum, figures.instruction_words.maximum) == (3, 6)
    assert (figures.input_words.count, figures.output_words.count) == (1, 2)
    assert figures.saturation.refused
    assert figures.written_tokens_per_task == figures.completion_tokens / 2
    assert figures.read_tokens_per_task == (100 - 90 + 100 - 95 + 50 + 50) / 2
    assert figures.model_seconds == 4.0


def test_drafts_of_an_open_round_are_told_from_its_accepted_candidates(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    with Pool.create(path, all_seeds()[:40]) as pool:
        session = session_in(pool)
        list(session.run(Goal(rounds=1)))
        play_until(session, Stage.INSTANCES)
    with Queries.open(path) as reader:
        figures = statistics(reader)
    assert figures.drafts > 0 and figures.accepted == figures.generated + figures.drafts
    told = StringIO()
    Console(file=told, width=200).print(report(figures))
    assert f"{figures.drafts} of these are drafts of the open round" in told.getvalue()


def test_an_empty_pool_has_zeros(tmp_path: Path) -> None:
    with Queries.open(make_pool(tmp_path / "pool.db")) as reader:
        figures = statistics(reader)
    assert figures.generated == 0
    assert figures.acceptance_rate == figures.instances_per_task == figures.mean_output_words == 0.0


def test_the_histogram_is_that_of_rouge_score(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=2), asked=configuration("code"))
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    seeds = [text for (text,) in ask(path, "SELECT instruction FROM tasks WHERE origin = 'seed'")]
    generated = [text for (text,) in ask(path, "SELECT instruction FROM tasks WHERE origin = 'generated'")]
    expected = histogram(max(scorer.score(seed, text)["rougeL"].fmeasure for seed in seeds) for text in generated)
    with Queries.open(path) as reader:
        assert statistics(reader).seed_score_histogram == expected


def test_each_round_against_plain_sql(played: Path) -> None:
    path = played
    with Queries.open(path) as reader:
        figures = statistics(reader)
    sql = (
        "SELECT number, count(*), sum(verdict = 'accepted') FROM rounds JOIN requests ON round_id = rounds.id"
        " JOIN candidates ON request_id = requests.id JOIN decisions ON candidate_id = candidates.id GROUP BY number ORDER BY number"
    )
    assert [(row.round, row.candidates, row.accepted) for row in figures.rounds if row.candidates] == ask(path, sql)
    seen = {opening_word(text) for (text,) in ask(path, "SELECT instruction FROM tasks WHERE origin = 'seed'")}
    for row in figures.rounds:
        sql = "SELECT instruction FROM tasks JOIN rounds ON rounds.id = round_id WHERE number = ? ORDER BY tasks.id"
        opened = {opening_word(text) for (text,) in ask(path, sql, row.round)}
        assert row.new_openings == len(opened - seen)
        seen |= opened
    expected = saturation([RoundYield(row.round, row.candidates, row.accepted, 1) for row in figures.rounds])
    assert figures.saturation == expected
    assert expected.expected is not None
    [(score,)] = ask(path, "SELECT avg(score) FROM tasks JOIN decisions USING (candidate_id)")
    assert figures.mean_nearest_score == pytest.approx(score)


@pytest.mark.parametrize(
    ("started", "finished", "seconds"),
    [
        ("2026-01-01T10:00:00+00:00", "2026-01-01T10:00:01+00:00", 2.0),
        ("2026-01-01T10:00:00+00:00", "2026-01-03T10:00:00+00:00", 4.0),
        ("", None, 4.0),
    ],
)
def test_models_worked_no_longer_than_the_clock_or_their_requests(
    tmp_path: Path, started: str, finished: str | None, seconds: float
) -> None:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        walk_round(pool)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE rounds SET started_at = ?, finished_at = ?", (started, finished))
        connection.commit()
    with Queries.open(path) as reader:
        figures = statistics(reader)
    assert (figures.busy_seconds, figures.seconds_per_task) == (seconds, seconds / 2)


def test_progress_is_told_and_may_give_up(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        walk_round(pool)
    told: list[tuple[str, int, int]] = []
    with Queries.open(path) as reader:
        statistics(reader, lambda *each: told.append(each))
        assert ("reading instructions", 12, 12) in told
        assert ("reading instances", 2, 2) in told

        def give_up(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            statistics(reader, give_up)


def test_the_report_shows_every_part(played: Path) -> None:
    out = StringIO()
    with Queries.open(played) as reader:
        figures = statistics(reader)
    Console(file=out, width=120).print(report(figures))
    text = out.getvalue()
    assert "new opening words" in text and "to any task" in text and "95 % up to" in text
    assert f"another 1,000 candidates: about {figures.saturation.expected:,.0f} new tasks" in text
    assert f"a task costs {figures.written_tokens_per_task:,.0f} tokens written" in text


@pytest.mark.parametrize(("score", "place"), [(0.0, 0), (0.1, 1), (0.69, 6), (1.0, 9)])
def test_edges_of_the_bins(score: float, place: int) -> None:
    assert histogram([score])[place] == 1
