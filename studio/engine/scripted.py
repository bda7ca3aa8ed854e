"""An engine without a model: it writes plausible text from a fixed vocabulary, for tests, demos and trying the studio out.

What it writes is one function a stage, each a pure function of a random generator and the prompt.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from studio.engine.api import (
    CancelToken,
    Chat,
    Completion,
    EngineEvent,
    EngineInfo,
    Finished,
    FinishReason,
    Request,
    SamplingParams,
    TextPiece,
)
from studio.engine.thoughts import WrittenText
from studio.records import ModelIdentity

_LIST = re.compile(r"(?:^|\n)\s*(\d+)\.\s*$")
_ITEM = re.compile(r"^\d+\. ", re.MULTILINE)
_TRIPLE = re.compile(r"(?:^|\n)\s*(\d+)\. Instruction:\s*$")
_TASK = re.compile(r"(?:^|\n)Task:[ \t]*")
_QUESTION = "Is it classification?"
_LAST_LIST_NUMBER = 16
_LAST_TRIPLE_NUMBER = 20


@cache
def words() -> Mapping[str, tuple[str, ...]]:
    """Return the vocabulary: parts of a text by their kind; those of the kind `labels` are the classes of one question, divided by `/`."""
    text = files("studio.engine").joinpath("scripted_words.toml").read_text(encoding="utf-8")
    return {kind: tuple(parts) for kind, parts in tomllib.loads(text).items()}


def write(prefix: str, suffix: str, rng: random.Random, max_tokens: int) -> str:
    """Return the raw text a model might write after `prefix + suffix`, before stop strings and the token limit are applied."""
    prompt = prefix + suffix
    end = prompt[-200:]
    if match := _TRIPLE.search(end):
        return _triples(rng, int(match.group(1)), max_tokens)
    if match := _LIST.search(end):
        return _numbered_list(rng, prompt, int(match.group(1)), max_tokens)
    task = _TASK.split(prompt)[-1]
    if task.rstrip().endswith(_QUESTION):
        return _classification(task)
    if len(task) < len(prompt):
        return _output_first(rng, task) if "Class label:" in prefix else _input_first(rng, task)
    return " " + " ".join(_sentence(rng) for _ in range(rng.randint(1, 4)))


def write_in_chat(request: Request, chat: Chat, rng: random.Random) -> str:
    """Return the raw text a model might write in a chat: a request of its own, a list's continuation, or an answer."""
    prompt = request.prefix + request.suffix
    if request.params.max_tokens == 0:
        return ""
    if chat.writes_request:
        text = _flawed(rng) if rng.random() < 0.1 else instruction(rng)
        return f" {text[:1].lower()}{text[1:]}" if prompt else text
    if match := _LIST.search(f"\n{chat.begins}"):
        return _numbered_list(rng, chat.begins, int(match.group(1)), request.params.max_tokens)
    if (shown := len(_ITEM.findall(prompt))) > 1:
        return f"{shown + 1}." + _numbered_list(rng, prompt, shown + 1, request.params.max_tokens)
    if _TASK.search(prompt):
        return write(request.prefix, request.suffix, rng, request.params.max_tokens)
    return _answer(rng)


def _nats(request: Request, text: str) -> float | None:
    """Return a made-up likelihood of a text, between 1 and 4 nats a token."""
    if not request.params.measure or not text:
        return None
    return random.Random(f"{_VERSION}/nats/{text}").uniform(1.0, 4.0)


def instruction(rng: random.Random, *, classification: bool = False) -> str:
    """Return a well-formed instruction of about 10 to 20 words."""
    opening = _one(rng, "class_openings" if classification else "openings")
    parts = [opening, "about", _one(rng, "topics"), _audience(rng)]
    if rng.random() < 0.5:
        parts.append(_one(rng, "endings"))
    return " ".join(parts) + "."


def _one(rng: random.Random, kind: str) -> str:
    return rng.choice(words()[kind])


def _audience(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return _one(rng, "audiences")
    return f"for {_one(rng, 'moods')} {_one(rng, 'people')} {_one(rng, 'places')}"


def _sentence(rng: random.Random) -> str:
    return f"{_one(rng, 'details')}, says the guide to {_one(rng, 'topics')}."


def _flawed(rng: random.Random) -> str:
    """Return an instruction that some filter rejects."""
    topic, audience = _one(rng, "topics"), _one(rng, "audiences")
    kind: Callable[[], str] = rng.choice(
        (
            lambda: _one(rng, "short"),
            lambda: _one(rng, "blocked").format(topic=topic, audience=audience),
            lambda: _one(rng, "foreign").format(topic=topic),
            lambda: "?!",
        )
    )
    return kind()


def _endless(rng: random.Random, words: int) -> str:
    """Return a sentence of at least `words` words, as models write that have lost the thread."""
    parts = ["Describe"]
    while len(parts) < words:
        parts.extend(f"the {_one(rng, 'topics')} and then".split())
    return " ".join(parts)


def _numbered_list(rng: random.Random, prompt: str, first: int, max_tokens: int) -> str:
    classification = "classification" in prompt.split("\n", 1)[0]
    last = first + rng.randint(2, max(2, _LAST_LIST_NUMBER - first - 1))
    stuck = rng.randint(first, last) if rng.random() < 0.04 else 0
    shown = re.findall(r"(?:^|\n)\d+\. (.+)", prompt)
    items: list[str] = []
    for number in range(first, last + 1):
        draw = rng.random()
        if number == stuck:
            items.append(_endless(rng, max_tokens))
            break
        if draw < 0.06 and shown:
            items.append(rng.choice(shown))
        elif draw < 0.09 and items:
            items.append(items[-1])
        elif draw < 0.17:
            items.append(_flawed(rng))
        else:
            items.append(instruction(rng, classification=classification or rng.random() < 0.15))
    return " " + items[0] + "".join(f"\n{first + i}. {item}" for i, item in enumerate(items[1:], 1)) + "\n\n"


def _classification(task: str) -> str:
    text = task.replace(_QUESTION, " ").strip()
    return " Yes\n" if text.startswith(words()["class_openings"]) or re.search(r"\bclassif|\bwhether\b", text, re.IGNORECASE) else " No\n"


def _answer(rng: random.Random) -> str:
    return " ".join(_sentence(rng) for _ in range(rng.randint(1, 3)))


_THOUGHT = "\n</think>\n\n"


def _thoughts(rng: random.Random) -> str:
    return f"<think>\nThey want something about {_one(rng, 'topics')}.\n\nSo: {_sentence(rng)}{_THOUGHT}"


def _input_first(rng: random.Random, task: str) -> str:
    if rng.random() < 0.4:
        return f"Output: {_answer(rng)}\n\nTask: {task.strip()}"
    count = rng.randint(1, 3)
    examples = []
    for number in range(1, count + 1):
        given = _sentence(rng)
        output = given if rng.random() < 0.03 else _answer(rng)
        if rng.random() < 0.02:
            output = ""
        examples.append(f"Example {number}\nInput: {given}\nOutput: {output}\n")
    return "".join(examples) + "\nTask: " + instruction(rng)


def _output_first(rng: random.Random, task: str) -> str:
    kinds = words()["labels"]
    labels = kinds[len(task) % len(kinds)].split("/")
    rng.shuffle(labels)
    blocks = [f"Class label: {label}\n{'' if rng.random() < 0.05 else _sentence(rng)}\n" for label in labels]
    if rng.random() < 0.03:
        blocks.append(f"Class label: {labels[-1]} after all\n{blocks[0].split(chr(10))[1]}\n")
    return "".join(blocks) + "\nTask: " + instruction(rng, classification=True)


def _triples(rng: random.Random, first: int, max_tokens: int) -> str:
    last = rng.randint(first + 1, _LAST_TRIPLE_NUMBER)
    stuck = rng.random() < 0.1
    parts = []
    for number in range(first, last + 1):
        head = "" if number == first else f"###\n{number}. Instruction:"
        given = "<noinput>" if rng.random() < 0.4 else _sentence(rng)
        text = _flawed(rng) if rng.random() < 0.1 else instruction(rng)
        output = _endless(rng, max_tokens) if stuck and number == last else _answer(rng)
        fields = f" {text}\n{number}. Input:\n{given}\n{number}. Output:\n{output}\n"
        parts.append(head + (fields if rng.random() > 0.03 else f" {text}\n{number}. Output:\n{output}\n"))
    return "".join(parts) + "###\n"


SCRIPTED_MODEL = "scripted"
_VERSION = "studio scripted engine 1"
_TOKEN = re.compile(r"\s*\S+|\s+$")

Responder = Callable[[Request], Completion | str]


class ScriptedEngine:
    """Completes requests from their text and seed alone, with stop strings, `max_tokens` and `stop_on_repeat` honoured.

    Of `choices`, the one that the text begins with is taken, with a made-up probability; any of them where it begins with none.

    A token is a word with the white space before it. `responder` replaces the built-in writer: it may return raw text, which stop strings
    and the token limit then cut, or a whole `Completion`, which is passed on as it is. `delay_s` is waited after each round of pieces, so
    that a demo looks like a model at work. Requests run `parallel` at a time, in their order. It can be asked in chat, but does not want to
    be unless `chats`; its likelihoods are made up. If it `thinks`, it does so
    before its answers in chat.
    """

    def __init__(
        self, responder: Responder | None = None, *, delay_s: float = 0.0, parallel: int = 5, chats: bool = False, thinks: bool = False
    ) -> None:
        self._responder = responder
        self._thinks = thinks
        self._delay_s = delay_s
        self._parallel = max(1, parallel)
        self._chats = chats

    @property
    def info(self) -> EngineInfo:
        """What is running: the model is named `scripted` and its hash is that of the writer's version."""
        identity = ModelIdentity(
            name=SCRIPTED_MODEL, sha256=hashlib.sha256(_VERSION.encode()).hexdigest(), licence="apache-2.0", architecture=SCRIPTED_MODEL
        )
        return EngineInfo(
            model=identity,
            backend=SCRIPTED_MODEL,
            context_tokens=1 << 20,
            threads=1,
            parallel=self._parallel,
            asking="chat" if self._chats else "completion",
            askings=("completion", "chat"),
            writes_requests=True,
            prefills=True,
            measures=True,
            thinks=self._thinks,
        )

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. Cancelling is seen between pieces."""
        seen: set[str] = set()
        waiting = list(enumerate(requests))[::-1]
        running: list[_Writing] = []
        while waiting or running:
            while waiting and len(running) < self._parallel:
                index, request = waiting.pop()
                running.append(_Writing(index, request, self._respond(request), cached=request.prefix in seen))
                seen.add(request.prefix)
            for writing in list(running):
                if cancel.cancelled:
                    break
                yield from writing.step()
                if writing.finished:
                    running.remove(writing)
            if cancel.cancelled:
                yield from (writing.cancelled() for writing in running)
                yield from (_Writing(index, request, "", cached=False).cancelled() for index, request in reversed(waiting))
                return
            if self._delay_s > 0:
                time.sleep(self._delay_s)

    def close(self) -> None:
        """Nothing to free."""

    def _respond(self, request: Request) -> Completion | str:
        if self._responder is not None:
            return self._responder(request)
        rng = random.Random(f"{_VERSION}/{request.seed}/{request.prefix}{request.suffix}")
        if request.chat is not None:
            text = write_in_chat(request, request.chat, rng)
            if self._thinks and request.chat.thinking and not request.chat.begins and not request.chat.writes_request:
                return _thoughts(random.Random(f"{_VERSION}/thoughts/{request.seed}/{request.suffix}")) + text
            return text
        return write(request.prefix, request.suffix, rng, request.params.max_tokens)


def _chosen(request: Request, text: str) -> tuple[int, float]:
    """Return the place of the choice that `text` stands for, and the probability of the first one."""
    choices = request.params.choices
    rng = random.Random(f"{_VERSION}/choice/{request.seed}/{request.prefix}{request.suffix}")
    named = [place for place, choice in enumerate(choices) if choice.strip() and text.lstrip().startswith(choice.strip())]
    place = named[0] if named else rng.randrange(len(choices))
    share = rng.uniform(0.55, 1.0)
    return place, share if place == 0 else (1.0 - share) / (len(choices) - 1)


class _Writing:
    """One request being answered: hands out one token a step."""

    def __init__(self, index: int, request: Request, answer: Completion | str, *, cached: bool) -> None:
        self._index = index
        self._given = answer if isinstance(answer, Completion) else None
        text = answer if isinstance(answer, str) else answer.text
        self._probability: float | None = None
        obedient = self._given is None
        if obedient and request.params.choices:
            place, self._probability = _chosen(request, text)
            text, obedient = request.params.choices[place], False
        self._tokens = _TOKEN.findall(text)
        self._request = request
        params = request.params if obedient else SamplingParams(max_tokens=len(self._tokens))
        self._written = WrittenText(params, request.suffix)
        self._text = ""
        self._count = 0
        prefix_tokens = len(_TOKEN.findall(request.prefix))
        self._prompt_tokens = prefix_tokens + len(_TOKEN.findall(request.suffix))
        self._cached_tokens = prefix_tokens if cached else 0
        self.finished = False

    def step(self) -> Iterator[EngineEvent]:
        """Write one token; yield its text, and the end when it comes."""
        piece, written = "", self._written
        if self._count < len(self._tokens) and not written.full:
            piece = written.feed(self._tokens[self._count].encode("utf-8", "surrogatepass"))
            self._count += 1
        ended = written.stopped is not None or written.full or self._count >= len(self._tokens)
        if ended:
            piece += written.finish()
        self._text += piece
        if piece:
            yield TextPiece(self._index, piece)
        if ended or written.repeats:
            self.finished = True
            yield Finished(self._index, self._completion(self._reason()))

    def _reason(self) -> FinishReason:
        if self._written.repeats:
            return FinishReason.REPEAT
        cut = self._written.stopped is None and self._count < len(self._tokens)
        return FinishReason.LENGTH if cut else FinishReason.STOP

    def cancelled(self) -> Finished:
        """End this request where it is."""
        return Finished(self._index, self._completion(FinishReason.CANCELLED))

    def _completion(self, reason: FinishReason) -> Completion:
        if self._given is not None and reason is not FinishReason.CANCELLED:
            return self._given
        return Completion(
            text=self._text,
            finish_reason=reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=0 if self._probability is not None else self._count,
            cached_tokens=self._cached_tokens,
            detail=(self._written.stopped or "") if reason is FinishReason.STOP else "",
            probability=self._probability,
            nats=_nats(self._request, self._text.rpartition(_THOUGHT)[2] or self._request.prefix + self._request.suffix),
        )
