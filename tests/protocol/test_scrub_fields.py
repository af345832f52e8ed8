"""Codes of OAuth and signatures that are fields; other codes stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.protocol.scrub import FILTERED, Scrubber

CODE = "SplxlOBeZQQYbYS6WxSbIA"
HEX = "3f1d9c2ab4e8a1b2c3d4e5f60718293a4b5c6d7e"

SECRET: list[tuple[Any, str]] = [
    ({"request": {"query_string": {"code": CODE, "lang": "de"}}}, CODE),
    ({"request": {"query_string": [["code", CODE], ["state", "xyz"]]}}, CODE),
    ({"request": {"query_string": [["state", HEX], ["lang", "de"]]}}, HEX),
    ({"request": {"query_string": {"hmac": HEX}}}, HEX),
    ({"request": {"data": {"code": CODE, "state": "xyz"}}}, CODE),
    ({"request": {"data": {"code": [CODE], "grant_type": ["authorization_code"]}}}, CODE),
    ({"request": {"data": [["code", CODE], ["redirect_uri", "https://shop.example/"]]}}, CODE),
    ({"request": {"data": {"code": "4/0AX4XfWh" + CODE, "client_id": "shop"}}}, CODE),
    ({"extra": {"form": {"code": HEX[:20], "state": HEX}}}, HEX[:20]),
    ({"extra": {"form": {"code": HEX[:20], "state": HEX}}}, HEX[20:]),
    ({"extra": {"link": {"signature": HEX, "expires": 1}}}, HEX),
    ({"extra": {"link": {"sig": CODE}}}, CODE),
    ({"extra": {"form": {"code": CODE, "state": "x"}, "seen": f"got {CODE}"}}, CODE),
]
HARMLESS: list[Any] = [
    {"extra": {"code": "ECONNREFUSED", "state": "failed"}},
    {"extra": {"code": "ER_DUP_ENTRY_1062", "state": "open"}},
    {"extra": {"code": CODE}},
    {"extra": {"error": {"code": "PGRST116", "state": "23505", "client_id": "shop"}}},
    {"extra": {"address": {"code": "10115", "state": "Berlin"}}},
    {"extra": {"address": {"code": "SW1A 1AA", "state": "London"}}},
    {"extra": {"coupon": {"code": "SUMMER2026SALE", "state": "active"}}},
    {"extra": {"code": "invalid-request-400", "state": "closed"}},
    {"extra": {"method": {"signature": "(Ljava/lang/String;I)V"}}},
    {"extra": {"method": {"signature": "shop.orders.checkout(request, cart)"}}},
    {"request": {"query_string": [["code", "DE"], ["state", "CA"]]}},
    {"request": {"query_string": {"code": "10115", "t": "12"}}},
    {"request": {"data": [["code", "E1204"], ["state", "new"]]}},
]


@pytest.mark.parametrize(("payload", "secret"), SECRET, ids=str)
def test_code_of_a_login_is_filtered_where_it_is_a_field(payload: Any, secret: str) -> None:
    result, findings = Scrubber().scrub(payload)

    assert secret not in json.dumps(result)
    assert FILTERED in json.dumps(result) and findings


@pytest.mark.parametrize("payload", HARMLESS, ids=str)
def test_ordinary_code_stays(payload: Any) -> None:
    assert Scrubber().scrub(payload) == (payload, [])


def test_fields_beside_a_code_stay() -> None:
    payload = {"request": {"data": {"code": CODE, "grant_type": "authorization_code", "n": 3}}}
    result, findings = Scrubber().scrub(payload)

    data = result["request"]["data"]
    assert data == {"code": FILTERED, "grant_type": "authorization_code", "n": 3}
    assert findings == [("request.data.code", "link")]
