"""The session: a visit, the run of a program or a request, and how it ended.

A client tells one session by updates, of which each says everything: it may send them several
times and out of order. Those of requests it adds up itself and sends as numbers (aggregates).
Whatever has no release counts as nothing: the protocol demands one, and Sentry refuses the rest.
When a session started is not read; its client's clock may say anything.

Source: https://develop.sentry.dev/sdk/telemetry/sessions/, 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_int, read_list, read_name
from app.protocol.scrubbing.spans import FILTERED

# How a session went. The worst that was ever said of it counts, which is also the last thing that
# a client says that keeps to the protocol: what has ended stays as it ended, errors only grow.
HEALTHY, ERRORED, ABNORMAL, CRASHED = range(4)
_OUTCOMES = {"ok": HEALTHY, "exited": HEALTHY, "abnormal": ABNORMAL, "crashed": CRASHED}
# As in Sentry, "unhandled" is no crash: it falls to what is not listed, an error.
# "unhandled" is an error that nothing handled and that ended nothing.
_AGGREGATED = {
    "exited": HEALTHY,
    "errored": ERRORED,
    "unhandled": ERRORED,
    "abnormal": ABNORMAL,
    "crashed": CRASHED,
}
# A group is a minute of one process; larger is no count of requests.
MAX_QUANTITY = 1_000_000
# Of one envelope. Each is a row to be written while others wait.
MAX_USERS = 1000
_KINDS = frozenset({"session", "sessions"})
_RELEASE_LENGTH, _ENVIRONMENT_LENGTH = 250, 64


class Sessions(NamedTuple):
    """One session as an update tells it, or a group of them that went alike.

    :param sid: what tells it from others; ``None`` for a group, and where a client gave none.
    :param did: the user or the device, as the client calls it; personal data, not to be stored.
    :param environment: empty where the client names none.
    :param outcome: one of HEALTHY, ERRORED, ABNORMAL, CRASHED.
    """

    sid: str | None
    did: str | None
    release: str
    environment: str
    outcome: int
    quantity: int = 1


def read_sessions(envelope: Envelope) -> list[Sessions]:
    """Return what an envelope says of sessions, in order; users beyond the bound are left out."""
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
    # A status that is not known is taken for an error, as Sentry does.
    outcome = _OUTCOMES.get(name, ERRORED) if name else HEALTHY
    return max(outcome, ERRORED) if (read_int(payload.get("errors")) or 0) > 0 else outcome


def _read_sid(value: object) -> str | None:
    sid = (read_name(value) or "").replace("-", "").lower()
    return sid if sid.strip("0") else None  # The nil UUID is nobody's.


def _read_did(value: object) -> str | None:
    did = read_name(value)
    # What was scrubbed would make one user of all those it was scrubbed from.
    return None if did is None or FILTERED in did else did
