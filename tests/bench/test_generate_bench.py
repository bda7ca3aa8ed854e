"""`studio bench generate`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from studio.bench import alternatives, generate
from studio.bench.generate import GenerateBench, instance_requests
from studio.bench.worker import Machine
from studio.cli import cli
from studio.engine.api import CancelToken, Finished
from studio.engine.llama.engine import LlamaEngine
from studio.engine.options import EngineOptions
from support.command import STUDIO, assert_fails, clean_environment, studio
from support.engines import bundled_identity

PARALLEL, REQUESTS, TOKENS = 2, 3, 5


def test_requests_are_the_methods_own_of_a_fixed_length() -> None:
    requests = instance_requests(200, 80)
    assert len(requests) == 200 and len({request.prefix for request in requests}) == 1
    assert "Example 1" in requests[0].prefix
    for request in requests:
        assert (request.params.max_tokens, request.params.stop, request.params.ignore_eos) == (80, (), True)
        assert request.params.presence_penalty == 1.5 and request.params.temperature == 0


def test_ratios_are_of_neighbouring_runs() -> None:
    figures = generate._figures({"sequential": [10.0, 1.0, 10.0], "engine": [20.0, 3.0, 20.0], "raw": []})
    assert figures["engine_vs_sequential"] == 2.0 and figures["engine_tok_s"] == 20.0
    assert figures["raw_tok_s"] is None and figures["engine_vs_raw"] is None


@pytest.mark.parametrize(("words", "part"), [(("--only", "engine,fast"), "fast"), (("--model", "http://localhost:1/v1"), "server")])
def test_what_cannot_be_measured(words: tuple[str, ...], part: str) -> None:
    assert_fails(studio("bench", "generate", *words), 2, part)


@pytest.mark.real_model
@pytest.mark.slow
def test_all_alternatives_do_the_same_work() -> None:
    """No completion ends early, and each alternative draws as many tokens."""
    requests = instance_requests(REQUESTS, TOKENS)
    messages = [asdict(request) for request in requests]
    identity = bundled_identity()
    engine = LlamaEngine(identity, EngineOptions(threads=1, parallel=PARALLEL))
    try:
        events = list(engine.stream(requests, CancelToken()))
    finally:
        engine.close()
    completions = [event.completion for event in events if isinstance(event, Finished)]
    plain = {"path": identity.path, "threads": 1, "gpu_layers": -1, "requests": messages}
    raw = alternatives.complete_bare(parallel=PARALLEL, **plain)  # type: ignore[arg-type]
    sequential = alternatives.complete_in_turn(**plain)  # type: ignore[arg-type]
    assert [each.completion_tokens for each in completions] == [TOKENS] * REQUESTS
    assert raw["tokens"] == sequential["tokens"] == REQUESTS * TOKENS


@pytest.mark.real_model
@pytest.mark.slow
def test_every_figure() -> None:
    options = ("--parallel", "2", "--threads", "1", "--requests", "2", "--tokens", "4", "--repeats", "1", "--only", "engine,raw")
    done = studio("bench", "generate", *options, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["completion_tokens"] == {"engine": 8, "raw": 8}
    assert report["tok_s"]["engine"] == [report["engine_tok_s"]] and report["tok_s"]["sequential"] == []
    assert report["engine_vs_raw"] == report["engine_tok_s"] / report["raw_tok_s"]
    assert report["sequential_tok_s"] is None and report["engine_vs_sequential"] is None
    assert report["engine"]["parallel"] == 2 and report["engine"]["threads"] == 1
    assert report["round_vs_port"] is None and len(report["machine"]["others_cpu_share"]) == 2
    assert report["model"]["quantisation"] == "Q4_1"


def test_whole_rounds_are_told_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    def port(job: str, **values: object) -> dict[str, object]:
        assert job == "port" and values["rounds"] == 1
        counts = {"accepted": 2, "candidates": 4, "instances": 2, "prompt_tokens": 9, "completion_tokens": 8}
        return {**counts, "seconds": 60.0, "stage_seconds": {"instructions": 60.0}}

    monkeypatch.setattr("studio.bench.generate.in_worker", port)
    from studio.bench.generate import compare_rounds

    machine = Machine()
    rounds = compare_rounds("scripted", EngineOptions(), {}, 1, machine, lambda _: None)
    mine = rounds["studio"]
    assert rounds["port"]["accepted_a_minute"] == 2.0 and len(machine.others) == 2
    assert rounds["round_vs_port"] == mine["accepted_a_minute"] / 2
    assert mine["accepted"] > 0 and mine["candidates"] == mine["accepted"] + sum(mine["rejected"].values())
    assert set(mine["stage_seconds"]) == {"sample", "instructions", "filter", "classify", "instances", "commit"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), (48, 80, 3, generate.PARTS)),
        (("--quick",), (16, 32, 1, generate.ALTERNATIVES)),
        (("--quick", "--tokens", "64", "--only", "round"), (16, 64, 1, ("round",))),
    ],
)
def test_quick(words: tuple[str, ...], expected: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_for(words, monkeypatch)
    assert (asked.requests, asked.tokens, asked.repeats, asked.parts) == expected


def asked_for(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> GenerateBench:
    """What these words ask the benchmark for."""
    asked: list[GenerateBench] = []

    def measure(bench: GenerateBench, *_: object) -> dict[str, object]:
        asked.append(bench)
        return {}

    monkeypatch.setattr(generate, "measure", measure)
    monkeypatch.setattr(Machine, "look", Machine)
    done = CliRunner().invoke(cli, ["bench", "generate", "--json", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return asked[0]


@pytest.mark.parametrize(
    ("words", "peers", "parts"),
    [
        ((), None, generate.PARTS),
        (("--peers",), {}, ()),
        (("--peers", "llama-server,xllamacpp=/x/python", "--repeats", "1"), {"llama-server": "", "xllamacpp": "/x/python"}, ()),
    ],
)
def test_peers_are_measured_in_place_of_the_parts(
    words: tuple[str, ...], peers: object, parts: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_for(words, monkeypatch)
    assert (asked.peers, asked.parts) == (peers, parts)


@pytest.mark.real_model
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_and_its_processes() -> None:
    command = [*STUDIO, "bench", "generate", "--only", "raw", "--threads", "1", "--tokens", "1024", "--requests", "2", "--parallel", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=clean_environment(), start_new_session=True, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("raw, run 1"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130, said
    assert "error: interrupted\n" in said and not any("Traceback" in line for line in said)
