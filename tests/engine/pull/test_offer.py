"""What a repository of the hub offers, by its files' names and what the hub tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.pull.download import HubFile
from studio.engine.pull.offer import Offer, bits_of, is_part, quantisation_of, read_offer, sort_files
from studio.errors import ModelError
from studio.hub import parse_hub_name
from support.hub_server import Fault, HubServer, Repo, hub_server

GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("tiny.q8_0.gguf", "Q8_0"),
        ("tiny-IQ3_XXS.gguf", "IQ3_XXS"),
        ("tiny-IQ4_NL-imat.gguf", "IQ4_NL"),
        ("Q8_0/tiny-00001-of-00002.gguf", "Q8_0"),
        ("tiny-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("tiny-fp16.gguf", "F16"),
        ("tiny_BF16.gguf", "BF16"),
        ("tiny-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("tiny-NVFP4.gguf", "NVFP4"),
        ("tiny-q4.gguf", "Q4"),
        ("Q4you/sq4_0x.gguf", ""),
        ("tiny.gguf", ""),
    ],
)
def test_quantisations_by_name(path: str, label: str) -> None:
    assert quantisation_of(path) == label


def test_quantisations_are_ordered_by_their_bits() -> None:
    ordered = ["Q2_K", "IQ3_XXS", "Q3_K_M", "IQ4_XS", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "F32"]
    bits = [bits_of(each) for each in ordered]
    assert bits == sorted(bits) and bits_of("") == bits_of("what") == 0.0
    assert bits_of("UD-Q4_K_XL") > bits_of("Q4_K_M") > 0


def test_what_a_user_may_write_for_a_file() -> None:
    paths = ["Q4_K_M/Tiny-Q4_K_M-00001-of-00002.gguf", "Q4_K_M/Tiny-Q4_K_M-00002-of-00002.gguf"]
    for wanted in ("q4_k_m", "Q4-K-M", paths[0], "tiny-q4_k_m-00001-of-00002.gguf", "Tiny-Q4_K_M-00002-of-00002"):
        assert is_part(wanted, paths), wanted
    assert not is_part("Q4", paths) and not is_part("Q8_0", paths)


def files(*names: str, size: int = 100) -> list[HubFile]:
    return [HubFile(name, size + place, f"{place:064x}") for place, name in enumerate(names)]


def test_shards_are_one_and_parts_are_told_apart() -> None:
    listed = files("a-Q8_0-00002-of-00002.gguf", "a-Q8_0-00001-of-00002.gguf", "a-Q4_K_M.gguf", "README.md", "mmproj-F16.gguf")
    listed += files(
        "a-imatrix.gguf", "imatrix.dat", "my-lora-f16.gguf", "b-00001-of-00003.gguf", "c.gguf.part1of2", "merged-lora-Q4_0.gguf"
    )
    listed += files("imatrix_unsloth.gguf", "a.imatrix", "z-imatrix-Q3_K_M.gguf", size=200)
    choices, others = sort_files(listed)
    assert [(choice.label, len(choice.files), choice.size) for choice in choices] == [
        ("Q4_K_M", 1, 102),
        ("Q4_0", 1, 105),
        ("Q8_0", 2, 201),
        ("Q3_K_M", 1, 202),
    ]
    assert choices[2].names == ["a-Q8_0-00001-of-00002.gguf", "a-Q8_0-00002-of-00002.gguf"]
    assert (choices[2].more, choices[0].more) == (" and 1 more shard", "")
    assert {file.path: kind.what.partition(",")[0] for file, kind in others} == {
        "mmproj-F16.gguf": "the image or audio part of a model",
        **dict.fromkeys(("a-imatrix.gguf", "imatrix_unsloth.gguf", "a.imatrix"), "an importance matrix"),
        "my-lora-f16.gguf": "an adapter (LoRA)",
        "b-00001-of-00003.gguf": "a shard of a model of which 2 of 3 are missing there",
        "c.gguf.part1of2": "a raw piece of a cut file",
    }


HOSTILE = [
    "../../evil.gguf",
    "/etc/evil.gguf",
    "a/../evil.gguf",
    ".hidden.gguf",
    "a\\..\\evil.gguf",
    "a\nb.gguf",
    "x\x1b[31m.gguf",
    "x\x9b31m.gguf",
    "x\u202efugg.gguf",
    "-rf.gguf",
    "b" * 250 + ".gguf",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_never_taken(name: str) -> None:
    choices, others = sort_files(files(name))
    if choices:
        assert choices[0].names == ["evil.gguf"], "only a file's own name is used"
    else:
        assert "name cannot be used" in others[0][1].what


@given(st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "\0", "-Q4_0", "-00001-of-00001", "\n", " ", "~"]), max_size=8), st.booleans())
def test_no_name_leads_out_of_the_folder(parts: list[str], shard: bool) -> None:
    name = "".join(parts) + (".gguf" if not shard else "-00001-of-00001.GGUF")
    for choice in sort_files(files(name))[0]:
        for each in choice.names:
            assert Path("/models", each).parent == Path("/models") and each.isprintable() and not each.startswith(".")


def test_files_without_a_hash_are_not_taken() -> None:
    choices, others = sort_files([HubFile("a.gguf", 10), HubFile("b.gguf", 0, "0" * 64), HubFile("c.gguf", 10, "", "0" * 40)])
    assert [choice.names for choice in choices] == [["c.gguf"]] and len(others) == 2


def offer(*names: tuple[str, int], part: str = "") -> Offer:
    choices, others = sort_files(HubFile(name, size, f"{size:064x}") for name, size in names)
    name = parse_hub_name("hf:acme/tiny" + (f":{part}" if part else ""))
    return Offer(name, "0" * 40, "", 0, "", 0, (), False, tuple(choices), tuple(others))


ALL = (
    ("a-Q2_K.gguf", 3 * GIGABYTE),
    ("a-Q4_K_M.gguf", 5 * GIGABYTE),
    ("a-Q8_0.gguf", 9 * GIGABYTE),
    ("mmproj-a.gguf", 8),
    ("x-lora.gguf", 9),
)


@pytest.mark.parametrize(
    ("memory", "names", "label", "why"),
    [
        (16, ALL, "Q4_K_M", "usual middle"),
        (4, ALL, "Q2_K", "largest that the memory"),
        (1, ALL, "Q4_K_M", "larger than the memory"),
        (16, ALL[::2], "Q2_K", "nearest to Q4_K_M"),
        (16, (("a-Q5_K_S.gguf", 6), ("a-F16.gguf", 16)), "Q5_K_S", "nearest to Q4_K_M"),
        (16, (("a.gguf", 6),), "a.gguf", "only one"),
        (16, (("b.gguf", 7), ("a.gguf", 6)), "a.gguf", "no quantisation"),
    ],
)
def test_what_would_be_taken(memory: int, names: tuple[tuple[str, int], ...], label: str, why: str) -> None:
    choice, said = offer(*names).pick(memory * GIGABYTE)
    assert choice.label == label and why in said


def test_what_is_named_is_taken() -> None:
    assert offer(*ALL, part="q8_0").pick(1)[0].label == "Q8_0"
    assert offer(*ALL, part="a-Q2_K.gguf").pick(1)[0].label == "Q2_K"
    assert offer(*ALL, part="x-lora.gguf").pick(1)[0].names == ["x-lora.gguf"]
    with pytest.raises(ModelError, match="no such quantisation") as raised:
        offer(*ALL, part="Q6_K").pick(1)
    assert raised.value.hint == "it has Q2_K, Q4_K_M, Q8_0"
    with pytest.raises(ModelError, match="image or audio part of a model, not a model"):
        offer(*ALL, part="mmproj-a.gguf").pick(1)
    with pytest.raises(ModelError, match="adapters alone") as raised:
        offer(ALL[-1]).pick(1)
    assert raised.value.hint == "name the file of one: x-lora.gguf"
    with pytest.raises(ModelError, match="2 models there are called so") as raised:
        offer(("a-Q4_0.gguf", 5), ("b-Q4_0.gguf", 6), part="Q4_0").pick(1)
    assert raised.value.hint == "name the file: a-Q4_0.gguf, b-Q4_0.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def asked(hub: HubServer, *, card: Any = None, files: Any = None, **more: Any) -> Offer:
    hub.add(Repo("acme/tiny-GGUF", {"a-Q4_0.gguf": b"GGUF"} if files is None else files, card=card or {}, more=more))
    return read_offer(parse_hub_name("hf:acme/tiny-GGUF"))


def test_what_the_hub_tells(hub: HubServer) -> None:
    card = {"license": "apache-2.0", "base_model": ["acme/tiny", 7], "tags": None}
    known = asked(hub, card=card, gguf={"total": 1_240_000_000, "architecture": "llama", "context_length": 131_072})
    assert (known.licence, known.base_models, known.parameters, known.context_length) == (
        "apache-2.0",
        ("acme/tiny",),
        1_240_000_000,
        131_072,
    )
    assert known.revision == hub.repos["model", "acme/tiny-GGUF"].sha and not known.gated
    assert asked(hub, card={"license": "other", "license_name": "llama3.2"}).licence == "llama3.2"
    assert asked(hub, card={"license": ["mit", "cc0-1.0"]}).licence == "mit, cc0-1.0"
    odd = asked(hub, card={"license": {"x": 1}, "base_model": 3}, gguf={"total": "many", "architecture": 5, "context_length": -1})
    assert (odd.licence, odd.base_models, odd.parameters, odd.context_length) == ("", (), 0, 0)
    assert asked(hub, gguf="none").architecture == ""


def test_models_that_cannot_be_used_are_refused_before_they_are_loaded(hub: HubServer) -> None:
    for family, words in (("bert", "embedding model"), ("flux", "makes images"), ("martian9", "not known to the llama.cpp")):
        with pytest.raises(ModelError, match=words):
            asked(hub, gguf={"architecture": family})


def test_a_repository_of_pieces_says_what_they_are(hub: HubServer) -> None:
    with pytest.raises(ModelError, match=r"s-00001-of-00003\.gguf is a shard of a model of which 2 of 3 are missing there"):
        asked(hub, files={"s-00001-of-00003.gguf": b"x"})


def test_a_repository_without_gguf_names_those_that_have_it(hub: HubServer) -> None:
    with pytest.raises(ModelError, match="no model in the format GGUF") as raised:
        asked(hub, files={"model.safetensors": b"x"})
    assert "convert_hf_to_gguf" in raised.value.hint
    hub.faults.append(Fault("/api/models$", status=500))
    for name in ("ann/tiny-GGUF", "bob/tiny-gguf"):
        hub.add(Repo(name, tags=["gguf", "base_model:quantized:acme/tiny-GGUF"]))
    with pytest.raises(ModelError, match="no model in the format GGUF") as raised:
        asked(hub, files={"model.safetensors": b"x"})
    assert "look for its name" in raised.value.hint
    with pytest.raises(ModelError, match="no model in the format GGUF") as raised:
        asked(hub, files={"model.safetensors": b"x"})
    assert raised.value.hint == "these have it: hf:ann/tiny-GGUF, hf:bob/tiny-gguf"
