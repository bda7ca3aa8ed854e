"""What is known of a model before it is loaded: how it is asked, whether it thinks, what memory it takes, how far it was tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from studio.engine.chat_template import KEY, ChatTemplate, has_chat_template
from studio.engine.gguf import Gguf
from studio.engine.llama.build import machine_gpus
from studio.engine.llama.facts import model_facts
from studio.engine.llama.setup import Setup, computing_bytes, context_bytes, cpu_setup, gigabytes, setups_to_try
from studio.engine.options import EngineOptions, memory_of_machine, rows_with_logits, usable_cores
from studio.errors import ModelError

_ROOM = 0.9
"""Of the machine's memory: the system and other programs live there, too."""
_BYTES_OF_A_FLOAT = 4


class Fit(StrEnum):
    """Whether the memory of the machine holds a model as it is set up where nobody chooses."""

    FITS = "fits"
    SHRUNK = "fits with fewer sequences"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has: cores, bytes of memory, and kinds of GPU."""

    cores: int
    memory: int
    gpus: tuple[str, ...] = ()


@cache
def this_machine() -> Machine:
    """Return what this one has, asked once."""
    return Machine(usable_cores(), memory_of_machine(swap=False), tuple(machine_gpus()))


@dataclass(frozen=True, slots=True)
class Footprint:
    """The bytes that a model takes on a CPU, about: its weights, keys and values of its context, and what it computes with.

    `sequences` and `tokens`, of all together, are the default ones. On a GPU another number of sequences is chosen, by the memory there.
    `least` is what the model takes with the fewest sequences.
    """

    weights: int
    context: int
    working: int
    sequences: int
    tokens: int
    least: int
    fit: Fit

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.context + self.working


class Tried(NamedTuple):
    """How far a model was tried with the studio, in one word, and how."""

    word: str
    how: str


_BUNDLED_TRIED = Tried(
    "yes", "every test of the studio that needs a model runs it; its data was rated by hand, trainings of it were measured"
)
_TRIED = {
    ("llama", 135, True): _BUNDLED_TRIED,
    ("gemma3", 268, False): Tried("once", "Gemma 3 270M, the base model as Q4_K_M, by hand: raw texts, and a training that was evaluated"),
}
"""By architecture, millions of parameters, and whether there is a chat template."""
_OF_KIND = {"llama": "SmolLM2-135M-Instruct", "gemma3": "Gemma 3 270M"}
_NOT = Tried("no", "neither this model nor another one of its architecture was tried")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a model's header says of how it will run. `template_fault` is why its chat template cannot be used, where it has such a one."""

    chat: bool
    thinks: bool
    stops_thinking: bool
    template_fault: str
    footprint: Footprint
    tried: Tried

    @property
    def asked(self) -> str:
        """How it can be asked, in words."""
        return ("chat, thinks" if self.thinks else "chat") if self.chat else "raw text"


Templates = dict[str, tuple[bool, bool, bool, str]]
"""What was found out of chat templates, by their texts: many files have the same one, and to run it takes longer than to read a header."""


def traits_of(header: Gguf, templates: Templates | None = None, machine: Machine | None = None) -> Traits:
    """Return what `header` says of the model; `templates` is looked up and added to. Nothing is raised for whatever a template does."""
    machine, templates = machine or this_machine(), {} if templates is None else templates
    source = header.text(KEY)
    if source not in templates:
        templates[source] = _of_template(header)
    chat = templates[source][0]
    return Traits(*templates[source], footprint(header, machine), tried(header.architecture, header.parameters, chat))


def _of_template(header: Gguf) -> tuple[bool, bool, bool, str]:
    if not has_chat_template(header):
        return False, False, False, ""
    try:
        template = ChatTemplate(header)
        return True, template.thinks, template.thinks and template.stops_thinking, ""
    except ModelError as error:
        return False, False, False, error.message.removeprefix(f"{header.path}: ")


def footprint(header: Gguf, machine: Machine) -> Footprint:
    """Return what the model takes of that machine's memory where no set-up is asked for and no GPU takes a part."""
    usual = cpu_setup(EngineOptions(), machine.cores)
    parts = _bytes(header, usual)
    least = sum(_bytes(header, setups_to_try(usual, EngineOptions(), 0)[-1]))
    room = machine.memory * _ROOM
    fit = Fit.FITS if sum(parts) <= room else Fit.SHRUNK if least <= room else Fit.TOO_LARGE
    return Footprint(*parts, usual.parallel, usual.context, least, fit)


def _bytes(header: Gguf, setup: Setup) -> tuple[int, int, int]:
    """Return what weights, context and computing take, the logits that are read among the last."""
    facts = model_facts(header)
    logits = setup.contexts * rows_with_logits(setup.parallel_each, facts.vocabulary, setup.batch) * facts.vocabulary * _BYTES_OF_A_FLOAT
    return facts.file_size, context_bytes(setup, facts), computing_bytes(setup, facts) + logits


def tried(architecture: str, parameters: int, chat: bool) -> Tried:
    """Return how far such a model was tried."""
    found = _TRIED.get((architecture, round(parameters / 1e6), chat))
    if found is None and architecture in _OF_KIND:
        return Tried("kind", f"not itself, but another model of its architecture: {_OF_KIND[architecture]}")
    return found or _NOT


def shortage(footprint: Footprint, machine: Machine | None = None) -> str:
    """Return what to say of a model that the machine's memory does not hold as it is usually set up; nothing of one that fits."""
    machine = machine or this_machine()
    if footprint.fit is Fit.FITS:
        return ""
    here = f"{gigabytes(machine.memory)} here"
    if footprint.fit is Fit.SHRUNK:
        return f"takes {gigabytes(footprint.total)} with {footprint.sequences} sequences, {here}: runs with fewer"
    where = f", unless the GPU ({', '.join(machine.gpus)}) takes most" if machine.gpus else ""
    return f"does not fit: takes {gigabytes(footprint.least)} at least, {here}{where}"
