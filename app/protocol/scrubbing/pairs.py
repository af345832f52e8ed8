"""Rules for the values of secret names in a text: ``token=x``, ``"token": "x"``, ``--token x``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from app.protocol.scrubbing.harmless import is_harmless
from app.protocol.scrubbing.names import HEADER, MARKS, MAX_NAME, SECRET, WEAK, is_second_word
from app.protocol.scrubbing.spans import Span

# A name, the characters that close it (a bracket, or a quote with any number of escapes), and the
# separator. The name may also start after an escape such as %5B or \n. The number of closing
# characters is bounded, because in a run of [0] each part is a name itself.
_PAIR = re.compile(
    r"""(?:(?<![\w.%\\-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\\)(?![nrt])
      |(?<=%)(?![0-9A-Fa-f]{2}))
    (?P<name>[\w.MARKS-]++)
    (?P<close>(?:\\*+["'`]|[\])]|%22|%27|%5[dD]|\[\d{0,4}\]|&quot;|&apos;|&\#(?:34|39|x27);
      |\\++u002[27]){0,32}+)
    (?:(?P<more>(?=["'`\])\[]))|
      \s*+(?P<sep>=>|[!:]?={1,3}|:(?![:/])|:(?=/(?!/))|%3[aAdD]|&\#61;|[：＝])|
      (?P<comma>,[ ]?)(?=b?["'])|(?P<xml>>))
    (?P<gap>(?:\s|\\[nrt])*+(?=\\*+["'])|(?:[ \t]|%20|\+(?=%22))*+)""".replace("MARKS", MARKS),
    re.X,
)
# More than 32 closing characters are read only after a secret name.
_CLOSE_ON = re.compile(
    r"""(?:\\*+["'`]|[\])]|\[\d{0,4}\])*+\s*+(?P<sep>=>|[!:]?={1,3}|:(?![:/]))[ \t]*+"""
)
# A name of two words in a sentence, "API key: x": only with the word before it, "key" is secret.
_WORD_BEFORE = re.compile(r"(?P<word>[^\W\d_]{2,20})[ ]\Z")
# `--password hunter2`, and the repr of an argument list, `['--password', 'hunter2']`.
_ARGUMENT = re.compile(
    r"(?<![\w-])--(?P<name>[\w-]++)['\"]?(?:,?[ \t]{1,4}|,)"
    r"(?P<value>\"[^\"]*+\"?|'[^']*+'?|[^\s\"'-][^\s\"']*+)"
)
# The next option, not the value of the option before.
OPTION = re.compile(r"['\"]?--?[A-Za-z]")
_OPEN_QUOTE = re.compile(
    r"""(?:[bBrRfFuU]{1,2}(?=["']))?(?P<quote>"{3}|'{3}|(?P<slashes>\\{0,64}+)["'`]|%22|%27|&quot;|&apos;|&\#(?:34|39|x27);|\\{1,64}u002[27])"""
)
# A longer source line is generated or minified. It is read as text, because counting its quotes for
# every pair would be quadratic.
MAX_CODE_LINE = 4096
_SCHEME_WORD = re.compile(
    r"(?:Bearer|Basic|Token|Digest|Negotiate|ApiKey|AWS4-HMAC-SHA256)[ \t]+", re.I
)
# `password: str = "x"`: in code, the value is after the annotation.
_ANNOTATION = re.compile(r"[\w.\[\], |?]{1,80}?=[ \t]*(?=[bBrRfFuU]{0,2}[\"'`])")
_CODE_NUMBER = re.compile(r"[0-9]{4,}(?![\w.])")
# A shell or dotenv line in source lines: NAME=value without spaces.
_SHELL = re.compile(r"[A-Z][A-Z0-9_]{0,100}+=")
_PLAIN = re.compile(r"[^\s,;&\"'`()\[\]{}<>]++")
_NEXT_FIELD = re.compile(r"[,;](?:\s|$|[\"'\\]|[\w.-]{1,40}[=:])")
# To the end of the line, or to the quote that was opened before the name.
_LINES = {quote: re.compile(rf"(?:[^\n\\{quote}]++|\\(?!n))*+") for quote in ("", "'", '"', "`")}
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}


# The message of a parser: "unexpected token: punc (;)". Here only a random value is a secret.
_PARSED = frozenset({"token", "tokens"})
_OF_PARSER = re.compile(
    r"\b(?:(?:un)?expected|invalid|missing|illegal|unknown|unrecogni[sz]ed|unterminated|bad|stray)"
    r"[ ]\Z",
    re.I,
)
_DRAWN = re.compile(
    r"(?=[^0-9]{0,200}+[0-9])(?=[^A-Za-z]{0,200}+[A-Za-z])[\"']?[\w.+/=~-]{10,200}+", re.A
)
# "pin: 4 digits required", "password: 8 or more characters".
_AMOUNT = re.compile(
    r"[0-9]{1,3}(?:[ ]or[ ]more|[ ]to[ ][0-9]{1,3}|-[0-9]{1,3}|\+)?[ -]"
    r"(?:digit|character|char|letter|byte|bit|symbol|word|attempt)s?\b"
)


def pairs(text: str, judge: Callable[[str], int], code: bool = False) -> Iterator[Span]:
    """Yield the values of secret names: ``token=x``, ``"token": "x"``, ``<token>x<``.

    :param judge: :func:`~app.protocol.scrubbing.names.verdict_of`, or a function for more names.
    :param code: whether the text is a source line. There, a value without quotes is an expression,
        not a secret.
    """
    end, code = 0, code and len(text) <= MAX_CODE_LINE
    for match in _PAIR.finditer(text):
        name = match["name"][-MAX_NAME:]
        if match.start() < end:
            continue
        verdict = judge(name)
        if not verdict & SECRET and not code and is_second_word(name):
            verdict = judge_two(text, match.start(), name, judge)
        if not verdict & SECRET:
            continue
        span = _value_span(text, match, verdict, code)
        if span and not code and _is_sentence(text, match, span[0]):
            continue
        if span and not is_harmless(name, text[span[0] : span[1]], verdict, in_text=True):
            yield span
            end = span[1]


def _is_sentence(text: str, match: re.Match[str], start: int) -> bool:
    """Return whether the value is the start of a sentence about a secret, not a secret."""
    if _AMOUNT.match(text, start):
        return True
    if match["sep"] != ":" or match["close"] or match["name"].lower() not in _PARSED:
        return False
    before = text[max(match.start() - 16, 0) : match.start()]
    return bool(_OF_PARSER.search(before)) and not _DRAWN.match(text, start)


def judge_two(text: str, start: int, name: str, judge: Callable[[str], int]) -> int:
    """Return the verdict on a name together with the word before it."""
    before = _WORD_BEFORE.search(text[max(start - 24, 0) : start])
    return judge(f"{before['word']}_{name}") if before else 0


def arguments(text: str, judge: Callable[[str], int], code: bool = False) -> Iterator[Span]:
    """Yield the values of secret options in command lines: ``--password hunter2``."""
    for match in _ARGUMENT.finditer(text):
        name, value = match["name"][-MAX_NAME:], match["value"]
        verdict = judge(name)
        if not verdict & SECRET or OPTION.match(value):
            continue
        if not is_harmless(name, value, verdict, in_text=True):
            yield _inside_quotes(value, match.start("value"))


def _inside_quotes(value: str, start: int) -> Span:
    quoted = value[0] in "\"'"
    closed = quoted and len(value) > 1 and value[-1] == value[0]
    return start + quoted, start + len(value) - closed


def _value_span(text: str, match: re.Match[str], verdict: int, code: bool) -> Span | None:
    """Return the span of the value after a name and its separator, or None."""
    start, before = match.end(), text[max(match.start() - 2, 0) : match.start()]
    if match["more"] is not None:
        on = _CLOSE_ON.match(text, start)
        return _simple_span(text, on.end()) if on else None
    if match["xml"]:
        stop = text.find("<", start) if before[-1:] == "<" else -1
        return (start, stop) if stop > start else None
    if match["comma"]:
        return _second_of_two(text, match, before)
    if verdict & WEAK and match["sep"] == ":" and not (match["close"] or match["gap"]):
        return None
    if before == "//" and text[start : start + 1].isdigit():
        return None  # http://auth:8080 is a host and a port
    if code and (annotation := _ANNOTATION.match(text, start)):
        start = annotation.end()
    if opened := _OPEN_QUOTE.match(text, start):
        if code and not match["close"] and _is_inside(text, match.start(), opened["quote"]):
            return None  # this quote closes the string: `"token=" + token`
        return _quoted_span(text, opened, match["close"])
    if code and not _is_literal(text, match, start):
        return None
    return start, _bare_end(text, start, match, verdict)


def _simple_span(text: str, start: int) -> Span | None:
    if opened := _OPEN_QUOTE.match(text, start):
        return _quoted_span(text, opened, "]")
    end = _expression_end(text, start)
    return (start, end) if end > start else None


def _second_of_two(text: str, match: re.Match[str], before: str) -> Span | None:
    """Return the second of exactly two strings in brackets: ``('Cookie', 'a=b')``, as in ASGI."""
    opened = _OPEN_QUOTE.match(text, match.end())
    quote = match["close"]
    around = text[max(match.start() - 4, 0) : match.start()].replace("b", "").rstrip("\"'`\\")
    if not opened or not quote or before[-1:] != quote[-1:] or around[-1:] not in ("(", "["):
        return None
    span = _quoted_span(text, opened, "")
    rest = text[span[1] : span[1] + 4].lstrip("\\\"'` ") if span else "x"
    return span if rest[:1] in (")", "]", "") else None


def _quoted_span(text: str, opened: re.Match[str], close: str) -> Span | None:
    start, quote, slashes = opened.end(), opened["quote"], len(opened["slashes"] or "")
    bare = quote[slashes:]
    position = start
    while (stop := text.find(bare, position)) >= 0:
        before = stop
        while before > start and text[before - 1] == "\\":
            before -= 1
        run = stop - before
        # In a string with n escapes, a quote with n escapes ends it (with fewer, the outer string
        # ends). Without escapes, an even number of backslashes is literal.
        if run <= slashes or (slashes == 0 and run % 2 == 0):
            return (start, before if slashes else stop) if stop > start else None
        position = stop + 1
    # No closing quote: the text was cut off, or this quote closes a string from before the pair.
    is_closing = not close and _is_inside(text, opened.start(), bare)
    return None if is_closing or start >= len(text) else (start, len(text))


def _is_literal(text: str, match: re.Match[str], start: int) -> bool:
    """Return whether a value in code is a number, a shell assignment or in a string of the line."""
    if _CODE_NUMBER.match(text, start) or text[match.start() - 1 : match.start()] in ("?", "&"):
        return True
    if _SHELL.fullmatch(text, match.start(), start):
        return True
    # A quote that closes the name also opened it, so it does not count: {"token": token}.
    quotes = (quote for quote in "\"'`" if quote not in match["close"])
    return any(_is_inside(text, match.start(), quote) for quote in quotes)


def _is_inside(text: str, position: int, quote: str) -> bool:
    return text.count(quote, 0, position) % 2 == 1


def _bare_end(text: str, start: int, match: re.Match[str], verdict: int) -> int:
    """Return the end of a value without quotes."""
    lead = text[match.start() - 1 : match.start()]
    if verdict & HEADER and lead not in ("?", "&") and text[start : start + 1] not in _BRACKETS:
        return _line_end(text, start, lead if lead in ("'", '"', "`") else "")
    if scheme := _SCHEME_WORD.match(text, start):
        start = scheme.end()
    return _expression_end(text, start)


def _line_end(text: str, start: int, quote: str) -> int:
    line = _LINES[quote].match(text, start)
    return line.end() if line else start


def _expression_end(text: str, start: int) -> int:
    """Return the end of ``abc``, ``SecretStr('a b')``, ``['a', 'b']`` or ``<Token a>``."""
    position, closers = start, [""]
    while position < len(text):
        char = text[position]
        if run := _PLAIN.match(text, position):
            position = run.end()
            continue
        if char in _BRACKETS and (closers[-1] or _opens(text, position, start)):
            closers.append(_BRACKETS[char])
        elif char == closers[-1]:
            closers.pop()
            if closers == [""] and text[start] in _BRACKETS:
                return position + 1
        elif closers == [""] and _is_end(text, position):
            return position
        elif char in "\"'" and closers != [""]:
            stop = text.find(char, position + 1)
            position = stop if stop >= 0 else len(text)
        position += 1
    return min(position, len(text))


def _opens(text: str, position: int, start: int) -> bool:
    return position == start or (
        text[position] == "(" and text[position + 1 : position + 2] in "'\""
    )


def _is_end(text: str, position: int) -> bool:
    """Return whether an unquoted value ends here; a secret may contain , ; ) and '."""
    char, following = text[position], text[position + 1 : position + 2]
    if char in ",;":
        return _NEXT_FIELD.match(text, position) is not None
    if char in "\"'`)]}>":
        return not following.isalnum()
    return char not in "([{<"
