"""One POST to a target: to a validated address, without redirects and with time limits.

The connection is made to the validated address, and curl does not resolve the name again. The name
is sent in ``Host``, and the certificate is verified against it. No proxy is used, because a proxy
would resolve the name itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import pycurl

from app.alerts.outcomes import Outcome
from app.alerts.targets import Target, TargetError, Targets, UnknownHost, parse
from app.delivery.client import authorities, cause_of, new_handle

# The limit for the whole exchange. It protects against an answer that arrives byte by byte.
DEADLINE_S = 20.0
# The body of an answer is not read any further and never shown: any server may have sent it.
MAX_ANSWER_BYTES = 4096
# How many addresses of one host are tried.
MAX_ADDRESSES = 3
USER_AGENT = "DevEnviro-Alerts/1"


class HttpSender:
    """Sends HTTP requests to targets.

    :param targets: decides which addresses are allowed.
    :param deadline_s: limit for one exchange, in seconds.
    """

    def __init__(self, targets: Targets, deadline_s: float = DEADLINE_S) -> None:
        self._targets = targets
        self._deadline_s = deadline_s

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Send a body if its target is allowed. Only 2xx is a success; a redirect is a failure."""
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
            # Connect to this address for any URL. Two parsers may find different hosts in one URL.
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
        # If all headers were received, the status decides. Errors in the body do not matter.
        return _judged(status) if self._has_answered else Outcome(False, note=cause)

    def _take_header(self, line: bytes) -> None:
        # Another status line follows after an interim answer (1xx).
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
