"""Likeness: terms of what an event says, and how much of them two issues have in common."""

from __future__ import annotations

from typing import Any

import pytest

from app.issues.similarity import MAX_TERM, MAX_WORDS, hash_of, rarity, shared, similarity, terms_of
from app.protocol.event import read_event
from tests.admin.hostile import odd_events, script_event
from tests.issues.payloads import Payload, at, calls, chain, error, exc, py, read


def terms(payload: Payload) -> set[str]:
    return set(terms_of(read(payload)))


def alike(payload: Payload, other: Payload) -> float:
    return similarity(terms(payload), terms(other), {})


def test_place_is_of_the_newest_call_of_the_application() -> None:
    frames = [py("shop.web:post"), py("shop.cart:Cart.total"), py("requests.api:get", in_app=False)]
    found = terms(error(*frames, type="KeyError", value="'price'"))
    place = {"f:total", "c:cart", "m:cart", "d:shop.cart", "a:web.post"}
    assert found == place | {"t:keyerror", "q:price"}


@pytest.mark.parametrize(
    ("frame", "same"),
    [
        (at("/home/ann/dev/shop/cart.py"), py("shop.cart:pay")),
        (at("C:\\srv\\releases\\17\\shop\\cart.py"), at("/opt/build-7f3a9c21/shop/cart.py")),
        (at("https://cdn1.example/static/js/main.3f9a1c2b.js"), at("/static/js/main.js")),
        (py("shop:pay"), py("shop:Shop.pay.<locals>.pay")),
        ({"module": "a.b.Shop", "function": "pay$1"}, {"module": "a.b.Shop", "function": "pay"}),
        ({"module": "shop", "function": "(*Cart).pay.func1"}, py("shop:(*Cart).pay")),
    ],
)
def test_place_is_the_same_on_every_host(frame: Payload, same: Payload) -> None:
    assert alike(error(frame), error(same)) > 0.9


def test_calls_of_frameworks_count_only_where_the_client_tells_nothing_apart() -> None:
    own, foreign = py("shop.cart:total"), py("django.core.handlers.base:get_response")
    assert "f:total" in terms(error(own, foreign))
    assert "f:get_response" in terms(error(py("shop.cart:total", in_app=False), foreign))
    assert "f:get_response" in terms(error(foreign))


def test_stack_of_a_cause_is_taken_where_the_error_has_none() -> None:
    cause = exc(py("shop.cart:total"), type="KeyError")
    found = terms(chain(cause, exc(type="shop.errors.CartError", value="no total")))
    assert {"f:total", "t:carterror", "k:keyerror", "w:no", "w:total"} <= found


def test_message_without_a_stack_is_compared_by_its_words_and_logger() -> None:
    found = terms({"message": "ValueError: no price for 17", "logger": "shop.cart"})
    assert found == {"t:valueerror", "w:no", "w:price", "l:shop.cart"}


def test_event_that_says_nothing_has_no_terms_and_is_like_none() -> None:
    assert terms({}) == set() and alike({}, {}) == 0.0


def test_terms_are_bounded_and_have_no_spaces_whatever_is_sent() -> None:
    words = " ".join(f"{chr(97 + n % 26)}{chr(97 + n // 26)}x" for n in range(200))
    found = terms(error(at("a b/" + "c" * 5000, "f " * 500), type="T " * 200, value=words))
    assert len(found) < MAX_WORDS + 10
    assert all(len(term) <= MAX_TERM + 2 and " " not in term for term in found)


@pytest.mark.parametrize("payload", [*odd_events(), script_event()])
def test_odd_events_have_terms_or_none_and_never_fail(payload: Any) -> None:
    event = read_event(payload, event_id="a" * 32, received_at=read({}).timestamp)
    for term in terms_of(event):
        assert 0 <= hash_of(term) < 2**63


def test_what_is_common_counts_little_and_what_is_rare_much() -> None:
    assert rarity(1, 100) == 1.0 and rarity(100, 100) < 0.2 and rarity(1, 1) == 1.0
    one, other = {"t:keyerror", "q:price"}, {"t:keyerror", "q:address"}
    by_type = similarity(one, other, {"t:keyerror": rarity(90, 100)})
    assert by_type < similarity(one, other, {}) < similarity(one, one, {}) == pytest.approx(1)


def test_what_two_have_in_common_is_told_in_words() -> None:
    one = terms(calls("total", type="KeyError", value="no price in euro for it"))
    assert shared(one, one) == ["function", "module", "type", "message"]
    other = terms(calls("tax", type="TypeError", value="no price because there was nothing"))
    assert shared(one, other) == ["module", "words"]
    assert shared(one, {"f:other"}) == []
