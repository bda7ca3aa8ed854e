"""What a chat template may not do to the machine that it runs on: read it, fill it, or keep it busy for ever."""

from __future__ import annotations

import sys

import pytest

from studio.engine.template_sandbox import compile_template, run_template
from studio.errors import ModelError


def _run(source: str) -> str:
    return run_template(compile_template(source, "hint"), {"messages": [{"role": "user", "content": "Hi"}]}, "hint")


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{{ f(n) if n }}{{ f(n) if n }}{% endmacro %}{{ f(1) }}",
        "{% set ns = namespace(t='aaaaaaaa') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{% set ns = namespace(t='aaaaaaaa') %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set ns = namespace(t=[1]) %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set ns = namespace(t='a') %}{% for i in range(60) %}{% set ns.t %}{{ ns.t }}{{ ns.t }}{% endset %}{% endfor %}",
        "{% set ns = namespace(n=9) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{% set t = range(9999) | join('aaaaaaaa') | replace('a', 'aaaaaaaaaaaaaaaaaaaa') %}",
        "{% set t = (range(9999) | join('aaa')).replace('a', 'aaaaaaaaaaaaaaaa') %}",
        "{% set t = ('a' ~ range(9999) | join('a')).join(range(9999)) %}",
        "{{ 'a'.ljust(9999999999) }}",
        "{{ 'a' | center(9999999999) }}",
        "{{ 'a' | indent(9999999999, true) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '%9999999999d' | format(1) }}",
        "{{ '{:9999999999}'.format(1) }}",
        "{{ '{a[__class__]}'.format_map({'a': 1}) }}",
        "{{ 'a'.encode().zfill(9999999999) }}",
        "{{ 'a'.encode().join(messages) }}",
        "{{ (1).to_bytes(9999999999, 'big') }}",
        "{{ [1] | batch(9999999999, 'a') | list }}",
        "{{ range(9999999999) }}",
        "{{ [1, 2, 3] | random }}",
        "{{ lipsum(9999999) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ raise_exception.__globals__.sys }}",
        "{{ messages.clear() }}",
        "{% import 'os' as os %}",
    ],
)
def test_a_template_that_goes_too_far_is_stopped(source: str) -> None:
    with pytest.raises(ModelError, match="its chat template cannot be used"):
        _run(source)


def test_its_error_is_one_line_however_long() -> None:
    with pytest.raises(ModelError) as caught:
        _run("{{ raise_exception(range(9000) | join('\n')) }}")
    assert "\n" not in caught.value.message and len(caught.value.message) < 400


def test_whoever_watches_the_lines_goes_on_watching() -> None:
    before = sys.gettrace()
    assert _run("{{ messages[0].content }}") == "Hi"
    assert sys.gettrace() is before
