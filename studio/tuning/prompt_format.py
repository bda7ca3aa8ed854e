"""How a task is put to a model: the plain format of the method, a fixed template, or the model's own (`studio.engine.chat_template`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

_FIELD = re.compile(r"\{(instruction|input)\}")
_PREAMBLE = "Below is an instruction that describes a task"
CHAT = "chat"
AUTO = "auto"


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
    def is_served(self) -> bool:
        """Whether the prompt is a user's turn around which the server puts its template."""
        return self.name == CHAT and not (self.opening or self.closing)

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


SERVED_CHAT = chat_format("", "")
"""The same at a server, which has the template."""
