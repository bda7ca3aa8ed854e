"""Processes that need not import heavy libraries again: forked by `warm_server`, which has done so. They cost a fifth of a fresh one."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

SERVER = Path(__file__).with_name("warm_server.py")
CHILD = Path(__file__).with_name("warm_child.py")
TRAINING = ("torch", "transformers", "peft", "gguf", "safetensors.torch", "transformers.models.llama.modeling_llama")
SCORING = ("rouge_score.rouge_scorer",)
LIBRARIES = {"report": ("spacy", *SCORING), "publish": ("spacy", *SCORING), "evaluate": SCORING, "run": ("openai",)}
"""What commands import beyond what all do."""


class Server:
    """The process that forks, for as long as this one lives."""

    def __init__(self, *words: str) -> None:
        folder = tempfile.mkdtemp(prefix="studio-warm-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.address = f"{folder}/socket"
        # It ends when its standard input does, however this process ends.
        self._process = subprocess.Popen([sys.executable, str(SERVER), self.address, *words], stdin=subprocess.PIPE, start_new_session=True)
        while not self._answers():
            assert self._process.poll() is None
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
            asking.connect(self.address)
            return True
        return False


@cache
def server(*words: str) -> Server:
    """The server of this process, started when it is first needed; with `offline` the one for those who train."""
    return Server(*words)


def run(
    address: str,
    module: str,
    arguments: Sequence[str],
    streams: Sequence[int],
    *,
    folder: str,
    environment: Mapping[str, str],
    libraries: Sequence[str] = (),
    replaced: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Run `python -m module` in a forked process on three descriptors and return its exit status, negative for a signal.

    `libraries` are imported before the fork, once; `replaced` are names of modules and the words that they get for the command.
    """
    command = {
        "module": module,
        "arguments": list(arguments),
        "folder": folder,
        "environment": dict(environment),
        "libraries": list(libraries),
        "replaced": dict(replaced or {}),
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(command).encode() + b"\n"], list(streams))
        for stream in streams:
            os.close(stream)
        status = connection.recv(16)
    assert status, "the process that forks is gone"
    return int(status)


def run_and_read(
    module: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` in a forked process, with nothing on standard input, and return what it printed."""
    pipes = [os.pipe(), os.pipe()]
    texts = ["", ""]

    def read(place: int) -> None:
        with open(pipes[place][0], encoding="utf-8") as file:  # noqa: PTH123
            texts[place] = file.read()

    readers = [threading.Thread(target=read, args=(place,), daemon=True) for place in range(2)]
    for reader in readers:
        reader.start()
    streams = [os.open(os.devnull, os.O_RDONLY), *(writable for _, writable in pipes)]
    command = arguments[0] if arguments else ""
    status = run(
        server().address,
        module,
        arguments,
        streams,
        folder=str(folder),
        environment=environment,
        libraries=LIBRARIES.get(command, ()),
        replaced={"studio.tuning.worker.COMMAND": training_command()} if command == "finetune" else None,
    )
    for reader in readers:
        reader.join()
    return subprocess.CompletedProcess([module, *arguments], status, *texts)


def training_command() -> tuple[str, ...]:
    """The command line of a process that trains, in place of `studio.tuning.worker.COMMAND`: it has PyTorch from the server."""
    return (sys.executable, "-S", str(CHILD), server("offline").address)
