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


@pytest.mark.parametrize("missing", [None, ""])
def test_event_without_a_time_has_nothing_corrected(missing: Any) -> None:
    assert corrected(missing) == ({"timestamp": missing}, None)
