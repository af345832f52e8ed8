"""The environment of the templates: as Flask's, but texts cannot reorder a page, and it is faster.

Characters that set the direction of text (U+202E and others) would reorder what stands after them,
and a name could pretend to be another one. Outside of attributes they are shown as U+FFFD. In an
attribute they stay: a form sends back what it was given. What is natural text from right to left is
kept apart by a rule in ``static/css/app.css``.

A list of fifty issues escapes 1,200 pieces of text, most of them words without anything to escape.
"""

from __future__ import annotations

import re
from typing import Any

from flask.templating import Environment as FlaskEnvironment
from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.runtime import Context
from markupsafe import Markup, escape

# What markupsafe escapes.
_needs_escape = re.compile("[&<>\"']").search
# Embeddings, overrides and isolates. The marks U+200E and U+200F are harmless, and people use them.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
# What comes before a value of an attribute.
_is_in_attribute = re.compile(r'="[^"]*\Z').search


def escaped(value: Any) -> str:
    """Return a value as HTML, as ``escape`` does, but not always as ``Markup``.

    Only the exact types are taken the short way: a subclass may have its own ``__html__``.
    """
    kind = type(value)
    if kind is str:
        return escape(value) if _needs_escape(value) else value
    if kind is Markup:
        return value  # type: ignore[no-any-return]  # the line above says that it is Markup
    return str(value) if kind is int else escape(value)


def shown(value: Any) -> str:
    """Return a value as HTML outside of attributes, without characters that set the direction."""
    if type(value) is str and not value.isascii():
        value = _DIRECTION.sub("\N{REPLACEMENT CHARACTER}", value)
    return escaped(value)


class _Generator(CodeGenerator):
    """Compiles templates whose output calls :func:`shown` where Jinja calls ``escape``.

    In attributes it calls :func:`escaped`.
    """

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802 -- Jinja's name
        """Note which values stand in attributes."""
        before = ""
        self._of_attributes = set[int]()
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                before += child.data
            elif _is_in_attribute(before):
                self._of_attributes.add(id(child))
        super().visit_Output(node, frame)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            name = "escaped" if id(node) in self._of_attributes else "shown"
            self.write(f"environment.{name}(")


class _Template(Template):
    """A template whose macros are loaded once.

    For each import, Jinja looks for globals of the importing template that this one does not have.
    All templates have the same globals, and the search took 4 % of the CPU of a page.
    """

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        return self._module or super()._get_default_module(ctx)


class Environment(FlaskEnvironment):
    """The environment of the templates."""

    template_class = _Template
    code_generator_class = _Generator
    escaped = staticmethod(escaped)
    shown = staticmethod(shown)
