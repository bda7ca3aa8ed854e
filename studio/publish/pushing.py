"""A parcel and its way to the hub: what is there is looked at first, then all goes up in one commit, or nothing is changed there."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from studio import __version__
from studio.errors import PoolError
from studio.hub import git_hash, hub_api, page_of, told
from studio.pool.browse import ALL, Keep
from studio.pool.exchange.formats import TaskStream
from studio.pool.exchange.outputs import writing
from studio.pool.stream import ExportTask
from studio.text import display_line

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi


CARD, REPORT, MANIFEST = "README.md", "report.html", ".self-instruct-studio.json"
SIDES = ("train", "validation")
DATA = tuple(f"data/{side}{ending}" for side in SIDES for ending in (".jsonl", ".parquet"))
OWN = (CARD, REPORT, MANIFEST, *DATA)
"""All that is ever written into a repository."""
LARGEST_MANIFEST = 1 << 16
"""Bytes; one of ours has a thousand."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class NamesAlone:
    """A source of tasks in which documents are called by their files' names alone: folders tell of their owner."""

    source: TaskStream

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False, paired: bool = False) -> Iterator[ExportTask]:
        for task in self.source.export_tasks(include_seeds, keep, made=made, paired=paired):
            place = task.document
            if place is not None:
                task = replace(task, document=place._replace(name=_last(place.name)))
            yield replace(task, provenance=json.dumps(_without_folders(json.loads(task.provenance)))) if task.provenance else task


def _without_folders(known: Any) -> Any:
    """Return what an imported record said of where it came from, and what that said of itself, with the names of documents alone."""
    if not isinstance(known, dict):
        return known
    document = known.get("document")
    if isinstance(document, dict) and isinstance(document.get("name"), str):
        known = {**known, "document": {**document, "name": _last(document["name"])}}
    return {**known, "provenance": _without_folders(known["provenance"])} if "provenance" in known else known


def _last(path: str) -> str:
    return PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name


@dataclass(frozen=True, slots=True)
class Names:
    """What the hub calls a content: a file that git keeps by `blob`, a large one by its sha256."""

    sha256: str
    blob: str


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of a parcel: its path in the repository, where it lies here, its bytes, and the records in it, None for what is no data."""

    path: str
    place: Path
    size: int
    names: Names
    records: int | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to the hub, in the order in which it is shown."""

    files: tuple[PackedFile, ...]

    @property
    def records(self) -> int:
        return sum(each.records or 0 for each in self.files)


def packed_data(folder: Path, records: Mapping[str, int]) -> tuple[PackedFile, ...]:
    """Return the files of data that lie in `folder`, with the numbers of their records. Raises PoolError."""
    return tuple(_file(folder, path, records[path]) for path in DATA if path in records)


def packed(folder: Path, data: Sequence[PackedFile]) -> tuple[PackedFile, ...]:
    """Return `data`, card and report, which lie in `folder`, after the list of them was written there. Raises PoolError."""
    files = [*data, *(_file(folder, path, None) for path in (CARD, REPORT))]
    listed = {each.path: asdict(each.names) for each in files}
    with writing(folder / MANIFEST):
        (folder / MANIFEST).write_text(json.dumps({"written_by": "Self-Instruct Studio", "files": listed}, indent=2) + "\n", "utf-8")
    return (*files, _file(folder, MANIFEST, None))


def _file(folder: Path, path: str, records: int | None) -> PackedFile:
    place = folder / path
    with writing(place):
        return PackedFile(path, place, place.stat().st_size, git_names(place), records)


def git_names(path: Path) -> Names:
    """Return what git and its large files call the content of a file."""
    sha256, blob = hashlib.sha256(), git_hash(path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            blob.update(piece)
    return Names(sha256.hexdigest(), blob.hexdigest())


def read_manifest(content: bytes) -> dict[str, Names]:
    """Return the names of the contents that a list tells, by path. Anybody may have written it: only what is of `OWN` is taken."""
    try:
        said: Any = json.loads(content)
        files = said["files"]
        return {path: Names(str(names["sha256"]), str(names["blob"])) for path, names in files.items() if path in OWN}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


_KIND: Final = "dataset"
_HUBS_OWN = ".gitattributes"
"""The hub puts it into every repository."""
_NAMED = 8
_LONGEST_NAME = 60
_CARD_REFUSED = "Invalid metadata in README.md"
_MEANWHILE = (409, 412)
LOGIN = "log in with `hf auth login`, with a token that may write, or set HF_TOKEN"


@dataclass(frozen=True, slots=True)
class There:
    """A repository as it is: its commit, whether only its account sees it, its files, and what the last parcel said of its own."""

    commit: str
    private: bool
    files: Mapping[str, Names]
    listed: Mapping[str, Names]

    def is_ours(self, path: str) -> bool:
        """Whether the file is one that an earlier parcel brought, and nobody has changed it since."""
        return path == MANIFEST or (path in self.listed and self.has(path, self.listed[path]))

    def has(self, path: str, names: Names) -> bool:
        """Whether a file with this content is there."""
        there = self.files.get(path)
        return there is not None and (there.sha256 == names.sha256 if there.sha256 else there.blob == names.blob)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of it. `commit` is the repository's now; without `changed` it had all of it before."""

    address: str
    commit: str
    account: str
    changed: bool
    private: bool
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def is_logged_in() -> bool:
    """Whether the hub's library has a token. The hub is not asked."""
    from huggingface_hub import get_token

    return bool(get_token())


def push(parcel: Parcel, repo: str, *, public: bool, force: bool, say: Callable[[str], None], bars: bool = False) -> Pushed:
    """Bring `parcel` into the dataset `repo` of the hub, which is made if it is not there; `say` is told what is done.

    With `bars` the hub's library draws its own on stderr while files go up. With `force` files of others are replaced where they have a
    name of ours; no file of others is ever removed. Raises PoolError for whatever the hub or the way to it refuses; the repository is then
    as it was, or empty where it was made for this.
    """
    if not is_logged_in():
        raise PoolError("the hub's library has no token of yours", LOGIN)
    api = hub_api()
    account = _account(api)
    say(f"pushing to {page_of(repo, _KIND)} as {account} ...")
    there = _look(api, repo)
    if there is None:
        with told(repo, PoolError, _KIND):
            api.create_repo(repo, repo_type=_KIND, private=not public)
        say(f"made the {'public' if public else 'private'} dataset {repo}")
        there = _look(api, repo) or There("", not public, {}, {})
    else:
        _refuse(there, repo, public=public, force=force)
    stale = tuple(path for path in there.listed if path in there.files and there.is_ours(path) and path not in _paths(parcel))
    if not stale and all(there.has(each.path, each.names) for each in parcel.files):
        return Pushed(page_of(repo, _KIND), there.commit, account, False, there.private)
    from huggingface_hub import CommitOperationDelete
    from huggingface_hub.utils import enable_progress_bars

    if bars:
        enable_progress_bars()
    additions = _sent(api, [each for each in parcel.files if not there.has(each.path, each.names)], repo, say)
    removals = [CommitOperationDelete(path) for path in stale]
    commit, notes = _commit(api, parcel, repo, [*additions, *removals], there.commit)
    _verify(api, parcel, repo)
    return Pushed(page_of(repo, _KIND), commit, account, True, there.private, stale, notes)


def _paths(parcel: Parcel) -> set[str]:
    return {each.path for each in parcel.files}


def _account(api: HfApi) -> str:
    """Return the name of the account that the token belongs to. Raises PoolError where it may only read."""
    with told("your account", PoolError, _KIND):
        said: dict[str, Any] = api.whoami()
        token = (said.get("auth") or {}).get("accessToken") or {}
        name = display_line(str(said["name"]), _LONGEST_NAME)
    if token.get("role") == "read":
        raise PoolError(f"the token of {name} may only read", LOGIN)
    return name


def _look(api: HfApi, repo: str) -> There | None:
    """Return the repository, None where there is none. Raises PoolError."""
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    with told(repo, PoolError, _KIND):
        try:
            info = api.dataset_info(repo)
        except RepositoryNotFoundError:
            return None
        entries = api.list_repo_tree(repo, repo_type=_KIND, revision=info.sha, recursive=True)
        found = [each for each in entries if isinstance(each, RepoFile)]
        files = {each.path: Names(each.lfs.sha256 if each.lfs else "", each.blob_id) for each in found}
        sizes = {each.path: each.size for each in found}
        listed = _listed(api, repo, info.sha) if sizes.get(MANIFEST, LARGEST_MANIFEST) < LARGEST_MANIFEST else {}
        return There(info.sha or "", bool(info.private), files, listed)


def _listed(api: HfApi, repo: str, commit: str | None) -> dict[str, Names]:
    with TemporaryDirectory(prefix="studio-") as folder:
        place = api.hf_hub_download(repo, MANIFEST, repo_type=_KIND, revision=commit, local_dir=folder)
        return read_manifest(Path(place).read_bytes())


def _refuse(there: There, repo: str, *, public: bool, force: bool) -> None:
    """Raise PoolError for a repository that everybody sees where that was not asked for, or with files that are not ours."""
    if not there.private and not public:
        raise PoolError(f"{repo} is public: everybody would see the data", "say so with --public, or name another repository")
    if force:
        return
    others = [path for path in there.files if path != _HUBS_OWN and not there.is_ours(path)]
    if others:
        changed = [path for path in others if path in there.listed]
        names = ", ".join(display_line(path, 60) for path in others[:_NAMED])
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        what = "files that were changed since, or are not the studio's" if changed else "files that are not the studio's"
        replaced = [path for path in others if path in OWN]
        hint = f"--force replaces {', '.join(replaced)}" if replaced else "--force leaves them there and adds the studio's"
        raise PoolError(f"{repo} has {what}: {names}{more}", f"name another repository; {hint}")


def _sent(api: HfApi, files: Sequence[PackedFile], repo: str, say: Callable[[str], None]) -> list[CommitOperationAdd]:
    """Send those of `files` that are large, and return what a commit adds. Raises PoolError.

    One after the other: the hub's library sends several by threads, which go on after an interrupt.
    """
    from huggingface_hub import CommitOperationAdd

    additions = []
    for each in files:
        say(f"sending {each.path}, {each.size:,} bytes ...")
        addition = CommitOperationAdd(each.path, each.place)
        with _storage_told(repo), told(repo, PoolError, _KIND):
            api.preupload_lfs_files(repo, [addition], repo_type=_KIND, free_memory=False)
        additions.append(addition)
    return additions


@contextmanager
def _storage_told(repo: str) -> Iterator[None]:
    """Raise as PoolError what goes wrong with Xet, the hub's storage, whose client has errors of the language and its own."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, ConnectionError | TimeoutError | RuntimeError) and type(error).__module__.partition(".")[0] != "hf_xet":
            raise
        words = display_line(str(error), 300)
        raise PoolError(
            f"{repo}: the hub's storage cannot be reached: {words}", "try again; with HF_HUB_DISABLE_XET=1 files go another way"
        ) from error


def _commit(
    api: HfApi, parcel: Parcel, repo: str, operations: Sequence[CommitOperationAdd | CommitOperationDelete], before: str
) -> tuple[str, tuple[str, ...]]:
    """Make one commit of `operations` on top of `before`; return its name and what the hub remarks. Raises PoolError."""
    from huggingface_hub.errors import HfHubHTTPError

    message = f"Publish {parcel.records:,} records with Self-Instruct Studio {__version__}"
    with warnings.catch_warnings(record=True) as remarks, told(repo, PoolError, _KIND):
        warnings.simplefilter("always")
        try:
            done = api.create_commit(repo, operations, commit_message=message, repo_type=_KIND, parent_commit=before or None)
        except ValueError as error:
            if not str(error).startswith(_CARD_REFUSED):
                raise
            hint = "--license, --language and --title are what it has of you"
            raise PoolError(f"the hub refuses the card: {display_line(str(error), 300)}", hint) from error
        except HfHubHTTPError as error:
            if error.response.status_code not in _MEANWHILE:
                raise
            raise PoolError(f"{repo} was changed meanwhile, and is left as it is", "look what was changed there, then try again") from error
    notes = tuple(display_line(str(each.message), 300) for each in remarks if issubclass(each.category, UserWarning))
    return str(done.oid), notes


def _verify(api: HfApi, parcel: Parcel, repo: str) -> None:
    """Raise PoolError unless every file is there as it was sent: a .gitignore of the repository leaves files out in silence."""
    there = _look(api, repo)
    missing = [each.path for each in parcel.files if there is None or not there.has(each.path, each.names)]
    if missing:
        hint = "a .gitignore in the repository may leave them out: remove it there"
        raise PoolError(f"the hub took the commit, but {', '.join(missing)} is not there as it was sent", hint)
