"""Servers for peers that have none of their own, run by the Python of the peer's environment: it needs nothing else of the studio."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any


def serve_xllamacpp(set_up: dict[str, Any]) -> None:
    """Open xllamacpp's server, which listens by itself, and keep it until the process is ended."""
    library: Any = import_module("xllamacpp")
    params = library.CommonParams()
    params.model.path = set_up["model"]
    params.n_parallel, params.n_ctx = set_up["parallel"], set_up["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = set_up["threads"]
    params.n_gpu_layers = set_up["gpu_layers"]
    params.hostnames, params.port = ["127.0.0.1"], set_up["port"]
    server = library.Server(params)
    sys.stdin.read()  # Its end is that of the process which started this one.
    del server


def serve_distilabel(set_up: dict[str, Any]) -> None:
    """Answer with distilabel's LlamaCppLLM, which asks the model in chat and for one completion after the other."""
    library: Any = import_module("distilabel.models.llms")
    more = {"n_threads": set_up["threads"], "n_threads_batch": set_up["threads"]}
    context = set_up["context"] // set_up["parallel"]
    llm = library.LlamaCppLLM(model_path=Path(set_up["model"]), n_gpu_layers=set_up["gpu_layers"], n_ctx=context, extra_kwargs=more)
    llm.load()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = {name: body[name] for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")}
            more = {name: body[name] for name in ("seed", "logit_bias") if name in body}
            messages = [{"role": "user", "content": body["prompt"]}]
            found = llm.generate([messages], max_new_tokens=body["max_tokens"], extra_generation_kwargs=more, **asked)
            answer = json.dumps({"usage": {"completion_tokens": sum(found[0]["statistics"]["output_tokens"])}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    class Server(HTTPServer):
        request_queue_size = 512  # All but one wait for their turn.

    server = Server(("127.0.0.1", set_up["port"]), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    {"xllamacpp": serve_xllamacpp, "distilabel": serve_distilabel}[sys.argv[1]](json.loads(sys.argv[2]))
