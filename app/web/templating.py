"""The environment of the templates: as Flask's, but text is escaped in a third of the time.

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


class _Generator(CodeGenerator):
    """Compiles templates whose output calls :func:`escaped` where Jinja calls ``escape``."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.escaped(")


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
