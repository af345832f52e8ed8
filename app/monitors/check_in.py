"""Read the check-ins of an envelope. Reading is lenient: a wrong field is read as absent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from app.monitors.machine import CheckIn
from app.monitors.settings import read_config
from app.monitors.tables import MAX_ENVIRONMENT, MAX_RELEASE
from app.protocol.envelope import Envelope
from app.protocol.event import parse_event_id
from app.protocol.lenient import read_dict, read_hex, read_name, read_number
from app.protocol.slug import read_slug

STATUSES = ("in_progress", "ok", "error")
DEFAULT_ENVIRONMENT = "production"
# A run of a year is a mistake of the client.
MAX_DURATION_S = 366 * 86_400


class Sent(NamedTuple):
    """A check-in as it was received.

    :param slug: empty if the check-in names no monitor.
    :param config: the columns that it sets, and what is wrong in its configuration; ``None``
        without a configuration.
    """

    project_id: int
    received_at: datetime
    slug: str
    environment: str
    check_in: CheckIn | None
    config: tuple[dict[str, Any], str | None] | None


def read_check_ins(envelope: Envelope, project_id: int, received_at: datetime) -> Iterator[Sent]:
    """Yield the check-ins of an envelope in their order.

    A check-in without a known status has ``check_in`` ``None``.
    """
    for item in envelope.items:
        if item.type == "check_in":
            yield _read(read_dict(item.payload), project_id, received_at)


def _read(payload: dict[str, Any], project_id: int, received_at: datetime) -> Sent:
    status = payload.get("status")
    environment = read_name(payload.get("environment")) or DEFAULT_ENVIRONMENT
    check_in = None
    if status in STATUSES:
        check_in = CheckIn(
            parse_event_id(payload.get("check_in_id")),
            str(status),
            _duration_ms(payload.get("duration")),
            _trace_id(payload),
            (read_name(payload.get("release")) or "")[:MAX_RELEASE] or None,
        )
    return Sent(
        project_id,
        received_at,
        read_slug(payload.get("monitor_slug")),
        environment[:MAX_ENVIRONMENT],
        check_in,
        read_config(payload.get("monitor_config")),
    )


def _duration_ms(value: object) -> float | None:
    seconds = read_number(value)
    if seconds is None or not 0 <= seconds <= MAX_DURATION_S:
        return None
    return float(seconds) * 1000


def _trace_id(payload: dict[str, Any]) -> str | None:
    trace = read_dict(read_dict(payload.get("contexts")).get("trace"))
    return read_hex(trace.get("trace_id"), 32)
