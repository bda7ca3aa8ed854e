"""A pool that has something for every section of a report: hostile texts, reviews, a training, an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.engine.api import Completion, FinishReason
from studio.insight.studies.review import open_review
from studio.pool.evaluations import Answer, Contestant, EvaluationItem, EvaluationPlan
from studio.pool.pool import Pool
from studio.pool.reviews import ReviewPlan
from studio.pool.trainings import LossPoint, Side, TrainingItem, TrainingPlan
from studio.records import Instance, ModelIdentity
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS
from support.pools import MODEL
from support.reviews import sheet

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></svg></style></pre><b>",
    "{pairs} {0} %s",
    "&lt;script&gt;",
    "\x1b[31m\u202e\u200b",
    "``` \n# heading\n---\n[link](javascript:alert(1)) ![x](http://example.invalid/x.png)",
    *NASTY_TEXTS,
)
"""Texts that try to be markup of a page or of Markdown."""


def published_pool(path: Path, texts: Sequence[str]) -> Path:
    """Make a pool at `path` with a generated task for each of `texts`, which stand wherever a model, a file or a person may write."""
    build_pool(path, [(f"{text} ({number})", number % 2 == 0, (Instance(text, f"{text}!"),)) for number, text in enumerate(texts)])
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, ReviewPlan(8))
        for rater, words in (("anna", "yyy yyn nnn skip"), (texts[0], "yyy yny nnn yyy")):
            for position, rating in sheet(words).items():
                pool.reviews.put(review.id, rater, position, rating)
        _train(pool, texts[0])
        evaluate(pool, texts)
    return path


def evaluate(pool: Pool, texts: Sequence[str], name: str = "held-out seeds") -> tuple[int, int]:
    """Store an evaluation of an item for each text, answered by a base and a tuned model, and return the ids of the two contestants."""
    items = tuple(
        EvaluationItem(place, place, None, f"key{place}", f"Answer: {text}", text, ("right",), False) for place, text in enumerate(texts)
    )
    evaluation = pool.evaluations.open(EvaluationPlan(name, items, 64))
    ids = []
    for adapter in ("", "adapter.gguf"):
        contestant = pool.evaluations.enter(evaluation, Contestant(MODEL, "plain", "{instruction}", adapter, "cd" * 32 if adapter else ""))
        answers = [Completion(f"{'tuned' if adapter else 'base'} says {text}", FinishReason.STOP, 10, 5) for text in texts]
        pool.evaluations.add(contestant, [Answer(place, f"prompt {place}", answer) for place, answer in enumerate(answers)])
        ids.append(contestant)
    return ids[0], ids[1]


def _train(pool: Pool, text: str) -> None:
    items = [
        TrainingItem(task, pool.instances.of_task(task)[0].id, Side.VALIDATION if place == 0 else Side.TRAIN, "")
        for place, task in enumerate(pool.tasks.newest(4))
    ]
    model = ModelIdentity(text, "ef" * 32, licence=text)
    plan = TrainingPlan("first", model, {"lr": 5e-4, "base": "/home/anna/secret/model.gguf"}, "12" * 32, "/home/anna/secret", 3)
    training = pool.trainings.begin(plan, items)
    losses = [LossPoint(Side.VALIDATION, step, 3 - step * 0.5, 10 * step, step) for step in range(4)]
    losses += [LossPoint(Side.TRAIN, step, 2.8 - step * 0.6, 10 * step, step) for step in range(1, 4)]
    pool.trainings.finish(training, losses, "epochs", "/home/anna/secret/adapter.gguf", "34" * 32)
