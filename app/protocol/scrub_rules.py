"""What is secret: by a field's name, by the look of a value, by ``name=value`` inside a text.

A rule finds spans ``(start, end)`` in one string; :mod:`app.protocol.scrub` decides which rules a
string needs and puts ``[Filtered]`` there. Every expression here is linear in its input: repeats
are possessive (``++``) or bounded, and a look-behind keeps a match from starting in mid-run.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

FILTERED = "[Filtered]"

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

# --------------------------------------------------------------------------------------- names
# Bits of a verdict on a name; 0 means "an ordinary name".
SECRET = 1
COUNTABLE = 2  # `tokens`, `pass`: a string is a secret, a number is a count
WEAK = 4  # `auth`: in a text "auth:login" is an endpoint, "auth: x" and "auth=x" are pairs
HEADER = 8  # the value has words: "Authorization: Digest a=b, c=d", "Cookie: a=b; c=d"

# Longer is prose or a URL, not a name; SDKs cut tag names at 32, OpenTelemetry attributes at 128.
MAX_NAME = 100

_NO_NAME = re.compile(r"[/=?&@<>,;\\]|\[Filtered|----")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")

# One word that makes a name secret wherever it stands in it: db_password_1, X-CSRF-Token, jwtRaw.
_WORDS = frozenset(
    "password passwords passwd passwort pwd pw passphrase passcode pincode secret secrets"
    " authorization credential credentials csrf xsrf jwt bearer otp totp cvv cvc ssn iban"
    " apikey apikeys privatekey secretkey accesskey sessionid sessid".split()
)
# The same, inside a word without any boundary: userpassword, csrfmiddlewaretoken, PHPSESSID.
_INSIDE = re.compile(
    "password|passwd|passphrase|sessionid|sessid|apikey|privatekey|secretkey|accesskey|csrf|xsrf"
    "|(?:credentials?|secrets?|token|pwd)$"
)
# Two words side by side. `key` and `id` alone say nothing: primary_key, foreign_key, user_id.
_PHRASES = frozenset(
    tuple(pair.split("_"))
    for pair in (
        "api_key api_keys access_key access_keys private_key private_keys secret_key account_key"
        " auth_key encryption_key signing_key signature_key master_key ssh_key shared_key"
        " client_key consumer_key storage_key session_key session_id session_cookie cookie_jar"
        " aiohttp_session user_session connect_sid auth_code auth_data auth_header auth_headers"
        " auth_info security_code verification_code mfa_code backup_codes recovery_codes"
        " card_number card_no credit_card cc_number cc_num card_pin pin_code user_pin"
        " social_security amz_signature"
    ).split()
)
# Secret only when the name is nothing else. sentry-sdk's denylist has session and symfony; `sig` is
# the signature of an Azure link, good for months.
_WHOLE = frozenset({"session", "symfony", "pin", "sig"})
# A last word that turns a name into a fact about the secret: password_changed_at, token_url,
# SESSION_COOKIE_NAME. `id`, `hash`, `hint` and `value` are left out on purpose.
_FACTS = frozenset(
    "age alg algorithm at backend budget class cls count counts created date dir domain enabled"
    " endpoint error errors exempt expiration expired expires expiry factory field fields file form"
    " format func function generator handler hashers host httponly in invalid issuer kind label"
    " left len length lifetime limit manager max method middleware min missing mode model module"
    " name names origins parser path policy prefix provider remaining required reset rules samesite"
    " schema scheme scope scopes secure serializer service size status store strength timeout ttl"
    " type types updated uri url usage used valid validator validators version view".split()
)
# Words beside `tokens` that make it an amount (language models, rate limits).
_AMOUNTS = frozenset(
    "max min total num number per count limit input output prompt completion cached cache reasoning"
    " used usage remaining budget new context audio text accepted rejected prediction".split()
)
_AMOUNTS_SINGULAR = frozenset({"max", "min", "total", "num", "per"})


def words_of(name: str) -> tuple[str, ...]:
    """Split a name at case changes, digits and punctuation: ``X-Api-Key2`` is ``x, api, key``."""
    return tuple(word.lower() for word in _WORD.findall(name))


def verdict_of(name: str) -> int:
    """Tell whether a field of this name holds a secret.

    A name is secret when it has a secret word (``password``), word pair (``api key``), ends in
    ``token``, ``cookie`` or ``auth``, and its last word is not a fact about the secret
    (``token_url``) or an amount (``max_tokens``). A path, a URL or prose is no name.

    :return: 0, or ``SECRET`` with ``COUNTABLE``, ``WEAK``, ``HEADER`` as they apply.
    """
    if len(name) > MAX_NAME or _NO_NAME.search(name):
        return 0
    words = words_of(name)
    if not words or words[-1] in _FACTS:
        return 0
    if words[-1] in ("cookie", "cookies", "authorization"):
        return SECRET | HEADER
    if _has_secret_word(words) or (len(words) == 1 and words[0] in _WHOLE):
        return SECRET
    if words[-1] == "pass" or ("tokens" in words and _AMOUNTS.isdisjoint(words)):
        return SECRET | COUNTABLE
    return SECRET | WEAK if words[-1] == "auth" else 0


def _has_secret_word(words: tuple[str, ...]) -> bool:
    if not _WORDS.isdisjoint(words) or not _PHRASES.isdisjoint(zip(words, words[1:], strict=False)):
        return True
    if "token" in words and _AMOUNTS_SINGULAR.isdisjoint(words):
        return True
    return any(len(word) > 5 and _INSIDE.search(word) for word in words)


# ------------------------------------------------------------------------------ harmless values
# Nothing, a truth value or a mask stands where a secret could stand.
_EMPTY = re.compile(
    r"""b?['"]*(?:none|null|nil|undefined|true|false|redacted|masked|\[?(?:filtered|redacted)\]?
    |[*.•\-_]{1,64}|x{3,64})?['"]*""",
    re.I | re.X,
)
# In a text also: a placeholder of a formatter, of SQL or of a shell, and the words that follow
# "token:" in prose.
_PLACEHOLDER = re.compile(
    r"""%(?:\(\w{1,64}\))?[sdr] | \$[0-9]{1,3} | \$[A-Z_]{2,64} | [:@][a-z_]{1,64} | \?
    | [$%\#]?\{{1,2}[\w.!:()\[\] ]{0,64}\}{1,2} | \$?\{[\w.]{1,64}\[["']\w{1,64}["']\](?:![rs])?\}
    | <[a-z_]{1,32}>
    | (?:yes|no|on|off|ok|is|was|not|must|has|had|too|in|for|or|and|the|a|an|of|to|at|this|required
    |missing|expired|invalid|unknown|incorrect|wrong|empty|failed|denied|mismatch|needed|unset
    |revoked|malformed|cannot|could|str|int|bytes|bool)[.!]?""",
    re.X,
)
# No mask and no placeholder is longer.
_MAX_HARMLESS = 200


def is_harmless(name: str, value: str, verdict: int, *, in_text: bool = False) -> bool:
    """Tell whether ``value`` (perhaps a repr, in quotes) is no secret although its name says so.

    :param in_text: the pair stands in a text, where placeholders and prose are to be expected.
    """
    if len(value) > _MAX_HARMLESS:
        return False
    bare = value.strip("'\" ")
    if _EMPTY.fullmatch(value.strip()) or (in_text and _PLACEHOLDER.fullmatch(bare)):
        return True
    if verdict & COUNTABLE and bare.isdigit():
        return True
    # PWD is the working directory in every environment, and a password in ODBC strings.
    return name.upper() in ("PWD", "OLDPWD") and (bare[:1] == "/" or bare[1:3] == ":\\")


# --------------------------------------------------------------------------------------- values
# A token starts where no token is running. Escapes that were not undone (%22, \n) end in a letter
# or digit, and must not hide the start.
_EDGE = r"(?:(?<![A-Za-z0-9_%\\-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"

_API_KEYS = re.compile(
    _EDGE
    + r"""(?:
      A[KS]IA[0-9A-Z]{16}                                   # AWS
    | AIza[\w-]{30,}+                                       # Google
    | gh[pousr]_[A-Za-z0-9]{20,}+ | github_pat_\w{20,}+     # GitHub
    | gl(?:pat|ptt|dt|rt)-[\w.-]{16,}+                      # GitLab
    | xox[a-z]-[\w-]{8,}+ | xapp-[\w-]{16,}+                # Slack
    | (?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{8,}+        # Stripe; pk_ is public by design
    | SG\.[\w-]{16,}+\.[\w-]{16,}+                          # SendGrid
    | npm_[A-Za-z0-9]{30,}+ | pypi-AgE[\w-]{16,}+           # registries
    | sk-(?:ant|proj|svcacct|admin)-[\w-]{16,}+ | sk-[A-Za-z0-9]{20,}+   # Anthropic, OpenAI
    | SK[0-9a-f]{32}(?![0-9a-zA-Z])                         # Twilio
    | sntry[su]_[\w+/=-]{20,}+                              # Sentry
    )
    | hooks\.slack\.com/(?:services|workflows)/(?P<path>[\w/]{8,}+)
    """,
    re.X | re.A,
)
_JWT = re.compile(_EDGE + r"eyJ[\w-]{5,}+\.[\w-]{2,}+(?:\.[\w-]*+){0,3}", re.A)

# Bearer and Token also begin sentences ("Basic information"), so the credential must look like one.
_CREDENTIAL = re.compile(
    r"(?<![\w-])(?:(?P<short>[Bb]earer|BEARER|Basic|basic)|Token)(?:\s|%20|\+){1,3}"
    r"(?P<value>[\w.~+/=%-]{6,}+)",
    re.A,
)
_LOOKS_RANDOM = re.compile(r"[^A-Za-z]|.[A-Z]")

# Schemes of bundlers, where "webpack://my-app@1.0.0/src" names a package.
_NO_USERINFO = frozenset({"webpack", "webpack-internal", "app", "file", "node", "turbopack", "rsc"})
# The second branch is a password with a raw slash, and not "host:8080/@scope": it starts no port.
# Bounded, or "://a:b" repeated would be read to the end from every start.
_USERINFO = re.compile(
    r"(?P<scheme>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30})(?:://|%3[aA]%2[fF]%2[fF])"
    r"(?P<info>(?:[^\s/?#\"'<>@]{1,512}+@){1,8}+|[^\s/?#\"'<>@:]{0,128}+:(?!\d)[^\s\"'<>@]{1,256}+@)",
    re.I,
)

_CARD = re.compile(
    r"(?<![\w.-])(?:[0-9]{13,19}|[0-9]{4}(?P<s>[ +-]|%20)[0-9]{4}(?P=s)[0-9]{4}(?P=s)[0-9]{1,7}"
    r"|[0-9]{4}(?P<t>[ +-]|%20)[0-9]{6}(?P=t)[0-9]{4,5})(?![\w-]|\.[0-9])",
    re.A,
)
# Issuer and length: Visa, Mastercard (both ranges), Amex, Diners, Discover, JCB, UnionPay, Maestro.
_ISSUER = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|22[2-9]|2[3-6][0-9]|27[01])[0-9]{13,14}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}"
    r"|35[0-9]{14}|62[0-9]{14,17}|(?:5018|5020|5038|6304|6759|676[1-3])[0-9]{8,15}"
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# The middle of a key in a list of source lines, where BEGIN stands in another line.
_KEY_LINE = re.compile(
    r"(?<!\s)\s*+[\"']?(?P<key>(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{60,}+={0,2})(?:\\n)?[\"']?[,\s\\)]*+"
)


def is_card(digits: str) -> bool:
    """Tell whether 13 to 19 digits carry an issuer's prefix and a valid Luhn checksum."""
    if not _ISSUER.fullmatch(digits):
        return False
    odd = sum(map(int, digits[-1::-2]))
    return (odd + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


_CARD_WORDS = frozenset(
    "card cards cardnumber cardno creditcard ccnumber ccnum cc pan visa mastercard amex maestro"
    " diners unionpay jcb debit credit kreditkarte karte carte tarjeta cartao carta".split()
)


def names_card(name: object) -> bool:
    """Tell whether a field of this name may hold the number of a card."""
    return isinstance(name, str) and not _CARD_WORDS.isdisjoint(words_of(name))


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        if is_card(re.sub(r"%20|[ +-]", "", match[0])):
            yield match.span()


def _all_of(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield match.span()


def _api_keys(text: str) -> Iterator[Span]:
    for match in _API_KEYS.finditer(text):
        yield match.span("path" if match["path"] else 0)


def _credentials(text: str) -> Iterator[Span]:
    for match in _CREDENTIAL.finditer(text):
        value = match["value"]
        # "Token" starts many a sentence, and its real ones (Django REST, 40 hex) are long.
        long_enough = match["short"] or (len(value) >= 16 and any(map(str.isdigit, value)))
        if long_enough and _LOOKS_RANDOM.search(value.rstrip(".-%=")) and value[:6] != "realm=":
            yield match.span("value")


def _userinfo(text: str) -> Iterator[Span]:
    for match in _USERINFO.finditer(text):
        info = match["info"][:-1]
        if match["scheme"].lower() in _NO_USERINFO or info in ("git", FILTERED, ":"):
            continue
        # A formatter's placeholder, "postgres://{user}:{password}@host", is no secret.
        if re.fullmatch(r"[$%{][^@]{0,80}[}s]:[$%{][^@]{0,80}[}s]", info):
            continue
        # The user goes with the password: in "https://TOKEN:x-oauth-basic@host" it is the secret.
        yield match.start("info"), match.end("info") - 1


def _private_keys(text: str) -> Iterator[Span]:
    position = 0
    while match := _PEM.search(text, position):
        tail = text.find("-----END", match.end())
        # Cut off before its END line: the rest of the string is the key.
        stop = text.find("-----", tail + 8) if tail >= 0 else -1
        position = stop + 5 if stop >= 0 else len(text)
        yield match.start(), position
    if position == 0 and (line := _KEY_LINE.fullmatch(text)):
        yield line.span("key")


class Rule(NamedTuple):
    """One kind of secret: its name on the receipt, and what finds it in a string."""

    name: str
    find: Finder


PRIVATE_KEY = Rule("private_key", _private_keys)
URL = Rule("url", _userinfo)
CREDENTIAL = Rule("authorization", _credentials)
JWT = Rule("jwt", partial(_all_of, _JWT))
API_KEY = Rule("api_key", _api_keys)
CARD = Rule("card", _cards)


# ---------------------------------------------------------------------------------------- pairs
# A name, what closes it (a quote, however often escaped, a bracket), and the separator. The name
# may also start behind %5B or \n, which were not undone. What closes it is bounded, since in a run
# of [0] each part is a name of its own.
_PAIR = re.compile(
    r"""(?:(?<![\w.%\\-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\\)(?![nrt])
      |(?<=%)(?![0-9A-Fa-f]{2}))
    (?P<name>[\w.-]++)
    (?P<close>(?:\\*+["'`]|[\])]|%22|%27|%5[dD]|\[\d{0,4}\]){0,32}+)
    (?:\s*+(?P<sep>=>|[!:]?={1,3}|:(?![:/])|:(?=/(?!/))|%3[aAdD])|
      (?P<comma>,[ ]?)(?=b?["'])|(?P<xml>>))
    (?P<gap>(?:\s|\\[nrt])*+(?=\\*+["'])|(?:[ \t]|%20|\+(?=%22))*+)""",
    re.X,
)
# `--password hunter2`, and the repr of an argument list, `['--password', 'hunter2']`.
_ARGUMENT = re.compile(
    r"(?<![\w-])--(?P<name>[\w-]++)['\"]?(?:,?[ \t]{1,4}|,)"
    r"(?P<value>\"[^\"]*+\"?|'[^']*+'?|[^\s\"'-][^\s\"']*+)"
)
# The next option, and not the value of the one before.
OPTION = re.compile(r"['\"]?--?[A-Za-z]")
_OPEN_QUOTE = re.compile(
    r"""(?:[bBrRfFuU]{1,2}(?=["']))?(?P<quote>"{3}|'{3}|(?P<slashes>\\{0,64}+)["'`]|%22|%27)"""
)
# A longer source line is generated or minified, and counting its quotes for every pair would be
# quadratic: it is read as text.
MAX_CODE_LINE = 4096
_SCHEME_WORD = re.compile(
    r"(?:Bearer|Basic|Token|Digest|Negotiate|ApiKey|AWS4-HMAC-SHA256)[ \t]+", re.I
)
# `password: str = "x"`: in code the value stands behind the annotation.
_ANNOTATION = re.compile(r"[\w.\[\], |?]{1,80}?=[ \t]*(?=[bBrRfFuU]{0,2}[\"'`])")
_CODE_NUMBER = re.compile(r"[0-9]{4,}(?![\w.])")
# A shell or dotenv line among the source lines: NAME=value without spaces.
_SHELL = re.compile(r"[A-Z][A-Z0-9_]{0,100}+=")
_PLAIN = re.compile(r"[^\s,;&\"'`()\[\]{}<>]++")
_NEXT_FIELD = re.compile(r"[,;](?:\s|$|[\"'\\]|[\w.-]{1,40}[=:])")
# To the end of the line, or to the quote that was opened before the name.
_LINES = {quote: re.compile(rf"(?:[^\n\\{quote}]++|\\(?!n))*+") for quote in ("", "'", '"', "`")}
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def pairs(text: str, verdict_for: Callable[[str], int], *, code: bool = False) -> Iterator[Span]:
    """Find the values of secret names: ``token=x``, ``"token": "x"``, ``--token x``, ``<token>x<``.

    :param verdict_for: :func:`verdict_of`, or one that knows more names.
    :param code: the text is a source line, where an unquoted value is an expression, not a secret.
    """
    end, code = 0, code and len(text) <= MAX_CODE_LINE
    for match in _PAIR.finditer(text):
        name = match["name"][-MAX_NAME:]
        if match.start() < end or not (verdict := verdict_for(name)) & SECRET:
            continue
        span = _value_span(text, match, verdict, code)
        if span and not is_harmless(name, text[span[0] : span[1]], verdict, in_text=True):
            yield span
            end = span[1]


def arguments(text: str, verdict_for: Callable[[str], int]) -> Iterator[Span]:
    """Find the values of secret options in command lines: ``--password hunter2``."""
    for match in _ARGUMENT.finditer(text):
        name, value = match["name"][-MAX_NAME:], match["value"]
        verdict = verdict_for(name)
        if not verdict & SECRET or OPTION.match(value):
            continue
        if not is_harmless(name, value, verdict, in_text=True):
            yield _inside_quotes(value, match.start("value"))


def _inside_quotes(value: str, start: int) -> Span:
    quoted = value[0] in "\"'"
    closed = quoted and len(value) > 1 and value[-1] == value[0]
    return start + quoted, start + len(value) - closed


def _value_span(text: str, match: re.Match[str], verdict: int, code: bool) -> Span | None:
    """Where the value behind this name and separator stands; None if there is none."""
    start, before = match.end(), text[max(match.start() - 2, 0) : match.start()]
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


def _second_of_two(text: str, match: re.Match[str], before: str) -> Span | None:
    """``('Cookie', 'a=b')``: the second of exactly two strings in brackets, as in ASGI headers."""
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
        # Inside n escapes, n of them (or less: the outer string's end) make the end; outside, an
        # even run is a literal backslash.
        if run <= slashes or (slashes == 0 and run % 2 == 0):
            return (start, before if slashes else stop) if stop > start else None
        position = stop + 1
    # No end: it was cut off, or this quote closes a string that began before the pair.
    is_closing = not close and _is_inside(text, opened.start(), bare)
    return None if is_closing or start >= len(text) else (start, len(text))


def _is_literal(text: str, match: re.Match[str], start: int) -> bool:
    """In code: a number, a shell assignment, or a pair inside a string of that line."""
    if _CODE_NUMBER.match(text, start) or text[match.start() - 1 : match.start()] in ("?", "&"):
        return True
    if _SHELL.fullmatch(text, match.start(), start):
        return True
    # The quote that closes the name opened before it: {"token": token}.
    quotes = (quote for quote in "\"'`" if quote not in match["close"])
    return any(_is_inside(text, match.start(), quote) for quote in quotes)


def _is_inside(text: str, position: int, quote: str) -> bool:
    return text.count(quote, 0, position) % 2 == 1


def _bare_end(text: str, start: int, match: re.Match[str], verdict: int) -> int:
    """Where an unquoted value ends."""
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
    """Where ``abc``, ``SecretStr('a b')``, ``['a', 'b']`` or ``<Token a>`` ends."""
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
    """Tell whether the text after an unquoted value begins here; a secret may hold , ; ) and '."""
    char, following = text[position], text[position + 1 : position + 2]
    if char in ",;":
        return _NEXT_FIELD.match(text, position) is not None
    if char in "\"'`)]}>":
        return not following.isalnum()
    return char not in "([{<"


BY_NAME = {
    rule.name: rule
    for rule in (
        PRIVATE_KEY,
        URL,
        CREDENTIAL,
        JWT,
        API_KEY,
        CARD,
    )
}
# Pairs first: they take a whole value, of which a later rule would only see a part.
ALL_RULES = ("pair", "argument", *BY_NAME)
