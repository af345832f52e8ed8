"""The dispatcher: sends notifications by their channels and records the outcomes.

A worker that claims a sending has it alone for some minutes, so two workers never send the same
notification. A process may be killed after it sent a notification and before it recorded the
outcome. Then the row still waits, and another worker sends the notification again. Sending it
twice is better than not at all. Both messages carry the same id.
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
from app.alerts.messages import TEST, Notification
from app.alerts.notifications import Draft
from app.alerts.outcomes import Outcome
from app.alerts.targets import Targets
from app.store import Store, StoreError, utc_now
from app.store.leases import new_owner
from app.store.recording import recording
from config import Config

# The SDK does not capture this logger. Otherwise sending a notification could cause an event that
# causes the next notification.
log = logging.getLogger("app.tracker")

# The most sendings that one run reads from the queue.
BATCH = 200
# How long one run continues to start sendings.
TURN_S = 30.0


class Dispatcher:
    """Sends notifications.

    :param mailer: ``None`` if no mail server is set.
    :param public_url: base URL of links, without a slash at the end.
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
        """Return the dispatcher for a configuration."""
        targets = Targets(config.ALERTS_ALLOW_PRIVATE_TARGETS)
        return cls(store, targets, Mailer.of(config), config.public_url)

    def send_due(self, stopping: threading.Event) -> int:
        """Send due notifications, all channels in parallel. Return the number of due sendings.

        A channel that fails is skipped for the rest of the run. Its other sendings would fail as
        well, and slowly.
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
        with recording():  # It marks the current context, and each thread has its own context.
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
        """Claim one sending, try it, and return its new state.

        :return: ``None`` if another worker has claimed it, or if it is not due.
        :raise StoreError: it could not be read, or its outcome could not be recorded. In the second
            case it is sent again.
        """
        with self._store.write(durable=False) as conn:
            if not notifications.take(conn, sending_id, self._owner, utc_now()):
                return None
        return self._send_taken(sending_id)

    def test(self, channel: Channel) -> tuple[int, str]:
        """Send a test notification by one channel now. Return its id and the state of its sending.

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
        return channel.about.send(channel.values, notification, self.senders)
