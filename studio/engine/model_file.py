"""Tells from the headers of a model's files, and of a LoRA adapter for it, before llama.cpp is started, whether it can continue text here.

A split model, `NAME-00001-of-0000N.gguf`, is one model: https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from studio.engine.gguf import MAGIC, Gguf, read_gguf
from studio.engine.llama.build import knows_architecture
from studio.engine.not_gguf import Kind
from studio.errors import ModelError, UsageError

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE | re.DOTALL)
_NAMED = 3
"""Missing shards that an error names."""
_PADDING = 4096
_LONGEST = 160
"""Characters of an error: an architecture's name is a stranger's text of any length."""
_OTHER = "choose a model that continues text; `studio models` lists those found"
_GENERATES = "it cannot write text here; " + _OTHER
_EMBEDDERS = (
    *("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert"),
    *("gemma-embedding", "llama-embed", "t5encoder"),
)
_DIFFUSION = ("dream", "llada", "llada-moe", "rnd1")
_IMAGES = (
    *("sd1", "sd2", "sd3", "sdxl", "flux", "aura", "ltxv", "hyvid", "wan", "hidream", "cosmos", "lumina2", "qwen_image", "chroma", "pig"),
    "z_image",
)
_SPEECH = ("wavtokenizer-dec", "qwen3tts", "pockettts", "kokoro", "parler-tts", "dia", "whisper", "snac", "mimi", "bark")
_DRAFTS = ("eagle3", "dflash", "gemma4-assistant")
_IMAGE_WEIGHTS = ("model.diffusion_model.", "first_stage_model.", "double_blocks.", "transformer_blocks.", "joint_blocks.")
_POOLED, _RANK = (1, 2, 3), 4
"""Of llama.h's `enum llama_pooling_type`: mean, CLS, last; rank."""


def read_model(path: Path) -> Gguf:
    """Return the header of the model that `path`, a GGUF file or any shard of a split one, belongs to: sizes and tensors of all its files.

    Raises ModelError, naming the file, what it is and the next step, for all that is no complete model that continues text.
    """
    header = read_whole(path)
    if (kind := refusal(header)) is not None:
        raise ModelError(f"{path}: {kind.what[:_LONGEST]}", kind.hint)
    return header


def read_whole(path: Path) -> Gguf:
    """Return the header of `path` with that of all other shards, if it is one; whatever kind of model that is. Raises ModelError."""
    header = read_gguf(path)
    count, number = header.number("split.count"), header.number("split.no") + 1
    if count < 2:
        return header
    paths = _shard_paths(path, header, number, count)
    missing = [each.name for each in paths if not each.is_file()]
    if missing:
        names = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
        verb = "is" if len(missing) == 1 else "are"
        raise ModelError(
            f"{path}: shard {number} of {count} of a split model; {names} {verb} missing", f"put all shards beside {paths[0].name}"
        )
    shards = [header if place + 1 == number else read_gguf(each) for place, each in enumerate(paths)]
    _check_shards(shards)
    return replace(
        shards[0],
        tensors={name: shape for shard in shards for name, shape in shard.tensors.items()},
        parameters=sum(shard.parameters for shard in shards),
        file_size=sum(shard.file_size for shard in shards),
        data_end=0,
        shards=tuple(paths),
    )


def shard_of(path: Path) -> tuple[str, int, int]:
    """Return what the name of a file says: the model's name, the shard's number and their count; of a file for itself 1 and 1.

    >>> shard_of(Path("big-00002-of-00003.gguf")), shard_of(Path("small.gguf"))
    (('big', 2, 3), ('small', 1, 1))
    """
    match = _SHARD.fullmatch(path.name)
    return (match["stem"], int(match["number"]), int(match["count"])) if match else (path.stem, 1, 1)


def _shard_paths(path: Path, header: Gguf, number: int, count: int) -> list[Path]:
    stem, named, of = shard_of(path)
    name = f"{stem}-{{:05}}-of-{count:05}.gguf"
    if (named, of) == (number, count) and path.name == name.format(number):
        return [path.with_name(name.format(each)) for each in range(1, count + 1)]
    if _goes_on(header):
        merge = f"take the shards as they were and name the first, or merge them: llama-gguf-split --merge {name.format(1)} {stem}.gguf"
        raise ModelError(f"{path}: shards of a split model joined in one file, which llama.cpp cannot read", merge)
    raise ModelError(
        f"{path}: shard {number} of {count} of a split model, which its name does not say",
        f"llama.cpp finds shards by name: call it {name.format(number)}, beside the others",
    )


def _goes_on(header: Gguf) -> bool:
    """Whether another GGUF file begins where this one's tensors end."""
    try:
        with header.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(MAGIC, header.data_end, header.data_end + _PADDING) >= 0
    except (OSError, ValueError):
        return False


def _check_shards(shards: Sequence[Gguf]) -> None:
    """Raise ModelError for a shard that is of another model or another split of it."""
    first = shards[0]
    owner: dict[str, Gguf] = {}
    for place, shard in enumerate(shards):
        number, count = shard.number("split.no") + 1, shard.number("split.count")
        if (number, count) != (place + 1, len(shards)):
            why = f"by its header it is shard {number} of {count}"
            raise ModelError(f"{shard.path}: not shard {place + 1} of {len(shards)} of this model: {why}", "download this shard again")
        if shard.architecture not in ("", first.architecture):
            raise ModelError(f"{shard.path}: a shard of another model ({shard.architecture})", "download this shard again")
        if (twice := next((owner[name] for name in shard.tensors if name in owner), None)) is not None:
            both = f"{shard.path} and {twice.path.name} hold the same tensors"
            raise ModelError(f"{both}: one of them is of another model", "download both shards again")
        owner |= dict.fromkeys(shard.tensors, shard)
    expected = first.number("split.tensors.count")
    if expected and expected != len(owner):
        raise ModelError(
            f"{first.path}: the {len(shards)} shards hold {len(owner)} tensors, the model has {expected}",
            "a shard is of another version: download them all again",
        )


def refusal(header: Gguf) -> Kind | None:
    """Return what a GGUF file is when it is no model that continues text, None when llama.cpp may load it."""
    return _part(header) or _kind_of_model(header) or _fault(header)


def refusal_of(family: str) -> Kind | None:
    """Return what a model of this architecture is when it cannot be used here, by that name alone; None as well where nobody tells it."""
    if not family:
        return None
    header = Gguf(Path(), 3, {"general.architecture": family}, {}, 0, 0)
    return _kind_of_model(header) or _unknown(family)


def _part(header: Gguf) -> Kind | None:
    """What belongs to a model without being one."""
    kind, family = header.text("general.type"), header.architecture
    if kind == "adapter" or any(name.endswith(".lora_a") for name in header.tensors):
        return Kind("an adapter (LoRA), not a model", "give it with --adapter, beside the model it was made for with --model")
    if family == "controlvector":
        return Kind("a control vector, not a model", "give the model it was made for; control vectors cannot be used here")
    if kind == "imatrix" or "imatrix.chunk_count" in header.metadata:
        return Kind("an importance matrix, which quantisation uses, not a model", "give the model itself")
    if kind == "mmproj" or family == "clip" or any(key.startswith("clip.") for key in header.metadata):
        audio = header.metadata.get("clip.has_audio_encoder") and not header.metadata.get("clip.has_vision_encoder")
        part = "audio" if audio else "image"
        return Kind(
            f"the {part} part (multimodal projector) of a model, not a model", "give the GGUF file of its text part, which lies beside it"
        )
    if family in _DRAFTS:
        return Kind(f"a draft model ({family}), which only guesses for a larger one", "give the model it was made for")
    return None


def _kind_of_model(header: Gguf) -> Kind | None:
    """Models that do other things than to continue text."""
    family = header.architecture
    pooling = header.number(f"{family}.pooling_type")
    if family in _IMAGES or (not family and any(name.startswith(_IMAGE_WEIGHTS) for name in header.tensors)):
        return Kind(f"a model that makes images ({family or 'diffusion'})", _GENERATES)
    if family in _SPEECH:
        return Kind(f"a model of speech ({family})", _GENERATES)
    if pooling == _RANK:
        return Kind(f"a reranker ({family}), which scores texts and writes none", _OTHER)
    if family in _EMBEDDERS or pooling in _POOLED:
        return Kind(f"an embedding model ({family}), which writes no text", _OTHER)
    if family == "t5":
        return Kind("an encoder-decoder model (t5), which does not continue text", "choose a decoder-only model")
    if family in _DIFFUSION:
        return Kind(f"a diffusion language model ({family}), which does not write from left to right", _OTHER)
    if header.metadata.get(f"{family}.attention.causal") is False:
        return Kind(f"an encoder ({family}), which does not continue text", _OTHER)
    return None


def _fault(header: Gguf) -> Kind | None:
    """What llama.cpp would stumble over."""
    family = header.architecture
    if not family:
        return Kind("a GGUF file that does not say its architecture", "it is made for another program; " + _OTHER)
    if not header.tensors:
        return Kind("a vocabulary without weights, not a model", "download the model itself")
    if (kind := _unknown(family)) is not None:
        return kind
    if header.text("tokenizer.ggml.model") in ("", "none", "no_vocab"):
        return Kind("weights without a vocabulary", "take another conversion of the model, with its tokenizer")
    if any(name.startswith(("v.", "mm.", "a.")) for name in header.tensors):
        return Kind(
            f"a {family} model with its image part in the same file, as Ollama packs it; llama.cpp cannot load that",
            "take its GGUF from Hugging Face, or ask Ollama as a server: --model http://127.0.0.1:11434/v1#NAME",
        )
    return None


def _unknown(family: str) -> Kind | None:
    if knows_architecture(family):
        return None
    return Kind(
        f"its architecture {family[:_LONGEST]!r} is not known to the llama.cpp that is installed",
        "it may be newer: upgrade llama-cpp-python, or choose another model",
    )


_A, _B = ".lora_a", ".lora_b"
_AND = " + "
_PASSED_OVER = "_norm.weight"
_FLIPPED = "token_embd.weight"
_MAKES_ONE = "`studio finetune POOL` makes an adapter"

NO_ADAPTER = "none"
"""What a user says to have none."""


def check_adapter(path: Path, base: Gguf) -> None:
    """Raise ModelError unless `path` is a whole LoRA adapter for the model with the header `base`, naming what does not fit.

    The rules are those of llama.cpp's `llama-adapter.cpp`, but what it refuses is only a null pointer to its callers, and decoding with one
    reads from nowhere: so a file that does not fit never reaches it.
    """
    if path.is_dir():
        raise ModelError(f"{path}: a folder, not an adapter", "name the adapter.gguf in it")
    if not path.exists():
        raise ModelError(f"{path}: there is no such adapter", _MAKES_ONE)
    header = read_gguf(path)
    kind = header.text("general.type") or "model"
    if kind != "adapter":
        raise ModelError(f"{path}: a GGUF file of the type {kind!r}, not an adapter", f"{_MAKES_ONE}; a model goes with --model")
    if (method := header.text("adapter.type")) != "lora":
        raise ModelError(f"{path}: an adapter of the type {method!r}, not a LoRA", _MAKES_ONE)
    other = f"name the model it was made for with --model; this is {base.path.name}"
    if header.architecture != base.architecture:
        raise ModelError(f"{path}: an adapter for the architecture {header.architecture!r}, the model is {base.architecture!r}", other)
    pairs = _pairs(path, header)
    if not pairs:
        raise ModelError(f"{path}: the adapter has no weights", "it is damaged; make it again")
    for name, (a, b) in pairs.items():
        if name not in base.tensors:
            raise ModelError(f"{path}: the adapter changes {name}, which the model does not have", other)
        if not _fits(name, a, b, base.tensors[name]):
            shape = " x ".join(map(str, base.tensors[name]))
            raise ModelError(f"{path}: the adapter is for a model of another size: {name} is {shape} here", other)


def adapter_label(path: str) -> str:
    """Return what to call the adapter at `path`: its file's name, or that of the folder of a training."""
    file = Path(path)
    return file.parent.name if file.stem == "adapter" and file.parent.name else file.stem


def tuned_name(model: str, adapter: str) -> str:
    """Return the name of a model with the adapter at that path; without a path its own."""
    return with_adapter(model, adapter_label(adapter)) if adapter else model


def with_adapter(model: str, adapter: str) -> str:
    """Return a model and its adapter as one text, for a field that takes one; `parted` takes it apart."""
    return f"{model}{_AND}{adapter}" if adapter else model


def parted(text: str) -> tuple[str, str]:
    """Return the model and the adapter, empty for none, that `with_adapter` put together."""
    model, _, adapter = text.partition(_AND)
    return model.strip(), adapter.strip()


def is_adapter(path: Path) -> bool:
    """Whether a file says of itself that it is an adapter. Raises ModelError for one that is no GGUF file."""
    return read_gguf(path).text("general.type") == "adapter"


def refuse_adapter(model: str, adapter: str) -> None:
    """Raise UsageError when an adapter is to go with something else than a GGUF file."""
    if adapter:
        raise UsageError(f"--adapter goes with a GGUF model here, not with {model}", "a server is told of adapters when it is started")


def _pairs(path: Path, header: Gguf) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the shapes of A and B by the name of the weight they change."""
    found: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for name, shape in header.tensors.items():
        if name.endswith(_A):
            other = header.tensors.get(name.removesuffix(_A) + _B)
            if other is None:
                raise ModelError(f"{path}: {name} has no counterpart in the adapter", "it is damaged; make it again")
            found[name.removesuffix(_A)] = (shape, other)
        elif name.endswith(_B) and name.removesuffix(_B) + _A not in header.tensors:
            raise ModelError(f"{path}: {name} has no counterpart in the adapter", "it is damaged; make it again")
        elif not name.endswith((_B, _PASSED_OVER)):
            raise ModelError(f"{path}: {name} is no part of a LoRA", "only LoRA adapters can be used")
    return found


def _fits(name: str, a: tuple[int, ...], b: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Whether A and B, as GGUF gives shapes (fastest dimension first), make a change of `weight`."""
    if not len(a) == len(b) == len(weight) == 2:
        return False
    if name.endswith(_FLIPPED):
        return (b[1], a[1]) == weight and a[0] == b[0]
    return (a[0], b[1]) == weight and a[1] == b[0]
