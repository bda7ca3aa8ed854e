"""One file of the hub: loaded, with trust in nothing but its hash, and what is kept beside it of where it came from."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn

from studio.engine.api import CancelToken
from studio.errors import Interrupted, ModelError, StudioError
from studio.hub import TIMEOUT, endpoint, fault_of, git_hash, hub_headers, wait_before_retry

if TYPE_CHECKING:
    from httpx2 import Response


_PIECE = 1 << 20
_TRIES = 6
"""In vain, one after another: what brings bytes is not in vain."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_MOST_ASKED = 60.0
"""Seconds that the hub may ask to be left alone for."""
_POLL_S = 0.1

Progress = Callable[[str, int, int], None]
"""What is being done to which file, and how many bytes of how many are done."""


class HubFile(NamedTuple):
    """A file of a repository: `sha256` for those of Git LFS, else `blob`, by which Git knows it."""

    path: str
    size: int
    sha256: str = ""
    blob: str = ""

    @property
    def name(self) -> str:
        """What it is called here, without folders."""
        return PurePosixPath(self.path).name

    @property
    def key(self) -> str:
        """What its content is known by."""
        return self.sha256 or self.blob

    def hasher(self) -> hashlib._Hash:
        """Return what its content is to be fed to, so that the digest is its key."""
        return hashlib.sha256() if self.sha256 else git_hash(self.size)


class WrongContent(ModelError):
    """What came is not the file that the hub told of; nothing of it is kept."""


def load(repo: str, revision: str, file: HubFile, part: Path, progress: Progress, cancel: CancelToken) -> None:
    """Have the whole content of `file` in `part`, checked, going on after what is there.

    Raises ModelError when the hub cannot be had or refuses, or the disk does; WrongContent for another content; Interrupted when cancelled.
    What was loaded is kept, except for a wrong content.
    """
    try:
        with part.open("ab+") as out:
            _Loading(repo, revision, file, out, progress, cancel).run()
    except WrongContent:
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        kept = f"{part.stat().st_size:,} bytes of it are kept in {part}" if part.exists() else "nothing of it is kept"
        raise ModelError(
            f"{file.path}: cannot be written: {(error.strerror or str(error)).lower()}", f"make room, then again; {kept}"
        ) from error


class _Loading:
    def __init__(self, repo: str, revision: str, file: HubFile, out: BinaryIO, progress: Progress, cancel: CancelToken) -> None:
        self._repo, self._revision, self._file, self._out = repo, revision, file, out
        self._progress, self._cancel = progress, cancel
        self._hash = file.hasher()
        self._have = 0

    def run(self) -> None:
        self._read_what_is_there()
        if self._have < self._file.size:
            self._load()
        self._out.flush()
        if self._file.key and self._hash.hexdigest() != self._file.key:
            raise WrongContent(
                f"{self._file.path}: what came is not what the hub has: its {'sha256' if self._file.sha256 else 'hash'} is another",
                "it was not kept; the same command loads it anew. If that comes again, a proxy on the way or the disk is at fault",
            )

    def _read_what_is_there(self) -> None:
        """Hash what an earlier attempt left; what is longer than the file is of no use."""
        self._out.seek(0, 2)
        if self._out.tell() > self._file.size:
            self._restart()
            return
        self._out.seek(0)
        while piece := self._out.read(_PIECE):
            self._took(piece, "checking")

    def _load(self) -> None:
        tries = 0
        while True:
            before = self._have
            try:
                self._once()
                return
            except StudioError:
                raise
            except Exception as fault:
                tries = 1 if self._have > before else tries + 1
                wait = wait_before_retry(fault)
                if wait is None or wait > _MOST_ASKED or tries >= _TRIES:
                    self._give_up(fault)
                self._rest(max(wait or 0.0, min(_FIRST_WAIT * 2.0 ** (tries - 1), _LONGEST_WAIT)))

    def _give_up(self, fault: Exception) -> NoReturn:
        """Raise what the hub's client says as a ModelError that tells what is kept; faults of the disk as they are."""
        said = fault_of(fault, f"{self._repo}: {self._file.path}", ModelError)
        if said is None:
            raise fault
        kept = f"; {self._have:,} of {self._file.size:,} bytes are kept" if self._have else ""
        raise ModelError(said.message, said.hint + kept) from fault

    def _once(self) -> None:
        """One request, from where we are to the end."""
        import httpx2
        from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status

        url = hf_hub_url(self._repo, self._file.path, revision=self._revision, endpoint=endpoint())
        headers = {**hub_headers(), "Accept-Encoding": "identity"}
        if self._have:
            headers["Range"] = f"bytes={self._have}-"
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                self._restart()
                raise httpx2.RemoteProtocolError("the file is shorter than what is here of it")
            hf_raise_for_status(response)
            goes_on = self._goes_on(response)
            length = response.headers.get("content-length", "") if "content-encoding" not in response.headers else ""
            if length.isdigit() and int(length) != self._file.size - (self._have if goes_on else 0):
                # A page to log in at, say: what is here of the file is worth more.
                raise httpx2.RemoteProtocolError(f"what comes is not the file: it has {int(length):,} bytes")
            if not goes_on:
                self._restart()
            for piece in response.iter_bytes():
                self._write(piece)
        if self._have < self._file.size:
            raise httpx2.RemoteProtocolError(f"the connection ended after {self._have:,} of {self._file.size:,} bytes")

    def _goes_on(self, response: Response) -> bool:
        return response.status_code == 206 and response.headers.get("content-range", "").startswith(f"bytes {self._have}-")

    def _write(self, piece: bytes) -> None:
        if self._have + len(piece) > self._file.size:
            raise WrongContent(
                f"{self._file.path}: more comes than the {self._file.size:,} bytes that the hub told of", "it was not kept; try again later"
            )
        self._out.write(piece)
        self._took(piece, "loading")

    def _took(self, piece: bytes, what: str) -> None:
        self._hash.update(piece)
        self._have += len(piece)
        self._progress(f"{what} {self._file.path}", self._have, self._file.size)
        self._check_cancel()

    def _restart(self) -> None:
        self._out.seek(0)
        self._out.truncate()
        self._hash, self._have = self._file.hasher(), 0

    def _rest(self, seconds: float) -> None:
        self._progress(f"waiting for {self._file.path}", self._have, self._file.size)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check_cancel()
            time.sleep(_POLL_S)

    def _check_cancel(self) -> None:
        if self._cancel.cancelled:
            self._out.flush()
            kept = os.fstat(self._out.fileno()).st_size
            raise Interrupted(
                f"stopped; {kept:,} of {self._file.size:,} bytes of {self._file.path} are kept", "the same again goes on from there"
            )


ENDING = ".origin.json"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OriginFile:
    """One file: its path in the repository, its size in bytes and its sha256, empty where the hub told none."""

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository, the commit, and what its page said when the files, several of a split model, were loaded.

    A copy in another quantisation has neither of the first two: it was made from that repository.
    """

    repo: str
    revision: str
    licence: str
    base_models: tuple[str, ...]
    files: tuple[OriginFile, ...]
    hub: str = ""

    def is_of(self, path: Path) -> bool:
        """Whether the file at `path`, the first of a split model's, still is the one that was loaded, as far as its size tells."""
        with suppress(OSError, IndexError):
            return path.stat().st_size == self.files[0].size
        return False


def origin_path(model: Path) -> Path:
    """The file beside a model, the first one of a split model, that says where it came from."""
    return model.with_name(model.name + ENDING)


def read_origin(model: Path) -> Origin | None:
    """Return where the model at this path came from; None where nothing is said, or of another file that lay there."""
    beside = origin_path(model)
    try:
        if beside.stat().st_size > _MOST_BYTES:
            return None
        told = json.loads(beside.read_bytes())
        files = tuple(OriginFile(str(each["path"]), int(each["size"]), str(each["sha256"])) for each in told["files"])
        bases = tuple(str(each) for each in told["base_models"])
        origin = Origin(str(told["repo"]), str(told["revision"]), str(told["licence"]), bases, files, str(told["hub"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return origin if origin.is_of(model) else None


def write_origin(model: Path, origin: Origin) -> None:
    """Write it beside the model. Raises OSError."""
    target = origin_path(model)
    beside = target.with_name(f".{target.name}.part")
    beside.write_text(json.dumps(asdict(origin), ensure_ascii=False, indent=1) + "\n", "utf-8")
    beside.replace(target)


def write_origin_of_copy(source: Path, copy: Path) -> None:
    """Keep beside a copy that was made of the model at `source` what is said of that: the licence is the same. Raises OSError."""
    if (origin := read_origin(source)) is not None:
        made_from = (origin.repo,) if origin.repo else origin.base_models
        files = (OriginFile(copy.name, copy.stat().st_size),)
        write_origin(copy, Origin("", "", origin.licence, made_from, files, origin.hub))
