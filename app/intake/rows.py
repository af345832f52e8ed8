"""The rows of envelopes and events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.events.states import EnvelopeState
from app.intake.prepared import Prepared
from app.issues.occurrence import Occurrence
from app.issues.recording import Recorded
from app.protocol.event import clean_text


def first_state(prepared: Prepared, sent_on: set[int]) -> str:
    """Return the state in which an envelope is stored.

    :param sent_on: the projects whose envelopes are forwarded.
    """
    if prepared.is_demo:
        return EnvelopeState.DEMO
    return EnvelopeState.PENDING if prepared.project_id in sent_on else EnvelopeState.LOCAL


def envelope_row(prepared: Prepared, state: str) -> dict[str, Any]:
    """Return the row of an envelope."""
    return {
        "uid": prepared.uid,
        "project_id": prepared.project_id,
        "event_id": prepared.event_id,
        "item_types": prepared.item_types,
        "state": state,
        "next_at": prepared.received_at if state == EnvelopeState.PENDING else None,
        "received_at": prepared.received_at,
        "size_bytes": prepared.size_bytes,
        "body": prepared.packed,
        "via": prepared.via,
        "caller_address": prepared.inferred.address,
        "caller_user_agent": prepared.inferred.user_agent,
    }


def event_row(
    prepared: Prepared, of: Occurrence, recorded: Recorded, envelope_id: int, now: datetime
) -> dict[str, Any]:
    """Return the row of an event, which has an issue and an envelope already."""
    event = of.event
    ignored_by = prepared.grouping and prepared.grouping.ignored_by
    return {
        "event_id": event.event_id,
        "project_id": prepared.project_id,
        "issue_id": recorded.issue_id,
        "envelope_id": envelope_id,
        "level": event.level,
        "platform": event.platform and event.platform[:64],
        "logger": event.logger and event.logger[:200],
        "title": of.title,
        "culprit": of.culprit,
        "transaction": event.transaction and event.transaction[:500],
        "release": event.release and event.release[:250],
        "environment": event.environment and event.environment[:64],
        "timestamp": event.timestamp,
        "client_timestamp": prepared.correction and clean_text(prepared.correction.said),
        "timestamp_corrected": prepared.correction and prepared.correction.because,
        "received_at": prepared.received_at,
        "stored_at": now,
        "scrub_ms": prepared.scrub_ms,
        "scrubbed": prepared.receipt,
        "duplicates": 0,
        "ignored_by": ignored_by and ignored_by[:200],
        "grouping_id": recorded.grouping_id,
        "user_hash": of.user_hash or "",
    }
