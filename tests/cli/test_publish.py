"""`studio publish`: nothing leaves this machine unasked, what goes up goes up whole, and what others put there stays."""

from __future__ import annotations

import getpass
import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner

from studio.cli.task_files import import_command
from studio.errors import ExitCode
from studio.publish.pushing import CARD, MANIFEST, REPORT
from studio.records import Instance
from support import hub_uploads
from support.command import clean_environment, studio_here
from support.generated_pool import build_pool
from support.hub_server import TOKEN, Fault, HubServer, Repo, hub_server
from support.publications import HOSTILE, published_pool

NAME = f"{hub_uploads.ACCOUNT}/set"
TASKS = [(f"Name the river number {number}.", False, (Instance("", f"River {number}."),)) for number in range(8)]
TRAIN = "data/train.jsonl"
WITHOUT_PARSER = "import studio.cli, studio.cli.export as command; command.usual_parser = lambda _: None; studio.cli.main()"
"""The command in a process of its own. Parsing is the page's matter, and takes longer than all else."""


Publish = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_pool(tmp_path_factory.mktemp("private-folder") / "private-name.db", TASKS, with_import=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("studio.cli.export.usual_parser", lambda _: None)
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def publish(hub: HubServer, pool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Publish:
    """Run the command in this process: `name` and options, with a licence."""
    assert hub.url

    def run(*words: object, name: str = NAME, licence: str = "mit", source: Path = pool) -> subprocess.CompletedProcess[str]:
        stated = ["--license", licence] if licence else []
        done = studio_here(monkeypatch, capsys, "publish", source, name, *stated, *words)
        assert TOKEN not in done.stdout + done.stderr and "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr
        return done

    return run


def there(hub: HubServer, name: str = NAME) -> Repo:
    return hub.repos["dataset", name]


def test_a_dry_run_shows_all_of_it_and_asks_nobody(hub: HubServer, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    done = publish("--json", "--split", "0.8")
    assert done.returncode == 0 and hub.asked == []
    assert "nothing has left this machine" in done.stderr and "--push" in done.stderr and "hf auth login" not in done.stderr
    said = json.loads(done.stdout)
    assert (said["repo"], said["private"], said["licence"], said["dry_run"], said["pushed"]) == (NAME, True, "mit", True, False)
    assert [each["path"] for each in said["files"]] == [TRAIN, "data/validation.jsonl", CARD, REPORT, MANIFEST]
    assert sum(each["records"] or 0 for each in said["files"]) == said["records"] == 8
    monkeypatch.delenv("HF_TOKEN")
    shown = publish("--split", "0.8")
    assert all(each["sha256"] in shown.stdout and f"{each['bytes']:,}" in shown.stdout for each in said["files"])
    assert f"{NAME} (private)" in shown.stdout and "licence mit" in shown.stdout and "hf auth login" in shown.stderr


def test_it_goes_up_in_one_commit_and_a_second_time_not_at_all(hub: HubServer, publish: Publish) -> None:
    done = publish("--push", "--json", "--language", "en")
    assert done.returncode == 0, done.stderr
    said, repo = json.loads(done.stdout), there(hub)
    assert (said["address"], said["account"], said["pushed"]) == (f"{hub.url}/datasets/{NAME}", "acme", True)
    assert said["address"] in done.stderr and said["commit"] == repo.sha
    assert repo.private and len(hub.commits) == 1
    for each in said["files"]:
        assert hashlib.sha256(hub_uploads.content(repo, each["path"])).hexdigest() == each["sha256"]
    assert REPORT in repo.large and CARD not in repo.large, "both ways of sending are gone"
    header = yaml.safe_load(hub_uploads.content(repo, CARD).decode().split("---\n")[1])
    assert (header["license"], header["pretty_name"]) == ("mit", "set")
    assert header["configs"][0]["data_files"] == [{"split": "train", "path": [TRAIN]}]
    again = publish("--push", "--language", "en")
    assert again.returncode == 0 and "nothing was pushed" in again.stderr and len(hub.commits) == 1


def test_another_shape_takes_the_place_of_the_last(hub: HubServer, publish: Publish) -> None:
    publish("--push", "--split", "0.8")
    done = publish("--push", "--parquet")
    assert done.returncode == 0, done.stderr
    assert sorted(there(hub).files) == [".gitattributes", MANIFEST, CARD, "data/train.parquet", REPORT]
    assert "removed there" in done.stderr and "data/validation.jsonl" in done.stderr


@pytest.mark.parametrize("files", [{"mine.csv": b"1"}, {CARD: b"# Mine"}, {MANIFEST: b"[[1]]", TRAIN: b"{}"}])
def test_what_others_put_there_stays(hub: HubServer, publish: Publish, files: dict[str, bytes]) -> None:
    repo = hub.add(Repo(NAME, dict(files), kind="dataset", private=True))
    refused = publish("--push")
    named = next(path for path in files if path != MANIFEST)
    assert refused.returncode == ExitCode.POOL and named in refused.stderr and "--force" in refused.stderr
    assert repo.files == files and hub.commits == []
    forced = publish("--push", "--force")
    assert forced.returncode == 0, forced.stderr
    assert set(files) <= set(repo.files) and repo.files.get("mine.csv") == files.get("mine.csv")


def test_a_card_that_was_edited_there_is_not_lost(hub: HubServer, publish: Publish) -> None:
    publish("--push")
    there(hub).files[CARD] = b"# With words of a person"
    refused = publish("--push")
    assert refused.returncode == ExitCode.POOL and "changed since" in refused.stderr and CARD in refused.stderr
    assert there(hub).files[CARD] == b"# With words of a person"


def test_nothing_becomes_public_unasked(hub: HubServer, publish: Publish) -> None:
    hub.add(Repo(NAME, kind="dataset", private=False))
    refused = publish("--push")
    assert refused.returncode == ExitCode.POOL and "is public" in refused.stderr and hub.commits == []
    assert publish("--push", "--force").returncode == ExitCode.POOL
    assert publish("--push", "--public").returncode == 0 and not there(hub).private
    hub.add(Repo(f"{NAME}-2", kind="dataset", private=True))
    kept = publish("--push", "--public", name=f"{NAME}-2")
    assert kept.returncode == 0 and there(hub, f"{NAME}-2").private and "stays so" in kept.stderr
    assert f"{NAME}-2 (private)" in kept.stdout, "it is said to be public"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [("/upload/", 403, "refuses"), ("/commit/", 412, "changed meanwhile"), ("/preupload/", 401, "token"), ("/commit/", 400, "as ordered")],
)
def test_a_break_leaves_the_repository_as_it_was_and_the_next_try_works(
    hub: HubServer, publish: Publish, path: str, status: int, words: str
) -> None:
    publish("--push")
    before, sha = dict(there(hub).files), there(hub).sha
    hub.faults.append(Fault(path, status=status))
    hub.stored.clear()
    broken = publish("--push", "--parquet")
    assert broken.returncode == ExitCode.POOL and broken.stderr.count("error: ") == 1 and words in broken.stderr
    assert (there(hub).files, there(hub).sha, len(hub.commits)) == (before, sha, 1)
    assert publish("--push", "--parquet").returncode == 0 and len(hub.commits) == 2


@pytest.mark.parametrize(
    ("role", "token", "name", "words"),
    [
        ("read", TOKEN, NAME, "may only read"),
        ("write", "hf_" + "x" * 34, NAME, "refuses your token"),
        ("write", "", NAME, "hf auth login"),
        ("write", TOKEN, "other/set", "You don't have the rights"),
    ],
)
def test_an_account_that_may_not(
    hub: HubServer, publish: Publish, monkeypatch: pytest.MonkeyPatch, role: str, token: str, name: str, words: str
) -> None:
    hub.role = role
    monkeypatch.setenv("HF_TOKEN", token)
    done = publish("--push", name=name)
    assert done.returncode == ExitCode.POOL and words in done.stderr and (not token or token not in done.stderr)
    assert ("dataset", name) not in hub.repos


def test_what_the_hub_says_of_the_card_is_told(publish: Publish) -> None:
    refused = publish("--push", licence="no-such-licence")
    assert refused.returncode == ExitCode.POOL and "must be one of" in refused.stderr and "--license" in refused.stderr
    done = publish("--push", licence="other")
    assert done.returncode == 0 and "a remark" in done.stderr


def test_files_that_the_repository_ignores_are_missed(hub: HubServer, publish: Publish) -> None:
    hub.add(Repo(NAME, {".gitignore": b"data"}, kind="dataset", private=True))
    done = publish("--push", "--force")
    assert done.returncode == ExitCode.POOL and f"{TRAIN} is not there" in done.stderr and ".gitignore" in done.stderr


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_network(publish: Publish, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    if offline:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    else:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert publish().returncode == 0
    done = publish("--push")
    assert done.returncode == ExitCode.POOL and ("HF_HUB_OFFLINE" if offline else "no connection to 127.0.0.1:9") in done.stderr


@pytest.mark.parametrize(
    ("name", "licence", "more", "words"),
    [
        (NAME, "", (), "without a licence"),
        (NAME, "unknown", (), "without a licence"),
        (NAME, "mit\nlicense: x", (), "no licence identifier"),
        (NAME, "mit", ("--language", "en]\nx: [y"), "no language code"),
        ("set", "mit", (), "does not name a dataset"),
        ("../..", "mit", (), "does not name a dataset"),
        ("a/b/c", "mit", (), "whole"),
        (f"hf:{NAME}:train", "mit", (), "whole"),
        ("models/acme/set", "mit", (), "a model of the hub"),
        (NAME, "mit", ("--format", "self-instruct"), "several files"),
        (NAME, "mit", ("--force",), "--push"),
    ],
)
def test_what_cannot_be_published_is_said_first(hub: HubServer, publish: Publish, name: str, licence: str, more: Any, words: str) -> None:
    done = publish(*more, name=name, licence=licence)
    assert done.returncode == ExitCode.USAGE and words in done.stderr and done.stdout == "" and hub.asked == []


def test_an_empty_dataset_is_none(hub: HubServer, publish: Publish, tmp_path: Path) -> None:
    empty = build_pool(tmp_path / "empty.db", (), with_import=False)
    for more in ((), ("--format", "preference")):
        done = publish("--push", *more, source=empty)
        assert done.returncode == ExitCode.POOL and "nothing to" in done.stderr and hub.asked == []


def test_it_tells_no_path_and_no_rater_and_takes_texts_for_texts(
    hub: HubServer, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    secret = tmp_path / "anna-secret"
    secret.mkdir()
    source = published_pool(secret / "secret-name.db", HOSTILE)
    (secret / "mine.jsonl").write_text('{"instruction": "Name a hill.", "output": "None."}\n')
    assert CliRunner().invoke(import_command, [str(source), str(secret / "mine.jsonl")]).exit_code == 0
    title = '"]\nlicense: x\n--- <script>alert(1)</script> ../../etc'
    done = publish("--push", "--format", "raw", "--title", title, source=source)
    assert done.returncode == 0, done.stderr
    files = there(hub).files
    told = b"\n".join(hub_uploads.content(there(hub), path) for path in files)
    for word in ("anna", str(tmp_path), "secret-name", TOKEN, "studio-publish-"):
        assert word.encode() not in told, word
    header = yaml.safe_load(hub_uploads.content(there(hub), CARD).decode().split("---\n")[1])
    assert header["license"] == "mit" and "<script>" in header["pretty_name"]
    assert b"<script>alert" not in hub_uploads.content(there(hub), REPORT)
    assert [path.name for path in tmp_path.iterdir()] == ["anna-secret"], "nothing is left of it here"
    assert getpass.getuser().encode() not in hub_uploads.content(there(hub), MANIFEST)


def test_an_interrupt_ends_it_at_once_and_changes_nothing(hub: HubServer, publish: Publish, pool: Path, tmp_path: Path) -> None:
    assert publish("--push", "--split", "0.5").returncode == 0
    sha = there(hub).sha
    hub.stored.clear()
    hub.faults.append(Fault("/upload/", status=500, hang=threading.Event()))
    known = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_PARSER, "publish", str(pool), NAME, "--license", "mit", "--push", "--parquet"]
    with subprocess.Popen(command, env=clean_environment(**known), stderr=subprocess.PIPE, text=True) as running:
        while hub.faults[0].times:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        told = running.communicate()[1]
    assert running.returncode == ExitCode.INTERRUPTED and "interrupted" in told and "Traceback" not in told
    assert there(hub).sha == sha and len(hub.commits) == 1 and list(tmp_path.iterdir()) == []


def test_a_password_in_the_hubs_address_is_refused_and_not_told(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://me:geheim@127.0.0.1:9")
    done = publish("--push")
    assert done.returncode == ExitCode.USAGE and "HF_ENDPOINT must not hold" in done.stderr and "geheim" not in done.stderr


def test_what_goes_wrong_with_the_hubs_own_storage_is_told(hub: HubServer, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """This hub has none of the kind that the library takes where nobody says otherwise."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    done = publish("--push")
    assert done.returncode == ExitCode.POOL and "storage cannot be reached" in done.stderr and "HF_HUB_DISABLE_XET=1" in done.stderr
    assert hub.commits == []


def test_only_what_is_not_there_is_sent(hub: HubServer, publish: Publish) -> None:
    first = publish("--push")
    assert all(f"sending {path}" in first.stderr for path in (TRAIN, CARD, REPORT))
    second = publish("--push", "--language", "en")
    assert second.returncode == 0 and f"sending {CARD}" in second.stderr
    assert f"sending {TRAIN}" not in second.stderr and f"sending {REPORT}" not in second.stderr and len(hub.commits) == 2
