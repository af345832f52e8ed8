"""Headers that anyone can send do not fill the application's own events and traces."""

from __future__ import annotations

import json

from app.protocol.request_headers import MAX_HEADER, keep_known_headers

FLOOD = {f"X-Attack-{number}": "=" * 8000 for number in range(60)}


def test_sixty_large_headers_are_left_out_of_events() -> None:
    event = {"request": {"method": "GET", "headers": {**FLOOD, "User-Agent": "a", "Host": "b"}}}

    kept = keep_known_headers(event)

    assert kept["request"] == {"method": "GET", "headers": {"User-Agent": "a", "Host": "b"}}
    assert len(event["request"]["headers"]) == 62  # the SDK's own object is not changed


def test_sixty_large_headers_are_left_out_of_traces_in_both_forms() -> None:
    attributes = {f"http.request.header.{name.lower()}": value for name, value in FLOOD.items()}
    attributes |= {"http.request.header.accept": "text/html", "http.route": "/shop"}
    transaction = {
        "contexts": {"trace": {"op": "http.server", "data": attributes}},
        "spans": [{"op": "db", "data": attributes}],
        "request": {"headers": FLOOD},
    }
    typed = {name: {"value": value, "type": "string"} for name, value in attributes.items()}
    stream = {"items": [{"name": "GET /shop", "attributes": typed}]}

    kept = json.dumps([keep_known_headers(transaction), keep_known_headers(stream)])

    assert "x-attack" not in kept.lower()
    assert kept.count("http.request.header.accept") == 3
    assert kept.count("/shop") == 4


def test_known_header_is_kept_in_its_beginning() -> None:
    kept = keep_known_headers({"request": {"headers": {"Referer": "=" * 8000}}})

    assert kept["request"]["headers"]["Referer"] == "=" * MAX_HEADER


def test_payload_of_another_shape_is_left_as_it_is() -> None:
    for payload in ([1], "text", {"request": None, "contexts": [], "spans": [3], "items": {}}):
        assert keep_known_headers(payload) == payload
