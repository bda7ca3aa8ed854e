"""Dividing tasks into a training and a validation part, by instruction and never by instance.

A task's side comes from a keyed hash of its instruction alone. So the data is never held, the same seed gives the same sides whatever else
is in the pool, and a task keeps its side while the pool grows: what once was validation data is not trained on later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from studio.errors import PoolError, UsageError

_BITS = 64


@dataclass(frozen=True, slots=True)
class Split:
    """Instructions whose keyed hash is below `threshold` are for training, the others for validation."""

    seed: str
    threshold: int

    def is_training(self, instruction: str) -> bool:
        return instruction_hash(self.seed, instruction) < self.threshold


def instruction_hash(seed: str, instruction: str) -> int:
    """Return a hash of `instruction` under `seed`, evenly spread over 0 to 2**64 - 1; white space does not count."""
    key = hashlib.blake2b(seed.encode(errors="replace"), digest_size=32).digest()
    text = " ".join(instruction.split()).encode(errors="replace")
    return int.from_bytes(hashlib.blake2b(text, key=key, digest_size=_BITS // 8).digest(), "big")


def check_share(share: float) -> None:
    """Raise UsageError unless `share` is a share of the data that leaves something on both sides."""
    if not 0 < share < 1:
        raise UsageError(f"--split {share:g} is not a share of the data", "name the share for training, between 0 and 1: --split 0.95")


def plan_split(instructions: Iterable[str], share: float, seed: str) -> Split:
    """Return the split that puts about `share` of `instructions` into training.

    The share is met in expectation, not to the task. When chance would leave a side empty, the one instruction nearest to the threshold
    goes there. Raises UsageError for a share not between 0 and 1, PoolError when there are no two different instructions.
    """
    check_share(share)
    lowest, highest = 1 << _BITS, -1
    for instruction in instructions:
        value = instruction_hash(seed, instruction)
        lowest, highest = min(lowest, value), max(highest, value)
    if 0 <= highest == lowest:
        raise PoolError("a split needs at least two different instructions, and the pool has one", "export without --split")
    threshold = int(share * (1 << _BITS))
    return Split(seed, min(max(threshold, lowest + 1), max(highest, 0)))
