"""Datasets of the hub where a command takes files: told before they are loaded, not loaded in a dry run, with licence and commit after."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.pool.pool import Pool, Queries
from support.command import assert_fails, new_studio
from support.hub_datasets import converted, lines, parquet
from support.hub_server import HubServer, Repo, hub_server

HERE = {"HF_TOKEN": "", "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    card = {"license": "odc-by"}
    with hub_server(Repo("acme/tasks", {"train.jsonl": lines(1, 2, 3), "test.jsonl": lines(7)}, "dataset", card)) as hub:
        yield hub


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    Pool.create(tmp_path / "pool.db", []).close()
    return tmp_path / "pool.db"


def run(hub: HubServer, pool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return new_studio(*arguments, HF_ENDPOINT=hub.url, HF_HOME=str(pool.parent / "hf"), **HERE)


def loaded(hub: HubServer) -> list[str]:
    return [path for path in hub.paths() if "/resolve/" in path or "/cdn/" in path]


def test_a_dry_run_loads_nothing_and_an_import_notes_licence_and_commit(hub: HubServer, pool: Path) -> None:
    commit = hub.repos["dataset", "acme/tasks"].sha
    dry = run(hub, pool, "import", pool, "hf:acme/tasks", "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert "hf:acme/tasks: licence odc-by; split train, 1 file" in dry.stderr and "not read: split test" in dry.stderr
    [told] = json.loads(dry.stdout)["datasets"]
    assert (told["commit"], told["licence"], [each["name"] for each in told["files"]]) == (commit, "odc-by", ["train.jsonl"])
    assert not loaded(hub) and not list((pool.parent / "hf").rglob("*.jsonl"))

    done = run(hub, pool, "import", pool, "hf:acme/tasks")
    assert done.returncode == 0, done.stderr
    name = f"hf:acme/tasks@{commit}:train.jsonl"
    assert f"{name}: 3 tasks imported as imported (alpaca)" in done.stderr
    with Queries.open(pool) as reader:
        assert [(each.name, each.licence, each.tasks) for each in reader.imports.all()] == [(name, "odc-by", 3)]
    card = pool.with_name("README.md")
    assert run(hub, pool, "export", pool, "-o", pool.with_name("data.jsonl"), "--card", card).returncode == 0
    assert "odc-by" in card.read_text() and commit in card.read_text()
    assert "odc-by" in run(hub, pool, "stats", pool).stdout

    shown = run(hub, pool, "import", pool, name, "--dry-run")
    assert shown.returncode == 0 and "here already" in shown.stderr and "Say 1" in shown.stdout


def test_other_commands_take_it_too(hub: HubServer, pool: Path) -> None:
    checked = run(hub, pool, "seeds", "check", "hf:acme/tasks:test")
    assert checked.returncode == 0 and "1 task (alpaca)" in checked.stdout, checked.stderr
    compared = run(hub, pool, "overlap", "hf:acme/tasks:test", "hf:acme/tasks:train", "--json")
    assert json.loads(compared.stdout)["tasks"] == 1, compared.stderr
    hub.add(converted("acme/tasks", default__train=parquet(1, 2)))
    new = pool.with_name("new.db")
    made = run(hub, pool, "run", new, "--seeds", "hf:acme/tasks", "--headless", "--target", "1", "--model", "scripted")
    with Queries.open(new) as reader:
        [file] = reader.imports.all()
    assert file.name.endswith(":default/train/0000.parquet") and (file.origin, file.licence) == ("seed", "odc-by"), made.stderr


def test_what_goes_wrong_is_one_line_and_nothing_is_imported(hub: HubServer, pool: Path) -> None:
    assert_fails(run(hub, pool, "import", pool, "hf:acme/none"), 2, "the hub has no such dataset")
    assert_fails(run(hub, pool, "import", pool.with_name("none.db"), "hf:acme/tasks"), 4, "there is no pool")
    hub.url = "http://127.0.0.1:9"
    assert_fails(run(hub, pool, "import", pool, "hf:acme/tasks"), 2, "hf:acme/tasks: no connection to")
    with Queries.open(pool) as reader:
        assert reader.imports.all() == []
