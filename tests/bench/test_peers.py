"""Other programs beside the engine: found, started, asked and stopped."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from studio.bench.peers import Complete, Peer, SetUp, body_of, compare_peers, find_peers, print_peers, serving
from studio.bench.worker import Machine
from studio.engine.api import Request, SamplingParams
from studio.errors import StudioError, UsageError
from support.peer_program import install, seen
from support.tiny_models import END, tiny_model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the program is a shell script")

TOKENS, PARALLEL = 5, 3
REQUESTS = [Request("A template. ", f"Task {n}", SamplingParams(0.0, max_tokens=TOKENS, ignore_eos=True), seed=n) for n in range(7)]


@contextmanager
def counting() -> Iterator[Complete]:
    """An engine that is done at once."""
    yield lambda requests: sum(request.params.max_tokens for request in requests)


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    return SetUp(str(tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")), 1, 0, PARALLEL, 64)


def peer_in(folder: Path, end: str = "") -> Peer:
    return find_peers({"llama-server": str(install(folder, end))})[0]


def is_over(pid: int) -> bool:
    """Whether the process ends; one that was left alone may still wait for somebody to take note of it."""
    for _ in range(1000):  # a signal takes a moment
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
                continue
        return True
    return False


def test_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("studio.bench.peers.find_spec", lambda name: name == "xllamacpp" or None)
    assert [(peer.name, peer.place) for peer in find_peers({})] == [("xllamacpp", sys.executable)]
    program = install(tmp_path)
    assert [(peer.name, peer.place) for peer in find_peers({})] == [("llama-server", str(program)), ("xllamacpp", sys.executable)]
    assert [(peer.name, peer.place) for peer in find_peers({"distilabel": str(program)})] == [("distilabel", str(program))]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"vllm": ""}, "no peer 'vllm'"),
        ({"llama-cpp-python": ""}, "llama-cpp-python is not found"),
        ({"llama-server": "/nowhere/llama-server"}, "no program that can be run"),
        ({}, "no other program"),
    ],
)
def test_what_is_not_found(wanted: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("studio.bench.peers.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=said):
        find_peers(wanted)


def test_all_are_asked_for_the_same_work() -> None:
    body = body_of(REQUESTS[1], (END, 7))
    assert (body["prompt"], body["max_tokens"], body["seed"]) == ("A template. Task 1", TOKENS, 1)
    assert body["ignore_eos"] and set(body["logit_bias"]) == {str(END), "7"} and body["top_k"] == 1
    assert "stream" not in body and "logit_bias" not in body_of(Request("", "", SamplingParams(), 1), (END,))


def test_engine_and_peers_side_by_side(set_up: SetUp, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    peers = [peer_in(good), Peer("broken", peer_in(bad, "no-such-flag").command, str(bad / "llama-server"))]
    said: list[str] = []
    machine = Machine()
    figures = compare_peers(peers, counting, REQUESTS, set_up, 2, machine, said.append)
    mine, theirs, broken = figures.values()
    assert list(figures) == ["engine", "llama-server", "broken"] and len(machine.others) == 4
    assert mine["engine_ratio_cold"] == mine["engine_ratio_warm"] == 1.0
    assert [len(theirs["tok_s"][state]) for state in ("cold", "warm")] == [2, 2] and theirs["completion_tokens"] == 7 * TOKENS
    assert theirs["engine_ratio_warm"] > 1 and theirs["error"] is None
    assert broken["cold_tok_s"] is None and "exit code 3" in broken["error"] and "no-such-flag" in broken["error"]
    told = seen(good)
    assert is_over(told["pid"])
    assert 1 < told["most"] <= PARALLEL and len(told["bodies"]) == 1 + 2 * len(REQUESTS)
    words = dict(zip(told["words"][::2], told["words"][1::2], strict=False))
    assert words["-np"] == str(PARALLEL) and words["-m"] == set_up.model and words["-t"] == "1"
    longest = len("A template. Task 1") + TOKENS
    assert int(words["-c"]) >= PARALLEL * longest > set_up.context
    out = StringIO()
    print_peers(Console(width=120, file=out), figures)
    shown = out.getvalue()
    assert "the studio's engine" in shown and "no-such-flag" in shown


@pytest.mark.parametrize("error", [KeyboardInterrupt, StudioError])
def test_a_server_is_stopped_in_any_case(error: type[BaseException], set_up: SetUp, tmp_path: Path) -> None:
    with pytest.raises(error), serving(peer_in(tmp_path), set_up, (END,)) as complete:
        assert complete(REQUESTS[:1]) == TOKENS
        raise error("stop")
    assert is_over(seen(tmp_path)["pid"])


def test_what_a_script_starts_is_stopped_with_it(set_up: SetUp, tmp_path: Path) -> None:
    program = install(tmp_path)
    program.write_text(program.read_text().replace("exec ", ""))  # The shell stays before it, as a script's runner does.
    with serving(find_peers({"llama-server": str(program)})[0], set_up, ()) as complete:
        complete(REQUESTS[:1])
    assert is_over(seen(tmp_path)["pid"])
