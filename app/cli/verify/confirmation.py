"""The check "confirmed": does Sentry show the exception that it accepted?

It asks as the background task does, at most once a second with it. Only a real Sentry can show that
its pipeline, the token and the organization are right.
"""

from __future__ import annotations

import time

from app.cli.verify.checks import Run
from app.confirmation import asking, client
from app.confirmation.answers import Verdict as Answered
from app.confirmation.answers import judge_event, judge_project
from app.confirmation.apis import Api, access_of
from app.delivery.policy import Failure
from app.projects import OWN_PROJECT_ID
from app.store import utc_now
from app.web.checks import Verdict, failed, passed, warned

WAIT_S = 120.0
POLL_S = 2.0
HOW = "set SENTRY_API_TOKEN (scope project:read), SENTRY_ORG and, if needed, SENTRY_API_URL"


def confirmed(run: Run) -> Verdict:
    """Wait until Sentry shows the captured exception, or return why that is not known."""
    with run.store.read() as conn:
        destination = run.destinations.find(conn, OWN_PROJECT_ID)
    api = access_of(destination, run.destinations)
    if isinstance(api, str):
        return warned(f"cannot ask: {api}", HOW)
    deadline, is_checked = time.monotonic() + WAIT_S, False
    while True:
        answer = _ask(run, api, api.event_path(run.exception_id), run.exception_id)
        if answer.meaning == "absent" and not is_checked:
            shown = _ask(run, api, api.project_path)
            is_checked = shown.meaning == "found"
            answer = answer if is_checked else shown
        if answer.meaning == "found":
            page = api.page_of(run.exception_id, answer.group_id or "", run.config.SENTRY_WEB_URL)
            where = f": {page}" if answer.group_id else ""
            return passed(f"Sentry shows event {run.exception_id}{where}")
        if answer.meaning in ("denied", "odd"):
            return failed(f"cannot ask: {answer.cause}", HOW)
        if time.monotonic() > deadline:
            return _too_late(run, answer)
        time.sleep(POLL_S)


def _ask(run: Run, api: Api, path: str, event_id: str | None = None) -> Answered:
    with run.store.write(durable=False) as conn:
        is_free = asking.take_right(conn, api.key, utc_now())
    if not is_free:
        time.sleep(asking.EVERY.total_seconds())
        return Answered("limited", "another process asks")
    [reply] = client.ask([client.Request(api, path)])
    reply = reply or Failure("no answer")
    if event_id is None:
        return judge_project(reply, api.project, utc_now())
    return judge_event(reply, event_id, utc_now())


def _too_late(run: Run, answer: Answered) -> Verdict:
    if answer.meaning != "absent":
        return warned(f"cannot ask: {answer.cause}", HOW)
    return failed(
        f"accepted, and after {WAIT_S:.0f} s not shown: event {run.exception_id}",
        "see whether Sentry's workers and its queue run, and its inbound filters and quotas",
    )
