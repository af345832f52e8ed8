"""The session: a visit, the run of a program or a request, and how it ended.

A client reports a session in updates. Each update has the full state, so the client may send
updates several times and out of order. For sessions of requests, the client counts them itself and
sends the numbers (aggregates). Sessions without a release are not counted: the protocol requires a
release, and Sentry refuses sessions without one. The start time of a session is not read, because
the clock of the client may be wrong.

Source: https://develop.sentry.dev/sdk/telemetry/sessions/, 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_int, read_list, read_name
from app.protocol.scrubbing.spans import FILTERED

# The outcome of a session. The worst outcome of all updates counts. For a client that follows the
# protocol, this is also the last outcome: an ended session does not change, and errors only grow.
HEALTHY, ERRORED, ABNORMAL, CRASHED = range(4)
_OUTCOMES = {"ok": HEALTHY, "exited": HEALTHY, "abnormal": ABNORMAL, "crashed": CRASHED}
# As in Sentry, "unhandled" is not a crash but an error: no code handled it, but it ended nothing.
_AGGREGATED = {
    "exited": HEALTHY,
    "errored": ERRORED,
    "unhandled": ERRORED,
    "abnormal": ABNORMAL,
    "crashed": CRASHED,
}
# A group covers a minute of a process; a larger number of requests is not plausible.
MAX_QUANTITY = 1_000_000
# The maximum for one envelope. Each user is a row to write while other requests wait.
MAX_USERS = 1000
_KINDS = frozenset({"session", "sessions"})
_RELEASE_LENGTH, _ENVIRONMENT_LENGTH = 250, 64


class Sessions(NamedTuple):
    """A session from an update, or a group of sessions with the same outcome.

    :param sid: the id of the session; ``None`` for a group, and if the client sends no id.
    :param did: the id of the user or device from the client. It is personal data: do not store it.
    :param environment: empty if the client sends none.
    :param outcome: one of HEALTHY, ERRORED, ABNORMAL, CRASHED.
    """

    sid: str | None
    did: str | None
    release: str
    environment: str
    outcome: int
    quantity: int = 1


def read_sessions(envelope: Envelope) -> list[Sessions]:
    """Return the sessions in an envelope, in order; users above ``MAX_USERS`` are left out."""
    told: list[Sessions] = []
    for item in envelope.items:
        if item.type in _KINDS and isinstance(item.payload, dict):
            told += _of_item(item.type, item.payload)
    if len(told) > MAX_USERS:
        told[MAX_USERS:] = [session._replace(did=None) for session in told[MAX_USERS:]]
    return told


def _of_item(kind: str, payload: dict[str, Any]) -> Iterator[Sessions]:
    attributes = read_dict(payload.get("attrs"))
    release = (read_name(attributes.get("release")) or "")[:_RELEASE_LENGTH]
    environment = (read_name(attributes.get("environment")) or "")[:_ENVIRONMENT_LENGTH]
    if not release:
        return
    if kind == "session":
        sid, did = _read_sid(payload.get("sid")), _read_did(payload.get("did"))
        yield Sessions(sid, did, release, environment, _outcome_of(payload))
        return
    for group in read_list(payload.get("aggregates")):
        if isinstance(group, dict):
            did = _read_did(group.get("did"))
            for outcome, quantity in _quantities(group):
                yield Sessions(None, did, release, environment, outcome, quantity)


def _quantities(group: dict[str, Any]) -> Iterator[tuple[int, int]]:
    for name, outcome in _AGGREGATED.items():
        quantity = read_int(group.get(name))
        if quantity is not None and 0 < quantity <= MAX_QUANTITY:
            yield outcome, quantity


def _outcome_of(payload: dict[str, Any]) -> int:
    status = payload.get("status")
    name = status.strip().lower() if isinstance(status, str) else ""
    # An unknown status counts as an error, as in Sentry.
    outcome = _OUTCOMES.get(name, ERRORED) if name else HEALTHY
    return max(outcome, ERRORED) if (read_int(payload.get("errors")) or 0) > 0 else outcome


def _read_sid(value: object) -> str | None:
    sid = (read_name(value) or "").replace("-", "").lower()
    return sid if sid.strip("0") else None  # The nil UUID is not a valid id.


def _read_did(value: object) -> str | None:
    did = read_name(value)
    # All scrubbed ids are the same text, so they would count as one user.
    return None if did is None or FILTERED in did else did
