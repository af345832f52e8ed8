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
                ["values", "type", "value", "stacktrace", "frames", "message", "formatted", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    "exception message logentry tags user contexts request breadcrumbs level timestamp sdk "
    "fingerprint transaction release extra modules platform logger".split()
)


def read(**payload: object) -> Event:
    return read_event(payload, event_id="a" * 32, received_at=NOW)


@given(st.dictionaries(FIELDS, VALUES, max_size=6))
def test_no_payload_is_too_strange_to_be_read(payload: dict[str, object]) -> None:
    event = read(**payload)
    assert event.title and event.level and event.timestamp.tzinfo


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
    ],
)
def test_three_kinds_of_timestamps_are_read(value: object, expected: datetime) -> None:
    assert read(timestamp=value).timestamp == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("warning", "warning"), ("warn", "warning"), (40, "error"), ("log", "info"), (None, "error")]
    + [("critical", "fatal"), ("FATAL", "fatal"), ("trace", "debug"), ({}, "error")],
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
