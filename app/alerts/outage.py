"""Tell people that the store cannot be written, although no notification can be stored then.

The channels are those of the rule about the disk; if the store cannot be read either, as they were
a moment before. One process of a machine tells them. The list of sent notifications lacks these.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from app.alerts.channels.kind import Senders
from app.alerts.channels.stored import Channel, chosen, list_channels
from app.alerts.messages import Notification
from app.alerts.rules.stored import watches
from app.store import Store, StoreBusy, StoreError, utc_now

log = logging.getLogger("app.tracker")

RULE = "disk"
# A write may fail once for a moment.
FAILS_FOR_S = 10.0
# How old the known channels may be, in seconds.
KNOWN_FOR_S = 15.0
TITLE = "The store cannot be written"
TEXT = (
    "Events wait in the emergency folder while it has room; programs that report are told to try"
    " again. A full disk is the usual cause. The log names the error, /health/ready tells when it"
    " is over."
)


class _Sending(NamedTuple):
    """What channels read of the row of a sending."""

    uid: str
    at: datetime
    kind: str = RULE
    title: str = TITLE
    text: str = TEXT
    total: int = 0
    incident: str | None = None


class Outage:
    """Watches whether the store of this process can be written.

    :param folder: a folder on this machine. Its lock decides which process tells.
    :param public_url: base URL of links, without a slash at the end.
    """

    def __init__(self, store: Store, senders: Senders, folder: Path, public_url: str) -> None:
        self._store, self._senders = store, senders
        self._folder, self._public_url = folder, public_url
        self._channels: list[Channel] = []
        self._cooldown = timedelta()
        self._reads_at = self._quiet_until = float("-inf")
        self._fails_since: float | None = None
        self._lock: int | None = None

    def look(self) -> None:
        """Tell the channels if the store cannot be written for some seconds. Never raises."""
        try:
            self._look(time.monotonic())
        except Exception:
            log.exception("it could not be checked whether the store can be written")

    def _look(self, now: float) -> None:
        if not self._is_failing():
            self._recover(now)
        elif self._fails_since is None:
            self._fails_since = now
        elif now >= max(self._fails_since + FAILS_FOR_S, self._quiet_until):
            self._read_channels()  # A store that cannot be written can often be read.
            if self._channels and self._is_mine():
                self._quiet_until = now + self._cooldown.total_seconds()
                self._tell()

    def _is_failing(self) -> bool:
        if not self._store.write_failed:
            return False
        try:
            self._store.probe()
        except StoreBusy:
            return self._fails_since is not None  # Unknown: another writer holds it.
        except StoreError:
            return True
        return False

    def _recover(self, now: float) -> None:
        self._fails_since = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if now >= self._reads_at:
            self._reads_at = now + KNOWN_FOR_S
            self._read_channels()

    def _read_channels(self) -> None:
        with suppress(StoreError), self._store.read() as conn:
            rule = next((rule for rule in watches(conn) if rule.kind == RULE), None)
            self._cooldown = rule.cooldown if rule else timedelta()
            self._channels = chosen(list_channels(conn), rule.channel_ids) if rule else []

    def _is_mine(self) -> bool:
        """Return whether this process has the lock of the folder, which needs no disk space."""
        if self._lock is None:
            held = os.open(self._folder, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(held)
                return False
            self._lock = held
        return True

    def _tell(self) -> None:
        about = {"rule": None, "project": None, "issue": None, "event": None}
        links = {"status": f"{self._public_url}/admin/status"}
        sending: Any = _Sending(uuid.uuid4().hex, utc_now())
        notification = Notification(sending, about, links)
        for channel in self._channels:
            found = channel.about.send(channel.values, notification, self._senders)
            what = "was told" if found.is_sent else f"could not be told: {found.note}"
            log.warning("the store cannot be written; channel %s %s", channel.id, what)
