"""The page's account of finetuning: what was trained on what, and the curve of its losses."""

from __future__ import annotations

import json
from collections.abc import Iterator

from studio.pool.studies.trainings import Side, TrainingState
from studio.publish.charts import Series, curves
from studio.publish.elements import Html, facts, figure, joined, missing, tag
from studio.publish.publication import Publication, TrainingFacts, public, readable
from studio.publish.section_data import POINTS

_NAMES = {Side.TRAIN: "training loss", Side.VALIDATION: "validation loss"}


def training_section(found: Publication) -> Iterator[Html]:
    """Every training of the pool, the newest first."""
    if not found.trainings:
        yield missing("No model has been finetuned on this pool yet:", "studio finetune POOL")
    for each in found.trainings:
        yield from _training(each)


def _training(found: TrainingFacts) -> Iterator[Html]:
    training = found.training
    yield tag("h3", training.plan.name)
    ended = {"epochs": "all epochs were trained", "early_stop": "stopped early by the validation loss"}.get(training.ended, training.ended)
    state = "not finished" if training.state is TrainingState.STARTED else f"finished {training.finished_at}: {ended}"
    instances = f"{found.learned_from:,} instances to learn from, {found.measured_by:,} to validate with"
    pairs = [
        ("model", joined((training.plan.model.name, " sha256 ", tag("code", training.plan.model.sha256)))),
        ("state", state),
        ("data", joined((instances, ", sha256 ", tag("code", training.plan.fingerprint)))),
        ("studio", training.studio_version),
    ]
    if training.adapter:
        pairs.append(("adapter", joined((public(training.adapter), " sha256 ", tag("code", training.adapter_sha256)))))
    yield facts(pairs)
    if found.losses:
        yield figure(_curve(found), _caption(found))
    settings = readable(json.dumps(training.plan.settings))
    if settings:
        yield tag("details", tag("summary", "Settings"), facts((key, tag("code", value)) for key, value in settings.items()))


def _curve(found: TrainingFacts) -> Html:
    series = []
    for place, (side, name) in enumerate(_NAMES.items()):
        points = [(float(each.step), each.loss) for each in found.losses if each.side is side]
        step = max(len(points) // POINTS, 1)
        if points:
            series.append(Series(name, (*points[:-1:step], points[-1]), f"curve{place}"))
    return curves("Training curve", series, "optimiser steps")


def _caption(found: TrainingFacts) -> str:
    validation = [each for each in found.losses if each.side is Side.VALIDATION]
    words = "Mean cross-entropy in nats a completion token."
    if validation:
        best = min(validation, key=lambda each: each.loss)
        words += f" Validation loss {validation[0].loss:.3f} at step {validation[0].step:,}, lowest {best.loss:.3f} at step {best.step:,}."
    return words
