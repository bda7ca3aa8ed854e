"""How many threads are used on machines of other makes, by what their systems would say."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from studio.engine import options
from studio.engine.options import fast_cpus, mac_performance_cores, usable_cores

CPU = "sys/devices/system/cpu/cpu"


@pytest.fixture
def affinity(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The CPUs this process may use."""
    allowed: set[int] = set(range(4))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    return allowed


def system(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


def test_hyperthreads_of_a_core_count_once(tmp_path: Path, affinity: set[int]) -> None:
    assert usable_cores(tmp_path) == len(affinity), "where nothing is told every CPU is a core"
    siblings = {f"{CPU}{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}" for cpu in affinity}
    assert usable_cores(system(tmp_path, siblings)) == 2


@pytest.mark.parametrize(("quota", "expected"), [("max 100000", 4), ("250000 100000", 3), ("10000 100000", 1)])
def test_a_control_group_grants_less(tmp_path: Path, affinity: set[int], quota: str, expected: int) -> None:
    assert len(affinity) == 4 and usable_cores(system(tmp_path, {"sys/fs/cgroup/cpu.max": quota})) == expected


def test_an_older_control_group(tmp_path: Path, affinity: set[int]) -> None:
    group = "sys/fs/cgroup/cpu/cpu.cfs"
    assert usable_cores(system(tmp_path, {f"{group}_quota_us": "150000", f"{group}_period_us": "100000"})) == 2 < len(affinity)
    assert usable_cores(system(tmp_path, {f"{group}_quota_us": "-1"})) == len(affinity)


def test_efficiency_cores_of_intel_are_left_out(tmp_path: Path, affinity: set[int]) -> None:
    """Two performance cores of two hyperthreads each, then eight others."""
    affinity.update(range(12))
    files = {
        f"{CPU}{cpu}/topology/thread_siblings_list": f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}" if cpu < 4 else str(cpu) for cpu in range(12)
    }
    system(tmp_path, files | {"sys/devices/cpu_core/cpus": "0-3", "sys/devices/cpu_atom/cpus": "4-11"})
    assert usable_cores(tmp_path) == 2
    affinity.difference_update(range(4))
    assert usable_cores(tmp_path) == 8, "what may not be used does not count"


def test_small_cores_of_arm_are_left_out(tmp_path: Path) -> None:
    capacities = [358] * 4 + [871] * 3 + [1024]
    system(tmp_path, {f"{CPU}{cpu}/cpu_capacity": str(capacity) for cpu, capacity in enumerate(capacities)})
    assert fast_cpus(range(8), tmp_path) == {4, 5, 6, 7} and fast_cpus(range(3), tmp_path) == {0, 1, 2}


@pytest.mark.parametrize("text", ["", "x", "3-1", "-", "1-x"])
def test_lists_that_are_none(tmp_path: Path, text: str) -> None:
    system(tmp_path, {"sys/devices/cpu_core/cpus": text, f"{CPU}0/cpu_capacity": text})
    assert fast_cpus({0, 1}, tmp_path) == {0, 1}


def test_performance_cores_of_a_mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    m3 = {"hw.nperflevels": "2\n", "hw.perflevel0.physicalcpu": "4\n"}
    assert mac_performance_cores(lambda name: m3.get(name, "")) == 4
    assert mac_performance_cores(lambda name: "1\n" if name == "hw.nperflevels" else "") == 0, "an older one, with one kind"
    assert mac_performance_cores(lambda _: "") == 0
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 16 if logical else 8)
    assert usable_cores(tmp_path) == 8
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(options, "_sysctl", lambda name: m3[name])
    assert usable_cores(tmp_path) == 4
