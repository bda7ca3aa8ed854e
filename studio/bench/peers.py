"""Other programs that complete many requests with llama.cpp: how each is found, started, asked and stopped, beside the engine.

Each is a server of OpenAI's completions on a free port of this machine, and is asked over as many connections as it has sequences.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import anyio
from rich.console import Console
from rich.table import Table

from studio.bench.worker import Machine, last_lines
from studio.engine.api import Request, SamplingParams
from studio.engine.llama.vocab import open_vocabulary
from studio.engine.remote.address import parse_address
from studio.engine.remote.client import Client
from studio.engine.remote.errors import Consequence, Patience
from studio.engine.remote.request import request_body
from studio.errors import StudioError, UsageError
from studio.text import display_line, say

Complete = Callable[[Sequence[Request]], int]
"""Completes requests and returns how many tokens were drawn."""
Contestant = AbstractContextManager[Complete]


@dataclass(frozen=True, slots=True)
class SetUp:
    """What is the same for all: `context` tokens for `parallel` sequences together, `gpu_layers` -1 for all, the port for servers."""

    model: str
    threads: int
    gpu_layers: int
    parallel: int
    context: int
    port: int = 0


def _llama_server(place: str, set_up: SetUp, _folder: Path) -> list[str]:
    threads, layers = str(set_up.threads), ["-ngl", str(set_up.gpu_layers)] if set_up.gpu_layers >= 0 else []
    sizes = ["-np", str(set_up.parallel), "-c", str(set_up.context), "-t", threads, "-tb", threads, *layers]
    return [place, "-m", set_up.model, *sizes, "--host", "127.0.0.1", "--port", str(set_up.port)]


def _llama_cpp_python(place: str, set_up: SetUp, folder: Path) -> list[str]:
    sizes = {"n_ctx": set_up.context, "n_seq_max": set_up.parallel, "threads": set_up.threads, "threads_batch": set_up.threads}
    model = {"path": set_up.model, "alias": "peer", "n_gpu_layers": set_up.gpu_layers, **sizes}
    file = folder / "server.json"
    file.write_text(json.dumps({"server": {"host": "127.0.0.1", "port": set_up.port}, "model": model}), "utf-8")
    return [place, "-C", str(file)]


def _in_python(name: str) -> Callable[[str, SetUp, Path], list[str]]:
    script = str(Path(__file__).with_name("peer_servers.py"))
    return lambda place, set_up, _folder: [place, "-I", script, name, json.dumps(asdict(set_up))]


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them. `place` is its program, or the Python of the environment that it is installed in; empty where it is not found."""

    name: str
    command: Callable[[str, SetUp, Path], list[str]]
    place: str = ""

    def found(self, place: str) -> Peer:
        """Return the peer as found at `place`, or without one where such things are found: on PATH, in the studio's own environment."""
        if not place and self.name == "llama-server":
            place = shutil.which(self.name) or ""
        elif not place and find_spec(self.name) is not None:
            place = sys.executable
        return replace(self, place=place)


_PEERS = (
    Peer("llama-server", _llama_server),
    Peer("llama-cpp-python", _llama_cpp_python),
    Peer("xllamacpp", _in_python("xllamacpp")),
    Peer("distilabel", _in_python("distilabel")),
)


def find_peers(wanted: Mapping[str, str]) -> list[Peer]:
    """Return the peers of these names, each with its place, or empty for where such things are found; without names all that are found.

    Raises UsageError for a name that is none, for a peer that is not found, and when there is none at all.
    """
    known = {peer.name: peer for peer in _PEERS}
    for name, place in wanted.items():
        if name not in known:
            raise UsageError(f"there is no peer {name!r}", f"known: {', '.join(known)}")
        if place and not shutil.which(place):
            raise UsageError(f"{place}: no program that can be run", f"name the program, or the Python, of {name}")
    found = [known[name].found(place) for name, place in (wanted or dict.fromkeys(known, "")).items()]
    if missing := [peer.name for peer in found if not peer.place and wanted]:
        raise UsageError(f"{missing[0]} is not found", f"say where: --peers {missing[0]}=PATH")
    if not (there := [peer for peer in found if peer.place]):
        raise UsageError("no other program is found to measure", f"say where one is: --peers NAME=PATH, with a name of {', '.join(known)}")
    return there


_STARTING_S = 300.0
_ANSWERING_S = 3600.0
_STOPPING_S = 10.0
_LOOK_S = 0.1
_BAN = -100.0


def body_of(request: Request, ending: Sequence[int]) -> dict[str, Any]:
    """Return the request as every peer takes it, unstreamed. With `ignore_eos` the tokens `ending` a text are banned by name as well.

    Greedy decoding is also said as a `top_k` of 1, which leaves less for llama.cpp's samplers to do.
    """
    body = request_body(request, "peer", "llamacpp", {"stream"})
    if request.params.temperature == 0:
        body["top_k"] = 1
    if request.params.ignore_eos:
        body["logit_bias"] = {str(token): _BAN for token in ending}
    return body


@contextmanager
def serving(peer: Peer, set_up: SetUp, ending: Sequence[int]) -> Iterator[Complete]:
    """Run a peer's server and give what completes requests with it, the first of them once its model is loaded. It is stopped in any case.

    Raises StudioError when it does not start or does not answer, with the last lines that it wrote.
    """
    set_up = replace(set_up, port=_free_port())
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder, tempfile.TemporaryFile() as log:
        command = peer.command(peer.place, set_up, Path(folder))
        # Ctrl-C reaches this process alone: the server has a session of its own.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        ready = time.monotonic() + _STARTING_S

        def complete(requests: Sequence[Request]) -> int:
            nonlocal ready
            try:
                tokens = anyio.run(_complete, process, set_up, [body_of(request, ending) for request in requests], ready)
                ready = 0.0
                return tokens
            except StudioError as error:
                raise StudioError(f"{peer.name}: {error}", last_lines(log)) from error

        try:
            yield complete
        finally:
            _stop(process)


async def _complete(process: subprocess.Popen[bytes], set_up: SetUp, bodies: Sequence[Mapping[str, Any]], ready: float) -> int:
    """Send the bodies, each connection one after the other, and return how many tokens came. Raises StudioError.

    Until `ready`, by the monotonic clock, the server may be loading its model, and is asked again.
    """
    client = Client(parse_address(f"http://127.0.0.1:{set_up.port}/v1"), "", set_up.parallel, Patience(anyio.sleep, random.random))
    waiting = iter(bodies)
    tokens = 0
    failed: list[StudioError] = []

    async def work() -> None:
        nonlocal tokens
        try:
            for body in waiting:
                count = await _answer(process, client, body, ready)
                tokens += count
        except StudioError as error:
            failed.append(error)
            working.cancel_scope.cancel()

    async with anyio.create_task_group() as working:
        for _ in range(min(set_up.parallel, len(bodies))):
            working.start_soon(work)
    await client.close()
    if failed:
        raise failed[0]
    return tokens


async def _answer(process: subprocess.Popen[bytes], client: Client, body: Mapping[str, Any], ready: float) -> int:
    while True:
        try:
            answer = await client.beside("/v1/completions", body, _ANSWERING_S)
            return int(answer["usage"]["completion_tokens"])
        except (KeyError, TypeError, ValueError) as error:
            raise StudioError("its answer tells no token counts") from error
        except Exception as error:
            failure = client.failure(error)  # Raises what is not the server's.
            if process.poll() is not None:
                raise StudioError(f"it ended with exit code {process.returncode}") from error
            if failure.consequence is not Consequence.RETRY or time.monotonic() > ready:
                raise StudioError(failure.cause) from error
        await anyio.sleep(_LOOK_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server, and what it started: a script's runner may leave its program behind."""
    process.terminate()
    try:
        process.wait(_STOPPING_S)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


ENGINE = "engine"
STATES = ("cold", "warm")
"""The first time, and once more with the same server: what prompts share may be known then. Loading the model is part of neither."""
_HELLO = Request("", "Hello", SamplingParams(max_tokens=1), seed=1)


def compare_peers(
    peers: Sequence[Peer],
    engine: Callable[[], Contestant],
    requests: Sequence[Request],
    set_up: SetUp,
    repeats: int,
    machine: Machine,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Complete `requests` with the engine and with each peer in turn; return tokens a second of each, and the engine's ratios to them.

    A context that is too small for as many of the longest prompts as there are sequences is made larger for the peers. A peer that fails
    is left out from there on, and its `error` says why.
    """
    with closing(open_vocabulary(Path(set_up.model))) as vocabulary:
        ending = vocabulary.ending_tokens
        longest = max(len(vocabulary.tokenise(each.prefix + each.suffix, begin=True)) + each.params.max_tokens for each in requests)
    set_up = replace(set_up, context=max(set_up.context, set_up.parallel * (longest + _SPARE)))
    contestants = {ENGINE: engine} | {peer.name: partial(serving, peer, set_up, ending) for peer in peers}
    speeds: dict[str, dict[str, list[float]]] = {name: {state: [] for state in STATES} for name in contestants}
    drawn: dict[str, int] = {}
    errors: dict[str, str] = {}
    for repeat in range(repeats):
        for name in [name for name in contestants if name not in errors]:
            tell(f"{name}, run {repeat + 1} of {repeats}: {len(requests)} requests, cold and warm ...")
            try:
                with machine.watch(), contestants[name]() as complete:
                    complete([_HELLO])
                    for state in STATES:
                        began = time.perf_counter()
                        drawn[name] = complete(requests)
                        speeds[name][state].append(drawn[name] / (time.perf_counter() - began))
            except StudioError as error:
                if name == ENGINE:
                    raise
                errors[name] = error.words(" ")
                tell(errors[name])
    return {name: _figures(speeds, name) | {"completion_tokens": drawn.get(name), "error": errors.get(name)} for name in contestants}


_SPARE = 64
"""llama.cpp's server keeps a few tokens of each sequence free."""


def _figures(speeds: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> dict[str, Any]:
    """The medians of one contestant, and of the engine's ratios to it within each repeat."""
    found: dict[str, Any] = {"tok_s": speeds[name]}
    for state in STATES:
        mine, theirs = speeds[ENGINE][state], speeds[name][state]
        found[f"{state}_tok_s"] = median(theirs) if theirs else None
        found[f"engine_ratio_{state}"] = median(a / b for a, b in zip(mine, theirs, strict=False)) if theirs else None
    return found


def print_peers(console: Console, peers: Mapping[str, Mapping[str, Any]]) -> None:
    table = comparison_table(*(f"{state}, {what}" for state in STATES for what in ("tokens/s", "engine / it")))
    columns = [column for state in STATES for column in ((f"{state}_tok_s", 1), (f"engine_ratio_{state}", 2))]
    for name, each in peers.items():
        shown = [f"{each[key]:.{digits}f}" if each[key] else "-" for key, digits in columns]
        table.add_row("the studio's engine" if name == ENGINE else name, *shown)
    console.print(table)
    for each in peers.values():
        if each["error"]:
            say(console, display_line(each["error"], 300))


def comparison_table(*figures: str) -> Table:
    """A table with names on the left, and with these figures of each."""
    table = Table("")
    for figure in figures:
        table.add_column(figure, justify="right")
    return table
