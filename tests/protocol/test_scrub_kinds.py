# ruff: noqa: E501
"""Kinds of secrets that are found, by drawn examples, and harmless values that stay."""

from __future__ import annotations

import json
import random
import string
from typing import Any

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

from app.protocol.scrub import FILTERED, Scrubber
from tests.protocol.corpus import EVENTS, envelope_of
from tests.protocol.planted import planted

SEED = 20261127
# What its own detector calls a secret: prefix, characters, how many of them.
_ALNUM, _HEX, _UPPER = (
    string.ascii_letters + string.digits,
    "0123456789abcdef",
    string.ascii_uppercase,
)
SHAPES = [
    ("AWS Access Key", "AK" + "IA", _UPPER, 16), ("AWS Access Key", "AS" + "IA", _UPPER, 16),
    ("AWS Access Key", "AB" + "IA", _UPPER, 16), ("AWS Access Key", "AC" + "CA", _UPPER, 16),
    ("Artifactory Credentials", "AK" + "C", _ALNUM, 40), ("GitHub Token", "gh" + "p_", _ALNUM, 36),
    ("GitHub Token", "gh" + "s_", _ALNUM, 36), ("GitLab Token", "gl" + "pat-", _ALNUM, 20),
    ("GitLab Token", "gl" + "rt-", _ALNUM, 24), ("GitLab Token", "GR13" + "48941", _ALNUM, 20),
    ("Slack Token", "xo" + "xb-1234567890-", _HEX, 24), ("Stripe Access Key", "sk" + "_live_", _ALNUM, 24),
    ("Stripe Access Key", "rk" + "_live_", _ALNUM, 24), ("Twilio API Key", "S" + "K", _HEX, 32),
    ("Twilio API Key", "A" + "C", _HEX, 32), ("Square OAuth Secret", "sq0" + "csp-", _ALNUM, 43),
    ("PyPI Token", "py" + "pi-AgEIcHlwaS5vcmc", _ALNUM, 80), ("Azure Storage Account access key", "AccountKey=", _ALNUM, 88),
    ("Telegram Bot Token", "1234567890:" + "AA", _ALNUM, 33), ("Basic Auth Credentials", "https://bob:", _ALNUM, 12),
]  # fmt: skip

PLANTED = planted(SEED)
HARMLESS: list[Any] = [
    {"tags": {"auth": "ldap", "session": "morning"}},
    {"tags": {"auth": "oauth2"}},
    {"extra": {"order_number": "4539148803436467"}},
    {"extra": {"order_id": 4539148803436467}},
    {"message": "order 4539148803436467 was shipped"},
    {"contexts": {"device": {"memory_size": 4539148803436467}}},
    {"extra": {"pincode": "560034", "postal_code": "53113"}},
    {"request": {"query_string": "state=CA&code=DE&t=12"}},
    {"message": "token expired, password is too short, key not found"},
    {"message": "docker run -u 1000:1000 -p 8080:80 shop"},
    {"message": "transfer to DE00370400440532013000 failed"},
    {"message": "see /reset/password and /verify/email"},
]


def test_at_least_177_secrets_are_planted_and_no_more_than_7_of_177_survive() -> None:
    survived = [
        kind
        for kind, payload, secret in PLANTED
        if secret in json.dumps(Scrubber().scrub(payload)[0], ensure_ascii=False)
    ]
    assert len(PLANTED) >= 177
    assert len(survived) * 177 <= 7 * len(PLANTED), survived


@pytest.mark.parametrize("payload", HARMLESS, ids=str)
def test_harmless_value_stays(payload: Any) -> None:
    assert Scrubber().scrub(payload) == (payload, [])


def test_no_more_than_one_value_in_a_hundred_of_real_events_is_redacted_by_its_look() -> None:
    scrubber, redacted, texts = Scrubber(), 0, 0
    for entry in EVENTS:
        for item in envelope_of(entry).items:
            if item.type == "event":
                result, findings = scrubber.scrub(item.payload)
                by_look = [
                    f for f in findings if f.rule not in ("name", "pair", "argument", "url", "copy")
                ]
                redacted += len(by_look)
                texts += json.dumps(result).count('": "')
    assert redacted <= texts / 100


@pytest.mark.parametrize(("kind", "prefix", "letters", "length"), SHAPES)
def test_shape_that_detect_secrets_knows_is_filtered(
    kind: str, prefix: str, letters: str, length: int
) -> None:
    detector = get_mapping_from_secret_type_to_class()[kind]()
    draw = random.Random(SEED)
    known = caught = 0
    for _ in range(20):
        secret = "".join(draw.choices(letters, k=length))
        tail = "@h.example/" if "://" in prefix else ""
        text = f"{prefix}{secret}{tail}"
        if list(detector.analyze_string(text)):
            known += 1
            result = Scrubber().scrub_text(f"got {text} here")
            caught += secret not in result and FILTERED in result
    assert known > 0
    assert caught >= known * 0.95
