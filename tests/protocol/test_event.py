"""Events: every form an SDK uses is read into one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.event import Event, clean_text, parse_event_id, read_event, read_level

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "values type value stacktrace raw_stacktrace frames message formatted params x "
                "mechanism handled exception_id in_app lineno vars function filename headers "
                "cookies id crashed current".split()
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    "exception message logentry tags user contexts request breadcrumbs level timestamp sdk "
    "fingerprint transaction release extra modules platform logger threads stacktrace culprit "
    "checksum dist environment server_name sentry.interfaces.Exception sentry.interfaces.Message "
    "sentry.interfaces.Http sentry.interfaces.User sentry.interfaces.Stacktrace".split()
)


def read(**payload: object) -> Event:
    return read_event(payload, event_id="a" * 32, received_at=NOW)


@given(st.dictionaries(FIELDS, VALUES, max_size=6))
def test_no_payload_is_too_strange_to_be_read(payload: dict[str, object]) -> None:
    event = read(**payload)
    assert event.title and event.level and event.timestamp.tzinfo
    assert isinstance(event.culprit, str) and isinstance(event.type, str)
    assert event.user_identity is None or event.user_identity


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("2026-11-23T10:00:00.5+02:00", datetime(2026, 11, 23, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-23T10:00:00", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        (1763892000.25, datetime(2025, 11, 23, 10, 0, 0, 250_000, tzinfo=UTC)),
        (float("nan"), NOW),
        (1e300, NOW),
        ("soon", NOW),
        ("0001-01-01T00:00:00+14:00", NOW),  # before the year 1 in UTC
        (True, NOW),
        (None, NOW),
        (1763892000250, datetime(2025, 11, 23, 10, 0, 0, 250_000, tzinfo=UTC)),  # milliseconds
        (1763892000250000, datetime(2025, 11, 23, 10, 0, 0, 250_000, tzinfo=UTC)),
        (1763892000250000000, datetime(2025, 11, 23, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("1763892000.25", datetime(2025, 11, 23, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2025-11-23 10:00:00.123456789Z", datetime(2025, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)),
        (10**30, NOW),
        (float("inf"), NOW),
        ([2025], NOW),
    ],
)
def test_three_kinds_of_timestamps_are_read(value: object, expected: datetime) -> None:
    assert read(timestamp=value).timestamp == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("warning", "warning"), ("warn", "warning"), (40, "error"), ("log", "info"), (None, "error")]
    + [("critical", "fatal"), ("FATAL", "fatal"), ("trace", "debug"), ({}, "error")]
    + [(10, "debug"), (20, "info"), ("30", "warning"), ("40", "error"), (50, "fatal")]
    + [(25, "info"), (60, "fatal"), (40.0, "error"), (5, "error"), (10**30, "fatal")]
    + [("critical", "fatal"), ("notice", "info"), (" Error ", "error"), (True, "error")],
)
def test_levels_of_every_client_become_one_of_five(value: object, expected: str) -> None:
    assert read_level(value) == expected


@pytest.mark.parametrize(
    "payload",
    [
        {"message": "hi"},
        {"message": {"formatted": "hi"}},
        {"logentry": {"formatted": "hi", "message": "%s"}},
        {"logentry": {"message": "hi"}},
        {"sentry.interfaces.Message": {"message": "hi"}},
    ],
)
def test_message_is_found_where_clients_put_it(payload: dict[str, object]) -> None:
    assert read(**payload).message == "hi"


@pytest.mark.parametrize(
    "exception",
    [{"values": [{"type": "E"}]}, [{"type": "E"}], {"type": "E"}],
)
def test_exceptions_are_read_from_a_list_an_object_and_values(exception: object) -> None:
    assert [value.type for value in read(exception=exception).exceptions] == ["E"]


def test_title_takes_the_last_exception_and_its_first_line() -> None:
    values = [{"type": "Cause", "value": "a"}, {"type": "Outer", "value": "\nfirst\nsecond"}]
    assert read(exception=values).title == "Outer: first"
    assert read(exception=[{"value": "no type"}]).title == "no type"
    assert read().title == "(no message)"


def test_culprit_is_the_transaction_or_the_newest_frame_of_the_application() -> None:
    frames = [
        {"module": "shop", "function": "pay", "in_app": True},
        {"module": "lib", "function": "post", "in_app": False},
    ]
    exception = [{"type": "E", "stacktrace": {"frames": frames}}]
    assert read(exception=exception).culprit == "shop in pay"
    assert read(exception=exception, transaction="/pay").culprit == "/pay"


@pytest.mark.parametrize("tags", [{"a": "b", "n": 1}, [["a", "b"], ["n", 1], ["x", None], "?"]])
def test_tags_are_read_as_object_and_as_pairs(tags: object) -> None:
    assert read(tags=tags).tags == {"a": "b", "n": "1"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("A" * 32, "a" * 32),
        ("9ec79c33-ec99-42ab-8353-589fcb2e04dc", "9ec79c33ec9942ab8353589fcb2e04dc"),
        ("a" * 31, None),
        ("../" * 11, None),
        ("g" * 32, None),
        (7, None),
        (None, None),
    ],
)
def test_event_ids_are_read_strictly(value: object, expected: str | None) -> None:
    assert parse_event_id(value) == expected


def test_text_is_made_storable() -> None:
    assert clean_text("a\x00b\ud800") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("logentry", "expected"),
    [
        ({"message": "hi %s", "params": ["ada"]}, "hi ada"),
        ({"message": "%d of %(n)s, 100%%", "params": [1]}, "1 of %(n)s, 100%"),
        ({"message": "hi %(who)s", "params": {"who": "ada"}}, "hi ada"),
        ({"message": "hi {} and {}", "params": ["ada", 7]}, "hi ada and 7"),
        ({"message": "hi {1}, {0}, {9}", "params": ["a", "b"]}, "hi b, a, {9}"),
        ({"message": "hi {who!r:>9}", "params": {"who": "ada"}}, "hi ada"),
        ({"message": "hi %s %s", "params": ["ada"]}, "hi ada %s"),
        ({"message": "hi %s", "params": [None]}, "hi None"),
        ({"message": "hi %s", "params": "ada"}, "hi %s"),
        ({"message": "%999999999d|%.999999999f", "params": [1, 2]}, "%999999999d|%.999999999f"),
        ({"message": "hi %s", "formatted": "hi eve", "params": ["ada"]}, "hi eve"),
        ({"message": "hi %s", "params": []}, "hi %s"),
        ({"message": "%s" * 9000, "params": ["x" * 5000] * 9000}, "x" * 8192),
    ],
)
def test_message_is_formatted_where_the_client_did_not(logentry: object, expected: str) -> None:
    event = read(logentry=logentry)
    assert event.message == expected
    assert read(message=logentry).message == expected
    assert event.message_template and event.message_template.startswith(logentry["message"][:9])


def test_template_is_kept_beside_the_message() -> None:
    raven = {"message": "paying %s", "params": ["ada"], "formatted": None}
    event = read(**{"message": "paying ada", "sentry.interfaces.Message": raven})
    assert (event.message, event.message_template) == ("paying ada", "paying %s")


@pytest.mark.parametrize(
    ("request_", "headers", "cookies"),
    [
        (
            {"headers": {"Host": "a", "N": 1}, "cookies": {"c": "1"}},
            {"Host": "a", "N": "1"},
            {"c": "1"},
        ),
        ({"headers": [["Host", "a"], ["X", "1"], ["X", "2"]]}, {"Host": "a", "X": "1, 2"}, None),
        ({"headers": {"X": ["1", "2"]}, "cookies": [["c", "1"]]}, {"X": "1, 2"}, {"c": "1"}),
        ({"cookies": "c=1; d=x=y; ;e"}, None, {"c": "1", "d": "x=y", "e": ""}),
        ({"headers": "Host: a", "cookies": 7}, {}, {}),
        ({"headers": [["one"], 7, None, [None, 1]]}, {}, None),
    ],
)
def test_headers_and_cookies_have_one_form(
    request_: dict[str, object], headers: object, cookies: object
) -> None:
    for name in ("request", "sentry.interfaces.Http"):
        read_request = read(**{name: {"url": "/pay", **request_}}).request
        assert read_request["url"] == "/pay"
        assert read_request.get("headers") == headers
        assert read_request.get("cookies") == cookies


def test_old_clients_names_are_read() -> None:
    event = read(
        **{
            "culprit": "shop.pay in charge",
            "sentry.interfaces.Exception": {"type": "E", "value": "x"},
            "sentry.interfaces.User": {"id": 7},
            "checksum": "abc",
            "level": 40,
            "tags": [["site", "s1"]],
        }
    )
    assert event.transaction == event.culprit == "shop.pay in charge"
    assert event.title == "E: x"
    assert (event.user_identity, event.fingerprint, event.level) == ("7", ["abc"], "error")


def test_names_are_trimmed() -> None:
    event = read(release=" shop@1\n", environment=" ", server_name="\tweb ", dist=77)
    assert (event.release, event.environment) == ("shop@1", None)
    assert (event.server_name, event.dist) == ("web", "77")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"id": 7, "email": "a@example.org"}, "7"),
        ({"id": "", "email": "a@example.org"}, "a@example.org"),
        ({"ip_address": "10.0.0.1"}, "10.0.0.1"),
        ({"ip_address": "{{auto}}"}, None),
        ({"ip_address": "{{auto}}", "username": "root"}, "root"),
        ({"id": {"a": 1}}, None),
        ("ada", None),
    ],
)
def test_user_is_counted_by_what_is_known(user: object, expected: str | None) -> None:
    assert read(user=user).user_identity == expected


@pytest.mark.parametrize("value", [{"code": 5}, ["code", 5], float("nan"), 10**30, "\ud800", True])
def test_value_of_any_type_is_text_or_absent(value: object) -> None:
    exception = read(exception=[{"type": "E", "value": value}]).exceptions[0]
    assert exception.value is None or exception.value.encode()


def test_value_that_is_an_object_is_its_json() -> None:
    assert read(exception=[{"value": {"code": 5}}]).title == '{"code": 5}'


def test_exception_that_is_a_text_is_its_value() -> None:
    assert read(exception="it broke").title == "it broke"


def test_tag_of_a_wrong_type_is_left_out() -> None:
    tags = {"a": True, "b": 1.5, "c": "", "d": None, "e": {}, "f": [1], "g": "x\x00"}
    assert read(tags=tags).tags == {"a": "True", "b": "1.5", "c": "", "g": "x\ufffd"}


@pytest.mark.parametrize("breadcrumbs", [{"values": [{"message": "a"}]}, [{"message": "a"}, None]])
def test_breadcrumbs_are_read_from_values_and_from_a_list(breadcrumbs: object) -> None:
    assert read(breadcrumbs=breadcrumbs).breadcrumbs == [{"message": "a"}]


FRAMES = {"frames": [{"function": "pay", "module": "shop"}]}


def test_event_without_words_is_called_by_where_it_happened() -> None:
    assert read(threads=[{"crashed": True, "stacktrace": FRAMES}]).title == "shop in pay"
