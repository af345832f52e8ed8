"""The output of commands. It removes characters that would let a client control the terminal."""

from __future__ import annotations

import os
import re
import unicodedata

import click

# Control characters, invisible characters that change how text is shown or ordered, lone
# surrogates, and the separators of lines and paragraphs.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# An escape sequence for a colour, as `click.style` writes it.
_STYLE = re.compile(r"(\x1b\[\d{1,3}(?:;\d{1,3})*m)")


def one_line(text: str) -> str:
    """Return the text as one line, with a space in place of each unsafe character."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(letter) in _UNSAFE else letter for letter in text)


def say(*lines: str, err: bool = False, styled: bool = False) -> None:
    """Print each text as one line; without arguments, print an empty line.

    :param err: print to stderr.
    :param styled: keep the colours that ``click.style`` made. The caller passes every text of a
        client through :func:`one_line` first.
    """
    for line in lines or ("",):
        parts = _STYLE.split(line) if styled else [line]
        text = "".join(
            part if position % 2 else one_line(part) for position, part in enumerate(parts)
        )
        # See https://no-color.org. The words have the full meaning without colours.
        click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def usage_error(text: str) -> click.UsageError:
    """Return an error about wrong usage of a command, with a text that is safe for a terminal."""
    return click.UsageError(one_line(text))


def command_error(text: str) -> click.ClickException:
    """Return an error that ends a command, with a text that is safe for a terminal."""
    return click.ClickException(one_line(text))
