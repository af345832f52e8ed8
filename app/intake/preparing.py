"""Prepare an envelope for the store: scrub it, read it, group its event. No statement is at stake.

scrub ── correct the times ── read the event, the counts, the measurements ── group ── compress
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from app.intake.emergency import Waiting
from app.intake.prepared import Prepared
from app.issues.grouping import group, group_v1
from app.issues.rulebook import RuleBook
from app.projects import OWN_PROJECT_ID
from app.protocol.caller import Caller, infer
from app.protocol.client_clock import Correction, correct_times
from app.protocol.client_report import read_losses
from app.protocol.envelope import Envelope, parse_envelope, serialize_envelope
from app.protocol.event import Event, parse_event_id, read_event
from app.protocol.feedback import is_feedback, read_feedback
from app.protocol.measures import read_measures, with_timings
from app.protocol.packing import pack
from app.protocol.scrub import Finding, Scrubber
from app.protocol.scrubbing.budget import WorkBudget
from app.protocol.scrubbing.envelopes import Attachments, scrub_envelope
from app.protocol.sdk_name import read_sdk
from app.stats.item_counts import count_types
from app.store import utc_now

# Item types are stored in one column, separated by commas. No item type has these characters.
_NO_TYPE_CHARACTER = re.compile(r"[^\w.-]", re.ASCII)


class Preparer:
    """Prepares envelopes on the thread of their caller.

    :param attachments: whether files are scrubbed, kept unchanged, or not kept.
    :param count: adds one to a counter of the accounting.
    """

    def __init__(
        self,
        scrubber: Scrubber,
        rules: RuleBook,
        attachments: Attachments,
        count: Callable[[str], object],
    ) -> None:
        self._scrubber = scrubber
        self._rules = rules
        self._attachments: Attachments = attachments
        self._count = count
        # Most envelopes come from a few servers, and the settings do not change.
        self._keeps_address = lru_cache(maxsize=1024)(partial(_keeps_address, scrubber))

    def of_client(
        self, envelope: Envelope, project_id: int, caller: Caller, **known: Any
    ) -> Prepared:
        """Prepare an envelope of another program.

        :param known: fields of the result that are known before, of them ``uid`` and
            ``received_at`` may be ``None``.
        """
        may_keep = caller.address is not None and self._keeps_address(caller.address)
        inferred = infer(envelope, caller, may_keep_address=may_keep or not caller.address)
        known |= {"inferred": inferred, "sdk": partial(read_sdk, envelope, caller)}
        prepared = self._prepare(envelope, project_id, **known)
        measures = with_timings(prepared.measures, envelope)
        return replace(prepared, measures=measures) if measures.timings else prepared

    def of_application(
        self, envelope: Envelope, known_secrets: frozenset[str] = frozenset()
    ) -> Prepared:
        """Prepare an envelope of this application.

        :param known_secrets: values to scrub wherever they occur.
        """
        return self._prepare(envelope, OWN_PROJECT_ID, known_secrets)

    def restored(self, waiting: Waiting) -> Prepared:
        """Prepare an envelope of the emergency folder.

        It was scrubbed before it was written. A second pass would only lose the scrubbing report.
        """
        return self._prepared(
            waiting.project_id,
            waiting.received_at,
            parse_envelope(waiting.body),
            [Finding(**finding) for finding in waiting.scrubbed],
            uid=waiting.uid,
        )

    def _prepare(
        self,
        envelope: Envelope,
        project_id: int,
        known_secrets: frozenset[str] = frozenset(),
        *,
        uid: str | None = None,
        received_at: datetime | None = None,
        **known: Any,
    ) -> Prepared:
        """Scrub, read and group an envelope.

        :param known: fields of the result that are known before.
        """
        received_at, started = received_at or utc_now(), time.perf_counter()
        findings = self._scrub(envelope, known_secrets)
        scrub_ms = (time.perf_counter() - started) * 1000
        known |= {"uid": uid or secrets.token_hex(16), "scrub_ms": scrub_ms}
        known["correction"] = correct_times(envelope, received_at)
        return self._prepared(project_id, received_at, envelope, findings, **known)

    def _scrub(self, envelope: Envelope, known: frozenset[str]) -> list[Finding]:
        budget = WorkBudget()
        findings = scrub_envelope(
            envelope, self._scrubber, known, attachments=self._attachments, budget=budget
        )
        if budget.is_exceeded:
            self._count("scrub_budget_exceeded")
        return findings

    def _prepared(
        self,
        project_id: int,
        received_at: datetime,
        envelope: Envelope,
        findings: list[Finding],
        *,
        correction: Correction | None = None,
        **known: Any,
    ) -> Prepared:
        event = _read(envelope, received_at)
        event_id = event.event_id if event else parse_event_id(envelope.headers.get("event_id"))
        body = serialize_envelope(envelope)
        rules = self._rules.rules_of(project_id) if event else ()
        return Prepared(
            project_id=project_id,
            received_at=received_at,
            item_types=_types_of(envelope),
            items=count_types(envelope.item_types),
            losses=read_losses(envelope),
            feedback=read_feedback(envelope),
            packed=pack(body),
            size_bytes=len(body),
            event_id=event_id,
            event=event,
            grouping=group(event, rules) if event else None,
            older=partial(group_v1, event, rules) if event else None,
            findings=findings,
            measures=read_measures(envelope),
            correction=correction if event else None,
            **known,
        )


def _keeps_address(scrubber: Scrubber, address: str) -> bool:
    """Return whether the settings keep a user's IP address in an event."""
    user = {"user": {"ip_address": address}}
    return bool(scrubber.scrub(user)[0] == user)


def _types_of(envelope: Envelope) -> str:
    """Return the item types of an envelope, each once, as the column of item types stores them."""
    names = (_NO_TYPE_CHARACTER.sub("_", name)[:40] for name in envelope.item_types)
    return ",".join(list(dict.fromkeys(names))[:12])


def _read(envelope: Envelope, received_at: datetime) -> Event | None:
    item = envelope.event()
    if item is None or is_feedback(item):
        return None
    event_id = (
        parse_event_id(envelope.headers.get("event_id"))
        or parse_event_id(item.payload.get("event_id"))
        or uuid.uuid4().hex
    )
    sdk = envelope.headers.get("sdk")
    return read_event(item.payload, event_id=event_id, received_at=received_at, sdk=sdk)
