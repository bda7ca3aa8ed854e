"""The loop closed with the bundled model: its weights out of the GGUF file, an adapter trained on a pool, and llama.cpp writing with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.engine.llama.engine import LlamaEngine
from studio.engine.options import EngineOptions
from studio.pool.pool import Queries
from studio.pool.trainings import Side
from support.command import new_studio
from support.engines import bundled_identity, complete, request
from support.extra import needs_extra
from support.trainings import lesson_pool

pytestmark = [pytest.mark.real_model, pytest.mark.slow, needs_extra]


def test_the_bundled_model_learns_what_the_pool_teaches(tmp_path: Path) -> None:
    pool = lesson_pool(tmp_path / "pool.db", 32)
    words = ("--format", "plain", "--batch", "4", "--epochs", "2", "--max-tokens", "64", "--evaluations", "1", "--threads", "1", "--json")
    done = new_studio("finetune", pool, *words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert 5e6 < told["adapter_bytes"] < 15e6
    with Queries.open(pool) as reader:
        losses = [each.loss for each in reader.trainings.losses(1) if each.side is Side.VALIDATION]
    assert losses[-1] < 0.2 * losses[0]
    asked = [
        request("Say yes to question 1001!\n\nOutput:", max_tokens=6),
        request("Say yes to question 2002\n\nNumber: 2002\n\nOutput:", max_tokens=6),
    ]
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=1024, threads=1, parallel=2, adapter=told["adapter"]))
    try:
        answers = [each.text.strip() for each in complete(engine, asked)]
    finally:
        engine.close()
    assert all(answer and not answer.replace("yes", "") for answer in answers)
