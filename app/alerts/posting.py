"""One POST to a target: by an address validated for it, without redirects, in bounded time.

The name stands in ``Host`` and is what the certificate is held against; the connection goes to the
address. No proxy is used: it would resolve the name again, by itself.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from app.alerts.outcomes import Outcome
from app.alerts.targets import Target, TargetError, Targets, UnknownHost, parse
from app.delivery.client import cause_of, tls_context

# Of one wait, and of the whole exchange, against an answer that drips.
TIMEOUT_S = 10.0
DEADLINE_S = 20.0
# What answers is not looked at and never shown: it may be anything that listens somewhere.
MAX_ANSWER_BYTES = 4096
# Of a host with many addresses so many are tried.
MAX_ADDRESSES = 3
USER_AGENT = "DevEnviro-Alerts/1"


class Poster:
    """Sends to targets.

    :param targets: says which addresses are allowed.
    """

    def __init__(self, targets: Targets, deadline_s: float = DEADLINE_S) -> None:
        self._targets = targets
        self._deadline_s = deadline_s

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Send a body, if its target is allowed; only 2xx is success, a redirect is none."""
        try:
            target = parse(url)
            addresses = self._targets.addresses(target)
        except UnknownHost as error:
            return Outcome(False, note=f"DNS: {error}")
        except TargetError as error:
            return Outcome(False, note=f"not sent: {error}", is_final=True)
        outcome = Outcome(False)
        for address in addresses[:MAX_ADDRESSES]:
            sent = _Exchange(target, address, self._deadline_s)
            outcome = sent.run(body, headers)
            if sent.was_connected:
                break
        return outcome


class _Exchange:
    def __init__(self, target: Target, address: str, deadline_s: float) -> None:
        self._target = target
        self._connection = _connection(target, address)
        self._timer = threading.Timer(deadline_s, self._abort)
        self._timer.daemon = True
        self._aborted = False
        self.was_connected = False

    def run(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        self._timer.start()
        try:
            self._connection.connect()
            self.was_connected = True
            outcome = self._ask(body, headers)
        except (HTTPError, http.client.HTTPException, OSError) as error:
            outcome = Outcome(False, note=cause_of(error))
        finally:
            self._timer.cancel()
            self._connection.close()
        # What was cut off may read as an answer: headers end where the connection does.
        return Outcome(False, note="no answer in time") if self._aborted else outcome

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        own = {"Host": self._target.authority, "User-Agent": USER_AGENT, "Connection": "close"}
        self._connection.request(
            "POST", self._target.path, body=body, headers={**headers, **own}, preload_content=False
        )
        response = self._connection.getresponse()
        response.read1(MAX_ANSWER_BYTES)
        return _judged(int(response.status))

    def _abort(self) -> None:
        self._aborted = True
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._connection.close()


def _judged(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(True, status)
    if 300 <= status < 400:
        return Outcome(False, status, "redirected, which is not followed")
    return Outcome(False, status, f"answered {status}")


def _connection(target: Target, address: str) -> HTTPConnection:
    if target.is_encrypted:
        return HTTPSConnection(
            address,
            target.port,
            timeout=TIMEOUT_S,
            ssl_context=tls_context(),
            server_hostname=target.host,
        )
    return HTTPConnection(address, target.port, timeout=TIMEOUT_S)
