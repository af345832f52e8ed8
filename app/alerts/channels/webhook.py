"""The channel kind for webhooks: it posts signed JSON to a URL of the user."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from app.alerts.channels.kind import KINDS, UrlChannel
from app.alerts.messages import Notification
from app.store import utc_now


@KINDS.register("webhook", "Webhook", position=20)
class Webhook(UrlChannel):
    """Sends all data of a notification as signed JSON."""

    summary = "signed JSON to a URL of yours"
    is_signed = True
    key_label = "Signing secret"
    key_help = "signs what is sent; if it is empty, one is made and shown once."

    def content(self, notification: Notification) -> dict[str, Any]:
        """Return the notification with its rule, project, event and issues."""
        row = notification.sending
        return {
            "id": row.uid,
            "kind": row.kind,
            "at": row.at,
            "title": row.title,
            "text": row.text,
            **notification.about,
            "issues": notification.issues,
            "total": row.total,
            "links": notification.links,
        }

    def headers(
        self, notification: Notification, body: bytes, secret: str | None
    ) -> dict[str, str]:
        """Return the headers that sign a body.

        The signature is ``sha256=`` followed by a hex HMAC-SHA256. Its key is the channel's secret.
        Its message is the timestamp (seconds since 1970, as in the header) followed by the body.
        """
        timestamp = str(int(utc_now().timestamp()))
        signed = hmac.new((secret or "").encode(), timestamp.encode() + body, hashlib.sha256)
        return {
            "X-DevEnviro-Notice": notification.sending.uid,
            "X-DevEnviro-Timestamp": timestamp,
            "X-DevEnviro-Signature": f"sha256={signed.hexdigest()}",
        }
