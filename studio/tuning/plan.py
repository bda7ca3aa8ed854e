"""What is looked at in the training's process before anything long begins: tokens, device, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.engine.gguf import Gguf
from studio.engine.llama.vocab import Vocabulary
from studio.engine.model_file import read_whole
from studio.errors import ModelError, PoolError
from studio.pool.studies.trainings import Side
from studio.tuning.events import Prepared
from studio.tuning.job import Job
from studio.tuning.memory import Load, check_memory, estimate
from studio.tuning.tokens import Tokens, pieces, steps_of_epoch, tokenise

_ROOM = {"cpu": 1024, "cuda": 16_384, "mps": 4096}
"""Padded tokens that pass through the model at once, by device."""
_BYTES = {"float32": 4, "bfloat16": 2}


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
    needed = estimate(base, load, job.settings.rank, _BYTES[precision])
    check_memory(needed, _available(device), "the GPU" if device == "cuda" else "this machine")
    steps = steps_of_epoch(len(train), job.settings.batch) * job.settings.epochs
    tokens = sum(len(each.ids) for each in train)
    prepared = Prepared(device, precision, len(train), len(validation), left_out, tokens, steps, needed)
    return Plan(job, base, train, validation, room, prepared)


def _tokens(job: Job) -> tuple[list[Tokens], list[Tokens], int]:
    """Return the examples of both sides that are short enough, and how many are not."""
    vocabulary = Vocabulary(Path(job.model))
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
