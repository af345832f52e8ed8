"""Rules for secrets in links: OAuth codes, signatures, and the tokens of reset and magic links."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.protocol.scrubbing.spans import Span

PATH_HINT = re.compile(r"/[\w.~%=-]{16}", re.A)
# Parameters that may be codes, and the minimum length of a code: state=CA is a place.
_LENGTHS = {
    "code": 10, "state": 16, "t": 16, "k": 16, "h": 20, "key": 20, "nonce": 16, "ticket": 16,
    "hmac": 16, "signature": 8, "sign": 16, "samlresponse": 20, "samlrequest": 20, "relaystate": 20,
    "assertion": 20, "invite": 16, "oobcode": 16, "oauth_verifier": 8, "oauth_signature": 8,
    "x-goog-signature": 16, "device_code": 10, "user_code": 8, "code_verifier": 16, "confirm": 16,
}  # fmt: skip
CODES = re.compile("|".join(map(re.escape, _LENGTHS)), re.I)
_PARAMETER = re.compile(
    r"(?:[?&#;]|%3F|%26|%23)(?P<name>[\w-]{1,24}+)(?:=|%3D)(?P<value>[^\s&#;\"'<>\\)\]}]{8,}+)",
    re.A | re.I,
)
_PATH = re.compile(
    r"/(?P<word>[A-Za-z_-]{4,40}+)/(?:[\w=-]{1,12}+/)?(?P<token>[\w.~%=-]{16,}+)", re.A
)
_PATH_WORD = re.compile(
    r"reset|verif|magic|confirm|activ|invit|recover|sign-?in|log-?in|one-?time|token|join", re.I
)
_MIXED = re.compile(r"(?=[^0-9]{0,256}+[0-9])(?=[^A-Za-z]{0,256}+[A-Za-z]).", re.A | re.S)


def link_secrets(text: str) -> Iterator[Span]:
    """Yield the codes in the parameters of links, and the tokens in their paths."""
    spans = [m.span("value") for m in _PARAMETER.finditer(text) if is_code(m["name"], m["value"])]
    for match in _PATH.finditer(text):
        if _PATH_WORD.search(match["word"]) and _MIXED.match(match["token"]):
            spans.append(match.span("token"))
    end = 0
    for span in sorted(spans):
        if span[0] >= end:
            yield span
            end = span[1]


def is_code(name: str, value: str) -> bool:
    """Return whether the parameter of a link is a code: long enough, with letters and digits."""
    length = _LENGTHS.get(name.lower())
    return length is not None and len(value) >= length and bool(_MIXED.match(value))
