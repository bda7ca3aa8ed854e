"""A model comes from the hub whole or not at all, whatever breaks on the way."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.engine.api import CancelToken
from studio.engine.catalog import find_model, identify, list_models
from studio.engine.pull.download import origin_path, read_origin
from studio.engine.pull.offer import Choice, read_offer
from studio.engine.pull.pulling import STAGING, Plan, plan, pull
from studio.errors import Interrupted, ModelError
from studio.hub import parse_hub_name
from support.hub_server import TOKEN, Fault, HubServer, Repo, hub_server
from support.tiny_models import header_only, tiny_adapter, tiny_model

REPO = "acme/Tiny-GGUF"
pytestmark = pytest.mark.usefixtures("hub", "folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder of a user who has nothing yet."""
    for name in ("CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("STUDIO_MODELS", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("studio.engine.pull.download._FIRST_WAIT", 0.0)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "self-instruct-studio" / "models"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "Tiny-F32.gguf").read_bytes()


@pytest.fixture
def hub(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(
        Repo(REPO, {"Tiny-F32.gguf": content, "README.md": b"# Tiny"}, card={"license": "mit", "base_model": "acme/Tiny"})
    ) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def planned(name: str = f"hf:{REPO}", **more: Any) -> Plan:
    return plan(read_offer(parse_hub_name(name)), **more)


def pulled(name: str = f"hf:{REPO}", *, force: bool = False, **more: Any) -> Path:
    return pull(planned(name, **more), lambda *_: None, CancelToken(), force=force)


def ranges(hub: HubServer) -> list[str]:
    """From where on the file was asked for, each time."""
    return [asked.headers.get("range", "from the start") for asked in hub.asked if asked.path.startswith("/cdn/")]


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_is_loaded_checked_and_listed(hub: HubServer, folder: Path, content: bytes) -> None:
    told: list[tuple[str, int, int]] = []
    made = planned()
    assert not folder.exists(), "nothing is made before it is loaded"
    assert (made.target, made.kept, made.there, made.room().to_load) == (folder / "Tiny-F32.gguf", 0, False, len(content))
    path = pull(made, lambda *state: told.append(state), CancelToken())
    assert path.read_bytes() == content and left(folder) == ["Tiny-F32.gguf", "Tiny-F32.gguf.origin.json"]
    assert told[-1] == ("loading Tiny-F32.gguf", len(content), len(content))
    origin = read_origin(path)
    assert origin is not None and (origin.repo, origin.licence, origin.base_models) == (REPO, "mit", ("acme/Tiny",))
    assert origin.revision == hub.repos["model", REPO].sha and origin.files[0].sha256 == hashlib.sha256(content).hexdigest()
    entry = next(entry for entry in list_models() if entry.path == path)
    assert entry.name == "Tiny-F32" and entry.identity is not None and entry.traits is not None and entry.traits.chat
    assert (entry.identity.licence, entry.identity.sha256) == ("mit", origin.files[0].sha256), (
        "neither is in its header; it is not hashed again"
    )
    for name in (f"hf:{REPO}", f"hf:{REPO}:f32", f"hf:{REPO}:Tiny-F32.gguf", REPO.lower(), f"https://huggingface.co/{REPO}", "Tiny-F32"):
        assert find_model(name) == path
    with pytest.raises(ModelError, match="not on this machine"):
        find_model(f"hf:{REPO}:Q4_0")


def test_what_is_there_is_not_loaded_again(hub: HubServer) -> None:
    path = pulled()
    origin_path(path).unlink()
    sent = hub.sent
    again = planned()
    assert again.there and pull(again, lambda *_: None, CancelToken()) == path
    assert hub.sent == sent and read_origin(path) is not None


def test_a_break_in_the_middle_is_gone_on_from(hub: HubServer, content: bytes) -> None:
    hub.faults += [Fault("^/cdn/", break_after=100_000), Fault("^/cdn/", status=503), Fault("^/cdn/", break_after=50_000)]
    assert pulled().read_bytes() == content
    first, second, third, fourth = ranges(hub)
    assert first == "from the start" and second == third and second.startswith("bytes=")
    assert 0 < int(second[6:-1]) <= 100_000 < int(fourth[6:-1]) <= 150_000
    assert hub.sent <= len(content) + 150_000


def test_a_server_that_ignores_the_range_costs_time_and_no_content(hub: HubServer, content: bytes) -> None:
    hub.faults += [Fault("^/cdn/", break_after=100_000), Fault("^/cdn/", ignore_range=True)]
    assert pulled().read_bytes() == content


def test_it_gives_up_after_a_while_and_keeps_the_part(hub: HubServer, folder: Path, content: bytes) -> None:
    hub.faults += [Fault("^/cdn/", break_after=100_000), Fault("^/cdn/", times=99, status=502)]
    with pytest.raises(ModelError, match="trouble") as raised:
        pulled()
    assert "bytes are kept" in raised.value.hint and len(ranges(hub)) == 6
    assert not (folder / "Tiny-F32.gguf").exists() and list_models([folder])[-1].source == "bundled"
    hub.faults.clear()
    assert 0 < planned().kept <= 100_000
    hub.asked.clear()
    assert pulled().read_bytes() == content
    assert ranges(hub)[0].startswith("bytes=") and left(folder) == ["Tiny-F32.gguf", "Tiny-F32.gguf.origin.json"]


def test_a_page_in_the_place_of_the_file_costs_nothing_of_what_is_kept(hub: HubServer, content: bytes) -> None:
    hub.faults += [Fault("^/cdn/", break_after=200_000), Fault("^/cdn/", times=99, status=200, body=b"<html>log in first</html>")]
    with pytest.raises(ModelError, match="what comes is not the file: it has 25 bytes"):
        pulled()
    kept = planned().kept
    assert 0 < kept <= 200_000
    hub.faults.clear()
    hub.sent = 0
    assert pulled().read_bytes() == content and hub.sent == len(content) - kept


def test_stopped_by_the_user(content: bytes) -> None:
    cancel = CancelToken()
    with pytest.raises(Interrupted, match="are kept"):
        pull(planned(), lambda *_: cancel.cancel(), cancel)
    assert planned().kept > 0
    with pytest.raises(KeyboardInterrupt):
        pull(planned(), interrupted, CancelToken())
    assert pulled().read_bytes() == content


def interrupted(what: str, _done: int, _total: int) -> None:
    if what.startswith("loading"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("fault", [Fault("^/cdn/", flip=True), Fault("^/cdn/", status=200, body=b"<html>log in</html>" * 50)])
def test_another_content_is_not_kept(hub: HubServer, content: bytes, fault: Fault) -> None:
    if fault.status:
        hub.repos["model", REPO].files["Tiny-F32.gguf"] = content[:950]
    hub.faults.append(fault)
    with pytest.raises(ModelError, match="its sha256 is another") as raised:
        pulled()
    assert "loads it anew" in raised.value.hint and planned().kept == 0
    if not fault.status:
        assert pulled().read_bytes() == content


def test_a_part_that_was_damaged_meanwhile_is_found_out(folder: Path, content: bytes) -> None:
    cancel = CancelToken()
    with pytest.raises(Interrupted):
        pull(planned(), lambda *_: cancel.cancel(), cancel)
    part = next(folder.rglob("*.part"))
    part.write_bytes(b"x" + part.read_bytes()[1:])
    with pytest.raises(ModelError, match="sha256 is another"):
        pulled()
    part.write_bytes(content + b"longer than it is")
    assert pulled().read_bytes() == content


def test_the_token_goes_to_the_hub_and_not_to_where_it_leads(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["model", REPO].gated = True
    with pytest.raises(ModelError, match="its owner gives it to those who ask") as raised:
        pulled()
    assert "hf auth login" in raised.value.hint and planned().offer.gated
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.members.add(REPO)
    assert pulled().exists()
    tokens = {asked.path.split("/")[1]: asked.headers.get("authorization") for asked in hub.asked}
    assert tokens[REPO.split("/")[0]] == f"Bearer {TOKEN}" and tokens["cdn"] is None


def test_another_model_of_that_name_is_replaced_only_by_force(hub: HubServer, folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "Tiny-F32.gguf").write_bytes(b"mine")
    with pytest.raises(ModelError, match="another model of that name is there") as raised:
        pulled()
    assert "--force" in raised.value.hint and "--into" in raised.value.hint and ranges(hub) == []
    other = pulled(into=folder.parent / "others")
    assert other.parent.name == "others" and (folder / "Tiny-F32.gguf").read_bytes() == b"mine"
    other.unlink()
    assert pulled(force=True).read_bytes() == content


def test_what_another_program_has_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    mine = tmp_path / "models" / "downloaded.gguf"
    mine.write_bytes(content)
    assert planned().elsewhere == Path("models/downloaded.gguf")
    mine.write_bytes(content[:-1] + b"x")
    assert planned().elsewhere is None


def test_no_room(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    made = planned()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: os.terminal_size((1000, 1)) and type("Usage", (), {"free": 1000}))
        with pytest.raises(ModelError, match="no room"):
            pull(made, lambda *_: None, CancelToken())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelError, match="no space left") as raised:
        pull(made, full, CancelToken())
    assert "bytes of it are kept" in raised.value.hint
    assert pulled().read_bytes() == content


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")
    with pytest.raises(ModelError, match="cannot be written to") as raised:
        pulled()
    assert "--into" in raised.value.hint


def test_two_at_once(hub: HubServer, content: bytes) -> None:
    hang = threading.Event()
    hub.faults.append(Fault("^/cdn/", break_after=1000, hang=hang))
    began = threading.Event()
    done: list[Path] = []
    made = planned()
    first = threading.Thread(target=lambda: done.append(pull(made, lambda *_: began.set(), CancelToken())))
    first.start()
    assert began.wait(20)
    with pytest.raises(ModelError, match="another studio is loading"):
        pulled()
    hang.set()
    first.join(20)
    assert done[0].read_bytes() == content


def split(hub: HubServer, tmp_path: Path) -> list[str]:
    first = tiny_model(tmp_path / "big-F32.gguf", tensors_each=8)
    shards = sorted(first.parent.glob("big-F32-*.gguf"))
    hub.repos["model", REPO].files = {f"F32/{shard.name}": shard.read_bytes() for shard in shards}
    for shard in shards:
        shard.unlink()
    return [shard.name for shard in shards]


def test_shards_come_as_one(hub: HubServer, folder: Path, tmp_path: Path) -> None:
    names = split(hub, tmp_path)
    hub.faults.append(Fault(f"^/cdn/.*{names[1]}", status=404))
    told: list[int] = []
    with pytest.raises(ModelError):
        pulled()
    assert not (folder / "big-F32").exists() and STAGING in left(folder)[0]
    path = pull(planned(), lambda _what, done, _total: told.append(done), CancelToken())
    assert path == folder / "big-F32" / names[0] and left(folder) == [
        f"big-F32/{name}" for name in sorted([*names, f"{names[0]}.origin.json"])
    ]
    assert told == sorted(told) and told[-1] == planned().choice.size
    assert identify(path).licence == "mit" and find_model(f"hf:{REPO}:F32") == path and planned().there
    (folder / "big-F32" / names[1]).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="another model of that name"):
        pulled()
    assert pulled(force=True) == path and planned().there
    (folder / "big-F32" / names[1]).unlink()
    (folder / "big-F32" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="other things in it"):
        pulled(force=True)
    assert (folder / "big-F32" / "notes.txt").read_text() == "mine"


def test_what_is_no_model_is_not_kept_and_an_adapter_is(hub: HubServer, folder: Path, tmp_path: Path) -> None:
    repo = hub.repos["model", REPO]
    repo.files = {
        "e-F16.gguf": header_only(tmp_path / "e.gguf", "bert").read_bytes(),
        "my-lora.gguf": tiny_adapter(tmp_path / "l.gguf").read_bytes(),
    }
    with pytest.raises(ModelError, match=r"e-F16\.gguf: an embedding model .*; it was not kept"):
        pulled()
    assert left(folder) == []
    assert pulled(f"hf:{REPO}:my-lora.gguf") == folder / "my-lora.gguf"


def test_a_file_of_plain_git_is_checked_by_its_own_hash(content: bytes) -> None:
    offer = read_offer(parse_hub_name(f"hf:{REPO}"))
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    for key in (blob, "0" * 40):
        choice = Choice("F32", (offer.choices[0].files[0]._replace(sha256="", blob=key),))
        made = plan(offer, choice)
        if key == blob:
            assert pull(made, lambda *_: None, CancelToken()).read_bytes() == content and plan(offer, choice).there
        else:
            with pytest.raises(ModelError, match="its hash is another"):
                pull(made, lambda *_: None, CancelToken(), force=True)


def test_an_origin_of_another_file_says_nothing() -> None:
    path = pulled()
    beside = origin_path(path)
    for damaged in ("{", "[]", '{"repo": 1}', beside.read_text().replace('"size": ', '"size": 9')):
        beside.write_text(damaged)
        assert read_origin(path) is None and identify(path).licence == ""
