"""The data of a training: which instances, which of them are only measured by, and how each becomes a prompt and a completion.

The format `varied` is the method's own: one of seven patterns for an instance with an input and one of six without, drawn for each, so that
the tuned model does not depend on one wording (Wang et al. 2022, section 2.3). The others are fixed templates.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.config import validated
from studio.engine.chat_template import TurnTexts
from studio.errors import PoolError, UsageError, nearest_name
from studio.pool.exchange.export import Split, encode_line, plan_split
from studio.pool.exchange.formats import Record, exchanges
from studio.pool.exchange.parts import Part, parts_of
from studio.pool.pool import Queries
from studio.pool.reviews import digest_of
from studio.pool.stream import ExportTask
from studio.pool.trainings import Side, TrainingItem
from studio.records import Instance, Origin
from studio.text import counted
from studio.tuning.job import TrainingSettings
from studio.tuning.prompt_format import AUTO, CHAT, FIXED, SERVED_CHAT

WITH_INPUT = (
    "{instruction}\nInput: {input}\nOutput:",
    "{instruction}\n\nInput: {input}\n\nOutput:",
    "Task: {instruction}\nInput: {input}\nOutput:",
    "{instruction}\n\n{input}\n\nOutput:",
    "{instruction}\n\n{input}\n\n",
    "{instruction}\n{input}\n\n",
    "Task: {instruction}\n\n{input}\n\n",
)
WITHOUT_INPUT = (
    "{instruction} Output:",
    "{instruction}\nOutput:",
    "{instruction}\n\nOutput:",
    "{instruction}\n",
    "{instruction}\n\n",
    "Task: {instruction}\n\n",
)
_COLON_WORD = re.compile(r"(\w+):")
_FIELD = re.compile(r"[^\W\d]\w*(?:[ '’-]\w+){0,3}:(?=\s|$)")
"""A field's name, where an input begins with one: up to four words."""

VARIED = "varied"


@dataclass(frozen=True, slots=True)
class Written:
    """A prompt and its completion.

    For a chat template `parts` are control text and what somebody said, in turn, up to the control text before the answer, which make the
    prompt; and the control text that ends the answer.
    """

    prompt: str
    completion: str
    parts: tuple[str, ...] | None = None


def _varied(instruction: str, given: str, rng: random.Random) -> str:
    if given and rng.random() < 0.5:
        given = _plainer(given)
    return (rng.choice(WITH_INPUT) if given else rng.choice(WITHOUT_INPUT)).format(instruction=instruction, input=given)


def _plainer(given: str) -> str:
    """Return an input without the name of its only field, and without blank lines.

    The released rule takes an input in which one word alone has a colon for one field, and drops all up to the first colon. Where that is
    no name, it would drop the text itself: `https` of an address, the hour of a time, a whole sentence. Here it stays.
    """
    if len(set(_COLON_WORD.findall(given))) == 1 and (field := _FIELD.match(given)):
        given = given[field.end() :].strip()
    return given.replace("\n\n", "\n")


def in_chat(instruction: str, instance: Instance, around: TurnTexts) -> Iterator[Written]:
    """Yield a conversation, an example for each answer with all that was said before it; the first, and those that the template takes."""
    said = [SERVED_CHAT.prompt(instruction, instance.input)]
    further = exchanges(instance.turns)
    for number, answer in enumerate([instance.output, *(answered for _, answered in further)]):
        found = _in_template(around, instance.system.strip(), said)
        if found is None:
            return
        yield Written("".join(found), answer.strip(), (*found, around.end))
        if number < len(further):
            said += [answer.strip(), further[number][0].strip()]


def _in_template(around: TurnTexts, system: str, said: Sequence[str]) -> list[str] | None:
    """Return control text and what was said, in turn, up to an answer: a user speaks first and last. None where the template refuses."""
    roles = tuple(("user", "assistant")[place % 2] for place in range(len(said)))
    texts = around.around(("system", *roles)) if system else around.around(roles)
    if system and texts is None:
        # As the loop asks a model whose template has no system turn.
        said, texts = (f"{system}\n\n{said[0]}", *said[1:]), around.around(roles)
    elif system:
        said = (system, *said)
    if texts is None:
        return None
    return [*(text for pair in zip(texts, said, strict=False) for text in pair), texts[-1]]


FORMATS = (VARIED, *FIXED, CHAT)
"""How examples can be written: as the method does, drawn for each; all in one of its formats; as Stanford Alpaca; in the chat template."""


def training_settings(values: Mapping[str, Any]) -> TrainingSettings:
    """Return the settings with `values` in their places. Raises UsageError for an unknown format or a value that does not fit."""
    settings = validated(TrainingSettings, values, "setting")
    if settings.format not in (AUTO, *FORMATS):
        raise UsageError(f"unknown prompt format {settings.format!r}", nearest_name(settings.format, FORMATS))
    return settings


def write(name: str, instruction: str, instance: Instance, key: str) -> Written:
    """Return how the format `name`, any but the chat's, writes a first exchange. Equal `key`s draw equally: the seed and the texts."""
    if name == VARIED:
        prompt = _varied(instruction.strip(), instance.input.strip(), random.Random(key))
    else:
        prompt = FIXED[name].prompt(instruction, instance.input)
    # After a cue the answer follows on the same line, elsewhere it begins one.
    return Written(prompt, instance.output.strip() if prompt.endswith("\n") else f" {instance.output.strip()}")


@dataclass(frozen=True, slots=True)
class Example:
    """An instance as the model sees it."""

    task_id: int
    instance_id: int
    side: Side
    instruction: str
    input: str
    output: str
    written: Written

    def record(self) -> Record:
        """Return the line of `train.jsonl` or `validation.jsonl` that holds it."""
        parts = {"parts": list(self.written.parts)} if self.written.parts else {}
        ids = {"task_id": self.task_id, "instance_id": self.instance_id}
        texts = {"instruction": self.instruction, "input": self.input}
        return {**ids, **texts, "prompt": self.written.prompt, "completion": self.written.completion, **parts}

    def item(self) -> TrainingItem:
        """Return what the pool stores of it."""
        return TrainingItem(self.task_id, self.instance_id, self.side, digest_of(self.instruction, self.input, self.output))


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All examples, in the pool's order. `lost` counts the instances by what they have and the format leaves out."""

    examples: Sequence[Example]
    lost: Mapping[Part, int] = field(default_factory=dict)

    def notes(self) -> Iterator[str]:
        """Yield in words what is left out of the examples."""
        for part, number in sorted(self.lost.items()):
            yield f"{part} are not trained on: left out of {counted(number, 'instance')}"

    def side(self, side: Side) -> list[Example]:
        return [example for example in self.examples if example.side is side]

    def lines(self, side: Side) -> bytes:
        """Return a side as JSON lines."""
        return b"".join(encode_line(example.record()) for example in self.side(side))

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the training lines followed by the validation lines."""
        return hashlib.sha256(self.lines(Side.TRAIN) + self.lines(Side.VALIDATION)).hexdigest()


def collect(pool: Queries, settings: TrainingSettings, around: TurnTexts | None) -> TrainingData:
    """Return the pool's data as `settings` want it: examples that the format writes alike come once, the first of them.

    `around` is the model's template for the format of chats, None for the others. Raises PoolError when there is nothing to train on.
    """
    found = pool.stream.export_tasks(settings.data != "generated")
    tasks = [task for task in found if settings.data != "seeds" or task.origin is Origin.SEED]
    lost: Counter[Part] = Counter()
    examples: dict[tuple[str, str], Example] = {}
    for example in _examples(tasks, settings, around, lost):
        examples.setdefault((example.written.prompt, example.written.completion), example)
    if not any(example.side is Side.TRAIN for example in examples.values()):
        kinds = {"all": "tasks", "generated": "generated tasks", "seeds": "seed tasks"}
        hint = "generate some with `studio run`" + ("" if settings.data != "generated" else ", or train on the seeds too: --data all")
        raise PoolError(f"nothing to train on: the pool has no {kinds[settings.data]} with usable instances", hint)
    return TrainingData(list(examples.values()), lost)


def _split(instructions: Sequence[str], settings: TrainingSettings) -> Split | None:
    if not (settings.validation and instructions):
        return None
    if len({" ".join(text.split()) for text in instructions}) < 2:
        raise PoolError(
            "a validation part needs two different instructions at least, and there is one", "generate more tasks, or use --validation 0"
        )
    return plan_split(instructions, 1 - settings.validation, settings.seed)


def _examples(tasks: Sequence[ExportTask], settings: TrainingSettings, around: TurnTexts | None, lost: Counter[Part]) -> Iterator[Example]:
    split = _split([task.instruction for task in tasks], settings)
    for task in tasks:
        side = Side.TRAIN if split is None or split.is_training(task.instruction) else Side.VALIDATION
        for number, instance in zip(task.instance_ids, task.instances, strict=True):
            if not instance.output.strip():
                continue
            if around is not None:
                found = list(in_chat(task.instruction, instance, around))
                lost.update(_left_out(instance, found))
            else:
                key = f"{settings.seed}/{task.instruction}/{instance.input}/{instance.output}"
                found = [write(settings.format, task.instruction, instance, key)]
                lost.update(parts_of(instance))
            for written in found:
                yield Example(task.id, number, side, task.instruction, instance.input, instance.output, written)


def _left_out(instance: Instance, written: Sequence[Written]) -> Iterator[Part]:
    """Yield what a conversation has that its examples have not."""
    if 2 * (len(written) - 1) < len(instance.turns):
        yield Part.TURNS
    if instance.system.strip() and instance.system.strip() not in written[0].prompt:
        yield Part.SYSTEM
    if Part.THOUGHTS in parts_of(instance):
        yield Part.THOUGHTS
