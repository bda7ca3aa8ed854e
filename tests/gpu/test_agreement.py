"""The device computes what the CPU computes: logits nearly, and itself always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.engine.catalog import identify
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.prefixes import PrefixStore
from studio.engine.options import EngineOptions
from support.engines import TEMPLATE, animal_requests, bundled_identity, complete, outcome, request
from support.gpus import Gpu, MakeModel

CLOSE = 1e-3
"""Nats a token by which the predictions of device and CPU may differ: sums in another order, some in 16-bit floats."""
CLOSE_QUANTISED = 2e-2
"""The same for weights in 4 bits, which a device multiplies by activations in 8 bits or as 16-bit floats: 0.011 on an H200."""
TOKENS = list((TEMPLATE * 2).encode()[:300])
"""Of the tiny models, whose tokens are bytes."""
SAMPLED = {"temperature": 1.0, "top_p": 0.95, "presence_penalty": 1.5, "max_tokens": 8}


def compare(path: str, tokens: list[int], record: Any, adapter: str = "", layers: int = -1) -> list[float]:
    """Return the divergences of the device from the CPU, of a prompt in one batch and row by row."""
    from support.logits import divergence, llama_logits

    truth = llama_logits(path, tokens, adapter, gpu_layers=0, at_once=len(tokens))
    found = [divergence(truth, llama_logits(path, tokens, adapter, gpu_layers=layers, at_once=rows)) for rows in (len(tokens), 1)]
    record("nats_in_one_batch", found[0])
    record("nats_row_by_row", found[1])
    return found


@pytest.mark.parametrize("layers", [-1, 2])
@pytest.mark.parametrize("architecture", ["llama", "gemma3", "mamba"])
def test_logits_are_those_of_the_cpu(gpu: Gpu, models: MakeModel, architecture: str, layers: int, record_property: Any) -> None:
    """Of plain attention, of a sliding window shorter than the text, and of a recurrent model."""
    count = 100 if gpu.software else 300
    assert max(compare(str(models(architecture)), TOKENS[:count], record_property, layers=layers)) < CLOSE


@pytest.mark.real_model
def test_logits_of_the_bundled_model_are_those_of_the_cpu(gpu: Gpu, record_property: Any) -> None:
    if gpu.software:
        pytest.skip("the bundled model takes minutes on a device made of software")
    from studio.engine.llama.vocab import open_vocabulary

    path = bundled_identity().path
    vocabulary = open_vocabulary(Path(path))
    tokens = vocabulary.tokenise(TEMPLATE * 2)[:100]
    vocabulary.close()
    found = compare(path, tokens, record_property)
    assert max(found) < CLOSE_QUANTISED, found


def test_an_adapter_works_on_the_device(models: MakeModel, tmp_path: Path, record_property: Any) -> None:
    from support.logits import divergence, llama_logits
    from support.tiny_models import tiny_adapter

    path, adapter = str(models()), str(tiny_adapter(tmp_path / "adapter.gguf"))
    tokens = TOKENS[:60]
    assert max(compare(path, tokens, record_property, adapter)) < CLOSE
    plain, tuned = (llama_logits(path, tokens, each, at_once=len(tokens)) for each in ("", adapter))
    assert divergence(plain, tuned) > 100 * CLOSE


@pytest.mark.parametrize("layers", [-1, 2])
@pytest.mark.parametrize("architecture", ["llama", "gemma3", "mamba"])
def test_a_batch_gives_the_same_completions_each_time(
    gpu: Gpu, models: MakeModel, tmp_path: Path, architecture: str, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With templates evaluated anew, kept in memory, and read from the disk by another engine; and after other batches."""
    monkeypatch.setattr("studio.engine.llama.prefixes.worth_storing", lambda _seconds, _size: True)
    identity, options = identify(models(architecture)), EngineOptions(gpu_layers=layers, parallel=8, threads=1)
    requests = [*animal_requests(6, **SAMPLED), *(request(f"{n}:", TEMPLATE[:200], seed=n, **SAMPLED) for n in range(4))]
    store = PrefixStore(tmp_path / "prefixes")
    engine = LlamaEngine(identity, options, store=store)
    try:
        assert gpu.runs(engine.info, layers)
        cold, warm = complete(engine, requests), complete(engine, requests)
        complete(engine, [request("something else " * 20, max_tokens=3)])
        later = complete(engine, requests)
    finally:
        engine.close()
    assert outcome(warm) == outcome(later) == outcome(cold)
    assert sum(each.completion_tokens for each in cold) > 20
    assert sum(each.cached_tokens for each in warm) > sum(each.cached_tokens for each in cold)
    assert store.usage().files
    again = LlamaEngine(identity, options, store=store)
    try:
        stored = complete(again, requests)
    finally:
        again.close()
    assert outcome(stored) == outcome(cold)
    assert all(each.cached_tokens for each in stored)


@pytest.mark.real_model
def test_the_bundled_model_with_64_sequences_gives_the_same_completions_each_time(gpu: Gpu) -> None:
    if gpu.software or not gpu.there:
        pytest.skip("the bundled model takes minutes there")
    engine = LlamaEngine(bundled_identity(), EngineOptions())
    try:
        assert engine.info.layers_offloaded == engine.info.layers and engine.info.parallel == 64
        requests = animal_requests(96, **SAMPLED | {"max_tokens": 24})
        cold, warm = complete(engine, requests), complete(engine, requests)
    finally:
        engine.close()
    assert outcome(warm) == outcome(cold)
