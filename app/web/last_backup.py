"""When the last backup was made that was read to its end: noted by `flask backup`, shown on pages.

It is a counter, in seconds since 1970, because Start reads all counters anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from app.accounts import audit
from app.delivery.tables import counters
from app.store import Store, replaced, upsert

BACKUP_AT = "backup:at"


def note_backup(store: Store, at: datetime, action: str, file: str) -> None:
    """Note that a backup was verified, and add an entry to the audit log.

    :param at: when its snapshot was taken.
    :param action: ``backed_up`` or ``restored``.
    :param file: its name.
    :raise StoreError: the store cannot be written.
    """
    row = {"name": BACKUP_AT, "value": int(at.timestamp())}
    with store.write() as conn:
        conn.execute(upsert(conn, counters, row, value=replaced))
        audit.note(conn, action, file, f"of {at:%Y-%m-%d %H:%M:%S} UTC")


def last_backup(counted: Mapping[str, int]) -> datetime | None:
    """Return when the last verified backup was made, ``None`` if there was none.

    :param counted: every counter by name.
    """
    at = counted.get(BACKUP_AT)
    return None if at is None else datetime.fromtimestamp(at, UTC)
