"""Source code in colour: tokens for the templates, and the style sheet for their classes.

The HTML of Pygments is not used. A template gets ``(class, text)`` pairs and escapes the text
itself, so hostile source can never become markup. Pygments is loaded by the first page that shows
source.
"""

from __future__ import annotations

import functools
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

Token = tuple[str, str]

# A longer line is minified code: nobody reads it, and lexers are slow on it.
MAX_LINE = 500

# The file's suffix decides before the platform: a JavaScript event may contain TypeScript.
_BY_SUFFIX = {
    ".c": "c", ".cc": "cpp", ".cpp": "cpp", ".cs": "csharp", ".ex": "elixir", ".exs": "elixir",
    ".go": "go", ".h": "cpp", ".html": "html", ".java": "java", ".js": "javascript",
    ".jsx": "jsx", ".kt": "kotlin", ".mjs": "javascript", ".php": "php", ".py": "python",
    ".rb": "ruby", ".rs": "rust", ".scala": "scala", ".sql": "sql", ".swift": "swift",
    ".ts": "typescript", ".tsx": "tsx", ".vue": "html",
}  # fmt: skip
_BY_PLATFORM = {
    "python": "python", "javascript": "javascript", "node": "javascript", "php": "php",
    "ruby": "ruby", "java": "java", "go": "go", "csharp": "csharp", "elixir": "elixir",
    "rust": "rust", "native": "cpp", "cocoa": "swift", "c": "c", "perl": "perl",
}  # fmt: skip


def language_of(filename: str | None, platform: str | None) -> str:
    """Return the name of the lexer for a file; ``text`` if neither suffix nor platform is known."""
    suffix = PurePosixPath((filename or "")[-200:]).suffix.lower()
    return _BY_SUFFIX.get(suffix) or _BY_PLATFORM.get((platform or "").lower(), "text")


def highlight(lines: list[str], language: str) -> list[list[Token]]:
    """Return each line as tokens.

    The lexer gets all lines as one text, so that strings over several lines are recognised.

    :param lines: without line ends; lines longer than :data:`MAX_LINE` are cut.
    :return: always as many lines as were given.
    """
    cut = [_one_line(line) for line in lines]
    coloured: list[list[Token]] = [[]]
    for kind, value in _lexer(language).get_tokens("\n".join(cut)):
        first, *rest = value.split("\n")
        _append(coloured[-1], _class_of(kind), first)
        for piece in rest:
            coloured.append([])
            _append(coloured[-1], _class_of(kind), piece)
    texts = ["".join(text for _, text in line) for line in coloured[: len(cut)]]
    # Lexers drop and normalise characters. The page must show the source that was sent.
    return coloured[: len(cut)] if texts == cut else [[("", line)] for line in cut]


@functools.cache
def style_sheet() -> str:
    """Return the CSS of both themes; these two styles have enough contrast on our backgrounds."""
    from pygments.formatters import HtmlFormatter

    parts = []
    for theme, style in (("light", "default"), ("dark", "native")):
        formatter = HtmlFormatter(style=style)
        parts += formatter.get_token_style_defs(f"[data-bs-theme={theme}] .code")
    return "\n".join(parts) + "\n"


def _one_line(line: str) -> str:
    line = line.replace("\r", "").replace("\n", "␊")
    return line if len(line) <= MAX_LINE else line[:MAX_LINE] + "…"


@functools.lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=True)
    except ClassNotFound:
        return get_lexer_by_name("text", stripnl=False, ensurenl=True)


@functools.cache
def _class_of(kind: _TokenType) -> str:
    from pygments.token import STANDARD_TYPES

    while kind not in STANDARD_TYPES and kind.parent is not None:
        kind = kind.parent
    # Space, names and brackets have no colour, nor has text that the lexer cannot read.
    name = str(STANDARD_TYPES.get(kind, ""))
    return "" if name in {"w", "n", "p", "err"} else name


def _append(line: list[Token], name: str, text: str) -> None:
    if not text:
        return
    if line and line[-1][0] == name:
        line[-1] = (name, line[-1][1] + text)
    else:
        line.append((name, text))
