"""A program called as llama-server is, which answers over HTTP at once with as many tokens as are asked for; at first it loads."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOADING = 2
"""Requests that are told to come back later."""
TOGETHER_S = 0.02


def install(folder: Path, end: str = "") -> Path:
    """Write the program into `folder` and return its path. It ends at once, with exit code 3, having said `end`, if that is not empty."""
    program = folder / "llama-server"
    words = f"{sys.executable} -P {Path(__file__)} {folder / 'seen.json'}"
    line = f"echo {end} >&2; exit 3" if end else f'exec {words} "$@"'
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)
    return program


def seen(folder: Path) -> dict[str, Any]:
    """What the program that was installed in `folder` has seen: `pid`, `words`, the `bodies`, and the `most` requests at a time."""
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def main(file: Path, words: list[str]) -> None:
    """Serve at the port that is named in `words`, and write what is seen into `file`."""
    noted: dict[str, Any] = {"pid": os.getpid(), "words": words, "bodies": [], "most": 0}
    lock, at_work, loading = threading.Lock(), set[int](), [None] * LOADING

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                wait = loading and loading.pop() is None
                at_work.add(threading.get_ident())
                noted["most"] = max(noted["most"], len(at_work))
                noted["bodies"] += [] if wait else [body]
                file.write_text(json.dumps(noted))
            time.sleep(TOGETHER_S)
            with lock:
                at_work.discard(threading.get_ident())
            answer = {"error": {"message": "Loading model"}} if wait else {"usage": {"completion_tokens": body["max_tokens"]}}
            self.send_response(503 if wait else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

    ThreadingHTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Handler).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
