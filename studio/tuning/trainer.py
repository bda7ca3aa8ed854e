"""The training itself: a generator of events over optimiser steps, resumable after any of them.

Each random draw comes from the seed and the step, so a training that was killed and gone on with makes the adapter that an undisturbed one
makes, bit for bit on the same machine.

Its state lies on the disk in one file that is replaced whole: a kill at any moment leaves the last complete one. It is a safetensors file:
adapter, AdamW's moments and the best adapter so far as tensors, everything else as JSON in its header. Nothing in it is code, whoever wrote
it. No random state is kept, since every draw comes from the seed and the step.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from studio.errors import ModelError
from studio.pool.exchange.outputs import complete_file
from studio.pool.trainings import LossPoint, Side
from studio.tuning.job import Ended, Event, Loading, Resumed, Saved, Step, Validated, read_record
from studio.tuning.lora import TunedModel
from studio.tuning.memory import FLOAT32
from studio.tuning.plan import Plan, Tokens, pieces, steps_of_epoch
from studio.tuning.weights import is_cached, load_weights

CHECKPOINT = "checkpoint.safetensors"
SAVE_EVERY_S = 30.0
_LARGEST_GRADIENT = 1.0
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a training is. `job` stands for settings, data and model; `stale` counts validations since the best one."""

    job: str
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int = -1
    best_loss: float = float("inf")
    stale: int = 0
    ended: str = ""
    losses: tuple[LossPoint, ...] = ()

    def after(self, *points: LossPoint, **changes: Any) -> Reached:
        """Return this with more losses and other fields."""
        return replace(self, losses=(*self.losses, *points), **changes)


State = Mapping[str, Mapping[str, Any]]
"""Tensors by name: those of `adapter`, of `moments`, the optimiser's (`NAME/exp_avg`, ...), and of `best`, the best adapter so far."""


def save_checkpoint(folder: Path, progress: Reached, state: State) -> None:
    """Replace the checkpoint in `folder`. Raises PoolError when the disk refuses; the former one is whole then."""
    from safetensors.torch import save as to_bytes

    tensors = {f"{part}/{name}": value.detach().cpu().contiguous() for part, values in state.items() for name, value in values.items()}
    header = {"format": "1", "progress": json.dumps(asdict(progress))}
    with complete_file(folder / CHECKPOINT) as file:
        file.write(to_bytes(tensors, header))


def load_checkpoint(folder: Path, job: str) -> tuple[Reached, State] | None:
    """Return the checkpoint in `folder`, None when there is none.

    Raises ModelError when it is damaged, or of other settings, data or another model.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / CHECKPOINT
    if not path.exists():
        return None
    parts: dict[str, dict[str, Any]] = {"adapter": {}, "moments": {}, "best": {}}
    try:
        with safe_open(path, framework="pt") as file:
            progress = read_record(Reached, json.loads(file.metadata()["progress"]))
            for key in file.keys():  # noqa: SIM118  (not a mapping)
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: the checkpoint is damaged: {error}", "delete it to train from the beginning") from error
    if progress.job != job:
        raise ModelError(
            f"{path}: the checkpoint is of another training", "delete it to train from the beginning, or choose another --name"
        )
    return progress, parts


class _Cancelled(Exception):
    """The user wants the training to stop."""


class Trainer:
    """One session of a training. `events` may be iterated once."""

    def __init__(self, plan: Plan, cancelled: Callable[[], bool], save_every_s: float = SAVE_EVERY_S) -> None:
        self._plan = plan
        self._settings = plan.job.settings
        self._folder = Path(plan.job.folder)
        self._cancelled = cancelled
        self._save_every_s = save_every_s
        self._progress = Reached(plan.job.key)
        self._best: dict[str, Any] = {}
        self._per_epoch = steps_of_epoch(len(plan.train), self._settings.batch)
        evaluations = evaluation_steps(self._per_epoch, self._settings.epochs, self._settings.evaluations)
        self._evaluations = {0, *evaluations} if plan.validation else set()
        self._order: tuple[int, list[list[int]]] = (-1, [])

    def events(self) -> Iterator[Event]:
        """Load the weights, train to the end or until cancelled, and write the adapter.

        Raises ModelError for weights that cannot be read, a damaged checkpoint and a loss that is no number, PoolError for a full disk.
        """
        job, found = self._plan.job, load_checkpoint(self._folder, self._plan.job.key)
        yield Loading(seldom=not (job.weights or is_cached(job.sha256, self._plan.layout.precision)))
        self._open(found)
        if found is not None:
            yield Resumed(self._progress.step, self._progress.losses)
        try:
            yield from self._train()
        except _Cancelled:
            # What the step under way has computed is dropped.
            self._optimiser.zero_grad()
            yield self._save()
            yield Ended("interrupted", self._progress.step, _most_memory(self._plan.prepared.device))
            return
        if self._best:
            self._model.put(self._best)
        self._model.save(self._folder, self._plan.base, job.weights or Path(job.model).name)
        step = self._progress.best_step if self._best else self._progress.step
        yield Ended(self._progress.ended, step, _most_memory(self._plan.prepared.device))

    def _open(self, found: tuple[Reached, State] | None) -> None:
        import torch

        job, layout, device = self._plan.job, self._plan.layout, self._plan.prepared.device
        if job.threads:
            torch.set_num_threads(job.threads)
        weights = load_weights(self._plan.base, job.sha256, job.weights, layout.precision, device)
        mixed, checkpointing = layout.precision != FLOAT32, layout.checkpointing
        self._model = TunedModel(weights, self._settings, self._draw("adapter"), device, mixed=mixed, checkpointing=checkpointing)
        named = self._model.parameters()
        self._optimiser: Any = torch.optim.AdamW(named.values(), lr=self._settings.learning_rate, weight_decay=0.0)
        if found is None:
            return
        self._progress, state = found
        self._best = dict(state["best"])
        self._model.put(state["adapter"])
        if self._progress.step:
            for name, each in named.items():
                moments = {moment: state["moments"][f"{name}/{moment}"].to(each.device) for moment in _MOMENTS}
                self._optimiser.state[each] = {"step": torch.tensor(float(self._progress.step)), **moments}

    def _train(self) -> Iterator[Event]:
        began = saved = time.monotonic()
        tokens = 0
        while not self._progress.ended:
            step = self._progress.step
            if step in self._evaluations and (Side.VALIDATION, step) not in {(each.side, each.step) for each in self._progress.losses}:
                yield self._validate()
                yield self._save()
                saved = time.monotonic()
            elif step == self._plan.prepared.steps:
                self._progress = self._progress.after(ended="epochs")
            else:
                batch = self._batch(step)
                tokens += sum(len(each.ids) for each in batch)
                point, rate = self._step(batch)
                yield self._told(point, rate, tokens / (time.monotonic() - began))
                if time.monotonic() - saved >= self._save_every_s:
                    yield self._save()
                    saved = time.monotonic()
        yield self._save()

    def _step(self, batch: Sequence[Tokens]) -> tuple[LossPoint, float]:
        """Do one optimiser step; returns its loss and its learning rate."""
        import torch

        began = time.monotonic()
        step = self._progress.step + 1
        labels = sum(each.labels for each in batch)
        self._model.train(True)
        torch.manual_seed(self._draw(f"step {step}"))
        total = 0.0
        for piece in pieces(batch, self._plan.layout.room):
            if self._cancelled():
                raise _Cancelled
            loss = self._model.loss(piece)
            (loss / labels).backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise ModelError(f"the loss of step {step} is not a number", "train with a lower --learning-rate, under another --name")
        rate = learning_rate(step, self._plan.prepared.steps, self._settings.learning_rate)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self._model.parameters().values(), _LARGEST_GRADIENT)
        self._optimiser.step()
        self._optimiser.zero_grad()
        seconds = self._progress.seconds + time.monotonic() - began
        tokens = self._progress.tokens + sum(len(each.ids) for each in batch)
        point = LossPoint(Side.TRAIN, step, total / labels, tokens, seconds)
        self._progress = self._progress.after(point, step=step, tokens=tokens, seconds=seconds)
        return point, rate

    def _validate(self) -> Validated:
        import torch

        began = time.monotonic()
        self._model.train(False)
        total = 0.0
        with torch.no_grad():
            for piece in pieces(self._plan.validation, self._plan.layout.room):
                if self._cancelled():
                    raise _Cancelled
                total += float(self._model.loss(piece))
        loss = total / sum(each.labels for each in self._plan.validation)
        before = self._progress
        seconds = before.seconds + time.monotonic() - began
        point = LossPoint(Side.VALIDATION, before.step, loss, before.tokens, seconds)
        if loss < before.best_loss:
            self._best = self._model.taken()
            self._progress = before.after(point, seconds=seconds, best_step=before.step, best_loss=loss, stale=0)
        else:
            ended = "early_stop" if before.stale + 1 >= self._settings.patience and before.step < self._plan.prepared.steps else ""
            self._progress = before.after(point, seconds=seconds, stale=before.stale + 1, ended=ended)
        return Validated(point, self._progress.best_step == before.step)

    def _batch(self, step: int) -> list[Tokens]:
        epoch, place = divmod(step, self._per_epoch)
        if self._order[0] != epoch:
            lengths = [len(each.ids) for each in self._plan.train]
            self._order = (epoch, epoch_order(lengths, self._settings.batch, self._settings.seed, epoch))
        return [self._plan.train[each] for each in self._order[1][place]]

    def _save(self) -> Saved:
        states = {name: self._optimiser.state.get(each, {}) for name, each in self._model.parameters().items()}
        moments = {f"{name}/{moment}": state[moment] for name, state in states.items() for moment in _MOMENTS if state}
        save_checkpoint(self._folder, self._progress, {"adapter": self._model.parameters(), "moments": moments, "best": self._best})
        return Saved(self._progress.step)

    def _told(self, point: LossPoint, rate: float, speed: float) -> Step:
        prepared, epochs = self._plan.prepared, self._settings.epochs
        left = (prepared.tokens * epochs - point.tokens) / speed
        return Step(point, prepared.steps, point.step / self._per_epoch, rate, speed, max(left, 0.0), _memory(prepared.device))

    def _draw(self, what: str) -> int:
        """Return a 32-bit number for this purpose."""
        return int.from_bytes(hashlib.sha256(f"{self._settings.seed}/{what}".encode("utf-8", "surrogatepass")).digest()[:4])


def epoch_order(lengths: Sequence[int], batch: int, seed: str, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch, as places in `lengths`: examples of like length together, batches in random order.

    Little is padded that way. Equal arguments give equal batches.
    """
    rng = random.Random(f"{seed}/order/{epoch}")
    places = list(range(len(lengths)))
    rng.shuffle(places)
    places.sort(key=lambda place: lengths[place])
    batches = [places[start : start + batch] for start in range(0, len(places), batch)]
    rng.shuffle(batches)
    return batches


def evaluation_steps(per_epoch: int, epochs: int, evaluations: int) -> frozenset[int]:
    """Return the steps after which the validation loss is taken, evenly spread, the last of each epoch among them."""
    times = min(evaluations, per_epoch)
    return frozenset(epoch * per_epoch + round(per_epoch * part / times) for epoch in range(epochs) for part in range(1, times + 1))


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Return the rate of step 1 to `steps`: linear warm-up over a twentieth of them, then linear decay to a twentieth of `highest`."""
    warm = max(1, steps // 20)
    if step <= warm:
        return highest * step / warm
    return highest * max(0.05, (steps - step + 1) / (steps - warm + 1))


def _memory(device: str) -> int:
    """Return the bytes this process holds, or the most it held on the GPU."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _most_memory(device: str) -> int:
    """Return the most bytes this process held, on the GPU where there is one."""
    if device == "cuda" or sys.platform == "win32":
        return _memory(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
