"""Keys of services with a fixed text at their start, one entry for each kind of key.

An entry has the fixed text and an expression for the rest. It needs no other hint: the search of
:mod:`app.protocol.scrubbing.hints` is built from the fixed texts of all entries.

Every expression runs in linear time: its repeats are possessive or bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from app.protocol.scrubbing.spans import Span

_WORD = r"[\w-]"
_ALNUM = r"[A-Za-z0-9]"
_HEX = r"[0-9a-f]"


class Token(NamedTuple):
    """A kind of key.

    :param anchor: the fixed text at the start of every such key.
    :param pattern: the expression for the whole key. It begins with the anchor, so `re` can search
        for a fixed text.
    """

    anchor: str
    pattern: re.Pattern[str]

    def find(self, text: str) -> Iterator[Span]:
        """Yield the spans of such keys; a key does not start inside a longer word."""
        for match in self.pattern.finditer(text):
            if starts_at(text, match.start()):
                yield match.span()


def starts_at(text: str, position: int) -> bool:
    """Return whether a key may start at a position: not inside a word.

    Escapes such as %22 or \\n end in a letter or a digit; a key may start after them.
    """
    before = text[max(position - 3, 0) : position]
    if not before or not (before[-1].isalnum() and before[-1].isascii() or before[-1] in "_%\\-"):
        return True
    return bool(_ESCAPE.search(before))


_ESCAPE = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\[nrt])\Z")


def _token(anchor: str, rest: str) -> Token:
    return Token(anchor, re.compile(re.escape(anchor) + rest, re.A))


TOKENS = (
    # clouds
    _token("AKIA", r"[0-9A-Z]{16}"),  # AWS, also temporary and of services
    _token("ASIA", r"[0-9A-Z]{16}"),
    _token("ABIA", r"[0-9A-Z]{16}"),
    _token("ACCA", r"[0-9A-Z]{16}"),
    _token("A3T", r"[A-Z0-9]{17}"),
    _token("AIza", rf"{_WORD}{{30,}}+"),  # Google
    _token("ya29.", rf"{_WORD}{{20,}}+"),
    _token("GOCSPX-", rf"{_WORD}{{20,}}+"),
    _token("dop_v1_", rf"{_HEX}{{32,}}+"),  # DigitalOcean
    _token("doo_v1_", rf"{_HEX}{{32,}}+"),
    _token("dor_v1_", rf"{_HEX}{{32,}}+"),
    _token("HRKU-", rf"{_WORD}{{30,}}+"),  # Heroku
    _token("v1.0-", rf"{_HEX}{{20,}}+-{_HEX}{{40,}}+"),  # Cloudflare
    # forges and registries
    *(_token(f"gh{kind}_", rf"{_ALNUM}{{20,}}+") for kind in "pousr"),
    _token("github_pat_", r"\w{20,}+"),
    *(
        _token(f"gl{kind}-", r"[\w.-]{16,}+")
        for kind in "pat ptt dt ft rt soat cbt imt agent ffct oas".split()
    ),
    _token("GR1348941", rf"{_WORD}{{16,}}+"),
    _token("npm_", rf"{_ALNUM}{{30,}}+"),
    _token("pypi-", rf"AgE{_WORD}{{16,}}+"),
    _token("rubygems_", rf"{_HEX}{{40,}}+"),
    _token("dckr_pat_", rf"{_WORD}{{20,}}+"),
    _token("AKC", rf"{_ALNUM}{{10,}}+"),  # Artifactory
    _token("pul-", rf"{_HEX}{{40}}"),
    _token("ATATT3", r"[\w=-]{20,}+"),  # Atlassian
    # chat and mail
    *(_token(f"xox{kind}-", rf"{_WORD}{{8,}}+") for kind in "abeoprs"),
    _token("xapp-", rf"{_WORD}{{16,}}+"),
    _token("SG.", rf"{_WORD}{{16,}}+\.{_WORD}{{16,}}+"),  # SendGrid
    _token("key-", r"[0-9a-z]{32}(?![0-9a-z])"),  # Mailgun
    _token("xkeysib-", rf"{_WORD}{{40,}}+"),  # Brevo
    _token("re_", rf"{_ALNUM}{{8}}_{_ALNUM}{{20,}}+"),  # Resend
    # payment and shops
    *(
        _token(f"{kind}_{mode}_", rf"{_ALNUM}{{8,}}+")
        for kind in ("sk", "rk")  # pk_ is public by design
        for mode in ("live", "test")
    ),
    _token("whsec_", rf"{_ALNUM}{{8,}}+"),
    *(_token(f"shp{kind}_", r"[0-9a-fA-F]{20,}+") for kind in "at ca pa ss ua".split()),
    _token("sq0csp-", r"[\w\\-]{20,}+"),  # Square
    _token("sq0atp-", rf"{_WORD}{{20,}}+"),
    # models
    *(_token(f"sk-{kind}-", rf"{_WORD}{{16,}}+") for kind in "ant proj svcacct admin or".split()),
    _token("sk-", rf"(?:{_ALNUM}{{20,}}+|[\w-]{{0,64}}{_ALNUM}{{20}}T3BlbkFJ{_ALNUM}{{20}})"),
    _token("hf_", rf"{_ALNUM}{{20,}}+"),
    _token("gsk_", rf"{_ALNUM}{{30,}}+"),
    _token("xai-", rf"{_ALNUM}{{40,}}+"),
    _token("pplx-", rf"{_ALNUM}{{30,}}+"),
    _token("r8_", rf"{_ALNUM}{{30,}}+"),
    # other services
    *(  # Twilio
        _token(kind, r"(?=[a-z]{0,31}+[0-9])[a-z0-9]{32}(?![0-9a-zA-Z])") for kind in ("SK", "AC")
    ),
    *(_token(f"sntry{kind}_", r"[\w+/=-]{20,}+") for kind in "sui"),
    _token("dapi", rf"{_HEX}{{32}}(?:-\d)?(?![0-9a-zA-Z])"),  # Databricks
    _token("hvs.", rf"{_WORD}{{20,}}+"),  # Vault
    _token("dp.", r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}+"),
    _token("lin_api_", rf"{_ALNUM}{{20,}}+"),  # Linear
    _token("lin_oauth_", rf"{_ALNUM}{{20,}}+"),
    _token("ntn_", rf"{_ALNUM}{{30,}}+"),  # Notion
    _token("secret_", rf"{_ALNUM}{{40,}}+"),
    _token("PMAK-", rf"{_HEX}{{16,}}+-{_HEX}{{16,}}+"),  # Postman
    _token("NRAK-", r"[A-Z0-9]{20,}+"),  # New Relic
    _token("glc_", r"[\w+/=]{32,}+"),  # Grafana
    _token("glsa_", r"\w{32,}+"),
    _token("figd_", rf"{_WORD}{{20,}}+"),
    _token("sbp_", rf"{_HEX}{{40}}"),  # Supabase
    _token("phx_", rf"{_ALNUM}{{30,}}+"),  # PostHog
    _token("tfp_", rf"{_WORD}{{30,}}+"),
    _token("AGE-SECRET-KEY-", r"1[A-Z0-9]{40,}+"),
)
