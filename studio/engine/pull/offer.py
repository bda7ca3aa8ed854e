"""What a repository of the hub offers: its models in each quantisation, as their names tell it, and what lies beside them and is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from studio.engine.model_file import refusal_of, shard_of
from studio.engine.not_gguf import Kind, piece_of
from studio.engine.pull.download import HubFile
from studio.errors import ModelError
from studio.hub import TIMEOUT, HubName, endpoint, hub_api, hub_headers, told
from studio.text import counted, display_line

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling


_LABEL = re.compile(
    r"(?<![A-Za-z0-9])(?P<label>(UD[-_])?"
    r"(Q\d_\d(_\d_\d)?|I?Q\d_(K_)?(XXS|XS|S|M|L|XL|NL|K)|Q\d|BF16|FP?16|FP?32|TQ\d_\d|MXFP4(_MOE)?|NVFP4))(?![A-Za-z0-9])(?!_\d)",
    re.IGNORECASE,
)
_SUFFIX = ".gguf"
_EXTRA = {
    "0": 0.5,
    "1": 1.0,
    "K_S": 0.5,
    "K": 0.85,
    "K_M": 0.85,
    "K_L": 1.0,
    "K_XL": 1.1,
    "XXS": 0.06,
    "XS": 0.3,
    "S": 0.5,
    "M": 0.7,
    "NL": 0.5,
}
_WHOLE = {"F32": 32.0, "F16": 16.0, "BF16": 16.0, "MXFP4": 4.25, "MXFP4_MOE": 4.25, "NVFP4": 4.5}


def quantisation_of(path: str) -> str:
    """Return the quantisation that a file's name, else its folder's, ends with, as llama.cpp writes it; empty where neither says one.

    >>> quantisation_of("Tiny-1.2B-q4_k_m.gguf"), quantisation_of("UD-Q4_K_XL/a-00001-of-00002.gguf"), quantisation_of("tiny.gguf")
    ('Q4_K_M', 'UD-Q4_K_XL', '')
    """
    file = PurePosixPath(path)
    for text in (file.name[: -len(_SUFFIX)] if file.name.lower().endswith(_SUFFIX) else file.name, file.parent.name):
        if found := list(_LABEL.finditer(text)):
            return re.sub(r"^FP(?=16|32)", "F", re.sub(r"^UD_", "UD-", found[-1]["label"].upper()))
    return ""


def bits_of(quantisation: str) -> float:
    """About how many bits a weight takes, 0.0 for a name that is not known: to tell which is larger, not how large."""
    plain = quantisation.removeprefix("UD-")
    if plain in _WHOLE:
        return _WHOLE[plain]
    found = re.fullmatch(r"(?:I|T)?Q(\d)(?:_(\w+))?", plain)
    return int(found[1]) + _EXTRA.get((found[2] or "0")[:4].rstrip("_"), 0.5) if found else 0.0


def is_part(wanted: str, paths: Sequence[str]) -> bool:
    """Whether what a user wrote after the colon means these files, one model: their quantisation, or the name of one of them."""
    folded = wanted.casefold().replace("_", "-")
    if folded == quantisation_of(paths[0]).casefold().replace("_", "-"):
        return True
    names = [name for path in paths for name in (path, PurePosixPath(path).name)]
    names += [name[: -len(_SUFFIX)] for name in names if name.lower().endswith(_SUFFIX)]
    return wanted.casefold() in (name.casefold() for name in names)


_SAFE = re.compile(r"[^./\\-][^/\\]{0,199}")
"""A name that stays in its folder, and is no option to who names the file to a program; it has to be printable as well."""
_PARTS = (
    (re.compile(r"(^|[.\-_])mmproj([.\-_]|$)", re.IGNORECASE), Kind("the image or audio part of a model", "take the model itself")),
    (re.compile(r"^imatrix|imatrix$", re.IGNORECASE), Kind("an importance matrix, which quantisation uses", "take the model itself")),
    (
        re.compile(r"^(?!.*merged).*(^|[.\-_])(lora|adapter)([.\-_]|$)", re.IGNORECASE),
        Kind("an adapter (LoRA)", "name its file to load it, and give it with --adapter"),
    ),
)
ADAPTER = _PARTS[2][1]
_PREFERRED = "Q4_K_M"
_ENOUGH_BITS = 2.5
_MORE_MEMORY = 1.1
"""Beside the weights, of a short context: an estimate, the header would tell more."""
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """A model of the repository: one file, or the shards of a split one in their order."""

    quantisation: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def memory(self) -> int:
        """About how many bytes of memory it takes."""
        return int(self.size * _MORE_MEMORY)

    @property
    def names(self) -> list[str]:
        return [file.name for file in self.files]

    @property
    def more(self) -> str:
        """What is said behind the name of its first file: how many shards there are beside it."""
        return f" and {counted(len(self.files) - 1, 'more shard')}" if len(self.files) > 1 else ""

    @property
    def label(self) -> str:
        """What to call it after the colon: its quantisation, or the name of its file where that tells none."""
        return self.quantisation or self.names[0]


@dataclass(frozen=True, slots=True)
class Offer:
    """A repository at one commit. Empty texts and zeros where the hub does not say; `others` are files that are no models, and why."""

    name: HubName
    revision: str
    licence: str
    parameters: int
    architecture: str
    context_length: int
    base_models: tuple[str, ...]
    gated: bool
    choices: tuple[Choice, ...]
    others: tuple[tuple[HubFile, Kind], ...]

    def pick(self, memory: int) -> tuple[Choice, str]:
        """Return what is meant by the name, or would be taken on a machine with so many bytes of memory, and why. Raises ModelError."""
        if self.name.part:
            return self.named(self.name.part), "as you named it"
        if not self.choices:
            raise ModelError(
                f"{self.name}: it has adapters alone", f"name the file of one: {', '.join(file.path for file, _ in self.others)}"
            )
        known = [choice for choice in self.choices if bits_of(choice.quantisation)]
        if not known:
            return self.choices[0], "the only one" if len(self.choices) == 1 else "the smallest; their names tell no quantisation"
        best = min(known, key=lambda choice: abs(bits_of(choice.quantisation) - bits_of(_PREFERRED)))
        why = "the usual middle between size and quality" if best.quantisation == _PREFERRED else f"the nearest to {_PREFERRED}"
        if len(self.choices) == 1:
            return best, "the only one"
        if best.memory <= memory:
            return best, why
        smaller = [choice for choice in known if choice.memory <= memory and bits_of(choice.quantisation) >= _ENOUGH_BITS]
        if not smaller:
            return best, f"{why}; it is larger than the memory here, as all that are of use are"
        return max(smaller, key=lambda choice: choice.size), f"the largest that the memory here holds; {best.label} is larger"

    def named(self, part: str) -> Choice:
        """Return the choice that is called so: a quantisation, or the name of a file. Raises ModelError where that is none or several."""
        found = [choice for choice in self.choices if is_part(part, [file.path for file in choice.files])]
        if len(found) > 1:
            names = ", ".join(choice.names[0] for choice in found[:_NAMED])
            raise ModelError(f"{self.name}: {len(found)} models there are called so", f"name the file: {names}")
        if found:
            return found[0]
        for file, kind in self.others:
            if is_part(part, [file.path]):
                if kind is ADAPTER:
                    return Choice(quantisation_of(file.path), (file,))
                raise ModelError(f"{self.name}: {kind.what}, not a model", kind.hint)
        labels = ", ".join(dict.fromkeys(choice.label for choice in self.choices))
        raise ModelError(f"{self.name}: it has no such quantisation or file", f"it has {display_line(labels, 300)}")


def read_offer(name: HubName) -> Offer:
    """Ask the hub for a repository. Raises ModelError for one that is not there or not to be had, and one without a model in GGUF."""
    with told(str(name), ModelError):
        info = hub_api().model_info(name.repo, revision=name.revision or None, files_metadata=True, timeout=TIMEOUT)
        offer = _offer_of(name, info)
    if (kind := refusal_of(offer.architecture)) is not None:
        raise ModelError(f"{name}: {kind.what}", kind.hint)
    if not offer.choices and not any(kind is ADAPTER for _, kind in offer.others):
        if offer.others:
            file, kind = offer.others[0]
            what = f"{display_line(file.path, 100)} is {kind.what}"
            raise ModelError(f"{name}: it has no model in the format GGUF that can be taken: {what}", kind.hint)
        raise ModelError(f"{name}: it has no model in the format GGUF", _where_to_look(offer))
    return offer


def _offer_of(name: HubName, info: ModelInfo) -> Offer:
    card = {field: getattr(info.card_data, field, None) for field in ("license", "license_name", "license_link", "base_model")}
    gguf = info.gguf if isinstance(info.gguf, dict) else {}
    choices, others = sort_files(_file(sibling) for sibling in info.siblings or [])
    return Offer(
        name=name,
        revision=str(info.sha or "main"),
        licence=_licence(card),
        parameters=_number(gguf.get("total")) or (info.safetensors.total if info.safetensors else 0),
        architecture=_text(gguf.get("architecture")),
        context_length=_number(gguf.get("context_length")),
        base_models=tuple(_texts(card.get("base_model"))),
        gated=bool(info.gated),
        choices=tuple(choices),
        others=tuple(others),
    )


def sort_files(files: Iterable[HubFile]) -> tuple[list[Choice], list[tuple[HubFile, Kind]]]:
    """Return the models among the files of a repository, the smallest first and shards as one, and those that are no model, and why."""
    groups: dict[tuple[str, str, int], dict[int, HubFile]] = {}
    others: list[tuple[HubFile, Kind]] = []
    for file in sorted(files):
        path = PurePosixPath(file.path)
        if (kind := _other(file, path.name)) is not None:
            others.append((file, kind))
        elif path.name.lower().endswith(_SUFFIX):
            stem, number, count = shard_of(Path(path.name))
            groups.setdefault((str(path.parent), stem, count), {})[number] = file
    choices = []
    for (_, _, count), shards in groups.items():
        if sorted(shards) == list(range(1, count + 1)):
            choices.append(Choice(quantisation_of(shards[1].path), tuple(shards[number] for number in sorted(shards))))
        else:
            missing = Kind(f"a shard of a model of which {count - len(shards)} of {count} are missing there", "take another one")
            others += [(file, missing) for file in shards.values()]
    return sorted(choices, key=lambda choice: (choice.size, choice.files)), others


def _other(file: HubFile, name: str) -> Kind | None:
    """What a file is that belongs to models and is none; None for models, and for what has nothing to do with them."""
    if (kind := piece_of(Path(name))) is not None and ".gguf" in name.lower():
        return kind
    if not name.lower().endswith((_SUFFIX, ".imatrix")):
        return None
    if not (_SAFE.fullmatch(name) and name.isprintable()) or any(part in (".", "..") for part in file.path.split("/")):
        return Kind("a file whose name cannot be used here", "take another one")
    if not file.size or not file.key:
        return Kind("a file that the hub tells no size or hash of", "take another one")
    return next((kind for pattern, kind in _PARTS if pattern.search(name.removesuffix(_SUFFIX))), None)


def _file(sibling: RepoSibling) -> HubFile:
    lfs = sibling.lfs
    sha256 = lfs.sha256 if lfs is not None and re.fullmatch(r"[0-9a-f]{64}", str(lfs.sha256)) else ""
    blob = str(sibling.blob_id or "")
    is_small = lfs is None and re.fullmatch(r"[0-9a-f]{40}", blob) is not None
    return HubFile(str(sibling.rfilename), _number(sibling.size), sha256, blob if is_small else "")


def _where_to_look(offer: Offer) -> str:
    """Name the repositories that have this model in GGUF, as far as the hub knows them."""
    from huggingface_hub import get_session, hf_raise_for_status

    find = "look for its name and GGUF on the hub, or convert it with llama.cpp's convert_hf_to_gguf.py"
    filters = ["gguf", f"base_model:quantized:{offer.name.repo}"]
    asked: dict[str, Any] = {"filter": filters, "sort": "downloads", "limit": _NAMED}
    try:
        with told(str(offer.name), ModelError):
            response = get_session().get(f"{endpoint()}/api/models", params=asked, headers=hub_headers(), timeout=TIMEOUT)
            hf_raise_for_status(response)
            found = [_text(each.get("id")) for each in response.json() if isinstance(each, Mapping)]
    except ModelError:
        # That there is none here is what matters.
        return find
    names = [each for each in found if re.fullmatch(r"[\w.\-]+/[\w.\-]+", each)][:_NAMED]
    return f"these have it: {', '.join(f'hf:{each}' for each in names)}" if names else find


def _licence(card: Mapping[str, Any]) -> str:
    """The licence, by the name that the card gives where the hub's list has none for it."""
    licences = _texts(card.get("license"))
    if licences == ["other"]:
        return _text(card.get("license_name")) or _text(card.get("license_link")) or "other"
    return ", ".join(licences)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    return [text for each in values if (text := _text(each))]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
