"""The languages that source code is coloured in: which one a file has, and its words and comments.

Only what a few lines out of a file show is told apart: comments, strings, numbers, keywords, what
the language brings along, and the names after ``def``, ``class`` and the like.
"""

from __future__ import annotations

import builtins
import re
from functools import cache
from typing import NamedTuple

# Classes of the style sheet.
COMMENT, STRING, NUMBER, KEYWORD, TAG = "c", "s", "m", "k", "nt"
BUILTIN, EXCEPTION, FUNCTION, CLASS, DECORATOR = "nb", "ne", "nf", "nc", "nd"


class Language(NamedTuple):
    """What the scanner needs to know of a language.

    :param tokens: finds the tokens in text whose ``& < > " '`` are escaped.
    :param words: class of the words that have one.
    :param starts: class of all other tokens, by their first character or escape.
    :param names: class of the word after a keyword such as ``def``.
    """

    tokens: re.Pattern[str]
    words: dict[str, str]
    starts: dict[str, str]
    names: dict[str, str]


# The file's suffix decides before the platform: a JavaScript event may contain TypeScript.
_BY_SUFFIX = {
    ".c": "c", ".cc": "c", ".cpp": "c", ".cs": "csharp", ".ex": "elixir", ".exs": "elixir",
    ".go": "go", ".h": "c", ".html": "html", ".java": "java", ".js": "javascript",
    ".jsx": "javascript", ".kt": "kotlin", ".mjs": "javascript", ".php": "php", ".py": "python",
    ".rb": "ruby", ".rs": "rust", ".scala": "kotlin", ".sql": "sql", ".swift": "swift",
    ".ts": "javascript", ".tsx": "javascript", ".vue": "html",
}  # fmt: skip
_BY_PLATFORM = {
    "python": "python", "javascript": "javascript", "node": "javascript", "php": "php",
    "ruby": "ruby", "java": "java", "go": "go", "csharp": "csharp", "elixir": "elixir",
    "rust": "rust", "native": "c", "cocoa": "swift", "c": "c", "perl": "perl",
}  # fmt: skip

_BRACES = (
    "break case catch class const continue default do else enum finally for if return switch "
    "throw try while"
)
_KEYWORDS = {
    "python": (
        "False None True and as assert async await break class continue def del elif else "
        "except finally for from global if import in is lambda nonlocal not or pass raise "
        "return try while with yield"
    ),
    "javascript": f"{_BRACES} "
    "abstract as async await debugger declare delete export extends false from function "
    "get implements import in instanceof interface keyof let namespace new null of "
    "private protected public readonly set static super this true type typeof undefined "
    "var void yield",
    "java": f"{_BRACES} "
    "abstract assert boolean byte char double extends false final float implements import "
    "instanceof int interface long native new null package private protected public "
    "record short static super synchronized this throws transient true var void volatile",
    "csharp": f"{_BRACES} "
    "abstract as async await base bool byte char decimal delegate double event explicit "
    "extern false fixed float foreach get goto in int interface internal is lock long "
    "namespace new null object operator out override params private protected public "
    "readonly record ref sealed set short static string struct this true typeof uint "
    "ulong using var virtual void volatile when where yield",
    "kotlin": f"{_BRACES} "
    "abstract as by companion data def extends false final fun implicit import in init "
    "interface internal is it lateinit lazy match new null object open operator out "
    "override package private protected public sealed super suspend this trait true type "
    "val var when with yield",
    "swift": f"{_BRACES} "
    "actor as associatedtype async await defer deinit extension fallthrough false "
    "fileprivate func guard import in init inout internal is lazy let mutating nil open "
    "override private protocol public repeat self some static struct subscript super "
    "throws true typealias var weak where",
    "go": (
        "break case chan const continue default defer else fallthrough false for func go goto "
        "if import interface iota map nil package range return select struct switch true type "
        "var"
    ),
    "rust": (
        "as async await break const continue crate dyn else enum extern false fn for if impl "
        "in let loop match mod move mut pub ref return self Self static struct super trait "
        "true type unsafe use where while"
    ),
    "c": f"{_BRACES} "
    "auto bool char delete double explicit extern false float friend goto inline int long "
    "namespace new noexcept nullptr operator override private protected public register "
    "short signed sizeof static struct template this true typedef typename union unsigned "
    "using virtual void volatile",
    "php": f"{_BRACES} "
    "abstract and array as clone declare echo elseif empty endfor endforeach endif "
    "endwhile exit extends false final fn foreach function global implements include "
    "include_once instanceof interface isset list match namespace new null or private "
    "protected public readonly require require_once static trait true unset use var yield",
    "ruby": (
        "BEGIN END alias and begin break case class def defined do else elsif end ensure "
        "false for if in module next nil not or private protected public raise redo require "
        "rescue retry return self super then true undef unless until when while yield"
    ),
    "elixir": (
        "after alias and case catch cond def defimpl defmacro defmodule defp defprotocol "
        "defstruct do else end false fn for if import in nil not or quote raise receive "
        "require rescue true try unless unquote use when with"
    ),
    "perl": (
        "and cmp continue do die else elsif eq eval for foreach if last local my ne next no "
        "not or our package print redo require return shift sub undef unless until use while"
    ),
    "sql": (
        "all alter and as asc between by case create cross delete desc distinct drop else end "
        "exists false foreign from full group having in index inner insert into is join key "
        "left like limit not null offset on or order outer primary references returning right "
        "select set table then true union unique update using values view when where with"
    ),
    "html": "",
}
_BUILTINS = {
    "python": " ".join(["cls", "self", *(name for name in dir(builtins) if name[0] != "_")]),
    "javascript": (
        "Array Boolean Date Error Infinity JSON Map Math NaN Number Object Promise Proxy "
        "RegExp Set String Symbol TypeError WeakMap console document globalThis process "
        "require window"
    ),
    "go": (
        "append any bool byte cap close copy delete error float32 float64 int int32 int64 len "
        "make new panic print println recover rune string uint uint32 uint64 uint8"
    ),
    "rust": (
        "Box Err None Ok Option Result Some String Vec bool char f32 f64 i32 i64 str u32 u64 "
        "u8 usize"
    ),
}
_NAMES = {
    **dict.fromkeys(("def", "defp", "fn", "fun", "func", "function", "sub"), FUNCTION),
    **dict.fromkeys(
        ("class", "defmodule", "enum", "interface", "module", "object", "struct", "trait"), CLASS
    ),
}

# The patterns read escaped text. All of them are linear: none can match a text in two ways, and a
# string or comment that does not end goes on to the end of its line, or of the text.
_ESCAPED = r"\\(?:&\#?\w+;|[^&\n])"


def _quoted(quote: str) -> str:
    plain = r"[^&\\\n]*"
    return rf"{quote}{plain}(?:(?:{_ESCAPED}|&(?!{quote[1:]})|\\){plain})*(?:{quote})?"


def _quoted_thrice(quote: str) -> str:
    ends = rf"(?:{quote}){{3}}"
    return rf"{ends}[^&\\]*(?:(?:\\[\s\S]|(?!{ends})&|\\)[^&\\]*)*(?:{ends})?"


_DOUBLE, _SINGLE = _quoted(r"&\#34;"), _quoted(r"&\#39;")
_TRIPLE = "|".join((_quoted_thrice(r"&\#34;"), _quoted_thrice(r"&\#39;")))
_BACKTICKS = r"`[^`\\]*(?:\\[\s\S]?[^`\\]*)*`?"
# Rust has 'lifetimes, and C and Java have 'c' alone: a quote without its end is no string there.
_CHARACTER = rf"&\#39;(?:(?:{_ESCAPED}\w{{0,8}}|[^&\\\n]|&\w+;)&\#39;)?"
_HASH, _DASHES, _BLOCKS = r"\#[^\n]*", r"--[^\n]*", r"/\*[\s\S]*?(?:\*/|\Z)"
_SLASHES = rf"//[^\n]*|{_BLOCKS}"
_DECORATOR, _TAGS = r"@[\w.]+", r"&lt;/?[\w:-]+|&gt;"
# Words and escapes without a colour are tokens, too: nothing within them is taken for another. The
# word after a dot is an attribute, and no keyword.
_REST = (r"\.?[^\W\d]\w*", r"\d[\w.]*", r"&\#?\w+;")

_PATTERNS = {
    "python": (_HASH, _TRIPLE, _DOUBLE, _SINGLE, _DECORATOR),
    "javascript": (_SLASHES, _BACKTICKS, _DOUBLE, _SINGLE, _DECORATOR),
    "go": (_SLASHES, _BACKTICKS, _DOUBLE, _CHARACTER),
    "php": (_HASH, _SLASHES, _DOUBLE, _SINGLE),
    "sql": (_DASHES, _BLOCKS, _DOUBLE, _SINGLE),
    "ruby": (_HASH, _DOUBLE, _SINGLE),
    "elixir": (_HASH, _TRIPLE, _DOUBLE, _SINGLE),
    "perl": (_HASH, _DOUBLE, _SINGLE),
    "html": (_DOUBLE, _TAGS),
}
_STARTS = {
    "#": COMMENT, "/": COMMENT, "-": COMMENT, "@": DECORATOR, "`": STRING,
    "&#34": STRING, "&#39": STRING,
    **dict.fromkeys("0123456789", NUMBER),
}  # fmt: skip
LANGUAGES = tuple(_KEYWORDS)


def language_of(filename: str | None, platform: str | None) -> str:
    """Return the language of a file; ``text`` if neither suffix nor platform is known."""
    _, dot, suffix = (filename or "").rpartition(".")
    by_suffix = _BY_SUFFIX.get(f"{dot}{suffix[:10]}".lower())
    return by_suffix or _BY_PLATFORM.get((platform or "").lower(), "text")


@cache
def _language(name: str) -> Language:
    words = dict.fromkeys(_KEYWORDS[name].split(), KEYWORD)
    for word in _BUILTINS.get(name, "").split():
        words.setdefault(word, EXCEPTION if _is_exception(word) else BUILTIN)
    if name == "sql":
        words |= {word.upper(): kind for word, kind in words.items()}
    parts = _PATTERNS.get(name, (_SLASHES, _DOUBLE, _CHARACTER, _DECORATOR))
    # A quote alone is no string, only the beginning of a lifetime.
    words |= {"&#39;": ""}
    starts = _STARTS | ({"&lt;": TAG, "&gt;": TAG} if name == "html" else {})
    return Language(re.compile(f"({'|'.join((*parts, *_REST))})"), words, starts, _NAMES)


def find_language(name: str) -> Language | None:
    """Return a language by its name, ``None`` if it is not known."""
    return _language(name) if name in _KEYWORDS else None


def _is_exception(word: str) -> bool:
    found = getattr(builtins, word, None)
    return isinstance(found, type) and issubclass(found, BaseException)
