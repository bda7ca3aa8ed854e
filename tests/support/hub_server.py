"""A real HTTP server that answers as the Hugging Face hub does, as far as its client asks: repositories, files with ranges, a CDN, faults.

It announces no Xet, so that files come over plain HTTP. Files of Git LFS are redirected to another origin, as the hub's are. Other parts of
the API are added by `route`, in a file of their own.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 1 << 16
LFS = (".gguf", ".parquet", ".arrow", ".zst", ".gz", ".xlsx", ".bin", ".safetensors")
TOKEN = "hf_" + "t" * 34
"""The one token that the server takes for an account's."""


@dataclass
class Repo:
    """A repository: its files by their paths, as bytes or as a file to serve, and what its card says."""

    id: str
    files: dict[str, bytes | Path] = field(default_factory=dict)
    kind: str = "model"
    card: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    """Other fields of its information, such as `gguf`."""
    gated: bool = False
    private: bool = False
    large: set[str] = field(default_factory=set)
    """Files that are kept by Git LFS whatever they are called."""
    hashes: dict[str, str] = field(default_factory=dict)
    """What the hub says of files whose content is another."""

    @property
    def sha(self) -> str:
        """The commit: another one for other files."""
        return hashlib.sha1(repr([(name, self.sha256(name)) for name in sorted(self.files)]).encode()).hexdigest()

    def size(self, name: str) -> int:
        """The bytes of a file."""
        content = self.files[name]
        return content.stat().st_size if isinstance(content, Path) else len(content)

    def sha256(self, name: str) -> str:
        """The hash that the hub tells of a file."""
        if name not in self.hashes:
            content = self.files[name]
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
                self.hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return self.hashes[name]

    def siblings(self, blobs: bool) -> list[dict[str, Any]]:
        """The files as the hub lists them."""
        return [{"rfilename": name, **(self._blob(name) if blobs else {})} for name in self.files]

    def tree(self) -> list[dict[str, Any]]:
        """The files as the hub lists a tree."""
        return [{"type": "file", "path": name, "oid": self._blob(name)["blobId"], **self._blob(name)} for name in self.files]

    def _blob(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        kept = name.encode() if isinstance(content, Path) or name in self.large or name.endswith(LFS) else content
        blob: dict[str, Any] = {"size": self.size(name), "blobId": hashlib.sha1(b"blob %d\0" % len(kept) + kept).hexdigest()}
        if name in self.large or name.endswith(LFS):
            blob["lfs"] = {"sha256": self.sha256(name), "oid": self.sha256(name), "size": self.size(name), "pointerSize": 134}
        return blob

    def info(self, blobs: bool) -> dict[str, Any]:
        """What the API tells of the repository."""
        told = {"_id": "1", "id": self.id, "modelId": self.id, "sha": self.sha, "private": self.private, "tags": self.tags, "downloads": 7}
        gated = "auto" if self.gated else False
        return {**told, "gated": gated, "cardData": self.card, "siblings": self.siblings(blobs), **self.more}


@dataclass
class Fault:
    """What goes wrong with requests whose path the pattern is found in, `times` of them.

    With a `status` nothing else is sent, and that when `hang` is set, if there is one. `break_after` resets the connection after that many
    bytes of a body, or with `hang` waits there until it is set; `flip` sends another first byte; `ignore_range` sends the whole file
    whatever is asked for.
    """

    path: str
    times: int = 1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "as ordered"}'
    break_after: int | None = None
    hang: threading.Event | None = None
    flip: bool = False
    ignore_range: bool = False
    pause_s: float = 0.0
    """How long to wait before each piece of a body."""


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Message
    body: bytes = b""


@dataclass
class Answer:
    """What is sent back: `body` as it is, or `name` of a repository's file from which a range may be asked."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Path | None = None


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def refused(status: int, message: str, code: str = "") -> Answer:
    """A refusal as the hub says it."""
    return as_json({"error": message}, status, **({"X-Error-Code": code} if code else {}), **{"X-Error-Message": message})


Answering = Callable[["HubServer", Asked, re.Match[str]], Answer]
ROUTES: list[tuple[str, re.Pattern[str], Answering]] = []


def route(methods: str, path: str) -> Callable[[Answering], Answering]:
    """Answer requests of these methods whose whole path the pattern matches; the last one that was added comes first."""

    def add(answering: Answering) -> Answering:
        ROUTES.insert(0, (methods, re.compile(path), answering))
        return answering

    return add


@dataclass
class HubServer:
    """The state of the server: what it has, what goes wrong, and what it was asked."""

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    members: set[str] = field(default_factory=set)
    """The gated repositories that the account has been given access to."""
    url: str = ""
    cdn: str = ""
    """Another origin of the same server."""
    sent: int = 0
    """Bytes of files that were sent."""
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by their sha256, whether a commit names them or not."""
    commits: list[str] = field(default_factory=list)
    """The messages of the commits."""
    role: str = "write"
    """What the account's token may do."""

    def add(self, repo: Repo) -> Repo:
        """Have a repository."""
        self.repos[repo.kind, repo.id] = repo
        return repo

    def paths(self, method: str = "GET") -> list[str]:
        """The paths that were asked for."""
        return [asked.path for asked in self.asked if asked.method == method]

    def is_known(self, asked: Asked) -> bool:
        """Whether the request comes with the account's token."""
        return asked.headers.get("authorization") == f"Bearer {TOKEN}"

    def visible(self, asked: Asked, kind: str, name: str, *, content: bool = False) -> Repo | Answer:
        """Return a repository that may be shown, its content as well, or the refusal."""
        repo = self.repos.get((kind, name))
        if repo is None or (repo.private and not self.is_known(asked)):
            if self.is_known(asked):
                return refused(404, "Repository not found", "RepoNotFound")
            return refused(401, "Invalid username or password.", "RepoNotFound")
        if content and repo.gated and name not in self.members:
            status = 403 if self.is_known(asked) else 401
            return refused(status, f"Access to {kind} {name} is restricted.", "GatedRepo")
        return repo

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        for methods, pattern, answering in ROUTES:
            if asked.method in methods.split() and (match := pattern.fullmatch(asked.path)):
                return answering(self, asked, match)
        return refused(404, f"Cannot {asked.method} {asked.path}")


_KINDS = {"models": "model", "datasets": "dataset"}
_REPO = r"(?P<repo>[^/]+/[^/]+)"
_API = r"/api/(?P<kinds>models|datasets)/" + _REPO


@route("GET", _API + r"(/revision/(?P<revision>[^/]+))?")
def _info(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    repo = server.visible(asked, _KINDS[match["kinds"]], match["repo"])
    if isinstance(repo, Answer):
        return repo
    if match["revision"] not in (None, "main", repo.sha):
        return refused(404, f"Invalid rev id: {match['revision']}", "RevisionNotFound")
    return as_json(repo.info(asked.query.get("blobs", [""])[0].lower() == "true"))


@route("GET", _API + r"/tree/(?P<revision>[^/]+)(/(?P<path>.*))?")
def _tree(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    repo = server.visible(asked, _KINDS[match["kinds"]], match["repo"])
    if isinstance(repo, Answer):
        return repo
    below = f"{match['path']}/" if match["path"] else ""
    return as_json([entry for entry in repo.tree() if entry["path"].startswith(below)])


@route("GET", r"/api/(?P<kinds>models|datasets)")
def _list(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    wanted = set(asked.query.get("filter", []))
    kind = _KINDS[match["kinds"]]
    found = [repo for (each, _), repo in server.repos.items() if each == kind and wanted <= set(repo.tags)]
    return as_json([repo.info(False) for repo in found])


@route("GET HEAD", r"/((?P<kinds>datasets)/)?" + _REPO + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def _resolve(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    repo = server.visible(asked, _KINDS[match["kinds"] or "models"], match["repo"], content=True)
    if isinstance(repo, Answer):
        return repo
    name = unquote(match["path"])
    if match["revision"] not in ("main", repo.sha):
        return refused(404, f"Invalid rev id: {match['revision']}", "RevisionNotFound")
    if name not in repo.files:
        return refused(404, "Entry not found", "EntryNotFound")
    told = {"X-Repo-Commit": repo.sha, "ETag": f'"{hashlib.sha1(name.encode()).hexdigest()}"', "Accept-Ranges": "bytes"}
    if not (name in repo.large or name.endswith(LFS)):
        return Answer(200, headers=told, content=repo.files[name])
    told |= {"X-Linked-Size": str(repo.size(name)), "X-Linked-Etag": f'"{repo.sha256(name)}"'}
    return Answer(302, headers={**told, "Location": f"{server.cdn}/cdn/{repo.kind}/{repo.id}/{name}?Signature=x"})


@route("GET HEAD", r"/cdn/(?P<kind>model|dataset)/" + _REPO + r"/(?P<path>.+)")
def _cdn(server: HubServer, _asked: Asked, match: re.Match[str]) -> Answer:
    repo = server.repos[match["kind"], match["repo"]]
    name = unquote(match["path"])
    return Answer(200, headers={"ETag": f'"{repo.sha256(name)}"', "Accept-Ranges": "bytes"}, content=repo.files[name])


@route("GET", "/api/whoami-v2")
def _whoami(server: HubServer, asked: Asked, _match: re.Match[str]) -> Answer:
    known = as_json({"type": "user", "name": "acme", "orgs": [], "auth": {"accessToken": {"role": server.role}}})
    return known if server.is_known(asked) else refused(401, "Invalid credentials in Authorization header")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Heads and bodies are sent apart: each would wait for the other side to say that it has the one before.
    hub: HubServer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = Asked(self.command, unquote(address.path), parse_qs(address.query), self.headers, self._received())
        self.hub.asked.append(asked)
        fault = next((each for each in self.hub.faults if each.times > 0 and re.search(each.path, asked.path)), None)
        if fault is not None:
            fault.times -= 1
        if fault is not None and fault.status:
            if fault.hang is not None:
                fault.hang.wait(60)
            self._send(Answer(fault.status, fault.body, fault.headers))
        else:
            self._send(self.hub.answer(asked), fault)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _received(self) -> bytes:
        """The body of the request, which may come in chunks."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while length := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, answer: Answer, fault: Fault | None = None) -> None:
        if answer.content is None:
            self._head(answer.status, len(answer.body), answer.headers)
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            return
        content = answer.content
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        start, end, status = self._range(size, ignore=fault is not None and fault.ignore_range)
        told = {**answer.headers, **({"Content-Range": f"bytes {start}-{end - 1}/{size}"} if status == 206 else {})}
        if status == 416:
            self._head(416, 0, {"Content-Range": f"bytes */{size}"})
            return
        self._head(status, end - start, told)
        if self.command != "HEAD":
            with suppress(BrokenPipeError, ConnectionResetError):
                self._body(content, start, end, fault or Fault(""))

    def _range(self, size: int, *, ignore: bool) -> tuple[int, int, int]:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if asked is None or ignore:
            return 0, size, 200
        start, end = int(asked[1]), min(int(asked[2] or size - 1) + 1, size)
        return start, end, 206 if start < size else 416

    def _body(self, content: bytes | Path, start: int, end: int, fault: Fault) -> None:
        cut = end if fault.break_after is None else min(end, start + fault.break_after)
        for piece in _pieces(content, start, cut):
            self.hub.sent += len(piece)
            time.sleep(fault.pause_s)
            self.wfile.write(bytes([piece[0] ^ 1]) + piece[1:] if fault.flip else piece)
        if fault.break_after is None:
            return
        self.wfile.flush()
        if fault.hang is not None:
            fault.hang.wait(60)
            self._body(content, cut, end, Fault(""))
            return
        # Lingering for no time, the kernel resets the connection.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away, or were reset as ordered; anything else shows in what they get."""


def _pieces(content: bytes | Path, start: int, end: int) -> Iterator[bytes]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(PIECE, end - start))):
            start += len(piece)
            yield piece


@contextmanager
def hub_server(*repos: Repo) -> Iterator[HubServer]:
    """Run a hub that has these repositories, until the block ends."""
    hub = HubServer()
    for repo in repos:
        hub.add(repo)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    hub.url, hub.cdn = (f"http://{host}:{server.server_port}" for host in ("127.0.0.1", "localhost"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        for fault in hub.faults:
            if fault.hang is not None:
                fault.hang.set()
        server.shutdown()
        server.server_close()
