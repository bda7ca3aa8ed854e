"""The engine in a child client, with a scripted model: faults at every phase."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import studio.engine.process.client as client
import studio.engine.process.pipe as pipe
from studio.engine.api import CancelToken, EngineEvent, Finished, FinishReason, Restarted, TextPiece
from studio.engine.options import EngineOptions
from studio.engine.process.client import MAX_RESTARTS, ProcessEngine
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from studio.records import ModelIdentity
from support.engines import collect, complete, outcome, request

CHILD = Path(__file__).parents[2] / "support" / "scripted_child.py"
IDENTITY = ModelIdentity("tiny", "ff" * 32, path="/models/tiny.gguf")
REQUESTS = [request("1. Name a river.\n9.", seed=seed, max_tokens=60) for seed in range(10)]
Opener = Callable[..., ProcessEngine]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens engines with the fault `fault` after `after` events, `times` times; closes them in the end."""
    monkeypatch.setattr(pipe, "log_folder", lambda: tmp_path / "logs")
    engines: list[ProcessEngine] = []

    def open_one(fault: str = "none", after: int = 0, times: int = 0) -> ProcessEngine:
        counter = tmp_path / "counter"
        counter.write_text(str(times))
        engines.append(ProcessEngine(IDENTITY, EngineOptions(), (sys.executable, str(CHILD), fault, str(after), str(counter))))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(600)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_it_answers_as_the_engine_in_it_does(opened: Opener) -> None:
    engine = opened()
    expected = outcome(complete(ScriptedEngine(), REQUESTS))
    assert outcome(complete(engine, REQUESTS)) == expected
    assert outcome(complete(engine, REQUESTS)) == expected
    assert engine.info == ScriptedEngine().info
    assert complete(engine, []) == []


@pytest.mark.parametrize("after", [0, 1, 40, 400])
@pytest.mark.parametrize("fault", ["kill", "exception"])
def test_a_death_at_any_phase_is_announced_and_repaired(opened: Opener, fault: str, after: int) -> None:
    engine = opened(fault, after, times=2)
    restarts: list[Restarted] = []
    completions = complete(engine, REQUESTS, watch=lambda e: restarts.append(e) if isinstance(e, Restarted) else None)
    assert outcome(completions) == outcome(complete(ScriptedEngine(), REQUESTS))
    assert [restart.attempt for restart in restarts] == [1, 2]
    assert ("SIGKILL" if fault == "kill" else "status 1") in restarts[0].cause


def test_a_death_between_batches(opened: Opener) -> None:
    engine = opened()
    complete(engine, REQUESTS[:2])
    os.kill(engine.pid, signal.SIGKILL)
    assert len(complete(engine, REQUESTS)) == 10


def test_a_model_that_always_dies_is_given_up_with_its_last_words(opened: Opener) -> None:
    engine = opened("kill", 5, times=99)
    seen: list[EngineEvent] = []
    with pytest.raises(ModelError, match="died 4 times over one batch") as caught:
        complete(engine, REQUESTS, watch=seen.append)
    assert sum(isinstance(event, Restarted) for event in seen) == MAX_RESTARTS
    assert "the last words of the model" in caught.value.hint


def test_an_error_of_the_engine_arrives_as_one(opened: Opener) -> None:
    engine = opened("error", 3, times=1)
    with pytest.raises(ModelError, match="the context is full") as caught:
        complete(engine, REQUESTS)
    assert caught.value.hint == "give it more"
    assert len(complete(engine, REQUESTS)) == 10


def test_loading_fails(opened: Opener) -> None:
    with pytest.raises(ModelError, match="the model cannot be loaded"):
        opened("unloadable")
    with pytest.raises(ModelError, match=r"/models/tiny\.gguf: the model's process died while loading: .*SIGABRT") as caught:
        opened("dies-loading")
    assert "assertion failed" in caught.value.hint


@pytest.mark.parametrize(("fault", "cause"), [("memory-assertion", "SIGABRT"), ("memory-error", "status 1")])
def test_a_batch_without_memory_is_repeated_with_a_smaller_set_up(opened: Opener, fault: str, cause: str) -> None:
    engine = opened(fault, 5, times=1)
    restarts: list[Restarted] = []
    completions = complete(engine, REQUESTS, watch=lambda e: restarts.append(e) if isinstance(e, Restarted) else None)
    assert outcome(completions) == outcome(complete(ScriptedEngine(), REQUESTS))
    [restart] = restarts
    assert cause in restart.cause and restart.cause.endswith("out of memory; set-up 3"), "set-up 2 was the one that died"
    assert engine.info.notices == ("set-up 3",)


def test_a_death_for_another_reason_changes_nothing_of_the_set_up(opened: Opener) -> None:
    engine = opened("kill", 5, times=1)
    complete(engine, REQUESTS)
    assert engine.info.notices == ()


def test_a_load_that_dies_for_want_of_memory_is_tried_smaller(opened: Opener) -> None:
    assert opened("memory-loading").info.notices == ("set-up 9",)
    with pytest.raises(ModelError, match=r"died while loading: .* out of memory") as caught:
        opened("memory-never")
    assert "cudaMalloc failed" in caught.value.hint


def test_a_build_that_dies_of_an_illegal_instruction_while_it_loads_runs_without_what_it_died_of(opened: Opener) -> None:
    engine = opened("illegal-loading")
    assert engine.info.notices == ("plain weights",)
    assert outcome(complete(engine, REQUESTS)) == outcome(complete(ScriptedEngine(), REQUESTS))
    with pytest.raises(ModelError, match=r"died while loading: .*SIGILL"):
        opened("always-illegal")


def test_a_batch_that_dies_of_an_illegal_instruction_is_repeated_without_what_it_died_of(opened: Opener) -> None:
    engine = opened("illegal", 5, times=9)
    restarts: list[Restarted] = []
    completions = complete(engine, REQUESTS, watch=lambda e: restarts.append(e) if isinstance(e, Restarted) else None)
    assert outcome(completions) == outcome(complete(ScriptedEngine(), REQUESTS))
    [restart] = restarts
    assert "SIGILL" in restart.cause and restart.cause.endswith("; plain weights")


def test_a_process_killed_while_it_loads_is_started_again(opened: Opener) -> None:
    assert len(complete(opened("killed-loading", times=MAX_RESTARTS), REQUESTS)) == 10
    with pytest.raises(ModelError, match=r"died while loading: .*SIGKILL"):
        opened("killed-loading", times=MAX_RESTARTS + 1)


def test_a_restart_killed_while_it_loads_is_one_more_attempt(opened: Opener, tmp_path: Path) -> None:
    engine = opened("killed-loading")
    (tmp_path / "counter").write_text("2")
    os.kill(engine.pid, signal.SIGKILL)
    restarts: list[Restarted] = []
    completions = complete(engine, REQUESTS, watch=lambda e: restarts.append(e) if isinstance(e, Restarted) else None)
    assert outcome(completions) == outcome(complete(ScriptedEngine(), REQUESTS))
    assert [restart.attempt for restart in restarts] == [3]


def test_machine_memory_kills(tmp_path: Path) -> None:
    assert pipe.machine_memory_kills() >= 0
    (tmp_path / "vmstat").write_text("nr_free_pages 7\noom_kill 12\n")
    assert pipe.machine_memory_kills(tmp_path / "vmstat") == 12
    assert pipe.machine_memory_kills(tmp_path / "missing") == 0


def test_a_process_that_the_system_kills_for_memory_is_told_apart(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([0, 1, 1, 1])
    monkeypatch.setattr(pipe, "machine_memory_kills", lambda: next(counts))
    engine = opened("kill", 5, times=1)
    restarts: list[Restarted] = []
    complete(engine, REQUESTS, watch=lambda e: restarts.append(e) if isinstance(e, Restarted) else None)
    assert restarts == [Restarted(1, "it was ended by SIGKILL, out of memory; set-up 1")]


def cancel_at_first_piece(cancel: CancelToken) -> Callable[[EngineEvent], None]:
    return lambda event: cancel.cancel() if isinstance(event, TextPiece) else None


def test_cancelling_is_passed_on(opened: Opener) -> None:
    engine, cancel = opened("slow"), CancelToken()
    completions = collect(engine.stream(REQUESTS, cancel), len(REQUESTS), cancel_at_first_piece(cancel))
    assert {c.finish_reason for c in completions} == {FinishReason.CANCELLED}
    assert outcome(complete(engine, REQUESTS[:2])) == outcome(complete(ScriptedEngine(), REQUESTS[:2]))


def test_cancelling_works_even_if_the_process_hangs_and_the_next_batch_gets_a_new_one(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "_STALE_S", 0.1)
    engine, cancel = opened("deaf", times=1), CancelToken()
    hung = engine.pid
    completions = collect(engine.stream(REQUESTS, cancel), len(REQUESTS), cancel_at_first_piece(cancel))
    assert {c.finish_reason for c in completions} == {FinishReason.CANCELLED} and completions[0].text
    (tmp_path / "counter").write_text("0")
    assert outcome(complete(engine, REQUESTS)) == outcome(complete(ScriptedEngine(), REQUESTS))
    assert engine.pid != hung and gone(hung)


@pytest.mark.parametrize(
    "written", [b"\x00\x00\x00\x03ab]", b"\x7f\xff\xff\xff[]", b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x00\x00\x00\x09[]"]
)
def test_bytes_that_are_no_message_are_a_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bytes) -> None:
    monkeypatch.setattr(pipe, "log_folder", lambda: tmp_path / "logs")
    child = pipe.ChildProcess((sys.executable, "-c", f"import os; os.write(0, {written!r})"))
    with pytest.raises(pipe.ChildDied):
        while child.receive(0.1) is None:
            pass
    child.close()
    with pytest.raises(pipe.ChildDied, match="it was closed"):
        child.receive(0.1)


def test_cancelled_when_the_process_has_died(opened: Opener) -> None:
    engine = opened("slow")
    cancel = CancelToken()

    def watch(event: EngineEvent) -> None:
        if isinstance(event, TextPiece) and not cancel.cancelled:
            os.kill(engine.pid, signal.SIGKILL)
            cancel.cancel()

    completions = collect(engine.stream(REQUESTS, cancel), len(REQUESTS), watch)
    assert completions[-1].finish_reason is FinishReason.CANCELLED


def test_closing_the_events_stops_the_batch_and_the_next_one_runs(opened: Opener) -> None:
    engine = opened("slow")
    events = engine.stream(REQUESTS, CancelToken())
    assert isinstance(next(events), TextPiece)
    events.close()  # type: ignore[attr-defined]
    completions = complete(engine, REQUESTS[:3])
    assert outcome(completions) == outcome(complete(ScriptedEngine(), REQUESTS[:3]))


def test_the_process_has_its_own_session_and_log(opened: Opener, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    engine = opened()
    assert os.getsid(engine.pid) != os.getsid(0)
    os.kill(engine.pid, signal.SIGINT)
    assert isinstance(list(engine.stream(REQUESTS[:1], CancelToken()))[-1], Finished)
    [log] = (tmp_path / "logs").iterdir()
    assert "chatter on standard output" in log.read_text()
    pid = engine.pid
    engine.close()
    engine.close()
    assert gone(pid) and not log.exists()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ModelError, match="closed"):
        complete(engine, REQUESTS)


def test_the_process_ends_when_the_studio_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from studio.engine.options import EngineOptions\n"
        "from studio.engine.process.client import ProcessEngine\n"
        "from studio.records import ModelIdentity\n"
        f"command = (sys.executable, {str(CHILD)!r}, 'none', '0', {str(tmp_path / 'c')!r})\n"
        "engine = ProcessEngine(ModelIdentity('m', ''), EngineOptions(), command)\n"
        "print(engine.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    studio = psutil.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1)
    pid = int(studio.stdout.readline())
    studio.kill()
    studio.wait()
    studio.stdin.close()
    studio.stdout.close()
    assert gone(pid)
