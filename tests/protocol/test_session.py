"""Sessions in whatever form a client tells them: how they went, whose they were."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import session
from app.protocol.envelope import Envelope, Item
from app.protocol.measures import NOTHING, read_measures
from app.protocol.scrub import Scrubber
from app.protocol.session import ABNORMAL, CRASHED, ERRORED, HEALTHY, Sessions, read_sessions
from tests.protocol.corpus import ENTRIES, envelope_of

SID = "7c7b6585-f901-4351-bf8d-02711b721929"
READ_SID = SID.replace("-", "")
ATTRIBUTES = {"release": "shop@1", "environment": "live"}


def read(kind: str, payload: Any) -> list[Sessions]:
    return read_sessions(Envelope({}, [Item({"type": kind}, payload)]))


def update(**members: Any) -> list[Sessions]:
    return read("session", {"sid": SID, "attrs": ATTRIBUTES, **members})


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ({}, HEALTHY),
        ({"status": "ok"}, HEALTHY),
        ({"status": "exited", "errors": 0}, HEALTHY),
        ({"status": "exited", "errors": 2}, ERRORED),
        ({"status": "ok", "errors": "3"}, ERRORED),
        ({"status": "errored"}, ERRORED),
        ({"status": "unhandled", "errors": 1}, ERRORED),
        ({"status": "abnormal"}, ABNORMAL),
        ({"status": "abnormal", "errors": 4}, ABNORMAL),
        ({"status": " Crashed", "errors": 0}, CRASHED),
        ({"status": "crashed", "errors": 1, "init": False, "seq": 4}, CRASHED),
        ({"status": "fallen asleep"}, ERRORED),
        ({"status": ["crashed"]}, HEALTHY),
        ({"status": 7, "errors": True}, HEALTHY),
        ({"errors": float("nan")}, HEALTHY),
        ({"errors": -1}, HEALTHY),
        ({"errors": 10**50}, HEALTHY),
    ],
)
def test_how_a_session_went_is_read_from_its_status_and_errors(
    members: dict[str, Any], outcome: int
) -> None:
    assert update(**members) == [Sessions(READ_SID, None, "shop@1", "live", outcome)]


@pytest.mark.parametrize(
    ("given", "sid"),
    [
        (READ_SID, READ_SID),
        (SID.upper(), READ_SID),
        (" seven ", "seven"),
        (7, "7"),
        (None, None),
        ("", None),
        ("00000000-0000-0000-0000-000000000000", None),
        ([SID], None),
    ],
)
def test_session_without_an_id_is_one_all_the_same(given: Any, sid: str | None) -> None:
    [one] = update(sid=given)
    assert one.sid == sid and one.quantity == 1


@pytest.mark.parametrize(
    ("given", "did"),
    [
        ("ann", "ann"),
        (" ann@shop.example ", "ann@shop.example"),
        (42, "42"),
        ("", None),
        (None, None),
        (True, None),
        ({"id": 1}, None),
        ("\ud800", "\ufffd"),
        ("[Filtered]", None),
        ("id=[Filtered]", None),
    ],
)
def test_user_is_whatever_names_one(given: Any, did: str | None) -> None:
    assert [one.did for one in update(did=given)] == [did]


@pytest.mark.parametrize(
    "attributes", [None, {}, [], {"release": ""}, {"release": None}, {"release": {}}, "shop@1"]
)
def test_session_without_a_release_counts_as_nothing(attributes: Any) -> None:
    assert read("session", {"sid": SID, "attrs": attributes}) == []
    assert read("sessions", {"aggregates": [{"exited": 1}], "attrs": attributes}) == []


def test_names_are_as_long_as_they_are_kept() -> None:
    [one] = update(attrs={"release": "r" * 300, "environment": "e" * 300})
    assert (len(one.release), len(one.environment)) == (250, 64)


def test_groups_are_read_with_every_number_that_is_one() -> None:
    groups = [
        {"started": "2020-02-07T14:16:00Z", "exited": 123, "crashed": "2"},
        {"did": "ann", "errored": 3, "unhandled": 4, "abnormal": 5.0},
        {"exited": 0, "errored": -1, "crashed": 10**6 + 1, "abnormal": None, "unhandled": "many"},
        "exited",
    ]
    found = read("sessions", {"aggregates": groups, "attrs": {"release": "shop@1"}})
    assert [tuple(one) for one in found] == [
        (None, None, "shop@1", "", HEALTHY, 123),
        (None, None, "shop@1", "", CRASHED, 2),
        (None, "ann", "shop@1", "", ERRORED, 3),
        (None, "ann", "shop@1", "", ERRORED, 4),
        (None, "ann", "shop@1", "", ABNORMAL, 5),
    ]


def test_users_of_one_envelope_are_bounded_and_its_sessions_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "MAX_USERS", 3)
    groups = [{"did": f"u{number}", "exited": 1} for number in range(10)]
    found = read("sessions", {"aggregates": groups, "attrs": ATTRIBUTES})
    assert len(found) == 10 and [one.did for one in found if one.did] == ["u0", "u1", "u2"]


def test_other_items_hold_no_sessions_and_cost_no_object() -> None:
    event = {"sid": SID, "attrs": ATTRIBUTES, "message": "no"}
    for kind in ("event", "transaction", "client_report", "session_replay"):
        envelope = Envelope({}, [Item({"type": kind}, event)])
        assert read_measures(envelope) is NOTHING


RECORDED = {
    "sentry-python-2.75.0__sessions-aggregate-none.2-sessions": [
        (HEALTHY, 3, None),
        (CRASHED, 1, None),
    ],
    "sentry-python-2.75.0__session-application-none.2-session": [(ERRORED, 1, "u-1")],
    "sentry-node-11.12.0__exception": [(ERRORED, 1, "n1")],
    "sentry-node-11.12.0__session.2-session": [(HEALTHY, 1, None)],
    "sentry-node-8.55.2__exception": [(ERRORED, 1, "n1")],
    "sentry-node-8.55.2__session": [(HEALTHY, 1, None)],
    "sentry-node-7.120.4__exception": [(ERRORED, 1, "n1")],
    "sentry-node-7.120.4__session": [(HEALTHY, 1, None)],
    "sentry-browser-11.12.0__exception": [(ERRORED, 1, "web1")],
}


def test_sessions_of_real_clients_are_read_and_scrubbing_changes_none() -> None:
    found = {}
    for entry in ENTRIES:
        envelope = envelope_of(entry)
        for item in envelope.items:
            if not isinstance(item.payload, bytes):
                item.payload, _ = Scrubber().scrub(item.payload)
        if told := read_measures(envelope).sessions:
            found[entry["file"]] = [(one.outcome, one.quantity, one.did) for one in told]
            assert all(one.release and one.environment for one in told)
    assert found == RECORDED


strange = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters() | st.sampled_from("\x00\ud800\udfff"))
    | st.sampled_from(["crashed", "exited", SID, 10**30, float("nan"), "shop@1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "sid did status errors attrs release environment aggregates exited crashed "
                "errored abnormal unhandled started".split()
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from(["session", "sessions"]), strange)
def test_whatever_is_sent_is_read_as_what_a_store_can_keep(kind: str, payload: Any) -> None:
    for told in (payload, {"attrs": {"release": "1"}, "aggregates": payload, "sid": payload}):
        for one in read(kind, told):
            assert 0 < len(one.release) <= 250 and len(one.environment) <= 64
            assert one.outcome in (HEALTHY, ERRORED, ABNORMAL, CRASHED)
            assert 0 < one.quantity <= session.MAX_QUANTITY and isinstance(one.quantity, int)
            for text in (one.sid or "", one.did or "", one.release, one.environment):
                assert "\x00" not in text and text.encode() is not None
