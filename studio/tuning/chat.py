"""A model's own chat template: a Jinja program from a stranger's file, run in a sandbox."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NoReturn

from studio.engine.gguf import read_gguf
from studio.errors import ModelError
from studio.text import display_line

_MARK = "\ue000the user's text\ue001"
"""Stands for what a user says while the template is rendered; private-use characters, which no template looks for."""


class ChatTemplate:
    """What a chat model's prompt is made of: control text, the user's text, control text up to the answer."""

    def __init__(self, source: str, name: str) -> None:
        self._source = source
        self._name = name

    @staticmethod
    def of(path: Path) -> ChatTemplate:
        """Return the template of the GGUF file at `path`. Raises ModelError when it has none."""
        source = read_gguf(path).text("tokenizer.chat_template")
        if not source:
            raise ModelError(f"{path}: the model has no chat template", "it is a base model: choose another --format")
        return ChatTemplate(source, str(path))

    def around(self) -> tuple[str, str]:
        """Return what stands before and after the user's text in a prompt of one turn. The beginning-of-text token is left out.

        Raises ModelError when the template fails or loses the text.
        """
        return self._around

    @cached_property
    def _around(self) -> tuple[str, str]:
        before, mark, after = self._render().partition(_MARK)
        if not mark or _MARK in after:
            raise ModelError(f"{self._name}: the model's chat template does not hold what the user says once", "choose another --format")
        return before, after

    def _render(self) -> str:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: str) -> NoReturn:
            raise TemplateError(message)

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = refuse
        try:
            return environment.from_string(self._source).render(
                messages=[{"role": "user", "content": _MARK}], add_generation_prompt=True, bos_token="", eos_token=""
            )
        except Exception as error:
            # Whatever a stranger's program does wrong.
            fault = display_line(str(error), 200)
            raise ModelError(f"{self._name}: the model's chat template fails: {fault}", "choose another --format") from error
