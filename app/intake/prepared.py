"""An envelope on the way through the transaction: as it will be stored, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from app.issues.grouping import Grouping
from app.protocol.caller import Inferred
from app.protocol.client_clock import Correction
from app.protocol.client_report import Loss
from app.protocol.event import Event
from app.protocol.feedback import Feedback
from app.protocol.measures import NOTHING, Measures
from app.protocol.packing import unpack
from app.protocol.scrub import Finding
from app.protocol.sdk_name import UNKNOWN_SDK, Sdk
from app.stats.counting import Measured


@dataclass(frozen=True, slots=True)
class Prepared:
    """An envelope as it will be stored: scrubbed, parsed and grouped.

    :param quota: envelopes per minute that its project may send; ``None`` if the envelope does not
        count against the quota.
    """

    uid: str
    project_id: int
    received_at: datetime
    item_types: str
    # Compressed on the caller's thread before the transaction. Others wait for the transaction.
    packed: bytes
    size_bytes: int
    event_id: str | None
    event: Event | None = None
    grouping: Grouping | None = None
    # Computes the grouping by the previous version of the rules, for keys that are not known yet.
    older: Callable[[], Grouping] | None = None
    findings: list[Finding] = field(default_factory=list)
    scrub_ms: float = 0.0
    via: str | None = None
    quota: int | None = None
    items: Counter[str] = field(default_factory=Counter)
    losses: list[Loss] = field(default_factory=list)
    # Reads the SDK that sent it. Only reports of losses and refusals ask for it.
    sdk: Callable[[], Sdk] = lambda: UNKNOWN_SDK
    inferred: Inferred = Inferred()
    measures: Measures = NOTHING
    feedback: list[Feedback] = field(default_factory=list)
    correction: Correction | None = None
    is_demo: bool = False

    @property
    def body(self) -> bytes:
        """The envelope in wire form."""
        return unpack(self.packed)

    @property
    def receipt(self) -> list[dict[str, str]]:
        """The scrubbing report, in the form in which it is stored."""
        return [finding._asdict() for finding in self.findings]

    @property
    def measured(self) -> Measured:
        """The measurements of the envelope that are counted in addition to its event."""
        return Measured(self.project_id, self.uid, self.event_id, self.received_at, self.measures)

    @property
    def event_key(self) -> tuple[int, str] | None:
        """The unique key of the event: project id and event id. ``None`` without an event."""
        return (self.project_id, self.event.event_id) if self.event else None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of storing an envelope.

    :param event_id: the id of its event, if it has one.
    :param duplicate: the envelope, or its event, was stored before.
    :param refused_until: the envelope exceeded the quota of its project and was not stored. The
        quota opens again at this time.
    :param is_due: the envelope has to be forwarded.
    """

    event_id: str | None
    duplicate: bool = False
    refused_until: datetime | None = None
    is_due: bool = False
