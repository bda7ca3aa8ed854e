"""What a training is, laid out before anything long begins: examples as tokens, device, memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from studio.engine.gguf import Gguf
from studio.engine.llama.vocab import Vocabulary, open_vocabulary
from studio.engine.model_file import read_whole
from studio.engine.options import memory_of_machine
from studio.errors import ModelError, PoolError
from studio.pool.trainings import Side
from studio.tuning.job import RECORD, Job, Prepared, read_record
from studio.tuning.memory import BFLOAT16, FOUR_BITS, Layout, Load, Machine, choose

BITSANDBYTES = "bitsandbytes"


@dataclass(frozen=True, slots=True)
class Tokens:
    """An example: its tokens, the first `prompt` of them without a loss."""

    ids: tuple[int, ...]
    prompt: int

    @property
    def labels(self) -> int:
        """How many tokens the loss counts."""
        return len(self.ids) - self.prompt


def tokenise(record: Mapping[str, Any], vocabulary: Vocabulary) -> Tokens:
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
        # An answer ends as the template ends it, which the model has learned; the vocabulary's own end may be another.
        end = next(filter(vocabulary.ends, vocabulary.tokenise(behind, control=True)), vocabulary.end_of_turn)
        return _joined(prompt, vocabulary.tokenise(completion), end)
    prompt = vocabulary.tokenise(str(record["prompt"]), begin=True)
    whole = vocabulary.tokenise(f"{record['prompt']}{completion}", begin=True)
    answer = whole[len(prompt) :] if whole[: len(prompt)] == prompt else vocabulary.tokenise(completion)
    return _joined(prompt, answer, vocabulary.end_of_text)


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
class Plan:
    """A job, its examples as tokens, and how it will run."""

    job: Job
    base: Gguf
    train: Sequence[Tokens]
    validation: Sequence[Tokens]
    layout: Layout
    prepared: Prepared


def prepare(job: Job) -> Plan:
    """Tokenise the data, look at the machine, and choose the layout that fits it.

    Raises ModelError for a device or precision that is not there and for too little memory, PoolError when no example is short enough.
    """
    base, settings = read_whole(Path(job.model)), job.settings
    train, validation, left_out = _tokens(job)
    device = _device(settings.device)
    machine = Machine(device, _available(device), _available("cpu"), device == "cuda" and find_spec(BITSANDBYTES) is not None)
    began = _began(job)
    # Weights of another precision are another model, and the steps so far were another's.
    precision = settings.precision if began is None else began[1].precision
    _check_precision(machine, precision)
    before = began[1] if began is not None and began[0] == device else None

    def load_of(room: int) -> Load:
        return heaviest(train, validation, settings.batch, room)

    fitting = choose(base, load_of, settings.rank, precision, machine, before)
    layout = fitting.layout
    steps = steps_of_epoch(len(train), settings.batch) * settings.epochs
    tokens = sum(len(each.ids) for each in train)
    counts = (len(train), len(validation), left_out, tokens, steps)
    chosen = (fitting.memory, fitting.host, layout.room, layout.checkpointing, fitting.why)
    return Plan(job, base, train, validation, layout, Prepared(device, layout.precision, *counts, *chosen))


def _began(job: Job) -> tuple[str, Layout] | None:
    """Return the device and the layout that an unfinished training in the job's folder began with."""
    try:
        about: Mapping[str, Any] = json.loads((Path(job.folder) / RECORD).read_text("utf-8"))
        if about["fingerprint"] != job.fingerprint:
            return None
        return str(about["device"]), read_record(Layout, {key: about[key] for key in ("precision", "room", "checkpointing")})
    except (OSError, ValueError, KeyError, TypeError):
        return None


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


def heaviest(train: Sequence[Tokens], validation: Sequence[Tokens], batch: int, room: int) -> Load:
    """Return the most that can pass through the model at once, whatever order the examples come in."""
    # Of those of one length the ones with most labels may meet.
    ordered = sorted(train, key=lambda each: (len(each.ids), each.labels))
    found = [piece for start in range(0, len(ordered), batch) for piece in pieces(ordered[start : start + batch], room)]
    tokens = max(len(piece) * max(len(each.ids) for each in piece) for piece in found)
    labels = max(sum(each.labels for each in piece) for piece in (*found, *pieces(validation, min(room, tokens))))
    return Load(tokens, labels, len(ordered[-1].ids))


def _device(wanted: str) -> str:
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise ModelError(f"--device {wanted}: PyTorch {torch.__version__} sees no such device", "leave --device out to have it chosen")
    return wanted


def _check_precision(machine: Machine, precision: str) -> None:
    import torch

    cpu: Any = torch.cpu
    if precision == BFLOAT16 and machine.device == "cpu" and not cpu._is_avx512_bf16_supported():
        raise ModelError("--precision bfloat16: this CPU cannot compute in it", "leave --precision out")
    if precision == FOUR_BITS and not machine.four_bits:
        needs = "a GPU of CUDA" if machine.device != "cuda" else f"the package {BITSANDBYTES}"
        raise ModelError(f"--precision {FOUR_BITS} needs {needs}", f"pip install {BITSANDBYTES}, or leave --precision out")


def _available(device: str) -> int:
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return min(int(psutil.virtual_memory().available), memory_of_machine())
