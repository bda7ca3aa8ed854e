"""The mechanics of the run on a GPU machine: models of a known shape are real to llama.cpp, and no step takes another's figures along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from gpu.figures import Record, Step, run, steps
from gpu.measure import complete
from gpu.shapes import Shape, write_shape
from studio.engine.llama.model import LlamaModel
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from support.tiny_models import tiny_model

SHAPE = Shape(layers=2, width=64, heads=4, kv_heads=2, inner=96, vocabulary=300, tied=True)


def test_a_model_of_a_shape_has_finite_logits_and_the_tokenizer_of_another(tmp_path: Path) -> None:
    path = write_shape(tmp_path / "shape.gguf", SHAPE, tiny_model(tmp_path / "tiny.gguf"))
    model = LlamaModel(str(path), EngineOptions(context=512, threads=1, parallel=2))
    try:
        context = model.contexts[0]
        tokens = model.vocabulary.tokenise("Say yes!")
        row = context.add(tokens, 0, 0, logits=1)
        assert context.evaluate()
        logits = context.block(row, 1)[0]
        assert model.vocabulary.piece(tokens[0]) == b"S"
        assert logits.shape == (300,)
        assert np.isfinite(logits).all()
        assert logits.std() > 0.1
    finally:
        model.close()


def test_tokens_a_second_are_those_of_the_requests() -> None:
    figures = complete(ScriptedEngine(), parallel=2, seconds=60)
    assert figures["tokens"] > 8
    assert figures["tok_s"] == figures["tokens"] / figures["seconds"]
    assert figures["steady_tok_s"] > figures["tok_s"]


def test_a_step_that_takes_too_long_leaves_its_figures(tmp_path: Path) -> None:
    script = "echo '{\"a\": 1}'; echo words >&2; sleep 600"
    record = Record(tmp_path / "figures.json")
    told: dict[str, Any] = {}
    record.values["steps"]["one"] = told
    with (tmp_path / "log.txt").open("a+b") as log:
        run(Step(("sh", "-c", script), 1), 1, told, log, record.save)
        other: dict[str, Any] = {}
        run(Step(("sh", "-c", "echo broken; exit 3"), 60), 60, other, log, record.save)
    assert json.loads((tmp_path / "figures.json").read_text("utf-8"))["steps"]["one"]["figures"] == [{"a": 1}]
    assert told["timed_out"]
    assert told["last_lines"] == ["words"]
    assert other["rc"] == 3
    assert other["last_lines"] == ["broken"]


def test_each_step_follows_the_one_it_needs(tmp_path: Path) -> None:
    names = list(steps(tmp_path, tiny=False, lib=False))
    assert names[0] == "build"
    for name, step in steps(tmp_path, tiny=False, lib=False).items():
        assert not step.needs or names.index(step.needs) < names.index(name)
