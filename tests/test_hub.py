"""Names of the hub's repositories, and what each of its refusals is said as."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from studio.errors import ModelError, StudioError, UsageError
from studio.hub import HubName, fault_of, hub_api, is_hub_name, page_of, parse_hub_name, told, wait_before_retry
from support.hub_server import TOKEN, Fault, HubServer, Repo, hub_server

NAMES = {
    "hf:acme/tiny-GGUF": HubName("acme/tiny-GGUF"),
    "HF:acme/tiny-GGUF:Q4_K_M": HubName("acme/tiny-GGUF", "Q4_K_M"),
    "hf:acme/tiny:sub/tiny-q8_0.gguf": HubName("acme/tiny", "sub/tiny-q8_0.gguf"),
    "hf:acme/tiny@v1.0:Q8_0": HubName("acme/tiny", "Q8_0", "v1.0"),
    "hf://acme/tiny/tiny.gguf": HubName("acme/tiny", "tiny.gguf"),
    "hf.co/acme/tiny:Q4_K_M": HubName("acme/tiny", "Q4_K_M"),
    "https://huggingface.co/acme/tiny": HubName("acme/tiny"),
    "https://huggingface.co/acme/tiny/tree/main": HubName("acme/tiny"),
    "https://hf.co/acme/tiny/blob/v2/a%20b.gguf?download=true#x": HubName("acme/tiny", "a b.gguf", "v2"),
    " 'hf:acme/tiny' ": HubName("acme/tiny"),
}


@pytest.mark.parametrize("text", NAMES)
def test_names(text: str) -> None:
    assert is_hub_name(text)
    assert parse_hub_name(text) == NAMES[text]


def test_names_of_datasets_and_those_without_a_prefix() -> None:
    assert parse_hub_name("acme/tasks") == HubName("acme/tasks") and not is_hub_name("acme/tasks")
    for text in ("hf:acme/tasks:train", "hf:datasets/acme/tasks:train", "https://huggingface.co/datasets/acme/tasks:train"):
        assert parse_hub_name(text, "dataset") == HubName("acme/tasks", "train")
    with pytest.raises(UsageError, match="a dataset of the hub, not a model"):
        parse_hub_name("https://huggingface.co/datasets/acme/tasks")
    assert str(HubName("a/b", "x.gguf", "v1")) == "hf:a/b@v1:x.gguf"


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:acme",
        "hf:acme/..",
        "hf:../acme",
        "hf:a/b:",
        "hf:a/b:../../x",
        "hf:a/b/../c",
        "hf:a/" + "x" * 96,
        "hf:a/b.git",
        "hf:a/b-@v1",
        "hf:a-/b",
    ],
)
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a model"):
        parse_hub_name(text)


@pytest.mark.parametrize("text", ["tiny.gguf", "./acme/tiny", "http://127.0.0.1:8000/v1", "https://example.org/acme/tiny", "hf", ""])
def test_what_is_no_name_of_the_hub(text: str) -> None:
    assert not is_hub_name(text)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with hub_server(Repo("acme/tiny", {"tiny.gguf": b"GGUF" * 100, "README.md": b"# Tiny"}, card={"license": "mit"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def refusal(what: str = "hf:acme/tiny", name: str = "acme/tiny", file: str = "") -> StudioError:
    with pytest.raises(ModelError) as raised, told(what, ModelError):
        if file:
            hub_api().hf_hub_download(name, file, force_download=True)
        else:
            hub_api().model_info(name, files_metadata=True, timeout=5)
    assert raised.value.message.startswith(f"{what}: ") and raised.value.hint
    return raised.value


def test_a_repository_and_its_files(hub: HubServer, tmp_path: Path) -> None:
    info = hub_api().model_info("acme/tiny", files_metadata=True)
    assert info.siblings is not None and info.siblings[0].lfs is not None and info.card_data is not None
    assert (info.siblings[0].size, info.card_data["license"], len(info.sha or "")) == (400, "mit", 40)
    file = hub_api().hf_hub_download("acme/tiny", "tiny.gguf", local_dir=tmp_path)
    assert Path(file).read_bytes() == b"GGUF" * 100
    assert [path for path in hub.paths() if path.startswith("/cdn/")] == ["/cdn/model/acme/tiny/tiny.gguf"]
    assert "agent" not in "".join(hub.paths()) and "telemetry" not in "".join(hub.paths("HEAD"))


def test_nobody_of_that_name(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(name="acme/none")
    assert "no such model" in said.message and "hf auth login" in said.hint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = refusal(name="acme/none")
    assert "no such model" in said.message and "login" not in said.hint
    assert "no such file" in refusal(file="none.gguf").message
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    hub.faults.append(Fault("whoami", status=401, headers={"X-Error-Message": "Invalid credentials in Authorization header"}))
    with pytest.raises(UsageError, match="refuses your token") as raised, told("hf:acme/tiny"):
        hub_api().whoami()
    assert "hf_wrong" not in raised.value.message
    monkeypatch.setenv("HF_TOKEN", "hf_tökén")
    with pytest.raises(UsageError, match="the token has characters") as raised, told("hf:acme/tiny"):
        hub_api().whoami()
    assert "tökén" not in raised.value.message


def test_gated(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["model", "acme/tiny"].gated = True
    said = refusal(file="tiny.gguf")
    assert "accounts only" in said.message and "hf auth login" in said.hint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = refusal(file="tiny.gguf")
    assert "has not been given access" in said.message and page_of("acme/tiny") in said.hint


@pytest.mark.parametrize(
    ("status", "headers", "words", "hint"),
    [
        (429, {"Retry-After": "77"}, "too many requests", "in 77 seconds"),
        (429, {"RateLimit": '"api";r=0;t=55'}, "too many requests", "in 55 seconds"),
        (503, {}, "trouble (status 503)", "later"),
        (403, {"X-Error-Message": "no\x1b[31m"}, "refuses this: no", "whoami"),
        (418, {}, "status 418", "a hub?"),
    ],
)
def test_statuses(hub: HubServer, status: int, headers: dict[str, str], words: str, hint: str) -> None:
    hub.faults.append(Fault("/api/models", status=status, headers=headers))
    said = refusal()
    assert words in said.message and hint in said.hint and "\x1b" not in said.message


def test_something_else_answers(hub: HubServer) -> None:
    for body in (b"<html>hello", b'{"id": 1, "siblings": [{}]}', b"[]"):
        hub.faults.append(Fault("/api/models", status=200, body=body))
        assert "not a hub's" in refusal().message


def test_no_way_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "no connection to 127.0.0.1:9" in refusal().message
    monkeypatch.setenv("HF_ENDPOINT", "127.0.0.1")
    with pytest.raises(UsageError, match="HF_ENDPOINT is no address"):
        hub_api()


@pytest.mark.parametrize(
    ("fault", "words", "hint"),
    [
        (httpx2.ProxyError("407 Proxy Authentication Required"), "the proxy", "HTTPS_PROXY"),
        (httpx2.ReadTimeout("x"), "no answer", "try again"),
        (httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "certificate", "SSL_CERT_FILE"),
    ],
)
def test_connections(fault: Exception, words: str, hint: str) -> None:
    if "SSL" in str(fault):
        fault.__cause__ = ssl.SSLCertVerificationError("x")
    said = fault_of(fault, "hf:a/b")
    assert said is not None and words in said.message and hint in said.hint


def test_what_may_be_tried_again(hub: HubServer) -> None:
    hub.faults += [Fault("/api/models", status=503, headers={"Retry-After": "3"}), Fault("/api/models", status=404)]
    waits = []
    for _ in range(2):
        with pytest.raises(OSError) as raised:
            hub_api().model_info("acme/tiny")
        waits.append(wait_before_retry(raised.value))
    assert waits == [3.0, None]
    assert wait_before_retry(httpx2.ReadError("reset")) == 0.0 and wait_before_retry(OSError(28, "full")) is None


def test_what_is_not_the_hubs_doing_is_left_alone() -> None:
    with pytest.raises(OSError, match="full"), told("hf:a/b"):
        raise OSError(28, "full")
    with pytest.raises(ModelError, match="mine"), told("hf:a/b"):
        raise ModelError("mine")


def test_offline_by_the_hubs_own_variable() -> None:
    code = (
        "from studio.hub import hub_api, told\nfrom studio.errors import StudioError\n"
        "try:\n with told('hf:a/b'): hub_api().model_info('a/b')\nexcept StudioError as e: print(e.message, '|', e.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "hf:a/b: HF_HUB_OFFLINE is set, so that the hub is not asked | unset it, or name a file that is here\n"
