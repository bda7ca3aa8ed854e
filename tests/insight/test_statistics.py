"""Figures of a pool, against a computation by hand and by plain SQL."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rouge_score import rouge_scorer

from studio.insight.statistics import WINDOW, histogram, saturation, statistics
from studio.insight.statistics_report import report, saturation_line
from studio.insight.texts import opening_word
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.pool.rounds import RoundYield
from studio.records import Stage
from support.pools import ask, make_pool
from support.sessions import all_seeds, configuration, play, session_in
from support.steering import play_until
from support.tables import printed


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("statistics") / "pool.db"
    play(path, Goal(rounds=10), asked=configuration(threshold=0.5), seeds=all_seeds()[:40])
    return path


def test_a_small_pool_by_hand(walked: Path) -> None:
    with Queries.open(walked) as reader:
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
    assert f"{figures.drafts} of these are drafts of the open round" in printed(report(figures))


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
def test_models_worked_no_longer_than_the_clock_or_their_requests(walked: Path, started: str, finished: str | None, seconds: float) -> None:
    with closing(sqlite3.connect(walked)) as connection:
        connection.execute("UPDATE rounds SET started_at = ?, finished_at = ?", (started, finished))
        connection.commit()
    with Queries.open(walked) as reader:
        figures = statistics(reader)
    assert (figures.busy_seconds, figures.seconds_per_task) == (seconds, seconds / 2)


def test_progress_is_told_and_may_give_up(walked: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with Queries.open(walked) as reader:
        statistics(reader, lambda *each: told.append(each))
        assert ("reading instructions", 12, 12) in told
        assert ("reading instances", 2, 2) in told

        def give_up(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            statistics(reader, give_up)


def test_the_report_shows_every_part(played: Path) -> None:
    with Queries.open(played) as reader:
        figures = statistics(reader)
    text = printed(report(figures), 120)
    assert "new opening words" in text and "to any task" in text and "95 % up to" in text
    assert f"another 1,000 candidates: about {figures.saturation.expected:,.0f} new tasks" in text
    assert f"a task costs {figures.written_tokens_per_task:,.0f} tokens written" in text


@pytest.mark.parametrize(("score", "place"), [(0.0, 0), (0.1, 1), (0.69, 6), (1.0, 9)])
def test_edges_of_the_bins(score: float, place: int) -> None:
    assert histogram([score])[place] == 1


def rounds(*yields: tuple[int, int], run: int = 1) -> list[RoundYield]:
    """Rounds of a run from their candidates and how many of them were accepted."""
    return [RoundYield(number, candidates, accepted, run) for number, (candidates, accepted) in enumerate(yields, 1)]


def test_the_latest_candidates_stand_for_those_to_come() -> None:
    found = saturation(rounds(*[(50, 40)] * 6, *[(50, 20)] * 4), 1000)
    assert (found.expected, found.rate, found.rounds, found.candidates) == (400, 0.4, 4, 200)
    assert found.earlier_rate == 0.8
    assert found.low is not None and found.high is not None and 320 < found.low < 340 < 460 < found.high < 480
    assert saturation_line(found) == (
        f"another 1,000 candidates: about 400 new tasks (95 % interval {found.low:,.0f} to {found.high:,.0f}),"
        " at the 40.0% accepted of the latest 200; 80.0% before"
    )


def test_of_the_rounds_before_nothing_is_said_where_they_are_too_few() -> None:
    found = saturation(rounds((150, 150), (120, 60), (120, 60)))
    assert (found.earlier_rate, found.candidates) == (None, 240)
    assert saturation_line(found).endswith("at the 50.0% accepted of the latest 240")


def test_only_the_latest_run_says_what_comes() -> None:
    found = saturation([*rounds(*[(50, 49)] * 9), *rounds(*[(50, 10)] * 4, run=2)])
    assert (found.expected, found.rounds, found.candidates, found.earlier_rate) == (200, 4, 200, None)


def test_the_interval_holds_what_comes_in_about_95_of_100_pools() -> None:
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        chance = draw.uniform(0.05, 0.95)
        found = saturation(rounds(*[(40, sum(draw.random() < chance for _ in range(40))) for _ in range(6)]))
        truth = sum(draw.random() < chance for _ in range(1000))
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    assert 276 <= held <= 297


@pytest.mark.parametrize("accepted", [0, 100])
def test_all_or_none_has_an_estimate_too(accepted: int) -> None:
    found = saturation(rounds((100, accepted), (100, accepted)))
    assert found.expected == 10 * accepted
    assert found.low is not None and found.high is not None
    assert found.low == 0 or found.high == 1000
    assert 10 < found.high - found.low < 40


@pytest.mark.parametrize(
    ("yields", "why"), [([], "the latest has 0"), ([(100, 50), (99, 1)], f"{WINDOW} candidates of one run; the latest has 199")]
)
def test_it_refuses_where_there_is_nothing_to_go_by(yields: list[tuple[int, int]], why: str) -> None:
    found = saturation(rounds(*yields))
    assert why in found.refused and why in saturation_line(found)
    assert (found.expected, found.low, found.high, found.rate, found.earlier_rate) == (None,) * 5
