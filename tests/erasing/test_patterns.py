"""What an identifier matches in a text, in plain and in encoded form, and what it does not."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from app.erasing.bodies import erase_body
from app.erasing.contents import erase_content
from app.erasing.identifier import Identifier, Kind, WrongIdentifier
from app.erasing.person import Person
from app.erasing.values import ValueEraser
from app.protocol.envelope import Envelope, Item, serialize_envelope
from tests.linear_time import DANGEROUS, Input, slow_inputs

EMAIL, IP4, IP6 = ("email", "Ann@Shop.example"), ("ip", "::ffff:203.0.113.9"), ("ip", "2001:db8::1")
NUMBER, WORD = ("user_id", "42"), ("user_id", "auth0|5f7c8ec7c33c")


@pytest.mark.parametrize(
    ("who", "text", "erased"),
    [
        (EMAIL, "from ANN@shop.example.", "from [erased]."),
        (EMAIL, "?q=ann%40shop.example&n=1", "?q=[erased]&n=1"),
        (EMAIL, "%3Dann%2540shop%252Eexample", "%3D[erased]"),
        (EMAIL, r"\nann\u0040shop.example\"", r"\n[erased]\""),
        (EMAIL, r"\\u0061nn\\x40shop.example", "[erased]"),
        (EMAIL, "ann&#64;shop.example &#x61;nn&commat;shop&period;example", "[erased] [erased]"),
        (EMAIL, "ann=40shop.example", "[erased]"),
        (EMAIL, "ann@shop.example.txt ann@shop.example_2", "[erased].txt [erased]_2"),
        (EMAIL, "joann@shop.example x.ann@shop.example x_ann@shop.example", None),
        (EMAIL, "ann@shop.example.com ann@shop.examples", None),
        (IP4, "203.0.113.9:80 %20203.0.113.9 203.000.113.009", "[erased]:80 %20[erased] [erased]"),
        (IP4, "ip-203-0-113-9.isp 203%2E0%2E113%2E9", "ip-[erased].isp [erased]"),
        (IP4, "::ffff:cb00:7109 [::FFFF:203.0.113.9]", "[erased] [::FFFF:[erased]]"),
        (IP4, "9.113.0.203.in-addr.arpa", "[erased].in-addr.arpa"),
        (IP4, "1203.0.113.9 203.0.113.90 1.203.0.113.9 203.0.113.9.1", None),
        (IP6, "[2001:DB8:0:0:0:0:0:1]:443 2001:db8::1%eth0", "[[erased]]:443 [erased]%eth0"),
        (IP6, "ip=2001%3Adb8%3A%3A1 at 12:30:2001:db8::1/64", "ip=[erased] at 12:30:[erased]/64"),
        (IP6, "2001:db8::12 12001:db8::1 2001:db8:1::1", None),
        (NUMBER, "user_id=42 'userId': 42", "user_id=[erased] 'userId': [erased]"),
        (NUMBER, '"user": {"id": "42", "n": 42}', '"user": {"id": "[erased]", "n": 42}'),
        (NUMBER, "/users/42/orders/42 uid%3D42", "/users/[erased]/orders/42 uid%3D[erased]"),
        (NUMBER, "42 items, user_id=421, user_id=42.5, order_id=42, /users/42-x", None),
        (WORD, "of auth0|5F7C8EC7C33C, auth0%7C5f7c8ec7c33c", "of [erased], [erased]"),
        (EMAIL, "job report-Ann-Shop-example ann-shop-example", "job report-[erased] [erased]"),
        (EMAIL, "joann-shop-example ann-shop-examples", None),
        (IP6, "monitor 2001-db8-1 missed", "monitor [erased] missed"),
        (WORD, "auth0-5f7c8ec7c33c_2", "[erased]_2"),
        (WORD, "auth0|5f7c8ec7c33ca xauth0|5f7c8ec7c33c", None),
    ],
)
def test_identifier_is_found_as_a_word_in_every_usual_encoding(
    who: tuple[str, str], text: str, erased: str | None
) -> None:
    person = Person(Identifier.of(*who))
    assert person.in_text(text) == (text if erased is None else erased)
    assert erased is None or person.may_be_in(text.encode())


@pytest.mark.parametrize(
    ("who", "value", "erased"),
    [
        (NUMBER, {"user": {"id": 42, "name": "Ann"}, "n": 42}, {"user": {}, "n": 42}),
        (
            NUMBER,
            {"tags": [["user.id", "42"], ["x", "42"]]},
            {"tags": [["user.id", "[erased]"], ["x", "42"]]},
        ),
        (
            NUMBER,
            {"tags": [{"key": "user_id", "value": "42"}]},
            {"tags": [{"key": "user_id", "value": "[erased]"}]},
        ),
        (
            NUMBER,
            {"user.id": {"value": 42, "type": "integer"}, "user.email": {"value": "a@b.example"}},
            {"user.id": "[erased]", "user.email": "[erased]"},
        ),
        (
            NUMBER,
            {"contexts": {"a": {"userId": 42, "count": 42}}},
            {"contexts": {"a": {"userId": "[erased]", "count": 42}}},
        ),
        (EMAIL, {"ann@shop.example": 1, "ANN@shop.example": 2}, {"[erased]": 1, "[erased] #2": 2}),
        (EMAIL, {"user": {"id": 7, "email": "ANN@SHOP.example"}}, {"user": {}}),
        # Somebody's name is the id of somebody else.
        (NUMBER, {"user": {"id": 7, "username": "42"}}, {"user": {"id": 7, "username": "42"}}),
        (NUMBER, {"user": {"username": "42", "geo": {}}}, {"user": {}}),
        (NUMBER, {"user.name": "42", "user.x": "y"}, {"user.name": "42", "user.x": "y"}),
        (
            IP4,
            {"user.id": "7", "user.ip_address": "203.0.113.9"},
            {"user.id": "7", "user.ip_address": "[erased]"},
        ),
        # Somebody else may have the address now.
        (
            IP4,
            {"user": {"id": 7, "ip_address": "203.0.113.9"}},
            {"user": {"id": 7, "ip_address": "[erased]"}},
        ),
        (IP4, {"user": {"ip_address": "::ffff:203.0.113.9"}}, {"user": {}}),
    ],
)
def test_values_of_the_person_are_erased_whole(
    who: tuple[str, str], value: object, erased: object
) -> None:
    assert ValueEraser(Person(Identifier.of(*who))).erase(value) == erased


def test_other_identifiers_of_the_user_are_erased_from_the_same_envelope() -> None:
    user = {"id": "42", "email": "ann@shop.example", "ip_address": "203.0.113.9"}
    event = {"user": user, "message": "ann@shop.example from 203.0.113.9 met bo@shop.example"}
    body = serialize_envelope(Envelope({}, [Item({"type": "event"}, event)]))
    erased = erase_body(body, Person(Identifier.of("user_id", "42")))
    assert erased.is_of_person
    assert b"[erased] from [erased] met bo@shop.example" in erased.body


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("email", text) for text in ("joe", "a b@c", "*@shop.example", "Ann <ann@shop.example>")),
        *(("ip", text) for text in ("1.2.3", "10.0.0.0/8")),
        *(("user_id", text) for text in (" ", "%", "*")),
    ],
)
def test_wrong_identifier_is_refused_without_being_repeated(kind: str, text: str) -> None:
    with pytest.raises(WrongIdentifier) as error:
        Identifier.of(kind, text)
    assert not text.strip() or text not in str(error.value)


def test_files_of_every_encoding_are_searched_and_others_stay_in_them() -> None:
    ann, address, number = (Person(Identifier.of(*who)) for who in (EMAIL, IP4, NUMBER))
    assert erase_content("é joann@shop.example ann%40shop.example".encode("latin-1"), ann) == (
        "é joann@shop.example [erased]".encode("latin-1")
    )
    text = "\ufeff203.0.113.90 and 203.0.113.9"
    erased = erase_content(text.encode("utf-16-be"), address)
    assert erased == "\ufeff203.0.113.90 and [erased]".encode("utf-16-be")
    members = gzip.compress(b"monday\n") + gzip.compress(b"ann@shop.example")
    assert erase_content(members, ann) is None
    assert erase_content(members, address) == members
    frames = zstandard.compress(b"monday\n") + zstandard.compress(b"ann@shop.example")
    assert erase_content(frames, ann) is None
    lines = b'{"user": {"name": "x", "id": "42"}, "n": 42}\n{"order": 42}\n'
    assert erase_content(lines, number) == b'{"user":{}}\n{"order": 42}\n'.replace(
        b"{}}", b'{},"n":42}'
    )
    twice = b'{"mail": "ann@shop.example", "mail": 1}'
    assert erase_content(twice, ann) == b'{"mail":1}'
    deep = b'{"a":' * 300 + b'"ann@shop.example"' + b"}" * 300
    assert erase_content(deep, ann) == deep.replace(b"ann@shop.example", b"[erased]")


def test_address_of_a_letter_with_two_capital_forms_is_found() -> None:
    person = Person(Identifier.of("email", "Strauß@shop.example"))
    assert person.in_text("to STRAUß@shop.example") == "to [erased]"


def test_address_beside_the_user_of_a_session_is_erased() -> None:
    session = {"did": "42", "attrs": {"ip_address": "203.0.113.9", "release": "1"}}
    other = session | {"did": "43"}
    value = ValueEraser(Person(Identifier.of(*NUMBER))).erase([session, other])
    assert value == [{"did": "[erased]", "attrs": {"release": "1"}}, other]


def test_hash_of_an_identifier_is_keyed_and_does_not_show_it() -> None:
    identifier = Identifier.of(Kind.IP, "203.0.113.9")
    assert identifier.digest("one") != identifier.digest("two")
    assert identifier.digest("one") == Identifier.of("ip", "::ffff:203.0.113.9").digest("one")
    assert "203" not in repr(identifier)


@pytest.mark.parametrize("who", [EMAIL, IP4, IP6, NUMBER, WORD])
def test_time_grows_with_the_length_of_the_text(who: tuple[str, str]) -> None:
    person = Person(Identifier.of(*who))
    own = ("203.", "0", "203-", "2001:", "user_id=", "user: {id: ", "ann%40", "%2525", "&#0", "u00")
    # With what a text needs, so that it is searched at all.
    parts = "ann auth0 5f7c8ec7c33c 42 203 2001 cb00:7109 in-addr "
    each = Input(who[0], lambda text: person.in_text(parts + text), (*own, *DANGEROUS))
    assert list(slow_inputs([each], 20_000)) == []
