"""The README's first command with the bundled model, and a small round of the same: nothing is scripted here."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from rouge_score import rouge_scorer

from studio.engine.catalog import bundled_model
from studio.pool.pool import Queries
from support.command import new_studio
from support.pools import ask, assert_sound
from support.sessions import exported

pytestmark = pytest.mark.real_model
TOKENS = {"list_chat": 48, "template": 24, "input_first": 16, "output_first": 16, "answer": 16}
SMALL = (
    "--threads",
    "1",
    "--set=requests_per_round=1",
    "--set=template_requests=2",
    *(f"--set=sampling.{name}.max_tokens={number}" for name, number in TOKENS.items()),
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pool of `studio run pool.db --headless --target 20`."""
    path = tmp_path_factory.mktemp("real") / "pool.db"
    done = new_studio("run", path, "--headless", "--target", "20", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["accepted"] >= 20 and summary["instances"] > 0 and summary["stopped"] == "target"
    return path


@pytest.mark.slow
def test_twenty_tasks_and_their_instances(pool: Path) -> None:
    assert_sound(pool)
    assert ask(pool, "SELECT count(*) FROM tasks WHERE origin = 'generated' AND state = 'active'")[0][0] >= 20
    assert ask(pool, "SELECT count(*) FROM instances WHERE answer_id IS NOT NULL AND verdict = 'accepted'")[0][0] >= 5


@pytest.mark.slow
def test_the_model_is_on_record(pool: Path) -> None:
    name, sha256, quantisation, licence = ask(pool, "SELECT name, sha256, quantisation, licence FROM models")[0]
    assert sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert "SmolLM2" in name and quantisation == "Q4_1" and "apache" in licence.lower()


@pytest.mark.slow
def test_every_request_has_its_completion(pool: Path) -> None:
    assert ask(pool, "SELECT count(*) FROM requests LEFT JOIN completions ON request_id = id WHERE request_id IS NULL") == [(0,)]
    assert ask(pool, "SELECT DISTINCT finish_reason IN ('stop', 'length', 'repeat') FROM completions") == [(1,)]


@pytest.mark.slow
def test_all_pairs_keep_to_the_threshold(pool: Path) -> None:
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    generated = [text for (text,) in ask(pool, "SELECT instruction FROM tasks WHERE origin = 'generated'")]
    seeds = [text for (text,) in ask(pool, "SELECT instruction FROM tasks WHERE origin = 'seed'")]
    pairs = [*combinations(generated, 2), *((mine, seed) for mine in generated for seed in seeds)]
    assert max(scorer.score(*pair)["rougeL"].fmeasure for pair in pairs) < 0.7


@pytest.mark.slow
def test_the_same_seed_writes_the_same(pool: Path, tmp_path: Path) -> None:
    """A second process, cancelled and resumed by nobody, writes byte for byte what the first did in its first round."""
    again = tmp_path / "again.db"
    lists, own = (
        f"{count}" for (count,) in ask(pool, "SELECT count(*) FROM requests WHERE round_id = 1 AND source IS NOT NULL GROUP BY source")
    )
    numbers = ("--set", f"requests_per_round={lists}", "--set", f"template_requests={own}")
    assert new_studio("run", again, "--headless", "--rounds", "1", *numbers).returncode == 0
    if ask(pool, "SELECT max(number) FROM rounds") == [(1,)]:
        assert exported(again) == exported(pool)
    texts = "SELECT stage, ordinal, text FROM requests JOIN completions ON request_id = id WHERE round_id = 1 ORDER BY 1, 2"
    assert ask(again, texts) == ask(pool, texts)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pool of a small round."""
    path = tmp_path_factory.mktemp("small") / "one.db"
    done = new_studio("run", path, "--headless", "--rounds", "1", *SMALL)
    assert done.returncode == 0, done.stderr
    return path


def test_a_small_round_is_written_twice_alike(small: Path, tmp_path: Path) -> None:
    pools = [small, tmp_path / "two.db"]
    done = new_studio("run", pools[1], "--headless", "--rounds", "1", *SMALL)
    assert done.returncode == 0, done.stderr
    for pool in pools:
        assert_sound(pool)
    texts = "SELECT stage, ordinal, text FROM requests JOIN completions ON request_id = id ORDER BY 1, 2"
    assert ask(pools[0], texts) == ask(pools[1], texts) != []
    assert exported(pools[0]) == exported(pools[1])
    assert "SmolLM2" in ask(pools[0], "SELECT name FROM models")[0][0]


@pytest.mark.slow
def test_a_copy_of_the_model_answers_as_the_model_itself(small: Path, tmp_path: Path) -> None:
    """Two models here, of the same weights: who answers is on record, what is answered is the same."""
    bundled = bundled_model()
    assert bundled is not None
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(bundled.read_bytes())
    both = tmp_path / "both.db"
    done = new_studio("run", both, "--headless", "--rounds", "1", *SMALL, "--answer-model", copy)
    assert done.returncode == 0, done.stderr
    assert "tasks are answered by copy, llama.cpp (CPU)" in done.stderr
    outputs = "SELECT input, output, verdict FROM instances WHERE answer_id NOTNULL ORDER BY id"
    assert ask(both, outputs) == ask(small, outputs) != []
    with Queries.open(both) as pool:
        answers = [pool.requests.get(each) for (each,) in ask(both, "SELECT id FROM requests WHERE stage = 'answer'")]
        assert {each.model.name for each in answers} == {"copy"} and [each.name for each in pool.runs.all()[0].models] == [
            bundled.stem,
            "copy",
        ]
    assert exported(both).replace(answers[0].model.sha256, "") == exported(small).replace(answers[0].model.sha256, "")
    assert_sound(both)
