"""100,000 lines of sentry-sdk in a running service: each is found once, by pages and by level.

    the SDK in a process of its own ── gunicorn ── GET /api/logs, page by page

It checks more than it measures. The count is made from what the program was told to write.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.goals import Figure, run_alone
from benchmarks.service import TOKEN, Service, cpu_s
from tests.server_process import http, wait_for

LINES = 100_000
# Levels of the SDK, in turns, with those of this service.
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
PAGE = 1000
# The SDK drops lines if more than 1,000 wait; a program that writes without a pause is faster.
AT_ONCE = 500
PROGRAM = f"""
import sys, sentry_sdk
from sentry_sdk import logger
from sentry_sdk.transport import HttpTransport

class Watched(HttpTransport):
    def record_lost_event(self, reason, *args, **kwargs):
        sys.exit(f"a line was lost: {{reason}}")

sentry_sdk.init(sys.argv[1], transport=Watched, enable_logs=True, release="shop@1.0")
writes = [getattr(logger, level) for level in {list(LEVELS)}]
for number in range(int(sys.argv[2])):
    attributes = {{"order.id": number, "shop": f"s{{number % 50}}"}}
    writes[number % len(writes)](f"order {{number}} paid", attributes=attributes)
    if number % {AT_ONCE} == {AT_ONCE} - 1:
        sentry_sdk.flush(timeout=60)
sentry_sdk.flush(timeout=60)
"""


def measure(lines: int = LINES) -> Iterator[Figure]:
    """Send the lines and look for each.

    :raise AssertionError: a line is missing, or there is one that nobody wrote.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        service = Service(Path(folder))
        try:
            started = time.perf_counter()
            dsn = service.url.replace("://", f"://{service.url.rpartition('=')[2]}@")
            dsn = dsn.partition("/api/")[0] + f"/{service.project}"
            subprocess.run([sys.executable, "-c", PROGRAM, dsn, str(lines)], check=True)
            sent_s = time.perf_counter() - started
            wait_for(lambda: _is_there(service, lines - 1), timeout_s=600)
            read_s = time.perf_counter() - started
            used_s = cpu_s(service.server.workers())
            _assert_each_once(service, lines)
        finally:
            service.stop()
    yield Figure(
        f"lines that are found, each once, of {lines:,}", lines, lines, more_is_better=True
    )
    yield Figure("lines a second, sent and answered", lines / sent_s)
    yield Figure("seconds until all are found", read_s)
    yield Figure("CPU of a line in all processes of the service, us", used_s / lines * 1e6)


def _is_there(service: Service, number: int) -> bool:
    return bool(_listed(service, query=f"order.id:{number}"))


def _assert_each_once(service: Service, lines: int) -> None:
    names = list(LEVELS.values())
    by_level = {level: set[str]() for level in names}
    for number in range(lines):
        by_level[names[number % len(names)]].add(f"order {number} paid")
    wait_for(lambda: len(_listed(service)) == lines, timeout_s=600)
    found = Counter(_listed(service))
    assert max(found.values()) == 1 and set(found) == set().union(*by_level.values())
    for level, bodies in by_level.items():
        of_level = _listed(service, level=level)
        assert len(of_level) == len(bodies) and set(of_level) == bodies, level
    of_shop = _listed(service, query="shop:s7")
    assert sorted(of_shop) == sorted(f"order {number} paid" for number in range(7, lines, 50))


def _listed(service: Service, **values: str) -> list[str]:
    """Return the bodies of all lines of a list, page by page."""
    bodies: list[str] = []
    cursor = ""
    while True:
        query = {"project_id": service.project, "limit": PAGE, **values}
        path = f"{service.server.url}/api/logs?{urlencode(query)}"
        answer = http.request("GET", path + cursor, headers=TOKEN, timeout=60)
        assert answer.status == 200, answer.data
        page = answer.json()
        bodies += [line["body"] for line in page["logs"]]
        if page["next"] is None:
            return bodies
        cursor = f"&{urlencode({'cursor': page['next']})}"


if __name__ == "__main__":
    run_alone(__doc__, measure)
