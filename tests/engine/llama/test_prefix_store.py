"""Evaluated templates on disk: what is kept, what is dropped, and that nothing that goes wrong matters."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import studio.engine.llama.prefixes as prefixes
from studio.engine.llama.context import State
from studio.engine.llama.prefixes import PrefixStore, open_store, state_key, worth_storing

KEY, OTHER, THIRD = (state_key("model", (number,)) for number in (1, 2, 3))


def state(content: bytes) -> State:
    return (ctypes.c_uint8 * len(content)).from_buffer_copy(content)


def loaded(store: PrefixStore, key: str) -> bytes | None:
    found = store.load(key)
    return None if found is None else bytes(found)


@pytest.fixture
def store(tmp_path: Path) -> PrefixStore:
    return PrefixStore(tmp_path / "cache" / "prefixes")


def only_file(store: PrefixStore) -> Path:
    [path] = store.folder.iterdir()
    return path


def test_what_is_saved_is_loaded(store: PrefixStore) -> None:
    assert loaded(store, KEY) is None and store.usage().files == 0
    store.save(KEY, state(b"abc" * 1000))
    assert loaded(store, KEY) == loaded(PrefixStore(store.folder), KEY) == b"abc" * 1000
    assert loaded(store, OTHER) is None
    assert stat.S_IMODE(only_file(store).stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert store.usage().files == 1 and 3000 < store.usage().bytes < 3100


@given(st.data())
def test_damage_anywhere_is_seen_and_the_file_removed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = PrefixStore(tmp_path_factory.mktemp("damage"))
    store.save(KEY, state(bytes(range(100))))
    path = only_file(store)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    path.write_bytes(content)
    assert loaded(store, KEY) is None and not path.exists()


def test_a_file_under_another_name_is_damaged(store: PrefixStore) -> None:
    store.save(KEY, state(b"abc"))
    only_file(store).rename(store.folder / f"{OTHER}.state")
    assert loaded(store, OTHER) is None and store.usage().files == 0


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, budget=400)
    for age, key in ((300, KEY), (200, OTHER)):
        store.save(key, state(bytes(100)))
        os.utime(tmp_path / f"{key}.state", (1e9 - age, 1e9 - age))
    assert loaded(store, KEY) is not None
    store.save(THIRD, state(bytes(120)))
    assert loaded(store, OTHER) is None
    assert loaded(store, KEY) is not None and loaded(store, THIRD) is not None
    store.save(OTHER, state(bytes(500)))
    assert loaded(store, OTHER) is None and store.usage().files == 2


def test_a_full_disk_is_no_error(store: PrefixStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        store.save(KEY, state(b"abc"))
    assert list(store.folder.iterdir()) == []
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
        store.save(KEY, state(b"abc"))
    assert list(store.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_or_read_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    store = PrefixStore(tmp_path / "file")
    store.save(KEY, state(b"abc"))
    assert loaded(store, KEY) is None and store.usage().files == 0
    blocked = PrefixStore(tmp_path / "blocked")
    (blocked.folder / f"{KEY}.state").mkdir(parents=True)
    assert loaded(blocked, KEY) is None


def test_what_a_killed_process_left_is_swept_up(store: PrefixStore) -> None:
    store.save(KEY, state(b"abc"))
    old, new = store.folder / "a.1.partial", store.folder / "b.2.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    store.save(OTHER, state(b"abc"))
    assert not old.exists() and new.exists()


def test_only_what_is_much_slower_to_evaluate_than_to_read_is_stored() -> None:
    bundled, short, large_on_a_gpu, large_on_a_cpu = (4.7, 25_000_000), (0.1, 670_000), (0.6, 144_000_000), (110.0, 144_000_000)
    assert [worth_storing(*each) for each in (bundled, short, large_on_a_gpu, large_on_a_cpu)] == [True, False, False, True]


def test_keys_differ_by_all_that_matters() -> None:
    keys = [state_key(*each) for each in (("a", (1, 2)), ("a", (12,)), ("a", (1,)), ("b", (1, 2)), ("a", ()))]
    assert len(set(keys)) == 5 and state_key("a", (1, 2)) == keys[0]


def test_the_switch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prefixes, "store_folder", lambda: tmp_path)
    for word in ("off", " OFF ", "0", "no", "false"):
        assert open_store({"STUDIO_PREFIX_CACHE": word}) is None
    for environment in ({}, {"STUDIO_PREFIX_CACHE": "on"}, {"STUDIO_PREFIX_CACHE": ""}):
        opened = open_store(environment)
        assert opened is not None and opened.folder == tmp_path
    assert open_store() is None, "tests run with the cache off"
