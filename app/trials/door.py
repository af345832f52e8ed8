"""An SDK like that of another program, whose envelopes go through the ingest routes.

The envelopes take the way of a client's: the key is checked, then the quota, the body is parsed,
scrubbed and stored. Only the socket is left out. A request over a socket to this service would
occupy a second thread of the pool while the first one waits for it: eight test errors at once would
wait for each other. And a process does not know an address of its own that is sure to work: a Unix
socket, a proxy or another container may be in front.
"""

from __future__ import annotations

import threading

import sentry_sdk
from flask import Flask, current_app
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.transport import Transport

from app.sentry import before_send

# The door itself waits five seconds for the store. Then it answers 503.
TIMEOUT_S = 15.0


class DoorTransport(Transport):
    """Gives every envelope to the ingest route of a project.

    ``status`` is that of the last answer, 504 if there was none in time; ``None`` if the SDK sent
    nothing.
    """

    def __init__(self, app: Flask, project_id: int, key: str) -> None:
        super().__init__()
        self._app, self._project_id, self._key = app, project_id, key
        self.status: int | None = None

    def capture_envelope(self, envelope: Envelope) -> None:
        """Send an envelope and wait for the answer."""
        body, statuses = envelope.serialize(), list[int]()
        # On a thread of its own, the request gets a new context, like a request from outside.
        thread = threading.Thread(target=lambda: statuses.append(self._send(body)), name="door")
        thread.start()
        thread.join(TIMEOUT_S)
        self.status = statuses[0] if statuses else 504

    def _send(self, body: bytes) -> int:
        client = f"sentry.python/{sentry_sdk.VERSION}"
        auth = f"Sentry sentry_version=7, sentry_client={client}, sentry_key={self._key}"
        return (
            self._app.test_client()
            .post(
                f"/api/{self._project_id}/envelope/",
                data=body,
                content_type="application/x-sentry-envelope",
                headers={"X-Sentry-Auth": auth, "User-Agent": client},
                buffered=True,
            )
            .status_code
        )


def client_of(dsn: str, project_id: int, key: str) -> tuple[sentry_sdk.Client, DoorTransport]:
    """Return an SDK's client for a project, and its transport.

    :param dsn: the DSN that a program of this project has.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # of the proxy
    transport = DoorTransport(app, project_id, key)
    client = sentry_sdk.Client(
        dsn=dsn,
        transport=transport,
        # Nothing of this application belongs into the events of another program.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[LoggingIntegration(), ThreadingIntegration()],
        before_send=before_send,  # type: ignore[arg-type]  # events are plain dicts to us
        send_client_reports=False,
    )
    return client, transport
