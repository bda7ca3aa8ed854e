"""Datasets on the hub of the tests: their branch of Parquet, and repositories of a few tasks."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.hub_server import ROUTES, Answer, Asked, HubServer, Repo, as_json, route

CONVERTED = "converted"
"""The kind under which the server has the Parquet branch of a dataset."""
_REPO = r"(?P<repo>[^/]+/[^/]+)"


def lines(*numbers: int) -> bytes:
    """Tasks as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows(numbers)).encode()


def parquet(*numbers: int) -> bytes:
    """The same tasks as Parquet."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(numbers)), sink)
    return sink.getvalue()


def rows(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Tasks by their numbers."""
    return [{"instruction": f"Say {number}", "output": str(number)} for number in numbers]


def converted(repo: str, **files: bytes) -> Repo:
    """The branch of Parquet of a dataset; names have two underscores for a slash."""
    return Repo(repo, {name.replace("__", "/") + "/0000.parquet": content for name, content in files.items()}, CONVERTED)


@route("GET", r"/api/datasets/" + _REPO + r"/revision/refs/convert/parquet")
def _branch(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    repo = server.visible(asked, CONVERTED, match["repo"])
    if isinstance(repo, Answer):
        return Answer(404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
    return as_json(repo.info(True))


_whole = next(answering for _, pattern, answering in ROUTES if "resolve" in pattern.pattern)


@route("GET HEAD", r"/(?P<kinds>datasets)/" + _REPO + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def _file(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    branch = server.repos.get((CONVERTED, match["repo"]))
    if branch is None or match["revision"] != branch.sha or match["path"] not in branch.files:
        return _whole(server, asked, match)
    if isinstance(refused := server.visible(asked, "dataset", match["repo"], content=True), Answer):
        return refused
    told = {"X-Repo-Commit": branch.sha, "ETag": f'"{branch.sha256(match["path"])[:40]}"', "Accept-Ranges": "bytes"}
    return Answer(200, headers=told, content=branch.files[match["path"]])
