"""One POST to a target: to an address validated for it, without redirects, in bounded time.

The name stands in ``Host`` and is what the certificate is held against; the connection goes to the
address, and curl resolves nothing. No proxy is used: it would resolve the name again, by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import pycurl

from app.alerts.outcomes import Outcome
from app.alerts.targets import Target, TargetError, Targets, UnknownHost, parse
from app.delivery.client import authorities, cause_of, new_handle

# Of the whole exchange, against an answer that drips.
DEADLINE_S = 20.0
# What answers is not looked at and never shown: it may be anything that listens somewhere.
MAX_ANSWER_BYTES = 4096
# Of a host with many addresses so many are tried.
MAX_ADDRESSES = 3
USER_AGENT = "DevEnviro-Alerts/1"


class HttpSender:
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
            exchange = _Exchange(target, address, self._deadline_s)
            outcome = exchange.run(body, headers)
            if exchange.was_connected:
                break
        return outcome


class _Exchange:
    def __init__(self, target: Target, address: str, deadline_s: float) -> None:
        self._curl = curl = new_handle(f"{target.origin}{target.path}")
        host = f"[{address}]" if ":" in address else address
        for option, value in (
            # Whatever the URL says: two readers of one may differ about what its host is.
            (pycurl.CONNECT_TO, [f"::{host}:{target.port}"]),
            (pycurl.PROXY, ""),
            (pycurl.CAINFO, authorities()),
            (pycurl.USERAGENT, USER_AGENT),
            (pycurl.PATH_AS_IS, True),
            (pycurl.FORBID_REUSE, True),
            (pycurl.TIMEOUT_MS, int(deadline_s * 1000)),
            (pycurl.HEADERFUNCTION, self._take_header),
            (pycurl.WRITEFUNCTION, self._take_content),
        ):
            curl.setopt(option, value)
        self._has_answered = self._is_interim = False
        self._taken = 0
        self.was_connected = False

    def run(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        curl = self._curl
        lines = [f"{name}: {value}" for name, value in headers.items()]
        curl.setopt(pycurl.HTTPHEADER, [*lines, "Expect:"])
        curl.setopt(pycurl.POSTFIELDS, body)
        cause = "the connection was closed within the answer"
        try:
            curl.perform()
        except pycurl.error as error:
            cause = cause_of(curl, *error.args)
        self.was_connected = curl.getinfo(pycurl.CONNECT_TIME) > 0
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        curl.close()
        # The status decides once it is there whole, however the rest of the answer goes.
        return _judged(status) if self._has_answered else Outcome(False, note=cause)

    def _take_header(self, line: bytes) -> None:
        # The line of the status of an interim answer (1xx) is followed by another.
        if line.startswith(b"HTTP/"):
            self._is_interim = line.partition(b" ")[2].startswith(b"1")
        self._has_answered |= line == b"\r\n" and not self._is_interim

    def _take_content(self, part: bytes) -> int:
        self._taken += len(part)
        return len(part) if self._taken <= MAX_ANSWER_BYTES else 0


def _judged(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(True, status)
    if 300 <= status < 400:
        return Outcome(False, status, "redirected, which is not followed")
    return Outcome(False, status, f"answered {status}")
