"""The dispatcher: takes one notification after the other out by its channel and settles it.

Who takes a sending has it alone for some minutes, so that two never send the same. Between the
sending and its outcome a process may be killed. The row then still waits, and is sent again by
whoever comes next: once more than needed rather than once too few. Both carry the same id.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict

from app.alerts import notifications, queries
from app.alerts.channels.kind import Senders
from app.alerts.channels.stored import Channel, find_channel
from app.alerts.http_sender import HttpSender
from app.alerts.mail import Mailer
from app.alerts.messages import Notification
from app.alerts.notifications import TEST, Draft
from app.alerts.outcomes import Outcome
from app.alerts.targets import Targets
from app.store import Store, StoreError, utc_now
from app.store.leases import new_owner
from app.store.recording import recording
from config import Config

# The SDK does not capture this logger: no notification may make an event that makes a notification.
log = logging.getLogger("app.tracker")

# What one turn takes out of the queue.
BATCH = 200
# How long one turn goes on to start sendings.
TURN_S = 30.0


class Dispatcher:
    """Sends notifications.

    :param mailer: ``None`` where no mail server is set.
    :param public_url: where links lead, without a last slash.
    """

    def __init__(
        self, store: Store, targets: Targets, mailer: Mailer | None, public_url: str
    ) -> None:
        self.targets = targets
        self.senders = Senders(HttpSender(targets), mailer)
        self._store = store
        self._public_url = public_url
        self._owner = new_owner()

    @classmethod
    def of(cls, store: Store, config: Config) -> Dispatcher:
        """Return the dispatcher of a configuration."""
        targets = Targets(config.ALERTS_ALLOW_PRIVATE_TARGETS)
        return cls(store, targets, Mailer.of(config), config.public_url)

    def send_due(self, stopping: threading.Event) -> int:
        """Send what is due, channels side by side, and return how much was tried.

        A channel that fails is left alone for the rest of the turn: what else it has to send would
        fail as well, and slowly.
        """
        with self._store.read() as conn:
            waiting = notifications.due(conn, utc_now(), BATCH)
        by_channel: dict[int | None, list[int]] = defaultdict(list)
        for row in waiting:
            by_channel[row.channel_id].append(row.id)
        until = time.monotonic() + TURN_S
        threads = [
            threading.Thread(
                target=self._send_all, args=(ids, until, stopping), name="dispatcher", daemon=True
            )
            for ids in by_channel.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(waiting)

    def _send_all(self, ids: list[int], until: float, stopping: threading.Event) -> None:
        with recording():  # Marks a context, and every thread has its own.
            for sending_id in ids:
                if stopping.is_set() or time.monotonic() > until:
                    return
                try:
                    if self.send(sending_id) != "delivered":
                        return
                except StoreError as error:
                    log.warning("a notification waits, the store does not answer: %s", error)
                    return
                except Exception:
                    log.exception("a notification could not be sent, others go on")

    def send(self, sending_id: int) -> str | None:
        """Take one sending, try it, and return the state it is in then.

        :return: ``None`` if another one has it, or it is not due.
        :raise StoreError: it could not be read, or not be settled; then it is sent again.
        """
        with self._store.write(durable=False) as conn:
            if not notifications.take(conn, sending_id, self._owner, utc_now()):
                return None
        return self._send_taken(sending_id)

    def test(self, channel: Channel) -> tuple[int, str]:
        """Send a notification by one channel now and return its id and what became of it.

        :raise StoreError: the store does not answer.
        """
        now = utc_now()
        draft = Draft(
            TEST, f"Test of {channel.name}", "If you can read this, notifications arrive."
        )
        with self._store.write() as conn:
            notice_id = notifications.add_notification(
                conn, draft, [channel], now, taken_by=self._owner
            )
            [sending] = queries.sendings_of(conn, [notice_id])[notice_id]
        return notice_id, self._send_taken(sending.id)

    def _send_taken(self, sending_id: int) -> str:
        with self._store.read() as conn:
            notification = queries.read_notification(conn, sending_id, self._public_url)
            channel = find_channel(conn, notification.sending.channel_id or 0)
        began = utc_now()
        outcome = self._try(channel, notification)
        with self._store.write() as conn:
            return notifications.record_outcomes(
                conn, notification.sending, outcome, began, utc_now()
            )

    def _try(self, channel: Channel | None, notification: Notification) -> Outcome:
        if channel is None:
            return Outcome(False, note="the channel was deleted", is_final=True)
        if not channel.enabled and notification.sending.kind != TEST:
            return Outcome(False, note="the channel was switched off", is_final=True)
        return channel.about.send(channel.address, channel.secret, notification, self.senders)
