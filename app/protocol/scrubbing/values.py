"""Rules for values that are secret by their form: credentials, user names in URLs, keys."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from app.protocol.scrubbing.names import SECRET, verdict_of
from app.protocol.scrubbing.spans import FILTERED, Span

# A token does not start inside another token. Escapes such as %22 or \n end in a letter or a digit,
# and a token may start after them.
_EDGE = r"(?:(?<![A-Za-z0-9_%\\-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"

_JWT = re.compile(_EDGE + r"eyJ[\w-]{5,}+\.[\w-]{2,}+(?:\.[\w-]*+){0,3}", re.A)

# These words also begin sentences ("Basic information"), so a value must look like a credential.
_CREDENTIAL = re.compile(
    r"(?<![\w-])(?:(?P<short>[Bb]earer|BEARER|Basic|basic)|Token)(?:\s|%20|\+){1,3}"
    r"(?P<value>[\w.~+/=%-]{6,}+)",
    re.A,
)
_LOOKS_RANDOM = re.compile(r"[^A-Za-z]|.[A-Z]")

# Schemes of bundlers: "webpack://my-app@1.0.0/src" is the name of a package.
_NO_USERINFO = frozenset({"webpack", "webpack-internal", "app", "file", "node", "turbopack", "rsc"})
# The second branch is a password with a raw slash. It does not match "host:8080/@scope", because
# the digit after the colon starts a port. The repeats are bounded: otherwise a repeated "://a:b"
# would be read to the end of the text from every start.
_USERINFO = re.compile(
    r"(?P<scheme>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30})(?:://|%3[aA]%2[fF]%2[fF])"
    r"(?P<info>(?:[^\s/?#\"'<>@]{1,512}+@){1,8}+|[^\s/?#\"'<>@:]{0,128}+:(?!\d)[^\s\"'<>@]{1,256}+@)",
    re.I,
)

CREDENTIAL_HINT = re.compile(r"[BbT](?:e|E|A|a|o)(?:arer|ARER|SIC|sic|ken)[\s%+]")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{12,}+={0,2}", re.A)
_JSON_NAME = re.compile(r'"([\w.-]{1,100}+)"\s{0,8}+:')
_USER_PASSWORD = re.compile(r"[\w.@+-]{1,64}+:(?!//)[!-~]{4,128}+", re.A)
# A longer run is not decoded, in characters.
_MAX_ENCODED = 16_384
DISCORD_HINT = re.compile(r"\.[\w-]{6}\.[\w-]{25}", re.A)
# The text before the "=" that pads base64.
BASE64_END = re.compile(
    r"(?=[^A-Z]{0,99}+[A-Z])(?=[^a-z]{0,99}+[a-z])(?=[^0-9]{0,99}+[0-9])[A-Za-z0-9]{8,}+", re.A
)
_DISCORD = re.compile(r"(?<![\w.-])[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{25,}+", re.A)
_TELEGRAM = re.compile(r"(?<![0-9])[0-9]{8,10}:AA[\w-]{33}(?![\w-])", re.A)
_MAILCHIMP = re.compile(r"(?<![0-9a-z])[0-9a-z]{32}-us[0-9]{1,2}(?![0-9a-z])", re.A)
# Of Slack, Microsoft Teams and Discord; Teams' newer ones have their secret in `sig=`.
_WEBHOOK = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows)|\.office(?:365)?\.com/webhook(?:b2)?"
    r"|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks)/(?P<path>[\w/@-]{8,}+)",
    re.A,
)
_SOFTLAYER = re.compile(r"api\.softlayer\.com/soap/v[0-9.]{1,4}/(?P<path>\w{16,}+)", re.A | re.I)
_PUTTY = re.compile(r"PuTTY-User-Key-File-[23]")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# The middle of a key in a list of source lines, where BEGIN is in another line.
_KEY_LINE = re.compile(
    r"(?<!\s)\s*+[\"']?(?P<key>(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{60,}+={0,2})(?:\\n)?[\"']?[,\s\\)]*+"
)


def jwts(text: str) -> Iterator[Span]:
    """Yield JSON web tokens."""
    for match in _JWT.finditer(text):
        yield match.span()


def credentials(text: str) -> Iterator[Span]:
    """Yield the credentials after ``Bearer``, ``Basic`` and ``Token``."""
    for match in _CREDENTIAL.finditer(text):
        value = match["value"]
        # "Token" starts many sentences, and real tokens (Django REST, 40 hex digits) are long.
        long_enough = match["short"] or (len(value) >= 16 and any(map(str.isdigit, value)))
        if long_enough and _LOOKS_RANDOM.search(value.rstrip(".-%=")) and value[:6] != "realm=":
            yield match.span("value")


def userinfo(text: str) -> Iterator[Span]:
    """Yield user and password in URLs."""
    for match in _USERINFO.finditer(text):
        info = match["info"][:-1]
        if match["scheme"].lower() in _NO_USERINFO or info in ("git", FILTERED, ":"):
            continue
        # A placeholder of a formatter, "postgres://{user}:{password}@host", is not a secret.
        if re.fullmatch(r"[$%{][^@]{0,80}[}s]:[$%{][^@]{0,80}[}s]", info):
            continue
        # The user name is also removed: in "https://TOKEN:x-oauth-basic@host" it is the secret.
        yield match.start("info"), match.end("info") - 1


def private_keys(text: str) -> Iterator[Span]:
    """Yield private keys, complete or cut off, and single lines of a key."""
    if putty := _PUTTY.search(text):
        yield putty.start(), len(text)
        return
    position = 0
    while match := _PEM.search(text, position):
        tail = text.find("-----END", match.end())
        # Cut off before its END line: the rest of the string is the key.
        stop = text.find("-----", tail + 8) if tail >= 0 else -1
        position = stop + 5 if stop >= 0 else len(text)
        yield match.start(), position
    if position == 0 and (line := _KEY_LINE.fullmatch(text)):
        yield line.span("key")


def webhooks(text: str) -> Iterator[Span]:
    """Yield the paths of incoming webhooks: whoever knows one can post."""
    for match in _WEBHOOK.finditer(text):
        yield match.span("path")


def softlayer_keys(text: str) -> Iterator[Span]:
    """Yield the keys in URLs of SoftLayer's API."""
    for match in _SOFTLAYER.finditer(text):
        yield match.span("path")


def discord_tokens(text: str) -> Iterator[Span]:
    """Yield tokens of Discord's bots."""
    for match in _DISCORD.finditer(text):
        yield match.span()


def telegram_tokens(text: str) -> Iterator[Span]:
    """Yield tokens of Telegram bots, also after ``bot`` in a URL."""
    for match in _TELEGRAM.finditer(text):
        yield match.span()


def mailchimp_keys(text: str) -> Iterator[Span]:
    """Yield keys of Mailchimp."""
    for match in _MAILCHIMP.finditer(text):
        yield match.span()


def encoded(text: str) -> Iterator[Span]:
    """Yield base64 of JSON with secret names, and base64 of ``user:password``."""
    for match in _ENCODED.finditer(text):
        run = match[0]
        if len(run) > _MAX_ENCODED or not (run.endswith("=") or run[:3] in ("eyJ", "ewo", "eyA")):
            continue
        decoded = _decoded(run)
        names = _JSON_NAME.findall(decoded) if decoded[:1] == "{" else ()
        if any(verdict_of(name) & SECRET for name in names) or _USER_PASSWORD.fullmatch(decoded):
            yield match.span()


def _decoded(run: str) -> str:
    bare = run.rstrip("=").translate({45: 43, 95: 47})
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
