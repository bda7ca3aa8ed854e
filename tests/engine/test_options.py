"""Options and the defaults that follow from the machine."""

from __future__ import annotations

import os
from typing import Any

import pytest

from studio.engine import options
from studio.engine.options import EngineOptions, default_context, usable_cores
from studio.errors import UsageError


@pytest.mark.parametrize("name", ["context", "threads", "parallel"])
def test_negative_numbers_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name} -1"):
        setting: dict[str, Any] = {name: -1}
        EngineOptions(**setting)


def test_minus_one_gpu_layers_means_all() -> None:
    assert EngineOptions(gpu_layers=-1).gpu_layers == -1
    with pytest.raises(UsageError, match="--gpu-layers -2"):
        EngineOptions(gpu_layers=-2)


def test_more_sequences_than_llama_cpp_has() -> None:
    assert EngineOptions(parallel=128).parallel == 128
    with pytest.raises(UsageError, match="--parallel 129"):
        EngineOptions(parallel=129)


def test_the_context_holds_a_request_for_each_sequence_and_four_templates() -> None:
    assert default_context(16) == 17_664
    assert all(default_context(n) % 256 == 0 and default_context(n) >= 600 * n + 8000 for n in range(1, 100))


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(options, "_cgroup_quota", lambda: 0.0)
    monkeypatch.setattr(options, "_core_of", lambda cpu: str(cpu // 2))
    assert usable_cores() == 2
    monkeypatch.setattr(options, "_core_of", str)
    assert usable_cores() == 4
    monkeypatch.setattr(options, "_cgroup_quota", lambda: 2.5)
    assert usable_cores() == 3
    monkeypatch.setattr(options, "_cgroup_quota", lambda: 0.1)
    assert usable_cores() == 1
