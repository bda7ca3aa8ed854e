"""The Hugging Face hub: how its repositories are named here, the client that asks it, and what its refusals mean.

Nothing is asked before a command names a repository. `HF_ENDPOINT` names another hub; tokens are those of `hf auth login` or `HF_TOKEN`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import socket
import ssl
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from studio import __version__
from studio.errors import StudioError, UsageError, causes_of
from studio.text import display_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

PREFIX = "hf:"
PUBLIC = "https://huggingface.co"
TIMEOUT = 20.0
"""Seconds to wait for an answer of the hub's API, or for the next bytes of a file."""

Kind = Literal["model", "dataset"]
_LIBRARY = "self-instruct-studio"
_QUOTES = " \t\r\n\"'`<>"
_HOSTS = ("huggingface.co", "hf.co", "www.huggingface.co")
_REPO = re.compile(r"(?P<repo>[A-Za-z0-9_][\w.\-]*/[A-Za-z0-9_][\w.\-]*)(@(?P<revision>[\w.\-]+))?", re.ASCII)
_PAGES = ("tree", "blob", "resolve", "raw")
_FOLDERS: Mapping[str, Kind] = {"models": "model", "datasets": "dataset"}
_LONGEST_NAME = 96
_LONGEST_SHOWN = 100
_SERVER_WORDS = 200
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class HubName(NamedTuple):
    """A repository, and maybe what of it is meant: `part` is a quantisation, a split or a file; `revision` a branch, tag or commit."""

    repo: str
    part: str = ""
    revision: str = ""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.repo}{at}" + (f":{self.part}" if self.part else "")


def is_hub_name(text: str) -> bool:
    """Whether `text` is meant as a repository of the hub: `hf:owner/name`, or the address of its page."""
    text = text.strip(_QUOTES)
    return text.lower().startswith(PREFIX) or _of_address(text) is not None


def parse_hub_name(text: str, kind: Kind = "model") -> HubName:
    """Read `hf:owner/name[@revision][:part]`, the same without `hf:`, or the address of a repository's page or of a file in it.

    Raises UsageError for what names no repository of that `kind`.
    """
    rest = text.strip(_QUOTES)
    shown = display_line(rest, _LONGEST_SHOWN)
    page = _of_address(rest)
    if page is None and rest.lower().startswith(PREFIX):
        rest = rest[len(PREFIX) :].lstrip("/")
    rest = page or rest
    folder, _, below = rest.partition("/")
    if folder in _FOLDERS and "/" in below:
        if _FOLDERS[folder] != kind:
            raise UsageError(f"{shown}: a {_FOLDERS[folder]} of the hub, not a {kind}", f"name a {kind}: hf:OWNER/NAME")
        rest = below
    rest, colon, part = rest.partition(":")
    repo, *files = (segment for segment in _segments(rest))
    revision = ""
    if page is not None and len(files) > 1 and files[0] in _PAGES:
        revision, files = files[1], files[2:]
    found = _REPO.fullmatch(repo)
    part = part.strip("/") or "/".join(files)
    # So the hub's own library reads names, too: one of these would be refused only when something is asked.
    odd = ".." in repo or "--" in repo or any(each.endswith((".", "-")) for each in repo.partition("@")[0].split("/"))
    odd = odd or repo.partition("@")[0].endswith(".git") or bool({".", ".."} & set(part.split("/"))) or bool(colon and (not part or files))
    if found is None or odd or len(found["repo"]) > _LONGEST_NAME:
        raise UsageError(f"{shown} does not name a {kind} on the hub", "it is written hf:OWNER/NAME, as in the address of its page")
    return HubName(found["repo"], part, found["revision"] or ("" if revision == "main" else revision))


def _segments(rest: str) -> list[str]:
    owner, *others = rest.strip("/").split("/")
    return ["/".join([owner, *others[:1]]), *others[1:]]


def _of_address(text: str) -> str | None:
    """What follows the host in an address of the hub, with or without its scheme; None for any other text."""
    scheme, has_scheme, rest = text.partition("://")
    if has_scheme and scheme.lower() not in ("http", "https"):
        return None
    host, _, path = (rest if has_scheme else text).partition("/")
    known = (*_HOSTS, urlsplit(endpoint()).netloc) if has_scheme else _HOSTS
    return unquote(re.split(r"[?#]", path, maxsplit=1)[0]) if host.lower() in known and path else None


def git_hash(size: int) -> hashlib._Hash:
    """Return what a content of so many bytes is to be fed to, to know it as git does (SHA-1 of a header and the content)."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def endpoint() -> str:
    """The hub that is asked, without a slash at the end."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")


def page_of(repo: str, kind: Kind = "model") -> str:
    """The address of a repository's page, for people."""
    return f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repo}"


def hub_api() -> HfApi:
    """Return the hub's client, which asks nothing yet. Raises UsageError for an HF_ENDPOINT that is no address."""
    _prepare()
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), library_name=_LIBRARY, library_version=__version__)


def hub_headers() -> dict[str, str]:
    """Return what to send with a request of one's own: the account's token and who asks. Raises UsageError as `hub_api` does."""
    _prepare()
    from huggingface_hub.utils import build_hf_headers

    return build_hf_headers(library_name=_LIBRARY, library_version=__version__)


def _prepare() -> None:
    """Keep the hub's library silent: no telemetry, no bars and no log lines of its own."""
    address = urlsplit(endpoint())
    if address.username or address.password:
        raise UsageError("HF_ENDPOINT must not hold a user name or a password", "a token goes into HF_TOKEN, or `hf auth login` keeps it")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UsageError(f"HF_ENDPOINT is no address: {display_line(endpoint(), _LONGEST_SHOWN)}", f"the public one is {PUBLIC}")
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars
    from huggingface_hub.utils.logging import set_verbosity

    # Read whenever it is about to tell; the environment is read once only, by whoever imports the library first.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    disable_progress_bars()
    set_verbosity(logging.CRITICAL)


@contextmanager
def told(what: str, error: type[StudioError] = UsageError, kind: Kind = "model") -> Iterator[None]:
    """Raise what goes wrong with the hub in the block as an `error` that says it of `what`, a repository or a file of one.

    Errors of the studio and those of the disk pass through; the client's warnings, on stderr past all cleaning, say nothing that these do
    not.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except StudioError:
        raise
    except Exception as fault:
        said = fault_of(fault, what, error, kind)
        if said is None:
            raise
        raise said from fault


def fault_of(fault: Exception, what: str, error: type[StudioError] = UsageError, kind: Kind = "model") -> StudioError | None:
    """Return `fault`, raised by the hub's client over `what`, as an error with the way on; None for what is not the hub's doing."""
    import httpx2
    from huggingface_hub import errors

    answer = next((each for each in causes_of(fault) if isinstance(each, errors.HfHubHTTPError)), None)
    if answer is not None:
        return error(*_of_answer(answer, what, kind))
    for each in causes_of(fault):
        if isinstance(each, errors.OfflineModeIsEnabled):
            return error(f"{what}: HF_HUB_OFFLINE is set, so that the hub is not asked", "unset it, or name a file that is here")
        if isinstance(each, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
            return error(f"{what}: the hub's address cannot be used: {_words(each)}", f"check HF_ENDPOINT, which is {endpoint()}")
        if isinstance(each, httpx2.TransportError):
            return error(*_of_connection(each, what))
        if isinstance(each, httpx2.HTTPError | errors.FileMetadataError):
            return error(f"{what}: {_words(each)}", f"is {endpoint()} a hub?")
    if any(isinstance(each, UnicodeEncodeError) for each in causes_of(fault)):
        # Only what goes into a header is encoded so, and of that the token alone is the user's.
        return error(f"{what}: the token has characters that no token has", "set HF_TOKEN anew, or log in with `hf auth login`")
    if isinstance(fault, KeyError | TypeError | ValueError | AttributeError):
        return error(f"{what}: the answer of {endpoint()} is not a hub's ({type(fault).__name__})", "check HF_ENDPOINT, or try again later")
    return None


def wait_before_retry(fault: Exception) -> float | None:
    """Return the seconds that the hub asks to be left alone for after `fault`, 0.0 if it says none; None when a retry cannot help."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(fault, errors.HfHubHTTPError):
        return _asked_to_wait(fault) or 0.0 if fault.response.status_code in _TRANSIENT else None
    if isinstance(fault, httpx2.TransportError) and not isinstance(fault, httpx2.UnsupportedProtocol | httpx2.ProxyError):
        return None if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes_of(fault)) else 0.0
    return None


def _of_answer(fault: HfHubHTTPError, what: str, kind: Kind) -> tuple[str, str]:
    from huggingface_hub import errors, get_token

    status, code = fault.response.status_code, fault.response.headers.get("x-error-code", "")
    said = display_line(fault.server_message or "", _SERVER_WORDS)
    login = "log in with `hf auth login`, or set HF_TOKEN"
    if isinstance(fault, errors.GatedRepoError) or code == "GatedRepo":
        ask = f"ask for it at {page_of(repo, kind)}" if (repo := getattr(fault, "repo_id", "")) else "ask for it on its page"
        has = "the account of your token has not been given access" if get_token() else "access is given to accounts only"
        return f"{what}: its owner gives it to those who ask ({has})", ask + ("" if get_token() else f", then {login}")
    if isinstance(fault, errors.DisabledRepoError):
        return f"{what}: the hub has disabled this repository", "choose another one"
    if isinstance(fault, errors.RevisionNotFoundError):
        return f"{what}: there is no such revision", "name a branch, a tag or a commit of it after @, or none"
    if isinstance(fault, errors.RemoteEntryNotFoundError):
        return f"{what}: there is no such file", "see its files on its page"
    if status == 401 and get_token() and not isinstance(fault, errors.RepositoryNotFoundError):
        return f"{what}: the hub refuses your token", f"it may have expired: {login} anew"
    if status in (401, 404):
        private = "" if get_token() else f"; for one that is private, {login}"
        return f"{what}: the hub has no such {kind}, or does not show it to you", f"check how it is written{private}"
    if status == 403:
        return f"{what}: the hub refuses this{f': {said}' if said else ''}", "check what your token may do: `hf auth whoami`"
    wait = _asked_to_wait(fault)
    later = f"try again in {wait:,.0f} seconds" if wait else "try again later"
    if status == 429:
        return f"{what}: the hub has had too many requests from here", later + ("" if get_token() else f"; more are allowed if you {login}")
    if status >= 500:
        return f"{what}: the hub has trouble (status {status})", later
    return f"{what}: the hub answers with status {status}{f': {said}' if said else ''}", f"is {endpoint()} a hub?"


def _of_connection(fault: Exception, what: str) -> tuple[str, str]:
    import httpx2

    host = urlsplit(endpoint()).netloc
    causes = list(causes_of(fault))
    if isinstance(fault, httpx2.ProxyError):
        return f"{what}: the proxy on the way to {host} refuses: {_words(fault)}", "check HTTPS_PROXY and HTTP_PROXY, or set NO_PROXY"
    if any(isinstance(each, ssl.SSLError) for each in causes):
        hint = "a firewall that reads along has an authority of its own: name its file in SSL_CERT_FILE"
        return f"{what}: the certificate of {host} is not trusted", hint
    if any(isinstance(each, socket.gaierror) for each in causes):
        return f"{what}: {host} cannot be found, as where a machine is offline", "connect it, or name a file that is here"
    if isinstance(fault, httpx2.TimeoutException):
        return f"{what}: no answer from {host} in time", "try again; what was loaded of a file is kept"
    return f"{what}: no connection to {host}: {_words(fault)}", "is this machine online? a proxy is named in HTTPS_PROXY"


def _asked_to_wait(fault: HfHubHTTPError) -> float | None:
    from huggingface_hub.utils import parse_ratelimit_headers

    from studio.engine.remote.errors import retry_after

    headers = fault.response.headers
    limit = parse_ratelimit_headers(headers)
    return retry_after(headers) or (float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None)


def _words(fault: BaseException) -> str:
    return display_line(str(fault), _SERVER_WORDS) or type(fault).__name__
