"""Datasets of the Hugging Face hub: which files an address stands for, and getting them into the hub's own cache.

Only files of data are read: no code of a dataset is ever run. A file of the hub has a name of its own, `hf:owner/name@commit:file`, by
which every reader finds it in the cache, without asking the hub again.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from studio.errors import UsageError, nearest_name
from studio.hub import PREFIX, TIMEOUT, HubName, hub_api, is_hub_name, page_of, parse_hub_name, told
from studio.seeds.kinds import SUFFIXES
from studio.text import counted, display_line

PARQUET = "refs/convert/parquet"
"""The branch in which the hub keeps each dataset as Parquet, a folder for each configuration and in it one for each split."""
_DATA = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".arrow", ".xlsx", ".ods")
"""Files of data by their suffix, the first before the others where a split is there in several."""
_NO_DATA = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json", "package.json"}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
_WORD = re.compile("[a-z]+")
_SHOWN = 12

Table = Mapping[str, Mapping[str, Sequence[str]]]
"""The files of each split of each configuration."""


class HubFile(NamedTuple):
    """A file of a dataset, its bytes, and their SHA-256 in hexadecimal where the hub says it, as it does of large ones."""

    name: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class HubDataset:
    """What an address of a dataset stands for: `files` of `repo` at `commit`, which are the `split` of the `config`, if not files by name.

    `licence` is what its card says, empty for nothing and None where the hub was not asked; `left` says in words what there is besides.
    """

    asked: str
    repo: str
    commit: str
    licence: str | None
    files: tuple[HubFile, ...]
    config: str = ""
    split: str = ""
    left: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(each.size for each in self.files)

    @property
    def paths(self) -> list[Path]:
        """The names by which readers know the files."""
        return [self.path(each.name) for each in self.files]

    def path(self, file: str) -> Path:
        """The name by which readers know a file."""
        return Path(str(HubName(self.repo, file, self.commit)))

    @property
    def missing(self) -> int:
        """The bytes that are still to be loaded."""
        return sum(each.size for each in self.files if cached(self.path(each.name)) is None)

    def lines(self) -> Iterator[str]:
        """Yield what a user should know before anything is loaded, a harmless line each."""
        which = f"split {self.split}" + (f" of {self.config}" if self.config != "default" else "") if self.split else "one file"
        number = counted(len(self.files), "file")
        here = "" if self.missing else ", here already" if self.licence is not None else ", here already: the hub is not asked"
        licence = "" if self.licence is None else f"licence {self.licence}; " if self.licence else "its card states no licence; "
        yield display_line(f"{self.asked}: {licence}{which}, {number}, {megabytes(self.size)}{here}; commit {self.commit[:10]}")
        yield from (display_line(f"{self.asked}: {words}") for words in self.left)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        files = [each._asdict() for each in self.files]
        told = {"dataset": self.repo, "commit": self.commit, "licence": self.licence or None, "config": self.config, "split": self.split}
        return {**told, "size": self.size, "missing": self.missing, "files": files, "notes": list(self.left)}


def megabytes(size: int) -> str:
    """Return a size in bytes as people read it."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"


def is_of_hub(path: Path) -> bool:
    """Return whether `path` names a dataset of the hub or a file of one; the address of a page may be that of a folder that is here."""
    text = _text(path)
    return is_hub_name(text) and (text.lower().startswith(PREFIX) or not path.exists())


def cached(path: Path) -> Path | None:
    """Return where the file of the hub called `path` is in its cache, None where it is not."""
    from huggingface_hub import try_to_load_from_cache

    name = parse_hub_name(_text(path), "dataset")
    if not name.part:
        return None
    found = try_to_load_from_cache(name.repo, name.part, revision=name.revision or None, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def _text(path: Path) -> str:
    # A path has lost one of the slashes of an address.
    return re.sub(r"^(https?):/(?=[^/])", r"\1://", str(path), flags=re.IGNORECASE)


def find_dataset(path: Path) -> HubDataset:
    """Ask the hub what `hf:owner/name[@revision][:part]` stands for, or the address of its page.

    `part` is a split, `config/split`, a configuration or a file. Without one it is the only split or `train`. Nothing is loaded. Raises
    UsageError when the hub cannot be reached or does not show it, and when there is no such part or none that can be read.
    """
    name = parse_hub_name(_text(path), "dataset")
    shown, api = display_line(str(name)), hub_api()
    if name.revision and (known := _of_cache(name, shown)):
        return known
    with told(shown, kind="dataset"):
        info = api.dataset_info(name.repo, revision=name.revision or None, files_metadata=True, timeout=TIMEOUT)
        card, commit, there = _card(info), str(info.sha), _files(info)
    licence = _licence(card)
    if name.part in there:
        return HubDataset(shown, name.repo, commit, licence, (there[name.part],))
    table, left = _by_card(card, there) or _by_names(there), []
    if not name.revision and find_spec("pyarrow") is not None and (converted := _converted(api, name, shown)):
        commit, there, table = converted
    if not table:
        listed = ", ".join(list(there)[:_SHOWN]) or "none"
        words = f"{shown} has no files of data that can be read here; its files: {display_line(listed)}"
        raise UsageError(words, f"see {page_of(name.repo, 'dataset')}")
    config, split = _chosen(name, table, shown)
    files = tuple(there[each] for each in _of_one_kind(table[config][split]))
    if others := [each for each in table[config] if each != split]:
        left.append(f"not read: split {', '.join(sorted(others))}")
    if others := [each for each in table if each != config]:
        left.append(f"not read: configuration {', '.join(sorted(others))}")
    if unread := len(table[config][split]) - len(files):
        left.append(f"not read: {unread:,} more of its files, which are of another format")
    if any(PurePosixPath(each.name).parts[1:2] == (f"partial-{split}",) for each in files):
        left.append("the hub has converted only the beginning of this split: name its own files for all of it")
    return HubDataset(shown, name.repo, commit, licence, files, config, split, tuple(left))


def _of_cache(name: HubName, shown: str) -> HubDataset | None:
    """A file of a certain commit that is here already needs no hub."""
    found = cached(Path(str(name))) if name.part and len(name.revision) == 40 else None
    if found is None:
        return None
    return HubDataset(shown, name.repo, name.revision, None, (HubFile(name.part, found.stat().st_size),))


def _files(info: Any) -> dict[str, HubFile]:
    """The files by their names. These come from a server: one that leads out of a folder is none."""
    found = [HubFile(str(each.rfilename), int(each.size or 0), str(each.lfs.sha256) if each.lfs else "") for each in info.siblings or ()]
    return {each.name: each for each in found if not {"..", ".", ""} & set(each.name.split("/")) and "\\" not in each.name}


def _card(info: Any) -> dict[str, Any]:
    return dict(info.card_data.to_dict()) if info.card_data else {}


def _licence(card: Mapping[str, Any]) -> str:
    found = card.get("license_name") if card.get("license") == "other" else card.get("license")
    return display_line(", ".join(map(str, found)) if isinstance(found, list) else str(found or ""), 100)


def _converted(api: Any, name: HubName, shown: str) -> tuple[str, dict[str, HubFile], Table] | None:
    """The hub's own conversion to Parquet, None where there is none."""
    from huggingface_hub.errors import HfHubHTTPError

    with told(shown, kind="dataset"):
        try:
            info = api.dataset_info(name.repo, revision=PARQUET, files_metadata=True, timeout=TIMEOUT)
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
            return None
        commit, there = str(info.sha), _files(info)
    table: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(there):
        if file.endswith(".parquet") and len(parts := file.split("/")) == 3:
            table[parts[0]][parts[1].removeprefix("partial-")].append(file)
    return (commit, there, table) if table else None


def _by_card(card: Mapping[str, Any], there: Iterable[str]) -> Table:
    """The configurations as the card lists them, with the files that its patterns are of."""
    table: dict[str, dict[str, list[str]]] = {}
    configs = card.get("configs")
    for each in configs if isinstance(configs, list) else ():
        given = each.get("data_files") if isinstance(each, Mapping) else None
        entries = given if isinstance(given, list) and all(isinstance(one, Mapping) for one in given) else [{"path": given}]
        splits: dict[str, list[str]] = {}
        for entry in entries:
            paths = entry.get("path")
            patterns = paths if isinstance(paths, list) else [paths]
            files = [name for name in sorted(there) if _is_data(name) and any(fnmatchcase(name, str(one)) for one in patterns)]
            if files:
                splits[str(entry.get("split") or "train")] = files
        if splits:
            table[str(each.get("config_name") or "default")] = splits
    return table


def _by_names(there: Iterable[str]) -> Table:
    """One configuration, its splits by the words in the names of files; all of them are training data where none says otherwise."""
    splits: dict[str, list[str]] = defaultdict(list)
    for name in sorted(filter(_is_data, there)):
        words = _WORD.findall(name.lower().rpartition(".")[0])
        splits[next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), "")].append(name)
    unnamed = splits.pop("", [])
    if not splits and unnamed:
        splits["train"] = unnamed
    return {"default": dict(splits)} if splits else {}


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    return _kind(name) in _DATA and not hidden and path.name not in _NO_DATA


def _kind(name: str) -> str:
    suffixes = [each for each in PurePosixPath(name.lower()).suffixes if each not in SUFFIXES]
    return suffixes[-1] if suffixes else ""


def _of_one_kind(names: Sequence[str]) -> list[str]:
    """The same data is often there in several formats: the files of the commonest, the first of `_DATA` among equals."""
    numbers = Counter(map(_kind, names))
    best = max(numbers, key=lambda kind: (numbers[kind], -_DATA.index(kind)))
    return [name for name in names if _kind(name) == best]


def _chosen(name: HubName, table: Table, shown: str) -> tuple[str, str]:
    """Return the configuration and the split that are meant."""
    config, _, split = name.part.rpartition("/")
    if not config and split in table and split not in table.get("default", {}):
        config, split = split, ""
    if not config:
        config = "default" if "default" in table else next(iter(table))
        if len(table) > 1 and config != "default":
            listed = display_line(", ".join(sorted(table)), 500)
            raise UsageError(f"{shown} has several configurations: {listed}", f"name one: hf:{name.repo}:{sorted(table)[0]}")
    if config not in table:
        raise UsageError(f"{shown}: no configuration {config!r}", nearest_name(config, table))
    splits = table[config]
    if not split:
        split = "train" if "train" in splits else next(iter(splits))
        if len(splits) > 1 and split != "train":
            hint = f"name one: hf:{name.repo}:{config}/{split}"
            raise UsageError(f"{shown} has several splits: {', '.join(sorted(splits))}", hint)
    if split not in splits:
        raise UsageError(f"{shown}: no split, configuration or file {split!r}", nearest_name(split, {*splits, *table}))
    return config, split


Progress = Callable[[str, int, int], None]


def load(dataset: HubDataset, progress: Progress = lambda _what, _done, _size: None) -> None:
    """Get the files into the hub's cache; what is there already is not loaded again. Raises UsageError.

    `progress` gets what is loaded, and how many bytes of how many.
    """
    api, done = hub_api(), 0

    def report(before: int, more: int) -> None:
        progress(f"loading {dataset.repo}", before + more, dataset.size)

    for each in dataset.files:
        bar = _bar(partial(report, done))
        here = cached(dataset.path(each.name))
        try:
            with told(dataset.asked, kind="dataset"):
                file = api.hf_hub_download(dataset.repo, each.name, repo_type="dataset", revision=dataset.commit, tqdm_class=bar)
            if here is None:
                _check(Path(file), each, dataset)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UsageError(f"{dataset.asked} cannot be stored: {reason}", "HF_HOME names another folder for the hub's cache") from error
        done += each.size
        report(done, 0)


def _check(path: Path, file: HubFile, dataset: HubDataset) -> None:
    """Raise UsageError, and leave no file, where what was loaded is not what the hub says."""
    if not file.sha256:
        return
    with path.open("rb") as loaded:
        digest = hashlib.file_digest(loaded, "sha256").hexdigest()
    if digest != file.sha256:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise UsageError(f"{dataset.asked}: what came of {display_line(file.name)} is not what the hub has", "load it again")


def _bar(report: Callable[[int], None]) -> type[Any]:
    """What the hub's client takes for a bar; it reports the bytes of one file."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        monitor_interval = 0
        """No thread that watches over bars which nobody sees."""

        def __init__(self, *values: Any, **options: Any) -> None:
            super().__init__(*values, **options)  # type: ignore[no-untyped-call]
            self._loaded = int(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self._loaded += int(n or 0)
            report(self._loaded)
            return bool(super().update(n))

    return Bar
