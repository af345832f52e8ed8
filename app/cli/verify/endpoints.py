"""The check "endpoints answer": the routes answer, and protected routes refuse access."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from app.cli.verify.checks import Run, within
from app.web.checks import Verdict, combined, failed, passed
from config import Config

ENDPOINTS_TIMEOUT_S = 10.0
# How to fix a status that is not the expected one.
MENDS = {
    200: "this route must be closed without a token: do not expose the service, report this",
    400: "put the host of PUBLIC_URL into ALLOWED_HOSTS",
    401: "the token in API_TOKEN is not taken: see that the service was restarted with it",
    503: "mend the store: see the check “store”",
}
OTHER_MEND = "look into the log; the error is recorded as an event, too"


class Probe(NamedTuple):
    """A request and its expected HTTP statuses."""

    path: str
    expected: tuple[int, ...]
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.path} with a token" if self.headers else self.path


def endpoints_answer(run: Run) -> Verdict:
    """Send requests to the routes of the application, in this process and without a socket."""
    probes = _probes(run.config)
    # On a separate thread, a request gets a new context, like a request from outside.
    statuses = within(ENDPOINTS_TIMEOUT_S, _statuses, run, probes)
    right, wrong = [], []
    for probe, status in zip(probes, statuses, strict=True):
        if status in probe.expected:
            right.append(f"{probe} {status}{' (closed)' if status == 401 else ''}")
        else:
            expected = " or ".join(map(str, probe.expected))
            detail = f"{probe} answers {status}, not {expected}"
            wrong.append(failed(detail, MENDS.get(status, OTHER_MEND)))
    return combined(passed(", ".join(right)), *wrong)


def _probes(config: Config) -> list[Probe]:
    # If clients on this machine need no token, the host name in the request decides; see
    # app.web.access.
    without_a_token = (200, 401) if config.trusts_loopback else (401,)
    probes = [
        Probe("/health/live", (200,), {}),
        Probe("/health/ready", (200,), {}),
        Probe("/admin/login", (200,), {}),
        Probe("/api/events", without_a_token, {}),
    ]
    if config.API_TOKEN:
        token = {"Authorization": f"Bearer {config.API_TOKEN}"}
        probes.append(Probe("/api/events", (200,), token))
    return probes


def _statuses(run: Run, probes: list[Probe]) -> list[int]:
    client, base_url = run.app.test_client(), _base_url(run.config)
    return [
        client.get(probe.path, headers=probe.headers, base_url=base_url, buffered=True).status_code
        for probe in probes
    ]


def _base_url(config: Config) -> str:
    # The host name that people use must be an allowed one.
    if config.PUBLIC_URL:
        parts = urlsplit(config.PUBLIC_URL)
        return f"{parts.scheme}://{parts.netloc}"
    return (
        f"http://{config.ALLOWED_HOSTS[0].lstrip('.')}"
        if config.ALLOWED_HOSTS
        else "http://localhost"
    )
