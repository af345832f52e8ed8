"""What commands print: one function, so that no text of a client drives somebody's terminal."""

from __future__ import annotations

import os
import re
import unicodedata

import click

# Control characters, invisible ones that change how text is shown or ordered, lone surrogates, and
# the separators of lines and paragraphs.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# A colour that `click.style` made.
_STYLE = re.compile(r"(\x1b\[\d{1,3}(?:;\d{1,3})*m)")


def one_line(text: str) -> str:
    """Return text as one line that a terminal shows as it is: what is unsafe becomes a space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(letter) in _UNSAFE else letter for letter in text)


def say(*lines: str, err: bool = False, styled: bool = False) -> None:
    """Print lines, each of them as one line whatever is in it.

    :param err: on stderr.
    :param styled: colours made by ``click.style`` are kept; texts in them are of :func:`one_line`.
    """
    for line in lines or ("",):
        parts = _STYLE.split(line) if styled else [line]
        text = "".join(
            part if position % 2 else one_line(part) for position, part in enumerate(parts)
        )
        # See https://no-color.org: the words carry the meaning anyway.
        click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def usage_error(text: str) -> click.UsageError:
    """Return an error about how a command was used, fit for a terminal."""
    return click.UsageError(one_line(text))


def command_error(text: str) -> click.ClickException:
    """Return an error that ends a command, fit for a terminal."""
    return click.ClickException(one_line(text))
