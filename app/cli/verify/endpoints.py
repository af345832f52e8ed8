"""Whether the application's own routes answer, and what must be closed is closed."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from app.cli.verify.checks import Run, Verdict, combined, failed, passed, within
from config import Config

ENDPOINTS_TIMEOUT_S = 10.0


class Probe(NamedTuple):
    """A request and the statuses that are right."""

    path: str
    expected: tuple[int, ...]
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.path} with a token" if self.headers else self.path


def endpoints_answer(run: Run) -> Verdict:
    """Ask the application's own routes, in this process, without a socket."""
    probes = _probes(run.config)
    # On a thread of its own a request has a context of its own, like one that comes from outside.
    statuses = within(ENDPOINTS_TIMEOUT_S, _statuses, run, probes)
    wrong = [
        failed(
            f"{probe} answers {status}, not {_or(probe.expected)}", _endpoint_mend(probe, status)
        )
        for probe, status in zip(probes, statuses, strict=True)
        if status not in probe.expected
    ]
    right = ", ".join(
        f"{probe} {status}{' (closed)' if status == 401 else ''}"
        for probe, status in zip(probes, statuses, strict=True)
        if status in probe.expected
    )
    return combined(passed(right), *wrong)


def _probes(config: Config) -> list[Probe]:
    # Where callers on this machine need no token, the name they call decides, see app.web.access.
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
    # The name that people use has to be one that is answered.
    if config.PUBLIC_URL:
        parts = urlsplit(config.PUBLIC_URL)
        return f"{parts.scheme}://{parts.netloc}"
    return (
        f"http://{config.ALLOWED_HOSTS[0].lstrip('.')}"
        if config.ALLOWED_HOSTS
        else "http://localhost"
    )


def _or(statuses: tuple[int, ...]) -> str:
    return " or ".join(map(str, statuses))


def _endpoint_mend(probe: Probe, status: int) -> str:
    if status == 400:
        return "put the host of PUBLIC_URL into ALLOWED_HOSTS"
    if status == 503:
        return "mend the store: see the check “store”"
    if status == 200:
        return "this route must be closed without a token: do not expose the service, report this"
    if status == 401:
        return "the token in API_TOKEN is not taken: see that the service was restarted with it"
    return "look into the log; the error is recorded as an event, too"
