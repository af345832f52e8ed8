"""A client's clock: which times are believed, which are corrected, and by how much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.protocol.client_clock import DRIFT, FUTURE, IMPOSSIBLE, TOO_OLD, correct_times
from app.protocol.envelope import Envelope, Item
from app.protocol.lenient import read_timestamp

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def corrected(timestamp: Any, sent_at: Any = None, **more: Any) -> tuple[dict[str, Any], Any]:
    headers = {} if sent_at is None else {"sent_at": sent_at}
    envelope = Envelope(headers, [Item({"type": "event"}, {"timestamp": timestamp, **more})])
    correction = correct_times(envelope, NOW)
    return envelope.items[0].payload, correction


def at(moment: datetime) -> str:
    return moment.isoformat()


@pytest.mark.parametrize("ago", [timedelta(0), MINUTE, DAY, 30 * DAY, -MINUTE])
def test_time_that_can_be_stays_as_the_client_wrote_it(ago: timedelta) -> None:
    for written in (at(NOW - ago), (NOW - ago).timestamp()):
        assert corrected(written) == ({"timestamp": written}, None)
        assert corrected(written, at(NOW - MINUTE if ago >= MINUTE else NOW))[1] is None


@pytest.mark.parametrize(
    ("said", "because"),
    [
        (at(NOW + 2 * MINUTE), FUTURE),
        (at(NOW + 3650 * DAY), FUTURE),
        (at(NOW - 31 * DAY), TOO_OLD),
        (0, TOO_OLD),
        ("0001-01-01T00:00:00Z", IMPOSSIBLE),
        ("9999-12-31T23:59:59Z", IMPOSSIBLE),
        ("1601-01-01T00:00:00Z", IMPOSSIBLE),
        (-62135596800, IMPOSSIBLE),
        ("0001-01-01T00:00:00+14:00", IMPOSSIBLE),
        ("yesterday", IMPOSSIBLE),
        ([1], IMPOSSIBLE),
    ],
)
@pytest.mark.parametrize("sent_at", [None, at(NOW)])
def test_time_that_cannot_be_becomes_the_time_of_receipt(
    said: Any, because: str, sent_at: str | None
) -> None:
    payload, correction = corrected(said, sent_at)
    assert read_timestamp(payload["timestamp"]) == NOW
    assert correction.because == because and 0 < len(correction.said) <= 40


@pytest.mark.parametrize("ahead", [1585 * DAY, timedelta(hours=3), -2 * MINUTE, -20000 * DAY])
def test_drift_that_sent_at_tells_is_taken_off_and_what_belongs_to_the_event_moves_along(
    ahead: timedelta,
) -> None:
    happened, crumb = NOW - 10 * MINUTE, NOW - 11 * MINUTE
    payload, correction = corrected(
        at(happened + ahead),
        at(NOW + ahead),
        start_timestamp=(crumb + ahead).timestamp(),
        breadcrumbs=[{"timestamp": at(crumb + ahead), "message": "m"}, {"message": "no time"}],
        spans=[{"start_timestamp": at(crumb + ahead), "timestamp": at(happened + ahead)}, "odd"],
    )
    assert correction == (at(happened + ahead), DRIFT)
    assert read_timestamp(payload["timestamp"]) == happened
    assert read_timestamp(payload["start_timestamp"]) == crumb
    crumbs, spans = payload["breadcrumbs"]["values"], payload["spans"]
    assert read_timestamp(crumbs[0]["timestamp"]) == crumb and crumbs[1] == {"message": "no time"}
    assert [read_timestamp(spans[0][n]) for n in ("start_timestamp", "timestamp")] == [
        crumb,
        happened,
    ]
    assert spans[1] == "odd"


def test_event_that_is_long_ago_by_its_own_clock_becomes_the_time_of_receipt() -> None:
    ahead = 400 * DAY
    payload, correction = corrected(at(NOW + ahead - 31 * DAY), at(NOW + ahead))
    assert (read_timestamp(payload["timestamp"]), correction.because) == (NOW, TOO_OLD)


@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00Z", at(NOW - 40 * DAY), "soon", 42])
def test_sent_at_before_the_event_says_nothing_of_its_clock(sent_at: Any) -> None:
    said = at(NOW - DAY)
    assert corrected(said, sent_at) == ({"timestamp": said}, None)


def of_item(kind: str, payload: dict[str, Any], sent_at: Any = None) -> dict[str, Any]:
    headers = {} if sent_at is None else {"sent_at": sent_at}
    envelope = Envelope(headers, [Item({"type": kind}, payload)])
    assert correct_times(envelope, NOW) is None
    found: dict[str, Any] = envelope.items[0].payload
    return found


def test_feedback_of_a_wrong_clock_is_put_right_and_corrects_no_event() -> None:
    for said in (NOW + 3 * DAY, NOW - 40 * DAY):
        assert read_timestamp(of_item("feedback", {"timestamp": at(said)})["timestamp"]) == NOW
    happened, ahead = NOW - 10 * MINUTE, 3 * DAY
    payload = of_item("feedback", {"timestamp": at(happened + ahead)}, at(NOW + ahead))
    assert read_timestamp(payload["timestamp"]) == happened


# The members are those that clients send; a list's name stands before its members'.
ITEM_TIMES = [
    ("session", "", ("timestamp", "started"), str),
    ("sessions", "aggregates", ("started",), str),
    ("client_report", "", ("timestamp",), float),
    ("log", "items", ("timestamp",), float),
    ("trace_metric", "items", ("timestamp",), float),
    ("span", "items", ("end_timestamp", "start_timestamp"), float),
    ("span", "", ("timestamp", "start_timestamp"), float),
]


@pytest.mark.parametrize(("kind", "within", "names", "form"), ITEM_TIMES)
def test_items_besides_events_have_their_times_put_right_in_the_form_they_had(
    kind: str, within: str, names: tuple[str, ...], form: type
) -> None:
    def times(by: timedelta) -> dict[str, Any]:
        moments = [NOW - 10 * MINUTE + by, NOW - 12 * MINUTE + by][: len(names)]
        texts = [
            at(moment).replace("+00:00", "Z") if form is str else moment.timestamp()
            for moment in moments
        ]
        return dict(zip(names, texts, strict=True))

    def item(by: timedelta) -> dict[str, Any]:
        return {within: [{**times(by), "n": 1}, "odd"], "m": 2} if within else times(by)

    for ahead in (3 * DAY, -20 * DAY):
        assert of_item(kind, item(ahead), at(NOW + ahead)) == item(timedelta(0))
    assert of_item(kind, item(timedelta(0)), at(NOW)) == item(timedelta(0))
    still_to_come = of_item(kind, item(3 * DAY))
    first = (still_to_come[within][0] if within else still_to_come)[names[0]]
    assert read_timestamp(first) == NOW and isinstance(first, form)
    zero = {names[0]: "0001-01-01T00:00:00Z"}
    zero = of_item(kind, {within: [zero]} if within else zero)
    assert read_timestamp((zero[within][0] if within else zero)[names[0]]) == NOW


@pytest.mark.parametrize("kind", ["check_in", "replay_event", "profile", "user_report"])
def test_times_that_belong_to_a_recording_stay(kind: str) -> None:
    payload = {"timestamp": at(NOW + 3 * DAY)}
    assert of_item(kind, dict(payload), at(NOW + 3 * DAY)) == payload


@pytest.mark.parametrize("missing", [None, ""])
def test_event_without_a_time_has_nothing_corrected(missing: Any) -> None:
    assert corrected(missing) == ({"timestamp": missing}, None)
