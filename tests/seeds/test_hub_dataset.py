"""Datasets of the hub: what an address stands for, what is told of it, and what is loaded, from a server that speaks the hub's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import UsageError
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.pool import Pool
from studio.seeds.hub_dataset import HubDataset, cached, find_dataset, load
from studio.seeds.inputs import Input
from studio.seeds.reading import inspect_file
from support.hub_datasets import CONVERTED, converted, lines, parquet
from support.hub_server import TOKEN, Fault, HubServer, Repo, hub_server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def dataset(hub: HubServer, repo: str = "acme/tasks", **files: bytes) -> Repo:
    named = {name.replace("__", "/").replace("_jsonl", ".jsonl").replace("_csv", ".csv"): content for name, content in files.items()}
    return hub.add(Repo(repo, {"README.md": b"# Tasks", **named}, "dataset", {"license": "cc-by-4.0"}))


def names(found: HubDataset) -> list[str]:
    return [each.name for each in found.files]


def found(address: str) -> HubDataset:
    return find_dataset(Path(address))


def test_splits_by_the_names_of_files(hub: HubServer) -> None:
    dataset(hub, data__train_jsonl=lines(1), data__dev_jsonl=lines(2), other__notes_jsonl=lines(3))
    train = found("hf:acme/tasks")
    assert (names(train), train.split, train.licence, train.left) == (
        ["data/train.jsonl"],
        "train",
        "cc-by-4.0",
        ("not read: split validation",),
    )
    assert names(found("hf:acme/tasks:validation")) == ["data/dev.jsonl"]
    assert names(found("hf:acme/tasks:other/notes.jsonl")) == ["other/notes.jsonl"]
    with pytest.raises(UsageError, match="no split, configuration or file 'valdation'") as caught:
        found("hf:acme/tasks:valdation")
    assert "did you mean 'validation'?" in caught.value.hint
    assert not [path for path in hub.paths() if "/resolve/" in path]


def test_files_without_a_split_in_their_names_are_training_data_of_one_format(hub: HubServer) -> None:
    dataset(hub, a_jsonl=lines(1), b_jsonl=lines(2), a_csv=b"instruction,output\nx,y\n")
    all_of_it = found("https://huggingface.co/datasets/acme/tasks".replace("https://huggingface.co", hub.url))
    assert names(all_of_it) == ["a.jsonl", "b.jsonl"]
    assert all_of_it.left == ("not read: 1 more of its files, which are of another format",)


def test_configurations_of_the_card(hub: HubServer) -> None:
    repo = dataset(hub, fr__x_jsonl=lines(1), de__x_jsonl=lines(2), de__y_jsonl=lines(3))
    repo.card["configs"] = [
        {"config_name": "fr", "data_files": "fr/*.jsonl"},
        {"config_name": "de", "data_files": [{"split": "train", "path": ["de/x*"]}, {"split": "test", "path": "de/y.jsonl"}]},
    ]
    assert names(found("hf:acme/tasks:de/test")) == ["de/y.jsonl"]
    assert names(found("hf:acme/tasks:fr")) == ["fr/x.jsonl"]
    with pytest.raises(UsageError, match="several configurations: de, fr"):
        found("hf:acme/tasks")


def test_the_hubs_own_parquet_comes_first_and_a_revision_has_none(hub: HubServer) -> None:
    repo = dataset(hub, train_jsonl=lines(1))
    branch = hub.add(converted("acme/tasks", default__train=parquet(1), **{"default__partial-test": parquet(2)}))
    train, test = found("hf:acme/tasks"), found("hf:acme/tasks:test")
    assert (names(train), train.commit, train.licence) == (["default/train/0000.parquet"], branch.sha, "cc-by-4.0")
    assert any("only the beginning" in words for words in test.left) and not any("beginning" in words for words in train.left)
    assert (names(found(f"hf:acme/tasks@{repo.sha}")), found("hf:acme/tasks@main").commit) == (["train.jsonl"], repo.sha)
    load(test)
    assert [task.instruction for task in inspect_file(test.paths[0]).tasks] == ["Say 2"]


def test_it_is_loaded_once_and_read_by_a_name_that_needs_no_hub(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset(hub, train_jsonl=lines(1, 2))
    told: list[tuple[int, int]] = []
    train = found("hf:acme/tasks")
    [path] = train.paths
    assert train.missing == train.size > 0 and cached(path) is None
    with pytest.raises(UsageError, match="on the hub and not here"):
        Input(path)
    load(train, lambda _what, done, size: told.append((done, size)))
    assert told[-1] == (train.size, train.size) and train.missing == 0
    asked = len(hub.asked)
    load(train)
    assert not [each for each in hub.asked[asked:] if each.method == "GET" and "/resolve/" in each.path]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = find_dataset(path)
    assert (again.paths, len(inspect_file(path).tasks)) == ([path], 2)
    assert again.licence is None and "the hub is not asked" in next(again.lines())


def test_a_break_in_the_middle_is_gone_on_from(hub: HubServer) -> None:
    dataset(hub, train_jsonl=lines(*range(5000)))
    hub.faults.append(Fault(r"^/datasets/.*/resolve/.*train.jsonl", times=2, break_after=50_000))
    train = found("hf:acme/tasks")
    load(train)
    assert len(inspect_file(train.paths[0]).tasks) == 5000


def test_bytes_that_are_not_the_hubs_are_told_and_not_kept(hub: HubServer) -> None:
    hub.add(Repo("acme/tasks", {"train.parquet": parquet(1)}, "dataset"))
    hub.faults.append(Fault("^/cdn/", flip=True))
    train = found("hf:acme/tasks")
    with pytest.raises(UsageError, match=r"what came of train\.parquet is not what the hub has"):
        load(train)
    assert train.missing
    load(train)
    assert len(inspect_file(train.paths[0]).tasks) == 1


def test_a_folder_that_is_called_as_the_hub_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("huggingface.co/datasets/acme/tasks/train.jsonl")
    path.parent.mkdir(parents=True)
    path.write_bytes(lines(1))
    assert len(inspect_file(path).tasks) == 1


def test_files_whose_names_lead_elsewhere_are_none(hub: HubServer, tmp_path: Path) -> None:
    repo = dataset(hub, train_jsonl=lines(1))
    for name in ("../train.jsonl", "/etc/train.jsonl", "a/../../train.jsonl", "..\\train.jsonl"):
        repo.files[name] = lines(2)
    assert names(found("hf:acme/tasks")) == ["train.jsonl"]
    with pytest.raises(UsageError, match="does not name a dataset"):
        found("hf:acme/tasks:../../../etc/passwd")
    load(found("hf:acme/tasks"))
    assert not [path for path in tmp_path.rglob("*.jsonl") if not path.is_relative_to(tmp_path / "cache")]


def test_gated_missing_and_without_data(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset(hub, train_jsonl=lines(1)).gated = True
    train = found("hf:acme/tasks")
    with pytest.raises(UsageError, match="its owner gives it to those who ask") as caught:
        load(train)
    assert f"{hub.url}/datasets/acme/tasks" in caught.value.hint and "hf auth login" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.members.add("acme/tasks")
    load(train)
    with pytest.raises(UsageError, match="the hub has no such dataset"):
        found("hf:acme/none")
    dataset(hub, "acme/script", tasks_py=b"import os; os.abort()")
    with pytest.raises(UsageError, match="no files of data that can be read here"):
        found("hf:acme/script")


def test_without_a_way_to_the_hub_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="hf:acme/tasks: no connection to"):
        found("hf:acme/tasks")


def test_what_the_hub_says_stands_beside_what_was_imported(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dataset(hub, train_jsonl=lines(1) + b"{}\n")
    train = found("hf:acme/tasks")
    load(train)
    options = ImportOptions(skip_invalid=True, licences=dict.fromkeys(train.paths, train.licence or ""))
    with Pool.create(tmp_path / "pool.db", []) as pool:
        [report] = import_files(pool.tasks, train.paths, options)
        [file] = pool.imports.all()
    assert (file.name, file.licence, file.tasks) == (f"hf:acme/tasks@{train.commit}:train.jsonl", "cc-by-4.0", 1)
    assert report.rejected is not None and (tmp_path / report.rejected).is_file() and report.rejected.parent == Path()


def test_what_the_card_says_is_harmless(hub: HubServer) -> None:
    repo = dataset(hub, train_jsonl=lines(1))
    repo.card.update(license=["mit\x1b[31m", "x" * 500], configs="\x1b")
    [line, *_] = found("hf:acme/tasks").lines()
    assert "\x1b" not in line and "licence mit" in line and len(line) < 400
    assert (CONVERTED, "acme/tasks") not in hub.repos
