"""Text in templates is escaped as Jinja does it."""

from __future__ import annotations

import pytest
from flask import Flask, render_template_string
from jinja2 import UndefinedError
from markupsafe import Markup, escape

from app.web.templating import escaped

pytestmark = pytest.mark.one_database


class Text(str):
    """A text that says itself how it looks as HTML."""

    def __html__(self) -> str:
        return "<i>own</i>"


class Odd:
    def __str__(self) -> str:
        return "<odd>"


VALUES = ["plain", "", "<b>", "a & b", '"', "'", Markup("<b>"), Text("<x>"), Odd(), 7, True, None]
VALUES += [1.5, ["<", "'"], {"a": "<"}, b"<b>"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_is_escaped_as_markupsafe_does(app: Flask, value: object) -> None:
    assert escaped(value) == escape(value)
    with app.test_request_context():
        for source in ("<p>{{ v }}</p>", "{% macro m(x) %}<p>{{ x }}</p>{% endmacro %}{{ m(v) }}"):
            assert render_template_string(source, v=value) == f"<p>{escape(value)}</p>"


def test_attributes_loops_and_joined_texts_are_escaped(app: Flask) -> None:
    source = '<a title="{{ v }}">{% for x in [v, v] %}{{ x ~ "&" }}{% endfor %}</a>'
    with app.test_request_context():
        html = render_template_string(source, v='<"')
    assert html == '<a title="&lt;&#34;">&lt;&#34;&amp;&lt;&#34;&amp;</a>'


def test_undefined_variable_is_an_error(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(UndefinedError):
        render_template_string("{{ nowhere }}")


DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_texts_cannot_set_the_direction_of_a_page(app: Flask) -> None:
    """Forms send back what they have, so values of attributes stay as they are."""
    source = '<p title="{{ v }}-{{ v }}">{{ v }}{% if v %} {{ v }}{% endif %}</p>{{ v | upper }}'
    marked = "a\N{RIGHT-TO-LEFT MARK}<"
    with app.test_request_context():
        html = render_template_string(source, v=f"{marked}{DIRECTION}")
    exact = f"{escape(marked)}{DIRECTION}"
    visible = str(escape(marked)) + "\N{REPLACEMENT CHARACTER}" * len(DIRECTION)
    last = visible.replace("a", "A")
    assert html == f'<p title="{exact}-{exact}">{visible} {visible}</p>{last}'
