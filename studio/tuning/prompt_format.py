"""How a task is put to a model: the plain format of the method, a fixed template, or the model's own chat template.

A chat template is a Jinja program by whoever made the model's file, so it runs in a sandbox and makes text alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Never

from studio.engine.gguf import Gguf, text_at
from studio.errors import ModelError

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment


_FIELD = re.compile(r"\{(instruction|input)\}")
_PREAMBLE = "Below is an instruction that describes a task"
CHAT = "chat"
AUTO = "auto"
KEY = "tokenizer.chat_template"
_TOKENS = "tokenizer.ggml.tokens"
_PLACE = "\ue000the text of the user\ue001"
"""Stands for the prompt: private characters, no white space at its ends, nothing that a template would look for."""
_ANSWER = "\ue000the answer\ue001"
_ASKED = {"role": "user", "content": _PLACE}
_ANSWERED = {"role": "assistant", "content": _ANSWER}
_MOST_CHARACTERS = 100_000
_HINT = "ask it in the plain format (format plain), or in a fixed template"


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """Texts with the fields `{instruction}` and `{input}`, for tasks with an input and without one.

    `opening` and `closing` stand around the prompt; a model's control words count in them alone, see `studio.engine.api.Request`.
    """

    name: str
    with_input: str
    without_input: str
    opening: str = ""
    closing: str = ""

    def prompt(self, instruction: str, given: str) -> str:
        """Return the prompt of a task, without `opening` and `closing`; what the fields hold is never looked at for fields."""
        values = {"instruction": instruction.strip(), "input": given.strip()}
        text = self.with_input if values["input"] else self.without_input
        return _FIELD.sub(lambda field: values[field[1]], text)

    @property
    def template(self) -> str:
        """All that makes the prompt, as JSON: formats with equal templates ask alike."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


PLAIN = PromptFormat("plain", "{instruction}\n\n{input}\n\nOutput:", "{instruction}\n\nOutput:")
"""The prompt of the export format prompt-completion: one of the method's thirteen, without control words."""

ALPACA = PromptFormat(
    "alpaca",
    f"{_PREAMBLE}, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n",
    f"{_PREAMBLE}. Write a response that appropriately completes the request.\n\n### Instruction:\n{{instruction}}\n\n### Response:\n",
)
"""The template of Stanford Alpaca, which models trained on its data expect to the letter."""

FIXED: Mapping[str, PromptFormat] = {each.name: each for each in (PLAIN, ALPACA)}

NAMES = (AUTO, *FIXED, CHAT)
"""What a format can be asked for by."""


def chat_format(opening: str, closing: str) -> PromptFormat:
    """Return the format that puts instruction and input, a blank line between them, into a chat template."""
    return PromptFormat(CHAT, "{instruction}\n\n{input}", "{instruction}", opening, closing)


def has_chat_template(header: Gguf) -> bool:
    """Whether the model's file carries a chat template."""
    return bool(header.text(KEY).strip())


def around_the_prompt(header: Gguf, *, bos: bool = True) -> tuple[str, str]:
    """Return what the model's chat template puts before and behind the first message of a user, the answer's beginning included.

    A system message is there only where the template has one of its own. Without `bos` the word that begins a text is left out, for a
    tokeniser that adds it. Raises ModelError when the file has no template, when it does not
    run, wants what a sandbox forbids, or does anything to the message but put it in one place.
    """
    if not has_chat_template(header):
        raise ModelError(f"{header.path}: the model has no chat template", _HINT)
    before, *behind = _rendered(header, bos, [_ASKED], prompt=True).split(_PLACE)
    if len(behind) != 1:
        raise ModelError(f"{header.path}: its chat template does not show the user's message once, but {len(behind)} times", _HINT)
    return before, behind[0]


def chat_texts(header: Gguf) -> tuple[str, str, str]:
    """Return what a training example is written with: the texts around the prompt, and the one behind the answer. Raises ModelError."""
    return (*around_the_prompt(header, bos=False), after_the_answer(header))


def after_the_answer(header: Gguf) -> str:
    """Return what the model's chat template puts behind an answer, the control word that ends it first; nothing where it shows none."""
    try:
        _, *behind = _rendered(header, False, [_ASKED, _ANSWERED], prompt=False).split(_ANSWER)
    except ModelError:
        # A template for prompts alone: the vocabulary has a word for the end of a turn, too.
        return ""
    return behind[0] if len(behind) == 1 else ""


def _rendered(header: Gguf, bos: bool, messages: list[dict[str, str]], *, prompt: bool) -> str:
    from jinja2 import TemplateError

    text = ""
    try:
        template = _environment().from_string(header.text(KEY))
        values = {
            "messages": messages,
            "add_generation_prompt": prompt,
            "tools": None,
            "documents": None,
            "bos_token": _control_word(header, "bos") if bos else "",
            "eos_token": _control_word(header, "eos"),
            "raise_exception": _refuse,
        }
        for piece in template.generate(values):
            text += piece
            if len(text) > _MOST_CHARACTERS:
                raise TemplateError(f"it writes more than {_MOST_CHARACTERS:,} characters")
    # Whatever the program does wrong, it may do: a number for a text, a division by zero, a recursion without end.
    except (TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        reason = f"{error}" or type(error).__name__
        raise ModelError(f"{header.path}: its chat template cannot be used: {reason}", _HINT) from error
    return text


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            # The sandbox bounds ranges but not products: 'a' * 10 ** 12 would fill the memory.
            if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
                raise SecurityError(f"{operator} is only for numbers here" if operator == "*" else "** is not for templates")
            return super().call_binop(context, operator, left, right)

    # As the models' own tools set it up, so that white space comes out alike.
    return Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])


def _refuse(message: str) -> Never:
    from jinja2 import TemplateError

    raise TemplateError(f"it refuses: {message}")


def _control_word(header: Gguf, name: str) -> str:
    number = header.metadata.get(f"tokenizer.ggml.{name}_token_id")
    return text_at(header, _TOKENS, number) if isinstance(number, int) else ""
