"""Prompt and completion as plain text, for base models: one fixed template of the method's thirteen.

The prompt ends with a cue and the completion begins with a space. A tokenizer then cuts exactly between the two, so that a trainer which
tokenises the prompt alone to mask it finds it again at the head of the whole; a prompt that ends in newlines does not survive the
byte-level tokenizers of GPT-2's kind. The trainer adds the end token.
"""

from __future__ import annotations

from studio.pool.formats.api import Format, Record, by_instance, question
from studio.records import Instance


def _record(instruction: str, instance: Instance) -> Record:
    prompt = question(instruction.strip(), Instance(instance.input.strip(), ""))
    return {"prompt": f"{prompt}\n\nOutput:", "completion": f" {instance.output.strip()}"}


FORMAT: Format = by_instance("prompt-completion", "prompt and completion as plain text", _record)
