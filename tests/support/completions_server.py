"""A real HTTP server with OpenAI's protocol over one of the project's own engines, of raw text or of chat, and faults to order."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from studio.engine.api import CancelToken, Completion, Engine, Finished, Request, SamplingParams, TextPiece
from studio.engine.remote.sender import PROBES
from studio.engine.scripted import ScriptedEngine
from support.chat_kinds import ChatKind


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. With a `status` nothing is streamed; else the stream goes wrong `after` that many pieces.

    `kind`: `reset` breaks the connection, `end` ends the stream too soon, `garbage` sends what is no JSON, `event` sends an error as an
    event, `hang` waits until the client goes away, `silent_hang` does so before any byte, `no_usage` and `extra` (fields added to the last
    chunk) are no faults but whims.
    """

    kind: str = ""
    after: int = 0
    refuses: str = ""
    """A field that the server does not take."""
    status: int = 0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class CompletionsServer:
    """The state of the server: what it shall do, and what it saw."""

    engine: Engine = field(default_factory=ScriptedEngine)
    models: Any = None
    chat: ChatKind | None = None
    """How it answers chat; None for not at all."""
    key: str = ""
    """The key that clients must send; empty for none."""
    faults: deque[Fault] = field(default_factory=deque)
    """Taken one by one by the requests as they come."""
    always: Fault | None = None
    poison: int | None = None
    """The seed of a request that fails always."""
    wait_for: int = 0
    """Answer nobody until so many requests are in flight."""
    hang_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client went away from a hanging stream."""
    hanging: threading.Event = field(default_factory=threading.Event)
    bodies: list[Any] = field(default_factory=list)
    """Of all requests but the first small ones, which clients ask to see what the server answers."""
    probe: Fault = field(default_factory=Fault)
    """What goes wrong with those."""
    probes: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    url: str = ""

    def app(self) -> Starlette:
        """The server's paths."""
        self._all_here = asyncio.Event()
        self._one_batch = asyncio.Lock()
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/completions", self._completions, methods=["POST"]),
            Route("/v1/chat/completions", self._completions, methods=["POST"]),
            *(Route(path, self._told, methods=["GET", "POST"]) for path in ("/props", "/api/show")),
        ]
        return Starlette(routes=routes)

    async def _models(self, http: HttpRequest) -> Response:
        if refused := self._refused(http):
            return refused
        if isinstance(self.models, str):
            return HTMLResponse(self.models)
        if isinstance(self.models, Fault):
            return JSONResponse(self.models.body, self.models.status, dict(self.models.headers))
        card = {
            "id": self.engine.info.model.name,
            "object": "model",
            "created": 0,
            "owned_by": self.chat.owner if self.chat else "studio-tests",
        }
        return JSONResponse({"object": "list", "data": [card] if self.models is None else self.models})

    async def _told(self, http: HttpRequest) -> Response:
        if refused := self._refused(http):
            return refused
        told = self.chat.tells.get(http.url.path) if self.chat else None
        return JSONResponse({"error": "not found"}, 404) if told is None else JSONResponse(told)

    async def _completions(self, http: HttpRequest) -> Response:
        if refused := self._refused(http):
            return refused
        body = await http.json()
        is_chat, is_probe = "messages" in body, _prompt(body) in [each.suffix for each in PROBES.values()]
        if is_chat and self.chat is None:
            return JSONResponse({"detail": "Not Found"}, 404)
        (self.probes if is_probe else self.bodies).append(body)
        fault = self.probe if is_probe else self.faults.popleft() if self.faults else self.always or Fault()
        if self.poison is not None and body.get("seed") == self.poison:
            return JSONResponse({"error": {"message": "poison"}}, 500)
        if fault.refuses in body:
            return JSONResponse({"error": {"message": f"Unrecognized request argument supplied: {fault.refuses}"}}, 400)
        if self.chat and (refusal := self.chat.refusal(body) if is_chat else self.chat.raw):
            return JSONResponse(refusal[1], refusal[0])
        if fault.status:
            return JSONResponse(fault.body, fault.status, dict(fault.headers))
        if is_chat and self.chat and self.chat.form != "stream":
            return JSONResponse(await self._document(body, fault))
        return StreamingResponse((self._chunks if is_probe else self._counted)(body, fault), media_type="text/event-stream")

    async def _document(self, body: Any, fault: Fault) -> Any:
        assert self.chat is not None
        async with self._one_batch:
            async for event in iterate_in_threadpool(self.engine.stream([_request(body)], CancelToken())):
                if isinstance(event, Finished):
                    end, *counts = _last(event.completion, fault, is_chat=True)
                    choice = {"message": self.chat.message(event.completion.text), "finish_reason": end["choices"][0]["finish_reason"]}
                    return (counts[0] if counts else {}) | {"object": "chat.completion", "choices": [choice]}
        return None

    def _refused(self, http: HttpRequest) -> Response | None:
        self.headers.append(dict(http.headers))
        self.paths.append(http.url.path)
        if self.key and http.headers.get("authorization") != f"Bearer {self.key}":
            said = {"error": {"message": f"wrong key: {http.headers.get('authorization')}", "type": "invalid_request_error"}}
            return JSONResponse(said, 401)
        return None

    async def _counted(self, body: Any, fault: Fault) -> AsyncIterator[bytes]:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.in_flight >= self.wait_for:
                self._all_here.set()
            await self._all_here.wait()
            async for data in self._chunks(body, fault):
                yield data
        finally:
            self.in_flight -= 1

    async def _chunks(self, body: Any, fault: Fault) -> AsyncIterator[bytes]:
        if fault.kind == "silent_hang":
            await self._hang()
        chat = self.chat if "messages" in body else None
        for choice in chat.begins() if chat else ():
            yield _sse({"choices": [choice]})
        async with self._one_batch:
            count = 0
            async for event in iterate_in_threadpool(self.engine.stream([_request(body)], CancelToken())):
                if isinstance(event, TextPiece):
                    if count == fault.after and fault.kind:
                        async for data in self._strike(fault):
                            yield data
                        if fault.kind == "end":
                            return
                    count += 1
                    said = {"delta": {"content": event.text}} if chat else {"text": event.text}
                    yield _sse({"choices": [{"index": 0, **said, "finish_reason": None}]})
                elif isinstance(event, Finished):
                    for chunk in _last(event.completion, fault, is_chat=chat is not None):
                        yield _sse(chunk)
        yield b"data: [DONE]\n\n"

    async def _strike(self, fault: Fault) -> AsyncIterator[bytes]:
        if fault.kind == "reset":
            raise ConnectionResetError("ordered by the test")
        if fault.kind == "garbage":
            yield b"data: {no json\n\n"
        if fault.kind == "event":
            yield _sse({"error": fault.body})
        if fault.kind == "hang":
            await self._hang()

    async def _hang(self) -> None:
        self.hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.hang_up.set()


def _prompt(body: Any) -> str:
    """The prompt, or the user's turn."""
    return str(body["messages"][-1]["content"] if "messages" in body else body["prompt"])


def _request(body: Any) -> Request:
    body = {"max_tokens": body.get("max_completion_tokens", 256)} | body
    names = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens")
    stop = body.get("stop") or ()
    params = SamplingParams(**{name: body[name] for name in names if name in body}, stop=tuple(stop))
    # The scripted writer looks for the template's words in the prefix.
    return Request(_prompt(body), "", params, body.get("seed", 0))


def _last(completion: Completion, fault: Fault, *, is_chat: bool) -> list[Any]:
    choice: dict[str, Any] = {"index": 0, **({"delta": {}} if is_chat else {"text": ""}), "finish_reason": str(completion.finish_reason)}
    usage = {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": completion.cached_tokens},
    }
    end = {"choices": [choice | dict(fault.extra.get("choice", {}))]}
    counts = {"choices": [], "usage": usage} | dict(fault.extra.get("counts", {}))
    return [end] if fault.kind == "no_usage" else [end, counts]


def _sse(chunk: Any) -> bytes:
    whole = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": "m"} | chunk
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


@contextmanager
def serving(server: CompletionsServer, host: str = "127.0.0.1") -> Iterator[CompletionsServer]:
    """Run `server` in a thread, on a free port of this machine, within the block."""
    six = ":" in host
    # Listening already, so that no client comes too early.
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if six else socket.AF_INET)
    server.url = f"http://{f'[{host}]' if six else host}:{listener.getsockname()[1]}/v1"
    running: list[uvicorn.Server] = []
    started = threading.Event()

    async def run() -> None:
        config = uvicorn.Config(server.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        running.append(uvicorn.Server(config))
        started.set()
        await running[0].serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="completions-server", daemon=True)
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        running[0].should_exit = running[0].force_exit = True
        thread.join()
        listener.close()


def dead_address() -> str:
    """The address of a server that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
