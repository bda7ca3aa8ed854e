"""What the training's process looks at before anything long begins: examples as tokens, device, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from studio.engine.gguf import Gguf
from studio.engine.llama.setup import gigabytes
from studio.engine.llama.vocab import open_vocabulary
from studio.engine.model_file import read_whole
from studio.errors import ModelError, PoolError
from studio.pool.studies.trainings import Side
from studio.tuning.job import Job, Prepared

_LIBRARIES = 700_000_000
"""PyTorch and what it brings, loaded."""
_LOGITS = 16
"""Bytes a logit: itself, its log-softmax, its gradient, all 32 bits wide, and one temporary."""
_SPARE = 1.1
_ROOM = {"cpu": 1024, "cuda": 16_384, "mps": 4096}
"""Padded tokens that pass through the model at once, by device."""
_BYTES = {"float32": 4, "bfloat16": 2}


class Tokeniser(Protocol):
    """What is asked of a vocabulary; `studio.engine.llama.vocab.Vocabulary` is one."""

    @property
    def end_of_text(self) -> int: ...
    @property
    def end_of_turn(self) -> int: ...
    def ends(self, token: int) -> bool: ...
    def tokenise(self, text: str, *, begin: bool = False, control: bool = False) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """An example: its tokens, the first `prompt` of them without a loss."""

    ids: tuple[int, ...]
    prompt: int

    @property
    def labels(self) -> int:
        """How many tokens the loss counts."""
        return len(self.ids) - self.prompt


def tokenise(record: Mapping[str, Any], vocabulary: Tokeniser) -> Tokens:
    """Return the tokens of a line of `train.jsonl`, with the token that ends the answer.

    The prompt is tokenised alone, as it is when the model is asked: what is trained is what will be seen. The completion goes on with the
    whole text's tokens where the prompt's are their beginning, and with its own elsewhere.
    """
    completion = str(record["completion"])
    if parts := record.get("parts"):
        # Only the template's own control words take effect, never those that a user's text happens to hold.
        *before, behind = parts
        prompt: list[int] = []
        for place, part in enumerate(before):
            prompt += vocabulary.tokenise(part, begin=place == 0, control=place % 2 == 0)
        return _joined(prompt, vocabulary.tokenise(completion), _end_of_answer(behind, vocabulary))
    prompt = vocabulary.tokenise(str(record["prompt"]), begin=True)
    whole = vocabulary.tokenise(f"{record['prompt']}{completion}", begin=True)
    answer = whole[len(prompt) :] if whole[: len(prompt)] == prompt else vocabulary.tokenise(completion)
    return _joined(prompt, answer, vocabulary.end_of_text)


def _end_of_answer(behind: str, vocabulary: Tokeniser) -> int:
    """Return the token by which the chat template ends an answer, as the model has learned; the vocabulary's own may be another."""
    return next(filter(vocabulary.ends, vocabulary.tokenise(behind, control=True)), vocabulary.end_of_turn)


def _joined(prompt: list[int], answer: list[int], end: int) -> Tokens:
    return Tokens((*prompt, *answer, *((end,) if end >= 0 else ())), len(prompt))


def pieces(batch: Sequence[Tokens], room: int) -> list[list[Tokens]]:
    """Part a batch into pieces that, padded to their longest, hold at most `room` tokens; a longer example is a piece of its own."""
    found: list[list[Tokens]] = []
    for example in sorted(batch, key=lambda each: len(each.ids)):
        if found and len(example.ids) * (len(found[-1]) + 1) <= room:
            found[-1].append(example)
        else:
            found.append([example])
    return found


def steps_of_epoch(examples: int, batch: int) -> int:
    """How many optimiser steps an epoch has."""
    return -(-examples // batch)


@dataclass(frozen=True, slots=True)
class Load:
    """What passes through the model at once at most: `tokens` with padding, `labels` of them with a loss."""

    tokens: int
    labels: int


def memory_needed(base: Gguf, load: Load, rank: int, weight_bytes: int) -> int:
    """Return about how many bytes a training of the model with the header `base` takes in all.

    The frozen weights, the adapter with gradient and AdamW's two moments, what each block keeps of a token for the way back, and the
    logits of the tokens that count. An upper bound: 5.5 GB where a model of 135 million peaked at 4.8 GB with 1,024 tokens at once.
    """
    family = base.architecture
    layers, width = base.number(f"{family}.block_count"), base.number(f"{family}.embedding_length")
    inner = base.number(f"{family}.feed_forward_length")
    vocabulary = base.array_lengths.get("tokenizer.ggml.tokens", 0)
    adapter = 16 * adapter_parameters(base, rank)
    # A block keeps its inputs to norms, attention, projections and activation, and those of the adapter's branches beside them.
    kept = load.tokens * layers * (22 * width + 8 * inner) * 4
    return int(_SPARE * (_LIBRARIES + base.parameters * weight_bytes + adapter + kept + load.labels * vocabulary * _LOGITS))


def adapter_parameters(base: Gguf, rank: int) -> int:
    """Return how many numbers the adapter has: rank times (in + out) of every linear weight of the blocks."""
    return sum(rank * sum(shape) for name, shape in base.tensors.items() if name.startswith("blk.") and len(shape) == 2)


def check_memory(needed: int, available: int, where: str) -> None:
    """Raise ModelError when a training needs more bytes than there are."""
    if needed > available:
        raise ModelError(
            f"this training needs about {gigabytes(needed)} of memory, {where} has {gigabytes(available)} available",
            "close other programs, or try a smaller --max-tokens or --rank, or a smaller model",
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A job, its examples as tokens, and how it will run; `room` is in padded tokens."""

    job: Job
    base: Gguf
    train: Sequence[Tokens]
    validation: Sequence[Tokens]
    room: int
    prepared: Prepared


def prepare(job: Job) -> Plan:
    """Tokenise the data and look whether the machine can train on it.

    Raises ModelError for a device or precision that is not there and for too little memory, PoolError when no example is short enough.
    """
    base = read_whole(Path(job.model))
    train, validation, left_out = _tokens(job)
    device, precision = _device(job.settings.device), job.settings.precision
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    _check_precision(device, precision)
    room = _ROOM[device]
    load = _heaviest(train, job.settings.batch, room)
    needed = memory_needed(base, load, job.settings.rank, _BYTES[precision])
    check_memory(needed, _available(device), "the GPU" if device == "cuda" else "this machine")
    steps = steps_of_epoch(len(train), job.settings.batch) * job.settings.epochs
    tokens = sum(len(each.ids) for each in train)
    prepared = Prepared(device, precision, len(train), len(validation), left_out, tokens, steps, needed)
    return Plan(job, base, train, validation, room, prepared)


def _tokens(job: Job) -> tuple[list[Tokens], list[Tokens], int]:
    """Return the examples of both sides that are short enough, and how many are not."""
    vocabulary = open_vocabulary(Path(job.model))
    try:
        sides = {side: [tokenise(record, vocabulary) for record in job.records(side)] for side in Side}
    finally:
        vocabulary.close()
    limit = job.settings.max_tokens
    kept = {side: [each for each in found if len(each.ids) <= limit] for side, found in sides.items()}
    if not kept[Side.TRAIN]:
        count = len(sides[Side.TRAIN])
        raise PoolError(f"nothing to train on: all {count} examples are longer than {limit} tokens", "raise --max-tokens")
    left_out = sum(len(found) for found in sides.values()) - sum(len(found) for found in kept.values())
    return kept[Side.TRAIN], kept[Side.VALIDATION], left_out


def _heaviest(examples: Sequence[Tokens], batch: int, room: int) -> Load:
    """Return the most that can pass through the model at once, whatever order the examples come in."""
    ordered = sorted(examples, key=lambda each: len(each.ids))
    found = [piece for start in range(0, len(ordered), batch) for piece in pieces(ordered[start : start + batch], room)]
    tokens = max(len(piece) * max(len(each.ids) for each in piece) for piece in found)
    return Load(tokens, max(sum(each.labels for each in piece) for piece in found))


def _device(wanted: str) -> str:
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise ModelError(f"--device {wanted}: PyTorch {torch.__version__} sees no such device", "leave --device out to have it chosen")
    return wanted


def _check_precision(device: str, precision: str) -> None:
    import torch

    cpu: Any = torch.cpu
    if precision == "bfloat16" and device == "cpu" and not cpu._is_avx512_bf16_supported():
        raise ModelError("--precision bfloat16: this CPU cannot compute in it", "leave --precision out")


def _available(device: str) -> int:
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    from studio.engine.options import memory_of_machine

    return min(int(psutil.virtual_memory().available), memory_of_machine())
