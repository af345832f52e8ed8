"""Stacks: exceptions, threads and what stands beside them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.protocol.event import Event, read_event


def read(**payload: object) -> Event:
    return read_event(payload, event_id="a" * 32, received_at=datetime(2026, 11, 23, tzinfo=UTC))


FRAMES = {"frames": [{"function": "pay", "module": "shop"}]}


@pytest.mark.parametrize(
    "beside",
    [
        {"stacktrace": FRAMES},
        {"sentry.interfaces.Stacktrace": FRAMES},
        {"threads": {"values": [{"stacktrace": FRAMES}]}},
        {"threads": [{"current": True, "stacktrace": FRAMES}, {"stacktrace": {"frames": [{}]}}]},
        {
            "threads": [
                {"current": True, "stacktrace": {"frames": [{"function": "idle"}]}},
                {"crashed": True, "stacktrace": FRAMES},
            ]
        },
    ],
    ids=["stacktrace", "raven", "only thread", "current thread", "crashed thread"],
)
def test_stack_beside_an_exception_belongs_to_it(beside: dict[str, object]) -> None:
    event = read(exception=[{"type": "Cause"}, {"type": "E"}], **beside)
    assert [len(exception.frames) for exception in event.exceptions] == [0, 1]
    assert event.main_frames[0].function == "pay" and event.stack == []
    alone = read(**beside)
    assert alone.exceptions == [] and alone.stack == alone.main_frames == event.main_frames
    assert alone.culprit == "shop in pay"


def test_own_stack_of_an_exception_wins_over_the_threads() -> None:
    exception = {"type": "E", "stacktrace": {"frames": [{"function": "own"}]}}
    event = read(exception=[exception], threads=[{"crashed": True, "stacktrace": FRAMES}])
    assert [frame.function for frame in event.main_frames] == ["own"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"in_app": True, "abs_path": "/venv/site-packages/x.py"}, True),
        ({"in_app": False, "abs_path": "/srv/shop/pay.py"}, False),
        ({"abs_path": "/srv/shop/pay.py"}, True),
        ({"abs_path": "/venv/lib/python3.12/site-packages/flask/app.py"}, False),
        ({"abs_path": "C:\\Python311\\Lib\\site-packages\\flask\\app.py"}, False),
        ({"abs_path": "/usr/lib/python3.11/json/decoder.py"}, False),
        ({"filename": "/srv/shop/node_modules/express/index.js"}, False),
        ({"filename": "node:internal/timers"}, False),
        ({"filename": "<frozen importlib._bootstrap>"}, False),
        ({"filename": "Pay.java", "module": "org.shop.Pay"}, True),
        ({"filename": "Thread.java", "module": "java.lang.Thread"}, False),
        ({"function": "pay"}, True),
        ({}, False),
    ],
)
def test_code_is_told_from_libraries_where_the_client_did_not(
    frame: dict[str, object], expected: bool
) -> None:
    event = read(exception=[{"type": "E", "stacktrace": {"frames": [frame]}}])
    assert event.main_frames[0].in_app is expected


def test_client_that_marks_one_frame_has_decided_about_the_others() -> None:
    frames = [{"abs_path": "/srv/shop/web.py"}, {"abs_path": "/srv/shop/pay.py", "in_app": True}]
    event = read(exception=[{"type": "E", "stacktrace": {"frames": frames}}])
    assert [frame.in_app for frame in event.main_frames] == [False, True]


def test_place_in_an_exception_group_is_read() -> None:
    mechanism = {"type": "chained", "exception_id": 2, "parent_id": 0, "source": "exceptions[1]"}
    root = {"exception_id": 0, "is_exception_group": True, "synthetic": True}
    event = read(
        exception=[{"type": "A", "mechanism": mechanism}, {"type": "G", "mechanism": root}]
    )
    inner, outer = event.exceptions
    assert (inner.exception_id, inner.parent_id, inner.source) == (2, 0, "exceptions[1]")
    assert (outer.exception_id, outer.parent_id, outer.is_exception_group) == (0, None, True)
    assert outer.is_synthetic and not inner.is_synthetic
