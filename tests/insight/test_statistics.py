"""Figures of a pool, against a computation by hand and by plain SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from rouge_score import rouge_scorer

from studio.insight.statistics import histogram, statistics
from studio.loop.session import Goal
from studio.pool.queries import Queries
from studio.pool.store import Pool
from support.pools import ask, make_pool, walk_round
from support.sessions import configuration, play


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


@pytest.mark.parametrize(("score", "place"), [(0.0, 0), (0.1, 1), (0.69, 6), (1.0, 9)])
def test_edges_of_the_bins(score: float, place: int) -> None:
    assert histogram([score])[place] == 1
