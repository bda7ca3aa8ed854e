"""A straight port of the method to llama-cpp-python, as one would write it from the paper and its released code.

One request after another, stage after stage, `rouge_score` for novelty, the paper's parameters; no batching, no engine. Nothing here is
shared with the loop but the prompt texts and the seed tasks: it is what the loop is measured against.
"""

from __future__ import annotations

import random
import re
import string
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from studio.bench.loops import open_llama
from studio.loop.prompts import builtin_prompt
from studio.records import SeedTask
from studio.seeds.reading import bundled_seeds, read_tasks

Complete = Callable[..., Any]
"""`Llama.create_completion`."""

REQUESTS = 5
_SEED_TASKS, _OWN_TASKS = 6, 2
_THRESHOLD = 0.7
_MOST_INSTANCES = 5
_BLOCKED = re.compile(r"\b(image|images|graph|graphs|picture|pictures|file|files|map|maps|draw|plot|go to)\b", re.IGNORECASE)

# What OpenAI's API leaves alone has to be switched off here: top_k, min_p and the repeat penalty.
_PLAIN = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "top_p": 1.0}
_INSTRUCTIONS = {"temperature": 0.7, "top_p": 0.5, "presence_penalty": 2.0, "max_tokens": 1024, "stop": ["\n\n", "\n16", "16.", "16 ."]}
_CLASSIFICATION = {"temperature": 0.0, "max_tokens": 3, "stop": ["\n", "Task"]}
_INPUT_FIRST = {"temperature": 0.0, "presence_penalty": 1.5, "max_tokens": 350, "stop": ["Example 6", "Task:"]}
_OUTPUT_FIRST = {**_INPUT_FIRST, "max_tokens": 300}


class Port:
    """The task pool in memory and the three stages over it. Counts what it does; `seconds` are by stage."""

    def __init__(self, complete: Complete, seed: str, seeds: list[SeedTask] | None = None) -> None:
        self._complete = complete
        self._seed = seed
        self._seeds = [task.instruction for task in (read_tasks(bundled_seeds()) if seeds is None else seeds)]
        self._scorer = RougeScorer(["rougeL"], use_stemmer=False)
        self.tasks: list[tuple[str, bool, list[tuple[str, str]]]] = []
        """Accepted ones: instruction, whether it is a classification task, instances."""
        self.candidates = self.instances = self.prompt_tokens = self.completion_tokens = 0
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def accepted(self) -> int:
        """Tasks accepted so far."""
        return len(self.tasks)

    def play_round(self, number: int) -> None:
        """Write instructions, keep the novel ones, ask what they are, write their instances."""
        rng = random.Random(f"{self._seed}/{number}")
        texts = [text for _ in range(REQUESTS) for text in self._write_instructions(rng)]
        began = time.perf_counter()
        pool = self._seeds + [instruction for instruction, _, _ in self.tasks]
        new: list[str] = []
        for text in texts:
            self.candidates += 1
            if passes(text) and self._highest(text, pool + new) < _THRESHOLD:
                new.append(text)
        self.seconds["filter"] += time.perf_counter() - began
        kinds = [self._is_classification(text) for text in new]
        for text, classification in zip(new, kinds, strict=True):
            instances = self._write_instances(text, classification, rng)
            self.instances += len(instances)
            self.tasks.append((text, classification, instances))

    def _write_instructions(self, rng: random.Random) -> list[str]:
        own = [instruction for instruction, _, _ in self.tasks]
        shown = rng.sample(own, min(_OWN_TASKS, len(own)))
        shown += rng.sample(self._seeds, min(_SEED_TASKS + _OWN_TASKS - len(shown), len(self._seeds)))
        rng.shuffle(shown)
        lines = "".join(f"{place}. {one_line(text)}\n" for place, text in enumerate(shown, 1)) + f"{len(shown) + 1}."
        text, finish = self._ask("instructions", "{tasks}", lines, _INSTRUCTIONS, "instructions", rng.getrandbits(31))
        return parse_list(text, truncated=finish == "length")

    def _is_classification(self, instruction: str) -> bool:
        text, _ = self._ask("classification", "{instruction}", instruction, _CLASSIFICATION, "classify", 0)
        return text.strip() in ("Yes", "yes", "YES")

    def _write_instances(self, instruction: str, classification: bool, rng: random.Random) -> list[tuple[str, str]]:
        name, params = ("output_first", _OUTPUT_FIRST) if classification else ("input_first", _INPUT_FIRST)
        text, finish = self._ask(name, "{instruction}", instruction, params, "instances", 0)
        pairs = parse_labels(text) if classification else parse_examples(text)
        return keep_pairs(pairs[:-1] if finish == "length" else pairs, rng)

    def _ask(self, prompt: str, placeholder: str, filling: str, params: dict[str, Any], stage: str, seed: int) -> tuple[str, str]:
        began = time.perf_counter()
        text = builtin_prompt(prompt).removesuffix("\n").replace(placeholder, filling)
        answer = self._complete(text, seed=seed, **{**_PLAIN, **params})
        self.prompt_tokens += answer["usage"]["prompt_tokens"]
        self.completion_tokens += answer["usage"]["completion_tokens"]
        self.seconds[stage] += time.perf_counter() - began
        choice = answer["choices"][0]
        return choice["text"], choice["finish_reason"]

    def _highest(self, text: str, pool: list[str]) -> float:
        return max((float(self._scorer.score(text, other)["rougeL"].fmeasure) for other in pool), default=0.0)


def one_line(text: str) -> str:
    """White space collapsed, a trailing colon stripped."""
    return re.sub(r"\s+", " ", text).strip().rstrip(":")


def parse_list(text: str, *, truncated: bool) -> list[str]:
    """The instructions of a continued list; none of one that was cut off, as in the released code."""
    if truncated:
        return []
    items = (re.sub(r"\s+", " ", item).strip() for item in re.split(r"\n\d+\s?\. ", text))
    return [item for item in items if item]


def passes(text: str) -> bool:
    """The released code's heuristics."""
    return (
        3 < len(text.split()) <= 150
        and not _BLOCKED.search(text)
        and not text.startswith("Write a program")
        and text[0] not in string.punctuation
        and text[0].isascii()
    )


def parse_examples(text: str) -> list[tuple[str, str]]:
    """The (input, output) pairs of an input-first completion."""
    text = text.strip()
    if re.search(r"Example\s?\d*\.?", text):
        pieces = [piece.strip() for piece in re.split(r"Example\s?\d*\.?", text) if piece.strip()]
    else:
        pieces = [text] if re.search(r"Output\s*\d*\s*:", text) else []
    pairs = []
    for piece in pieces:
        parts = re.split(r"Output\s*\d*\s*:", piece)
        given, output = (parts[0].strip(), parts[1].strip()) if len(parts) > 1 else ("", piece)
        pairs.append((re.sub(r"^Input\s*\d*\s*:", "", given).strip(), re.split(r"Input\s*\d*\s*:", output)[0].strip()))
    return pairs


def parse_labels(text: str) -> list[tuple[str, str]]:
    """The (input, label) pairs of an output-first completion."""
    pieces = [piece.strip().split("\n", 1) for piece in text.split("Class label:")[1:]]
    return [(lines[1].strip() if len(lines) > 1 else "", lines[0].strip()) for lines in pieces]


def keep_pairs(pairs: list[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    """At most five usable pairs; none when one input has two different outputs."""
    valid = [(given, output) for given, output in pairs if output and given != output and not (given.endswith(":") or output.endswith(":"))]
    outputs: dict[str, str] = {}
    if any(outputs.setdefault(given, output) != output for given, output in valid if given):
        return []
    unique = list(dict.fromkeys(valid))
    return rng.sample(unique, _MOST_INSTANCES) if len(unique) > _MOST_INSTANCES else unique


def play_rounds_plainly(path: str, threads: int, gpu_layers: int, rounds: int, seed: str) -> dict[str, Any]:
    """Play `rounds` rounds and return what came of them. Loading the model is not part of the time."""
    with open_llama(path, threads, gpu_layers) as llama:
        port = Port(llama.create_completion, seed)
        began = time.perf_counter()
        for number in range(rounds):
            port.play_round(number)
        seconds = time.perf_counter() - began
    return {
        "accepted": port.accepted,
        "candidates": port.candidates,
        "instances": port.instances,
        "prompt_tokens": port.prompt_tokens,
        "completion_tokens": port.completion_tokens,
        "seconds": seconds,
        "stage_seconds": dict(port.seconds),
    }
