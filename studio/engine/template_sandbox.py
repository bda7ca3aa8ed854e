"""Runs chat templates: Jinja programs by whoever made a model's file, so they make text alone, not too much of it, and come to an end.

Jinja's sandbox keeps them from the machine, but not from filling its memory or running for ever: here texts, numbers and the lines that are
run are bounded. Set up otherwise as the models' own tools do it (Transformers' `apply_chat_template`), so that white space comes out alike.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from types import FrameType
from typing import TYPE_CHECKING, Any, Never

from studio.errors import ModelError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.ext import Extension
    from jinja2.nodes import Node
    from jinja2.nodes import Template as ParsedTemplate
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_MOST_CHARACTERS = 100_000
_MOST_LINES = 1_000_000
"""Of Python that a template may run, a hundred times what the longest of them take."""
_GREATEST_NUMBER = 10**18
_TODAY = date(2024, 7, 26)
"""What day a template is told it is: the same prompt must be the same text tomorrow. Llama's own templates have this one of theirs."""
_NO_FILTERS = ("batch", "center", "filesizeformat", "format", "pprint", "random", "urlize", "wordwrap", "xmlattr")
"""They can make much of little, or something else each time; no model's template needs them to show a message."""
_SPECIFIED = re.compile(r"\{[^{}]*[:!\[]")
"""A field with a width or more: `{:999999999}`."""
_NO_METHODS = frozenset({"center", "expandtabs", "ljust", "rjust", "to_bytes", "translate", "zfill"})


def compile_template(source: str, hint: str) -> Template:
    """Return the template, ready to run. Raises ModelError when it is none."""
    with _followed(hint):
        return _environment().from_string(source)


def run_template(template: Template, values: Mapping[str, Any], hint: str) -> str:
    """Return what the template writes, given `values`. Raises ModelError for whatever it does wrong."""
    pieces: list[str] = []
    with _followed(hint), _bounded_lines():
        for piece in template.generate({"raise_exception": _refuse, "strftime_now": _TODAY.strftime, **values}):
            pieces.append(piece)
            _check_length(sum(map(len, pieces)))
    return "".join(pieces)


@contextmanager
def _followed(hint: str) -> Iterator[None]:
    from jinja2 import TemplateError

    try:
        yield
    # Whatever the program does wrong, it may do: a number for a text, a division by zero, a recursion without end.
    except (TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError) as error:
        raise _unusable(error, hint) from error
    except (TypeError, ValueError) as error:
        raise _unusable(error, hint) from error


def _unusable(error: Exception, hint: str) -> ModelError:
    reason = " ".join(f"{error}".split()) or type(error).__name__
    return ModelError(f"its chat template cannot be used: {reason[:300]}", hint)


@contextmanager
def _bounded_lines() -> Iterator[None]:
    """While entered, end what runs on this thread once it has run too many lines of Python."""
    from jinja2 import TemplateError

    left = _MOST_LINES

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
        nonlocal left
        left -= 1
        if left < 0:
            raise TemplateError("it does not come to an end")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _refuse(message: object = "") -> Never:
    from jinja2 import TemplateError

    raise TemplateError(f"it refuses: {message}")


def _check_length(characters: int) -> None:
    from jinja2 import TemplateError

    if characters > _MOST_CHARACTERS:
        raise TemplateError(f"it writes more than {_MOST_CHARACTERS:,} characters")


def _joined(parts: Iterable[str]) -> str:
    texts = list(parts)
    _check_length(sum(map(len, texts)))
    return "".join(texts)


def _as_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The filter `tojson` as the models' tools have it: Jinja's own would write `<` as an escape."""
    indent = min(indent, 8) if isinstance(indent, int) else None
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _join(value: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    parts = [f"{part[attribute]}" if attribute else f"{part}" for part in value]
    _check_length(sum(map(len, parts)) + len(f"{separator}") * len(parts))
    return f"{separator}".join(parts)


def _replace(text: object, old: str, new: str, count: int = -1) -> str:
    whole = f"{text}"
    _check_length(len(whole) + len(new) * whole.count(old))
    return whole.replace(old, new, count)


def _indent(text: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    from jinja2.filters import do_indent

    _check_length(len(text) + width * (text.count("\n") + 1))
    return do_indent(text, width, first, blank)


def _check_sum(operator: str, left: Any, right: Any) -> None:
    from jinja2.exceptions import SecurityError

    # The sandbox bounds ranges but not products or sums: 'a' * 10 ** 12 would fill the memory, and so would forty doublings.
    if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        _check_length(len(left) + len(right))
        return
    if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise SecurityError(f"{operator} is only for numbers here" if operator != "**" else "** is not for templates")
    if abs(left) > _GREATEST_NUMBER or abs(right) > _GREATEST_NUMBER:
        raise SecurityError("it counts too far")


def _generation_tag() -> type[Extension]:
    """Return the tag `{% generation %}`: it marks, for training, what a model writes; here it is its contents alone."""
    from jinja2.ext import Extension

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> list[Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Generation


def _bounded_concat(parsed: ParsedTemplate) -> ParsedTemplate:
    """Have `a ~ b` go through the filter `join`, which looks at the length; the compiler would write it as a call of its own."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    class Bounded(NodeTransformer):
        def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
            self.generic_visit(node)
            return nodes.Filter(nodes.List(node.nodes), "join", [], [], None, None, lineno=node.lineno)

    Bounded().visit(parsed)
    return parsed


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**", "+", "%"))
        concat = staticmethod(_joined)

        def _parse(self, source: str, name: str | None, filename: str | None) -> ParsedTemplate:
            return _bounded_concat(super()._parse(source, name, filename))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _check_sum(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def wrap_str_format(self, value: Any) -> Any:
            if getattr(value, "__name__", "") in ("format", "format_map") and _SPECIFIED.search(f"{getattr(value, '__self__', '')}"):
                raise SecurityError("format is for plain fields here")
            return super().wrap_str_format(value)

        def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
            owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
            if name in _NO_METHODS or isinstance(owner, bytes):
                raise SecurityError(f"the method {name} is not for templates")
            if isinstance(owner, str) and name == "replace":
                return _replace(owner, *args[:3])
            if isinstance(owner, str) and name == "join":
                return _join(args[0], owner)
            return super().call(__context, __obj, *args, **kwargs)

    made = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _generation_tag()])
    for name in _NO_FILTERS:
        del made.filters[name]
    made.filters |= {"tojson": _as_json, "join": _join, "replace": _replace, "indent": _indent}
    for name in ("lipsum", "joiner"):
        del made.globals[name]
    return made
