"""The quotas of projects: which envelopes of a batch are within them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import Connection

from app.delivery import accounting
from app.intake.prepared import Prepared
from app.projects.quotas import admit, note_refusal, refused_counter
from app.stats.counting import Tally
from app.stats.losses import REFUSED, Lost
from app.stats.months import category_of_items


def within_quotas(
    conn: Connection, batch: list[Prepared], counts: Counter[str], lost: Tally, now: datetime
) -> list[Prepared]:
    """Return the envelopes within the quotas of their projects, and count the others.

    This comes before the search for duplicates. Otherwise a duplicate of an event that is refused
    here would be counted as stored.
    """
    limits = {
        envelope.project_id: envelope.quota for envelope in batch if envelope.quota is not None
    }
    if not limits:
        return batch
    wanted = Counter(envelope.project_id for envelope in batch if envelope.quota is not None)
    left = admit(conn, wanted, limits, now)
    for project_id, admitted in left.items():
        if refused := wanted[project_id] - admitted:
            counter = refused_counter(project_id)
            note_refusal(conn, project_id, accounting.read_counter(conn, counter), now)
            counts[counter] += refused
    taken = []
    for envelope in batch:
        if envelope.quota is not None:
            left[envelope.project_id] -= 1
        if envelope.quota is None or left[envelope.project_id] >= 0:
            taken.append(envelope)
        else:
            category = category_of_items(envelope.item_types.split(","))
            found = Lost(REFUSED, envelope.sdk(), "quota", category)
            lost.add(envelope.project_id, envelope.received_at.timestamp(), (found,))
    return taken
