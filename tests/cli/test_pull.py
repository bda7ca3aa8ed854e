"""`studio models pull`, and names of the hub after --model."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import STUDIO, assert_fails, clean_environment, studio
from support.hub_server import Fault, HubServer, Repo, hub_server
from support.pseudo_terminal import in_terminal
from support.tiny_models import tiny_model

NAME = "hf:acme/Tiny-GGUF"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "Tiny-F32.gguf").read_bytes()


@pytest.fixture
def hub(content: bytes) -> Iterator[HubServer]:
    files = {"Tiny-Q4_K_M.gguf": content, "Tiny-Q8_0.gguf": content + b"\0" * 500_000, "mmproj-F16.gguf": b"GGUF"}
    card = {"license": "apache-2.0", "base_model": "acme/Tiny\x1b[31m"}
    more = {"gguf": {"total": 1_240_000_000, "architecture": "llama", "context_length": 131_072}}
    with hub_server(Repo("acme/Tiny-GGUF", dict(files), card=card, more=more)) as hub:
        yield hub


@pytest.fixture
def environment(hub: HubServer, tmp_path: Path) -> dict[str, str]:
    """A user who has nothing, and this hub."""
    homes = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("DATA", "CACHE", "CONFIG", "STATE")}
    return {**homes, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "", "STUDIO_OTHER_PROGRAMS": "off"}


def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "self-instruct-studio" / "models"


def test_a_dry_run_shows_all_and_loads_nothing(hub: HubServer, environment: dict[str, str], tmp_path: Path) -> None:
    done = studio("models", "pull", NAME, "--dry-run", cwd=tmp_path, **environment)
    assert done.returncode == 0 and done.stderr == "" and "\x1b" not in done.stdout
    for words in (
        "licence     apache-2.0",
        "1.24B · llama · context 131,072",
        "acme/Tiny",
        "*  1  Q4_K_M",
        "   2  Q8_0",
        "left out: mmproj-F16.gguf, the image or audio part",
        "the usual middle between size and quality",
        "free",
    ):
        assert words in done.stdout, done.stdout
    assert not folder(tmp_path).exists() and hub.sent == 0
    told = json.loads(studio("models", "pull", NAME, "--dry-run", "--json", cwd=tmp_path, **environment).stdout)
    assert (told["state"], told["licence"], told["chosen"]["quantisation"]) == ("dry run", "apache-2.0", "Q4_K_M")
    assert [choice["quantisation"] for choice in told["choices"]] == ["Q4_K_M", "Q8_0"]
    assert told["path"] == str(folder(tmp_path) / "Tiny-Q4_K_M.gguf") and len(told["chosen"]["files"][0]["sha256"]) == 64


def test_it_is_loaded_used_and_not_loaded_again(hub: HubServer, environment: dict[str, str], tmp_path: Path, content: bytes) -> None:
    done = studio("models", "pull", "acme/Tiny-GGUF", "--yes", cwd=tmp_path, **environment)
    assert done.returncode == 0 and "sha256 checked" in done.stderr
    assert "it has a chat template\nuse it with: studio run POOL --model Tiny-Q4_K_M\n" in done.stderr
    assert (folder(tmp_path) / "Tiny-Q4_K_M.gguf").read_bytes() == content
    sent = hub.sent
    done = studio("models", "pull", NAME, "--yes", "--json", cwd=tmp_path, **environment)
    told = json.loads(done.stdout)
    assert (told["state"], told["name"], told["path"]) == ("there", "Tiny-Q4_K_M", str(folder(tmp_path) / "Tiny-Q4_K_M.gguf"))
    assert told["chat_template"] is True
    assert hub.sent == sent and "there already" in done.stderr
    listed = json.loads(studio("models", "--json", cwd=tmp_path, **environment).stdout)
    assert [(each["name"], each["licence"]) for each in listed if each["source"] != "bundled"] == [("Tiny-Q4_K_M", "apache-2.0")]
    asked = len(hub.asked)
    (tmp_path / "x.gguf").touch()
    done = studio("models", "optimize", NAME, "-o", "x.gguf", cwd=tmp_path, **environment)
    assert_fails(done, 2, "a file already")
    assert len(hub.asked) == asked, "what is here is found without the hub"


def test_nobody_is_there_to_answer(hub: HubServer, environment: dict[str, str], tmp_path: Path) -> None:
    assert_fails(studio("models", "pull", NAME, cwd=tmp_path, **environment), 2, "nobody is asked here", "--yes")
    done = studio("run", "pool.db", "--headless", "--target", "1", "--model", f"{NAME}:Q8_0", cwd=tmp_path, **environment)
    assert_fails(done, 3, "not on this machine", f"studio models pull {NAME}:Q8_0")
    assert hub.asked == [] and not (tmp_path / "pool.db").exists()


def test_refusals(hub: HubServer, environment: dict[str, str], tmp_path: Path) -> None:
    def pull(name: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return studio("models", "pull", name, "--yes", *words, cwd=tmp_path, **{**environment, **more})

    assert_fails(pull("hf:acme/none"), 3, "hf:acme/none: the hub has no such model", "hf auth login")
    assert_fails(pull(f"{NAME}:Q3_K_M"), 3, "no such quantisation", "it has Q4_K_M, Q8_0")
    assert_fails(pull("tiny"), 2, "does not name a model on the hub", "hf:OWNER/NAME")
    assert_fails(pull(NAME, HF_HUB_OFFLINE="1"), 3, "HF_HUB_OFFLINE is set")
    assert_fails(pull(NAME, HF_ENDPOINT="http://127.0.0.1:9"), 3, "no connection to 127.0.0.1:9", "online?")
    hub.faults.append(Fault("^/cdn/", flip=True))
    assert_fails(pull(NAME), 3, "its sha256 is another", "loads it anew")
    folder(tmp_path).mkdir(parents=True, exist_ok=True)
    (folder(tmp_path) / "Tiny-Q4_K_M.gguf").write_text("mine")
    assert_fails(pull(NAME), 3, "another model of that name", "--force")
    assert pull(NAME, "--force").returncode == 0


def test_killed_in_the_middle_it_goes_on(hub: HubServer, environment: dict[str, str], tmp_path: Path, content: bytes) -> None:
    hub.faults.append(Fault("^/cdn/", break_after=200_000, hang=threading.Event()))
    command = [*STUDIO, "models", "pull", NAME, "--yes"]
    process = subprocess.Popen(command, env=clean_environment(**environment), cwd=tmp_path, stderr=subprocess.DEVNULL)
    part = None
    while part is None or part.stat().st_size < 100_000:
        assert process.poll() is None
        part = next(folder(tmp_path).rglob("*.part"), None)
    process.kill()
    process.wait()
    assert not (folder(tmp_path) / "Tiny-Q4_K_M.gguf").exists()
    kept, hub.sent = part.stat().st_size, 0
    done = studio("models", "pull", NAME, "--yes", cwd=tmp_path, **environment)
    assert done.returncode == 0 and "going on after" in done.stderr
    assert hub.sent == len(content) - kept and (folder(tmp_path) / "Tiny-Q4_K_M.gguf").read_bytes() == content


@pytest.mark.slow
def test_killed_again_and_again_it_is_whole_in_the_end(hub: HubServer, environment: dict[str, str], tmp_path: Path, content: bytes) -> None:
    hub.faults.append(Fault("^/cdn/", times=99, pause_s=0.4))
    target = folder(tmp_path) / "Tiny-Q4_K_M.gguf"
    kills = 0
    for moment in (0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 1.9, 2.1, 60):
        process = subprocess.Popen(
            [*STUDIO, "models", "pull", NAME, "--yes"], env=clean_environment(**environment), cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        kills += process.poll() is None
        process.kill()
        process.wait()
        assert not target.exists() or target.read_bytes() == content
    assert (
        kills
        and target.read_bytes() == content
        and sorted(path.name for path in folder(tmp_path).iterdir())
        == [
            target.name,
            f"{target.name}.origin.json",
        ]
    )


def test_asked_in_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    with in_terminal([*STUDIO, "models", "pull", NAME, "--into", str(tmp_path / "mine")], clean_environment(**environment)) as terminal:
        terminal.until(b"load which? a quantisation or its number, n for none [Q4_K_M]: ")
        terminal.press(b"Q9\r")
        terminal.until(b"no such quantisation")
        terminal.press(b"2\r")
        terminal.until(b"use it with")
    assert [path.name for path in (tmp_path / "mine").glob("*.gguf")] == ["Tiny-Q8_0.gguf"]
    with in_terminal([*STUDIO, "models", "pull", NAME], clean_environment(**environment)) as terminal:
        terminal.until(b"[Q4_K_M]: ")
        terminal.press(b"n\r")
        terminal.until(b"nothing was loaded")


def test_a_model_is_offered_where_a_command_names_it(hub: HubServer, environment: dict[str, str], tmp_path: Path) -> None:
    command = [*STUDIO, "doctor", "--model", f"{NAME}:Q4_K_M"]
    with in_terminal(command, clean_environment(**environment)) as terminal:
        terminal.until(b"ask the hub for it? [Y/n]: ")
        assert hub.asked == [], "nothing is asked of the hub before the user says so"
        terminal.press(b"n\r")
        terminal.until(b"studio models pull")
    with in_terminal(command, clean_environment(**environment)) as terminal:
        terminal.until(b"[Y/n]: ")
        terminal.press(b"\r")
        terminal.until(b"load Tiny-Q4_K_M.gguf? [Y/n]: ")
        terminal.press(b"\r")
        terminal.until(b"sha256 checked")
    assert (folder(tmp_path) / "Tiny-Q4_K_M.gguf").exists()


def test_help_of_models_imports_no_client_of_the_hub() -> None:
    code = "import studio.cli.models, sys\nfrom studio.cli.run import run_command\nprint('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
