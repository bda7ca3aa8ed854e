"""What a measurement was made on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from studio.bench import worker as module
from studio.bench.worker import Machine, cpu_name, in_worker
from studio.cli.machine import run_bench
from studio.errors import StudioError


def test_facts() -> None:
    facts = Machine(0.1, 0.2).facts()
    assert facts["cpu"] == cpu_name() != ""
    assert facts["cpus"] >= facts["cores"] >= 1 and facts["memory_bytes"] > 1 << 20
    assert set(facts["versions"]) >= {"studio", "python", "llama-cpp-python", "rouge-score"}
    assert module.versions(["no-such-package-here"]) == {"no-such-package-here": "not installed"}


@pytest.mark.parametrize(
    ("cpu", "load", "others", "busy"), [(0.0, 0.0, [0.0], False), (0.9, 0.0, [], True), (0.0, 99.0, [], True), (0.0, 0.0, [0.0, 0.5], True)]
)
def test_when_a_machine_is_busy(cpu: float, load: float, others: list[float], busy: bool) -> None:
    assert Machine(cpu, load, others).busy == busy


def test_own_work_is_no_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([(100.0, 10.0), (104.0, 13.0)])
    own = iter([1.0, 3.0])
    monkeypatch.setattr(module, "_machine_seconds", lambda: next(moments))
    monkeypatch.setattr(module, "_own_seconds", lambda: next(own))
    machine = Machine()
    with machine.watch():
        pass
    assert machine.others == [0.25]


def test_children_that_ended_count_as_own_work() -> None:
    before = module._own_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert module._own_seconds() > before


def test_a_measurement_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(StudioError, match="'raw' failed") as caught:
        in_worker("raw", nonsense=1)
    assert "nonsense" in caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_benchmark_that_is_terminated_stops_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> dict[str, object]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    monkeypatch.setattr(Machine, "look", Machine)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_bench(measure, lambda *_: None, as_json=True)
    assert signal.getsignal(signal.SIGTERM) is before
