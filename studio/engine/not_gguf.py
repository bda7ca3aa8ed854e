"""What people give as a model that is no whole GGUF file: told by its first bytes or its name, each with the next step."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from studio.engine.remote.address import QUOTES
from studio.errors import ModelError
from studio.hub import HubName, is_hub_name

START_BYTES = 512
"""How much of a file's beginning is enough to tell."""


class Kind(NamedTuple):
    """What something is, to follow a colon, and what to do about it."""

    what: str
    hint: str


_CONVERT = "take the model in GGUF format, or make one with llama.cpp's convert_hf_to_gguf.py"
_UNPACK = "unpack it and give the GGUF file within"
_PROGRAM = Kind(
    "not a GGUF file but a program", "start a llamafile with --server and give its address, http://127.0.0.1:8080/v1, as the model"
)
_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"FUGG", Kind("not a GGUF file (it is big-endian)", "download the little-endian file")),
    (b"PK\x03\x04", Kind("not a GGUF file but PyTorch's (.bin, .pt) or a zip archive", _CONVERT)),
    (b"\x80", Kind("not a GGUF file but PyTorch's (.bin, .pt)", _CONVERT)),
    (b"lmgg", Kind("a file of the old GGML format", "take the model in GGUF format")),
    (b"fmgg", Kind("a file of the old GGML format", "take the model in GGUF format")),
    (b"tjgg", Kind("a file of the old GGML format", "take the model in GGUF format")),
    (b"algg", Kind("an adapter of the old GGML format", "convert it with llama.cpp's convert_lora_to_gguf.py")),
    (b"\x1f\x8b", Kind("not a GGUF file but packed (gzip)", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("not a GGUF file but packed (zstd)", _UNPACK)),
    (b"\xfd7zXZ\x00", Kind("not a GGUF file but packed (xz)", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("not a GGUF file but packed (7z)", _UNPACK)),
    (b"Rar!", Kind("not a GGUF file but packed (rar)", _UNPACK)),
    (b"BZh", Kind("not a GGUF file but packed (bzip2)", _UNPACK)),
    (b"\x89HDF", Kind("not a GGUF file but an HDF5 one", _CONVERT)),
    (b"SQLite format 3", Kind("not a GGUF file but a database, perhaps a pool", "give the model with --model, the pool before it")),
    (b"\x7fELF", _PROGRAM),
    (b"MZ", _PROGRAM),
)
_LFS = re.compile(rb"version https://git-lfs\.github\.com/.*?(?:\nsize (\d+)|\Z)", re.DOTALL)
_PAGE = re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)
_ANSWER = re.compile(
    rb'\s*\{\s*"(error|message|detail)"|\s*(Entry not found|Invalid username|Access to model|Repository not found|Not Found)'
)
_PIECE = re.compile(
    r"[.\-_]part[.\-_]?\d+[.\-_]?of[.\-_]?\d+$|[.\-_]split[.\-_]?(\d+|[a-z]{1,3})$|[.\-_]part[.\-_]?(\d+|[a-z]{1,2})$|\.gguf[.\-_]?(\d{1,4}|[ab][a-z])$",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"\.(part|partial|crdownload|incomplete|download|downloading|downloadinprogress|aria2|tmp|!qb)$", re.IGNORECASE)


def kind_of_file(path: Path, start: bytes) -> Kind:
    """Return what the file `path`, which begins with `start` and not as GGUF does, is."""
    if not start:
        return Kind("not a GGUF file (it is empty)", "download it again")
    if lfs := _LFS.match(start):
        size = f" of {int(lfs[1]):,} bytes" if lfs[1] else ""
        return Kind(f"a Git LFS pointer, which stands for the model{size}", "fetch the file itself: `git lfs pull` in its repository")
    if _PAGE.match(start):
        return Kind("a web page (HTML), not a model", "download the file itself, not the page about it; `hf download ORG/NAME FILE` does")
    if _ANSWER.match(start):
        return Kind(
            "a server's refusal, saved under a model's name", "download the file itself; some need you to log in first: `hf auth login`"
        )
    if piece := piece_of(path):
        return piece
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 30:
        return Kind("not a GGUF file but a safetensors one", _CONVERT)
    for magic, kind in _STARTS:
        if start.startswith(magic):
            return kind
    if start[4:8] == b"TFL3" or path.suffix.lower() == ".onnx":
        return Kind("not a GGUF file but a TFLite or ONNX one", _CONVERT)
    if not start.strip(b"\0"):
        return Kind("not a GGUF file (it begins with zeros)", "an unfinished download looks like that: finish it, or download it again")
    return Kind(f"not a GGUF file (it begins with {repr(start[:4])[1:]})", "give a model in GGUF format; `studio models` lists those found")


def piece_of(path: Path) -> Kind | None:
    """Return what the name of a file that is not whole says: a raw piece of one, or a download; None when it says nothing."""
    if (found := _PIECE.search(path.name)) is not None:
        whole = path.name[: found.start()]
        whole = whole if whole.lower().endswith(".gguf") else f"{whole}.gguf"
        return Kind("a raw piece of a cut file, not a model", f"join all pieces in their order: cat PIECE-1 PIECE-2 ... >{whole}")
    if _UNFINISHED.search(path.name):
        return Kind("an unfinished download", "finish it, or download it again")
    return None


def kind_of_folder(folder: Path, models: list[Path]) -> Kind:
    """Return what a folder given as a model is; `models` are the GGUF files in it."""
    if models:
        more = f", or one of {len(models) - 1} more: `studio models {folder}` lists them" if len(models) > 1 else ""
        return Kind("a folder, not a model file", f"name the GGUF file in it: {models[0]}{more}")
    if any((folder / name).is_file() for name in ("adapter_config.json", "adapter_model.safetensors")):
        return Kind(
            "a folder of an adapter in safetensors", "convert it with llama.cpp's convert_lora_to_gguf.py and give it with --adapter"
        )
    if any(folder.glob("*.safetensors")) or (folder / "config.json").is_file() or any(folder.glob("pytorch_model*.bin")):
        return Kind("a folder of a Hugging Face model (safetensors), without a GGUF file", _CONVERT)
    return Kind("a folder, not a model file", "name one GGUF file; `studio models FOLDER` lists those of a folder")


_HUBS = ("huggingface.co", "hf.co", "hf-mirror.com", "modelscope.cn")
_MIRROR = "hf-mirror.com"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*/[\w.\-]+(:[\w.\-]+)?")
_OLLAMA_NAME = re.compile(r"([\w.\-]+/)?[\w.\-]+:[\w.\-]+")
_CONNECTIONS = ("ws", "wss", "tcp", "udp", "grpc", "grpcs", "unix", "npipe", "ssh")
_WEIGHTS = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".onnx", ".zip", ".tar", ".gz")


def refuse_downloads(name: str) -> None:
    """Raise ModelError when `name` is the address of a file or of a hub's page: nothing is downloaded in silence, and it is no server.

    Names of the Hugging Face hub pass: what was loaded from there is found by them.
    """
    if is_hub_name(name):
        return
    name = name.strip(QUOTES) if "://" in name else name
    lowered = name.lower()
    scheme, has_scheme, rest = lowered.partition("://")
    host = (rest if has_scheme else lowered).partition("/")[0].removeprefix("www.")
    hub = host in _HUBS or scheme in ("hf", "huggingface")
    if hub or (has_scheme and host in ("ollama.com", "registry.ollama.ai")):
        parts = [part for part in name.partition("://")[2].split("/") if part] if has_scheme else name.split("/")
        names = parts[1:] if host in _HUBS or "ollama" in host else parts
        if "ollama" in host:
            raise ModelError(f"{name}: a page of Ollama, not a model here", _ollama_hint(names[-1] if names else "NAME"))
        if host == _MIRROR and len(names) > 1:
            again = f"name the hub in the environment, HF_ENDPOINT=https://{_MIRROR}, then: studio models pull hf:{'/'.join(names[:2])}"
            raise ModelError(f"{name}: a model on a hub, not on this machine", again)
        raise ModelError(f"{name}: a model on a hub, not on this machine", "download a GGUF file of it, and give its path")
    if not has_scheme:
        return
    if scheme == "file":
        raise ModelError(f"{name}: an address, not a path", f"give the path: {name[len('file://') :]}")
    if scheme in _CONNECTIONS:
        raise ModelError(f"{name}: servers are asked over HTTP, not {scheme}", "for example --model http://127.0.0.1:8000/v1")
    file = urlsplit(name).path.lower()
    if scheme not in ("http", "https") or file.endswith(_WEIGHTS) or ".gguf" in file:
        hint = "download it first, and give the path of the file" + (f": curl -LO {name}" if scheme in ("http", "https") else "")
        raise ModelError(f"{name}: the address of a file; models are read from this machine", hint)


def unknown_name(name: str, nearest: Callable[[], str]) -> ModelError:
    """Return the error for a `name` that neither a file nor a known model has; `nearest` makes a hint from the known names."""
    if name.lower().endswith(".safetensors"):
        return ModelError(f"{name}: no such file, and safetensors cannot be used", _CONVERT)
    plain = re.sub(r"^ollama[/:]", "", name)
    if _HUB_NAME.fullmatch(name) and plain == name:
        return ModelError(f"{name}: no such file; a name like this is one of Hugging Face's hub", _pull_hint(f"hf:{name}"))
    if plain != name or _OLLAMA_NAME.fullmatch(name):
        return ModelError(f"unknown model {name!r}; a name like this is one of Ollama's", _ollama_hint(plain))
    return ModelError(f"unknown model {name!r}", nearest())


class NotLoaded(ModelError):
    """A model of the hub that is not here."""

    def __init__(self, wanted: str, name: HubName) -> None:
        super().__init__(f"{wanted}: a model on a hub, not on this machine", _pull_hint(str(name)))
        self.name = name


def _pull_hint(name: str) -> str:
    return f"load it first: studio models pull {name}"


def _ollama_hint(name: str) -> str:
    return (
        f"`ollama pull {name}` puts it where `studio models` finds it; or ask Ollama as a server: --model http://127.0.0.1:11434/v1#{name}"
    )
