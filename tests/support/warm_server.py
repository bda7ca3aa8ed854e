"""A Python that has imported the heavy libraries and forks once a command, so that they are imported once and not by every command.

Run with the path of a socket. Each connection brings one command, a line of JSON with the descriptors of its standard streams, and gets
its exit status when it has ended. Ends when its standard input does. The studio's own modules that commands share are there, too: to import
them takes a command four times as long as all it does. What a clean process imports has tests of its own.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

LIBRARIES = (
    *("click", "filelock", "numpy", "platformdirs", "psutil", "rapidfuzz.process", "rich.console", "rich.progress", "rich.table"),
    *("pydantic.fields", "pydantic.json_schema", "pydantic.types", "sqlite_utils"),
    *("studio.headless", "studio.launch", "studio.engine.opening", "studio.tuning.evaluating", "studio.tuning.results"),
)
STUDIO = Path(__file__).parents[2] / "studio"
PACKAGES = ("cli", "insight", "loop", "pool", "publish", "seeds")
"""Those of the studio whose modules are all imported."""
PIECE = 1 << 16
STREAMS = 3
# As the process that trains has them when it imports transformers.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


def main() -> None:
    """Serve, and in each forked process run its command as `python -m` would."""
    # In a server of its own: what the hub's library reads when it is imported would hold for every command.
    if "offline" in sys.argv:
        os.environ.update(OFFLINE)
    # Some libraries keep threads. They were made to be forked beside, and no command outlives a deadlock unseen.
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
    load(LIBRARIES)
    for package in PACKAGES:
        load([found.name for found in walk_packages([str(STUDIO / package)], f"studio.{package}.")])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for those who keep the commands.
        command = next_command(listener)
    if command is not None:
        become(command)
        end_with(run(command["module"]))


def run(module: str) -> int:
    """Run `python -m module` and return its exit status, as Python would give it."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end_with(status: int) -> None:
    """End as Python does, but for taking the libraries apart, which takes longer than the command."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def load(names: tuple[str, ...] | list[str]) -> None:
    """Import what is installed of `names`."""
    for name in names:
        with suppress(ImportError):
            import_module(name)


def next_command(listener: socket.socket) -> Any:
    """Serve until standard input ends; in a forked process, return the command that it is to run."""
    awaited: list[Any] = [listener, 0]
    while True:
        if 0 in select.select(awaited, [], [])[0]:
            return None
        connection, _ = listener.accept()
        with connection:
            data, streams, _, _ = socket.recv_fds(connection, PIECE, STREAMS)
            while data and not data.endswith(b"\n"):
                data += connection.recv(PIECE)
            if data:
                command = json.loads(data)
                load(command["libraries"])
                gc.freeze()  # No command looks through the libraries' objects for rubbish.
                if os.fork() == 0 and keep(connection, streams):
                    return command
        for stream in streams:
            os.close(stream)


def keep(connection: socket.socket, streams: list[int]) -> bool:
    """Fork the command's process, where this returns True, and tell its end; it is killed when the one who asked is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
            os.close(stream)
        return True
    for stream in (*range(STREAMS), *streams):
        os.close(stream)

    def watch() -> None:
        if not connection.recv(1):
            os.kill(child, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(OSError):
        connection.send(str(status).encode())
    os._exit(0)


def become(command: Any) -> None:
    """Take over the environment, folder and arguments of a command."""
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    sys.argv = [command["module"], *command["arguments"]]
    sys.path[0] = command["folder"]
    for place, words in command["replaced"].items():
        module, _, name = place.rpartition(".")
        setattr(import_module(module), name, tuple(words))


if __name__ == "__main__":
    main()
