"""The straight port of the method that whole rounds are measured against."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from studio.bench.alternatives import REQUESTS, Port, keep_pairs, parse_examples, parse_labels, parse_list, passes
from studio.engine.scripted import write
from studio.seeds.reading import bundled_seeds, read_tasks
from support.sessions import all_seeds


class ScriptedLlama:
    """Answers as `Llama.create_completion` does, with what the scripted engine writes, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, prompt: str, **params: Any) -> dict[str, Any]:
        self.asked.append((prompt, params))
        rng = random.Random(f"{len(self.asked)}/{params['seed']}")
        head, found, task = prompt.rpartition("\nTask:")
        prefix, suffix = (head + found, task) if found else ("", prompt)
        text = write(prefix, suffix, rng, params["max_tokens"])
        ends = [text.find(stop) for stop in params["stop"] if stop in text]
        text = text[: min(ends)] if ends else text
        words = text.split()
        cut = len(words) > params["max_tokens"]
        return {
            "choices": [{"text": text, "finish_reason": "length" if cut else "stop"}],
            "usage": {"prompt_tokens": len(prompt.split()), "completion_tokens": len(words)},
        }


def test_what_it_accepts_keeps_to_the_rules() -> None:
    port = Port(ScriptedLlama(), "seed")
    for number in range(3):
        port.play_round(number)
    accepted = [instruction for instruction, _, _ in port.tasks]
    assert port.accepted == len(accepted) > 10
    assert all(passes(text) for text in accepted)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    seeds = [task.instruction for task in read_tasks(bundled_seeds())]
    pairs = [*combinations(accepted, 2), *((text, seed) for text in accepted for seed in seeds)]
    assert max(scorer.score(*pair)["rougeL"].fmeasure for pair in pairs) < 0.7
    assert port.instances == sum(len(pairs) for _, _, pairs in port.tasks) > 10
    assert {kind for _, kind, _ in port.tasks} == {True, False}
    assert set(port.seconds) == {"instructions", "filter", "classify", "instances"}


def test_it_asks_with_the_papers_parameters_one_after_another() -> None:
    llama = ScriptedLlama()
    port = Port(llama, "seed")
    port.play_round(0)
    instructions = [params for prompt, params in llama.asked if params["max_tokens"] == 1024]
    assert len(instructions) == REQUESTS and len({params["seed"] for params in instructions}) == REQUESTS
    assert len(llama.asked) == REQUESTS + 2 * port.accepted
    for prompt, params in llama.asked:
        assert (params["top_k"], params["min_p"], params["repeat_penalty"]) == (0, 0.0, 1.0)
        assert "{" not in prompt.rpartition("\n")[2]
    first = llama.asked[0][0]
    assert sum(f"\n{number}. " in first for number in range(1, 9)) == 8 and first.endswith("\n9.")


def test_the_same_seed_gives_the_same_tasks() -> None:
    runs = [Port(ScriptedLlama(), "seed", all_seeds()) for _ in range(2)]
    for port in runs:
        port.play_round(0)
    assert runs[0].tasks == runs[1].tasks


def test_lists() -> None:
    assert parse_list(" Name  a river.\n10. Sort these:\n11 . ", truncated=False) == ["Name a river.", "Sort these:"]
    assert parse_list(" Name a river.", truncated=True) == []


def test_heuristics() -> None:
    assert passes("Name a long river in Asia.")
    refused = (
        "Name a river",
        "Draw a very long river.",
        "Write a program that sorts numbers.",
        "- Name a long river.",
        "Öl is a raw material.",
    )
    assert not any(passes(text) for text in (*refused, "word " * 151))


def test_examples_and_labels() -> None:
    assert parse_examples("Example 1\nInput: 2\nOutput: 4\nExample 2\nInput: 3\nOutput: 9\nInput: 4") == [("2", "4"), ("3", "9")]
    assert parse_examples("Output: yes") == [("", "yes")] and parse_examples("no marker") == []
    assert parse_labels("Class label: good\nI like it.\nClass label: bad\n") == [("I like it.", "good"), ("", "bad")]


def test_pairs_that_are_kept() -> None:
    rng = random.Random(0)
    assert keep_pairs([("a", "b"), ("a", "b"), ("c", "c"), ("d", ""), ("e:", "f")], rng) == [("a", "b")]
    assert keep_pairs([("a", "b"), ("a", "c")], rng) == []
    assert len(keep_pairs([("", str(number)) for number in range(9)], rng)) == 5
