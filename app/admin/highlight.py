"""Source code in colour, as HTML.

The source is escaped before it is scanned, and the scanner only puts ``<span>`` around pieces of
the escaped text. So hostile source can never become markup, whatever the scanner takes it for.

The scanner is our own: Pygments took two thirds of the CPU of an issue's page, and 45 times as long
for the eleven lines of a frame.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from app.admin.languages import Language, find_language
from app.admin.remembered import Remembered

# A longer line is minified code: nobody reads it.
MAX_LINE = 500
_LINE, _MARKED = '<span class="line">', '<span class="line" data-marked>'
_HERE = '<span class="visually-hidden">here: </span>'


# The frames of libraries are the same in most events of a project. A frame of eleven lines has 1 to
# 4 KB of HTML.
_coloured = Remembered(4_000_000)


def highlight(lines: list[str], language: str, *, start: int | None, marked: int) -> Markup:
    """Return the source of a frame as HTML, an element for each line.

    All lines are scanned as one text, so that strings over several lines are recognised.

    :param lines: without line ends; lines longer than :data:`MAX_LINE` are cut.
    :param start: the number of the first line, ``None`` if it is not known.
    :param marked: the index of the line that was running.
    """
    html = []
    for position, line in enumerate(_lines(lines, language)):
        number = "" if start is None else start + position
        opening, here = (_MARKED, _HERE) if position == marked else (_LINE, "")
        html.append(f'{opening}<span class="line-no">{here}{number}</span>{line}\n</span>')
    return Markup("".join(html))  # noqa: S704 -- the lines were escaped before they were coloured


def _lines(lines: list[str], language: str) -> list[str]:
    key = (language, "\n".join([_one_line(line) for line in lines]))
    html = _coloured.get(key)
    if html is None:
        html = colour(str(escape(key[1])), find_language(language))
        _coloured.put(key, html)
    return html.split("\n")


def colour(escaped: str, language: Language | None) -> str:
    """Return escaped source with ``<span>`` around its tokens; the text itself stays as it is."""
    if language is None:
        return escaped
    words, starts, names = language.words, language.starts, language.names
    # One group around the pattern: what is between tokens and the tokens, in turns.
    pieces = language.tokens.split(escaped)
    after = None
    for index in range(1, len(pieces), 2):
        token = pieces[index]
        kind = words.get(token)
        if kind is None:
            first = token[0]
            kind = starts.get(token[:4] if first == "&" else first) or after
        after = names.get(token)
        if kind:
            pieces[index] = _span(kind, token)
    return "".join(pieces)


def _span(kind: str, token: str) -> str:
    if "\n" in token:  # Each line is an element of its own.
        token = token.replace("\n", f'</span>\n<span class="{kind}">')
    return f'<span class="{kind}">{token}</span>'


def _one_line(line: str) -> str:
    if "\r" in line or "\n" in line:
        line = line.replace("\r", "").replace("\n", "␊")
    return line if len(line) <= MAX_LINE else line[:MAX_LINE] + "…"
