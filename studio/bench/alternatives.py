"""What the engine and the loop are measured against.

The engine stands between llama-cpp-python's high-level `Llama`, one request after another, and a bare loop over `llama_decode` that does
what has to be done, nothing else. The loop is measured against a straight port of the method, as one would write it from the paper and its
released code: one request after another, stage after stage, `rouge_score` for novelty; nothing is shared with the loop but the prompt texts
and the seed tasks.
"""

from __future__ import annotations

import random
import re
import string
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer

from studio.engine.api import SamplingParams
from studio.engine.llama.sampling import Greedy
from studio.engine.llama.scheduler import common_prefix
from studio.engine.process.pipe import Message, request_of
from studio.loop.prompts import builtin_prompt
from studio.records import SeedTask
from studio.seeds.reading import bundled_seeds, read_tasks

_CONTEXT = 4096
"""Room for the longest template of the method, an instruction and the longest completion."""
_PENALTY_TOKENS = 1024
"""OpenAI's presence penalty looks at the whole completion; llama-cpp-python's default is its last 64 tokens."""


@contextmanager
def open_llama(path: str, threads: int, gpu_layers: int) -> Iterator[Any]:
    """Load the model at `path`, with the same threads and layers as the studio's engine, and free it at the end."""
    from llama_cpp import Llama

    llama = Llama(
        path,
        n_ctx=_CONTEXT,
        n_batch=512,
        n_threads=threads,
        n_threads_batch=threads,
        n_gpu_layers=gpu_layers,
        last_n_tokens_size=_PENALTY_TOKENS,
        verbose=False,
    )
    try:
        yield llama
    finally:
        llama.close()


def complete_in_turn(path: str, threads: int, gpu_layers: int, requests: Sequence[Message]) -> dict[str, Any]:
    """Complete `requests` with `Llama.generate`, the fastest that the high-level class offers: no text is made of the tokens.

    It keeps what a prompt shares with the one before it, so the template is evaluated once. It cannot be told not to draw the
    end of the text without a Python callback a token, but goes on after it: the number of tokens is the same.
    """
    asked = [request_of(message) for message in requests]
    with open_llama(path, threads, gpu_layers) as llama:
        tokens = 0
        began = time.perf_counter()
        for request in asked:
            params = request.params
            prompt = llama.tokenize((request.prefix + request.suffix).encode("utf-8", "replace"), add_bos=True, special=False)
            drawn = llama.generate(
                prompt,
                temp=params.temperature,
                top_k=params.top_k,
                top_p=params.top_p,
                min_p=params.min_p,
                repeat_penalty=params.repeat_penalty,
                frequency_penalty=params.frequency_penalty,
                presence_penalty=params.presence_penalty,
            )
            tokens += sum(1 for _ in islice(drawn, params.max_tokens))
        seconds = time.perf_counter() - began
    return {"tokens": tokens, "seconds": seconds}


_BATCH = 512


def complete_bare(path: str, threads: int, gpu_layers: int, parallel: int, requests: Sequence[Message]) -> dict[str, Any]:
    """Complete `requests` in `parallel` sequences that share one evaluated prefix. Tokens stay numbers, nothing is matched or sent."""
    asked = [request_of(message) for message in requests]
    loop = RawLoop(path, threads, gpu_layers, parallel)
    prompts = [loop.tokenise(request.prefix + request.suffix) for request in asked]
    began = time.perf_counter()
    tokens = loop.complete(prompts, asked[0].params)
    return {"tokens": tokens, "seconds": time.perf_counter() - began}


class RawLoop:
    """A model and a loop over it. Nothing is freed: its process ends with it."""

    def __init__(self, path: str, threads: int, gpu_layers: int, parallel: int) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        self._model = llama_cpp.llama_model_load_from_file(path.encode("utf-8", "surrogateescape"), params)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._vocab_size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self._gpu = gpu_layers != 0 and llama_cpp.llama_supports_gpu_offload()
        self._parallel = parallel
        self._threads = threads
        self._batch = llama_cpp.llama_batch_init(_BATCH, 0, 1)

    def tokenise(self, text: str) -> list[int]:
        data = text.encode("utf-8", "replace")
        tokens = (self._lib.llama_token * (len(data) + 8))()
        return list(tokens[: self._lib.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), True, False)])

    def complete(self, prompts: Sequence[Sequence[int]], params: SamplingParams) -> int:
        """Draw `params.max_tokens` tokens for each prompt and return how many that were in all."""
        lib = self._lib
        shared = min(common_prefix(prompts[0], prompts), min(map(len, prompts)) - 1)
        longest = max(map(len, prompts)) - shared + params.max_tokens
        context = self._open(shared + self._parallel * longest)
        memory = lib.llama_get_memory(context)
        prefix_sequence = self._parallel
        for start in range(0, shared, _BATCH):
            self._add(prompts[0][start : min(start + _BATCH, shared)], start, prefix_sequence, wants_logits=False)
            self._decode(context)
        waiting = list(range(len(prompts)))[::-1]
        drawn = [0] * len(prompts)
        last = [0] * len(prompts)
        running: dict[int, tuple[int, Greedy]] = {}
        while waiting or running:
            rows = {
                sequence: self._add([last[job]], len(prompts[job]) + drawn[job] - 1, sequence) for sequence, (job, _) in running.items()
            }
            for sequence in range(self._parallel):
                if sequence in running or not waiting or len(prompts[waiting[-1]]) - shared + self._batch.n_tokens > _BATCH:
                    continue
                job = waiting.pop()
                running[sequence] = (job, Greedy(params, self._never))
                lib.llama_memory_seq_cp(memory, prefix_sequence, sequence, -1, -1)
                rows[sequence] = self._add(prompts[job][shared:], shared, sequence)
            self._decode(context)
            for sequence, row in rows.items():
                job, greedy = running[sequence]
                last[job] = greedy.draw(self._logits(context, row))
                drawn[job] += 1
                if drawn[job] == params.max_tokens:
                    lib.llama_memory_seq_rm(memory, sequence, -1, -1)
                    del running[sequence]
        return sum(drawn)

    def _open(self, tokens: int) -> Any:
        lib = self._lib
        params = lib.llama_context_default_params()
        params.n_ctx = (tokens + 255) // 256 * 256
        params.n_batch = params.n_ubatch = _BATCH
        params.n_seq_max = self._parallel + 1
        params.n_threads = params.n_threads_batch = self._threads
        params.kv_unified = True
        params.swa_full = True
        # As in the engine: flash attention is slower for single rows on a CPU.
        params.flash_attn_type = -1 if self._gpu else 0
        return lib.llama_init_from_model(self._model, params)

    def _add(self, tokens: Sequence[int], position: int, sequence: int, *, wants_logits: bool = True) -> int:
        batch = self._batch
        for offset, token in enumerate(tokens):
            row = batch.n_tokens
            batch.token[row], batch.pos[row] = token, position + offset
            batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 1, sequence, 0
            batch.n_tokens += 1
        batch.logits[batch.n_tokens - 1] = wants_logits
        return int(batch.n_tokens - 1)

    def _decode(self, context: Any) -> None:
        status = self._lib.llama_decode(context, self._batch)
        if status != 0:
            raise RuntimeError(f"llama_decode failed with status {status}")
        self._batch.n_tokens = 0

    def _logits(self, context: Any, row: int) -> NDArray[np.float32]:
        return np.ctypeslib.as_array(self._lib.llama_get_logits_ith(context, row), (self._vocab_size,))

    @cached_property
    def _never(self) -> list[int]:
        """All tokens that end the text."""
        return [token for token in range(self._vocab_size) if self._lib.llama_vocab_is_eog(self._vocab, token)]


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
    counts = {name: getattr(port, name) for name in ("accepted", "candidates", "instances", "prompt_tokens", "completion_tokens")}
    return {**counts, "seconds": seconds, "stage_seconds": dict(port.seconds)}
