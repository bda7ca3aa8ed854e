"""Every export format: what its lines say, and that the readers people use load them back unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.errors import UsageError
from studio.pool.exchange.formats import FORMATS, find_format
from studio.pool.pool import Pool
from studio.records import Instance, Origin, SeedTask
from studio.seeds.reading import read_tasks
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS
from support.pairs import pool_with_pairs
from support.pools import export

TASKS = (
    ("Translate into French.", False, (Instance("Good day", "Bonjour"), Instance("Cat", "Chat"))),
    ("Tell a joke about hens.", False, (Instance("", "Why did…"),)),
    ("Spam or not?", True, (Instance("Win now", "spam"),)),
)

Load = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a JSON Lines file as trainers do: with `datasets`, offline."""
    # Not in the environment: the libraries read that once, and would keep it for the tests behind this one.
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def with_datasets(path: Path) -> list[dict[str, Any]]:
        import datasets

        datasets.disable_progress_bars()
        rows = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
        return [dict(row) for row in rows]

    return with_datasets


def exported(pool: Path, name: str, *, include_seeds: bool = False) -> Path:
    target = pool.with_name("out" if find_format(name).files else "out.jsonl")
    export(pool, target, name, include_seeds=include_seeds)
    return target


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", TASKS)


def test_alpaca(pool: Path, load: Load) -> None:
    assert load(exported(pool, "alpaca")) == [
        {"instruction": "Name a colour.", "input": "", "output": "Blue."},
        {"instruction": "Translate into French.", "input": "Good day", "output": "Bonjour"},
        {"instruction": "Translate into French.", "input": "Cat", "output": "Chat"},
        {"instruction": "Tell a joke about hens.", "input": "", "output": "Why did…"},
        {"instruction": "Spam or not?", "input": "Win now", "output": "spam"},
    ]


def test_chat(pool: Path, load: Load) -> None:
    rows = load(exported(pool, "chat"))
    assert rows[1] == {
        "messages": [
            {"role": "user", "content": "Translate into French.\n\nGood day"},
            {"role": "assistant", "content": "Bonjour"},
        ]
    }
    assert rows[3]["messages"][0]["content"] == "Tell a joke about hens."


def test_sharegpt(pool: Path, load: Load) -> None:
    rows = load(exported(pool, "sharegpt"))
    assert rows[2] == {
        "conversations": [
            {"from": "human", "value": "Translate into French.\n\nCat"},
            {"from": "gpt", "value": "Chat"},
        ]
    }


def test_prompt_completion(pool: Path, load: Load) -> None:
    rows = load(exported(pool, "prompt-completion"))
    assert rows[1] == {"prompt": "Translate into French.\n\nGood day\n\nOutput:", "completion": " Bonjour"}
    assert rows[3] == {"prompt": "Tell a joke about hens.\n\nOutput:", "completion": " Why did…"}


def test_raw_has_the_whole_provenance(pool: Path, load: Load) -> None:
    rows = load(exported(pool, "raw", include_seeds=True))
    assert [row["origin"] for row in rows] == ["seed", "seed", "imported", "generated", "generated", "generated"]
    assert rows[0]["key"] == "seed_task_0"
    assert rows[0]["score"] is None
    assert rows[3] == {
        "id": 4,
        "origin": "generated",
        "key": "",
        "name": "",
        "instruction": "Translate into French.",
        "is_classification": False,
        "instances": [{"input": "Good day", "output": "Bonjour"}, {"input": "Cat", "output": "Chat"}],
        "round": 1,
        "parents": [2, 1],
        "score": 0.4,
        "seed_score": 0.4,
        "nearest": 2,
        "neighbours": [{"id": 2, "score": 0.4}, {"id": 1, "score": 0.25}],
        "request": "1/instructions/0",
        "model": "ab" * 32,
        "decided_by": "rule",
        "source": None,
        "nats": None,
    }


def lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_self_instruct_gives_the_originals_files(pool: Path) -> None:
    folder = exported(pool, "self-instruct")
    assert sorted(path.name for path in folder.iterdir()) == [
        "machine_generated_instances.jsonl",
        "machine_generated_instructions.jsonl",
    ]
    imported, first, *_ = lines(folder / "machine_generated_instructions.jsonl")
    assert list(first) == ["instruction", "most_similar", "avg_similarity_score", "metadata", "request_idx"]
    assert first["instruction"] == "Translate into French."
    assert first["most_similar"] == {"Is this review good or bad?": 0.4, "Greet a guest in one sentence.": 0.25}
    assert list(first["most_similar"].values()) == [0.4, 0.25]
    assert first["avg_similarity_score"] == 0.3
    assert first["metadata"]["prompt"] == "Tasks:\n1. ...\n2."
    assert first["metadata"]["response"]["choices"][0]["finish_reason"] == "stop"
    assert first["request_idx"] == 1
    assert imported["metadata"] == {}


def test_self_instruct_instances(pool: Path) -> None:
    imported, first, *_ = lines(exported(pool, "self-instruct") / "machine_generated_instances.jsonl")
    originals = ["instruction", "raw_instances", "instance_metadata", "instruction_metadata", "most_similar", "avg_similarity_score"]
    assert list(first) == [*originals, "is_classification", "instances"]
    assert first["raw_instances"] == "raw 0"
    assert first["instance_metadata"]["response"]["choices"][0]["finish_reason"] == "stop"
    assert first["instances"] == [{"input": "Good day", "output": "Bonjour"}, {"input": "Cat", "output": "Chat"}]
    assert imported["raw_instances"] == "Example 1\nOutput: Blue."


def test_self_instruct_seeds_are_a_seed_file(pool: Path) -> None:
    seeds = read_tasks(exported(pool, "self-instruct", include_seeds=True) / "seed_tasks.jsonl")
    assert [task.key for task in seeds] == ["seed_task_0", "seed_task_1"]
    assert [task.is_classification for task in seeds] == [False, True]


def test_what_nobody_has_said_stays_unknown_in_every_file(tmp_path: Path) -> None:
    unknown = SeedTask("", "", "Say hi.", (Instance("", "hi"),), None)
    Pool.create(tmp_path / "pool.db", [unknown]).close()
    with Pool.open(tmp_path / "pool.db") as made:
        made.tasks.add([unknown], Origin.IMPORTED)
    assert [line["is_classification"] for line in lines(exported(tmp_path / "pool.db", "raw", include_seeds=True))] == [None, None]
    folder = exported(tmp_path / "pool.db", "self-instruct", include_seeds=True)
    assert lines(folder / "machine_generated_instances.jsonl")[0]["is_classification"] is None
    assert read_tasks(folder / "seed_tasks.jsonl")[0].is_classification is None


@pytest.mark.parametrize("is_classification", [False, True])
def test_rendered_instances_are_parsed_as_the_models_are(is_classification: bool) -> None:
    from studio.loop.parsing import parse_input_first, parse_output_first
    from studio.pool.exchange.formats import render_instances

    given = (Instance("one", "1"), Instance("", "2"), Instance("three\nlines", "3"))
    text = render_instances(given, is_classification)
    parse = parse_output_first if is_classification else parse_input_first
    assert tuple(parse(text)) == given


def test_preference(tmp_path: Path, load: Load) -> None:
    pool = pool_with_pairs(tmp_path / "pool.db")
    rows = load(exported(pool, "preference"))
    assert rows[0] == {
        "prompt": [{"role": "user", "content": "Name the colour.\n\nof the sky"}],
        "chosen": [{"role": "assistant", "content": "Blue, on most days."}],
        "rejected": [{"role": "assistant", "content": "Blu"}],
        "evidence": {"because": "edited", "reason": "", "chosen": 1.0, "rejected": 0.0, "raters": 0},
    }
    assert [row["evidence"]["because"] for row in rows] == ["edited", "rated", "checked", "checked", "agreement"]
    assert rows[4]["evidence"] == {"because": "agreement", "reason": "", "chosen": 0.6, "rejected": 0.4, "raters": 0}
    texts = load(exported(pool, "preference-text"))
    assert texts == [
        {**{name: row[name][0]["content"] for name in ("prompt", "chosen", "rejected")}, "evidence": row["evidence"]} for row in rows
    ]


@pytest.mark.parametrize("name", [name for name, chosen in FORMATS.items() if not chosen.files and not chosen.paired])
def test_nasty_text_comes_back_as_it_was(tmp_path: Path, load: Load, name: str) -> None:
    tasks = tuple((f"{place}: {text}", False, (Instance(text, text + "."),)) for place, text in enumerate(NASTY_TEXTS))
    path = exported(build_pool(tmp_path / "pool.db", tasks, with_import=False), name)
    content = path.read_bytes()
    assert len(content.decode().splitlines()) == len(NASTY_TEXTS), "a reader that uses splitlines() sees other lines"
    assert b"\r" not in content
    rows = load(path)
    assert rows == lines(path)
    texts = [json.dumps(row) for row in rows]
    for place, text in enumerate(NASTY_TEXTS):
        kept = text.strip() if name == "prompt-completion" else text
        assert json.dumps(kept)[1:-1] in texts[place]


def test_text_stays_unescaped(tmp_path: Path) -> None:
    path = exported(build_pool(tmp_path / "pool.db", [("Grüße auf 中文 😀?", False, (Instance("", "é"),))]), "alpaca")
    assert "Grüße auf 中文 😀?" in path.read_text(encoding="utf-8")


def test_equal_pools_export_equal_bytes(tmp_path: Path) -> None:
    contents = []
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        pool = pool_with_pairs(tmp_path / side / "pool.db")
        contents.append([exported(pool, name, include_seeds=True).read_bytes() for name in FORMATS if not FORMATS[name].files])
        folder = exported(pool, "self-instruct", include_seeds=True)
        contents[-1] += [path.read_bytes() for path in sorted(folder.iterdir())]
    assert contents[0] == contents[1]


def test_unknown_format_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        find_format("share-gpt")
    assert caught.value.hint == "did you mean 'sharegpt'?"
