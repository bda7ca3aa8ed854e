"""What the hub of the tests answers when something is brought to it: repositories made, files sent, commits; import it to have it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from support.hub_server import Answer, Asked, HubServer, Repo, as_json, refused, route

ACCOUNT = "acme"
LARGE = 20_000
"""Bytes from which on a file goes by Git LFS."""
_DATASET = r"/api/datasets/(?P<repo>[^/]+/[^/]+)"


def _own(server: HubServer, asked: Asked, name: str) -> Repo | Answer:
    """Return a dataset that the account may write, or the refusal."""
    repo = server.visible(asked, "dataset", name)
    if isinstance(repo, Answer):
        return repo
    if not server.is_known(asked):
        return refused(401, "Invalid username or password.")
    if name.partition("/")[0] != ACCOUNT or server.role != "write":
        return refused(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
    return repo


@route("POST", "/api/repos/create")
def _create(server: HubServer, asked: Asked, _match: re.Match[str]) -> Answer:
    said: dict[str, Any] = json.loads(asked.body)
    owner = said.get("organization") or ACCOUNT
    name = f"{owner}/{said['name']}"
    if not server.is_known(asked):
        return refused(401, "Invalid username or password.")
    if owner != ACCOUNT or server.role != "write":
        return refused(403, f'You don\'t have the rights to create a dataset under the namespace "{owner}"')
    if ("dataset", name) in server.repos:
        return refused(409, "You already created this dataset repo")
    hidden = said.get("private") or said.get("visibility") == "private"
    server.add(Repo(name, {".gitattributes": b"*.parquet filter=lfs\n"}, kind="dataset", private=bool(hidden)))
    return as_json({"url": f"{server.url}/datasets/{name}", "name": name, "id": "1"})


@route("POST", "/api/validate-yaml")
def _validate(_server: HubServer, asked: Asked, _match: re.Match[str]) -> Answer:
    """Look for a licence as the hub does, which has a list of them."""
    card = str(json.loads(asked.body)["content"])
    if 'license: "no-such-licence"' in card:
        return as_json({"errors": [{"message": '"license" must be one of [apache-2.0, mit, ...]\x1b[31m'}], "warnings": []}, 400)
    return as_json({"errors": [], "warnings": [{"message": "a remark\x1b[31m"}] if 'license: "other"' in card else []})


@route("POST", _DATASET + "/preupload/main")
def _preupload(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    repo = _own(server, asked, match["repo"])
    if isinstance(repo, Answer):
        return repo
    ignored = {line.decode() for line in content(repo, ".gitignore").split()}
    modes = [
        {
            "path": each["path"],
            "uploadMode": "lfs" if each["size"] >= LARGE or each["path"].endswith(".parquet") else "regular",
            "shouldIgnore": each["path"].partition("/")[0] in ignored,
            "oid": next((file["oid"] for file in repo.tree() if file["path"] == each["path"]), None),
        }
        for each in json.loads(asked.body)["files"]
    ]
    return as_json({"files": modes})


def content(repo: Repo, name: str) -> bytes:
    """What a file of a repository holds; nothing where it is not there."""
    found = repo.files.get(name, b"")
    return found if isinstance(found, bytes) else found.read_bytes()


@route("POST", r"/datasets/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
def _batch(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    repo = _own(server, asked, match["repo"])
    if isinstance(repo, Answer):
        return repo
    objects = [
        {**each, **({} if each["oid"] in server.stored else {"actions": {"upload": {"href": f"{server.cdn}/upload/{each['oid']}"}}})}
        for each in json.loads(asked.body)["objects"]
    ]
    return as_json({"transfer": "basic", "objects": objects})


@route("PUT", "/upload/(?P<oid>[0-9a-f]{64})")
def _upload(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    if hashlib.sha256(asked.body).hexdigest() != match["oid"]:
        return refused(400, "the content is not what was announced")
    server.stored[match["oid"]] = asked.body
    return Answer(200)


@route("POST", _DATASET + "/commit/main")
def _commit(server: HubServer, asked: Asked, match: re.Match[str]) -> Answer:
    """Take all operations of a commit, or none."""
    repo = _own(server, asked, match["repo"])
    if isinstance(repo, Answer):
        return repo
    header, *operations = (json.loads(line) for line in asked.body.splitlines() if line)
    if header["value"].get("parentCommit") not in (None, repo.sha):
        return refused(412, "A commit has happened since. Please refresh and try again.")
    files, large = dict(repo.files), set(repo.large)
    for operation in operations:
        value, path = operation["value"], operation["value"]["path"]
        large.discard(path)
        match operation["key"]:
            case "file":
                files[path] = base64.b64decode(value["content"])
            case "lfsFile":
                if value["oid"] not in server.stored:
                    return refused(400, f"there is no object {value['oid']}")
                files[path] = server.stored[value["oid"]]
                large.add(path)
            case "deletedFile":
                del files[path]
    repo.files, repo.large = files, large
    repo.hashes.clear()
    server.commits.append(header["value"]["summary"])
    return as_json({"commitUrl": f"{server.url}/datasets/{repo.id}/commit/{repo.sha}", "commitOid": repo.sha, "success": True})
