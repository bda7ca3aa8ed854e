"""A cancel while the device computes, and the death of the process that holds it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from studio.engine.api import CancelToken, FinishReason, Restarted
from studio.engine.catalog import identify
from studio.engine.llama.context import LlamaContext
from studio.engine.llama.engine import LlamaEngine
from studio.engine.options import BATCH_TOKENS_GPU, EngineOptions
from studio.engine.process.client import ProcessEngine
from studio.engine.process.pipe import ChildProcess, Message
from support.engines import animal_requests, collect, complete, outcome, request
from support.gpus import Gpu, MakeModel

LONG = "a long prompt, " * 400
"""6,000 tokens of the tiny models: three batches."""


@pytest.fixture
def engine(gpu: Gpu, models: MakeModel) -> Iterator[LlamaEngine]:
    opened = LlamaEngine(identify(models()), EngineOptions(parallel=8, context=16_384, threads=1))
    assert gpu.runs(opened.info)
    yield opened
    opened.close()


@pytest.mark.parametrize("prefix", ["", LONG], ids=["of_its_own", "shared"])
def test_a_cancel_amid_a_prompt_ends_it_before_the_next_batch(
    engine: LlamaEngine, prefix: str, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Devices ask no abort callback while they compute: the batch under way is finished, and no other begun.

    llama.cpp asks at the beginning of each batch, on the CPU, which looks the embeddings up; the engine asks as well.
    """
    expected = outcome(complete(engine, animal_requests(4)))
    cancel, began = CancelToken(), []
    evaluate = LlamaContext.evaluate

    def cancel_and_evaluate(context: LlamaContext) -> bool:
        began.append(time.perf_counter())
        cancel.cancel()
        return evaluate(context)

    with monkeypatch.context() as patched:
        patched.setattr(LlamaContext, "evaluate", cancel_and_evaluate)
        [cut] = complete(engine, [request("and on", prefix) if prefix else request(LONG)], cancel)
    record_property("seconds_until_the_end", time.perf_counter() - began[0])
    record_property("batch", BATCH_TOKENS_GPU)
    assert cut.finish_reason is FinishReason.CANCELLED and not cut.text
    assert len(began) <= 2, "a second batch may be asked for, which llama.cpp refuses at once"
    assert outcome(complete(engine, animal_requests(4))) == expected


def test_the_studio_waits_for_no_device_after_a_cancel(gpu: Gpu, models: MakeModel, record_property: Any) -> None:
    """The process may go on for a batch; the studio has its answer, and the next batch is served by it or by a new one."""
    engine = ProcessEngine(identify(models()), EngineOptions(parallel=8, context=16_384, threads=1))
    try:
        assert gpu.runs(engine.info)
        expected = outcome(complete(engine, animal_requests(4)))
        cancel = CancelToken()
        events = engine.stream([request(LONG + f"{n}", max_tokens=200) for n in range(2)], cancel)
        cancel.cancel()
        began = time.perf_counter()
        cut = collect(events, 2)
        record_property("seconds_until_the_answer", time.perf_counter() - began)
        assert {each.finish_reason for each in cut} == {FinishReason.CANCELLED}
        began = time.perf_counter()
        assert outcome(complete(engine, animal_requests(4))) == expected
        record_property("seconds_of_the_next_batch", time.perf_counter() - began)
    finally:
        engine.close()


def test_a_process_killed_amid_a_batch_gives_the_device_back_and_the_same_completions(
    gpu: Gpu, models: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ProcessEngine(identify(models()), EngineOptions(parallel=8, threads=1))
    killed: list[int] = []
    receive = ChildProcess.receive

    def kill_and_receive(child: ChildProcess, timeout_s: float) -> Message | None:
        if not killed:
            time.sleep(0.02)
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        return receive(child, timeout_s)

    try:
        # So long that a fast device is in the middle of it after 0.02 s.
        requests = animal_requests(6, max_tokens=24 if gpu.software else 400)
        expected, notices = outcome(complete(engine, requests)), engine.info.notices
        monkeypatch.setattr(ChildProcess, "receive", kill_and_receive)
        events = engine.stream(requests, CancelToken())
        # What it had already written comes first.
        restarted = next(event for event in events if isinstance(event, Restarted))
        assert "SIGKILL" in restarted.cause
        assert outcome(collect(events, len(requests))) == expected
        assert gpu.runs(engine.info) and engine.info.notices == notices
    finally:
        engine.close()
