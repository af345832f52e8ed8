"""A bad deploy: 14 new issues, one that is back, and one error 3,000 times in a minute.

    1. an error of an old release is resolved
    2. the new release brings the errors, in three projects
    3. each of two webhooks hears of all 15 issues, under the right project, in few messages
    4. a link of a message leads to the failing line with its variables
    5. a user assigns an issue and ignores it until 50 users; another user sees both
    6. 49 more users bring no message; the next brings one message and one row of the history

Names and numbers are drawn anew each time; everything is counted by the sender of the events.
"""

from __future__ import annotations

import logging
import random
import re
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from benchmarks.envelopes import envelope_of, event_of
from benchmarks.scenarios_pages import Person, another_person, serving_person
from tests.receivers import Receiver
from tests.server_process import http, wait_for

PROJECTS, NEW_ISSUES, FLOOD = 3, 14, 3000
HEARD_WITHIN_S, SEEN_WITHIN_S = 90, 15
MESSAGES_A_PROJECT = 2
USERS = 50
EVALUATE_EVERY_S = 30
SECOND = "second"


@dataclass
class Deploy:
    """The run: the projects with their ingest addresses, and what each sink must hear."""

    person: Person
    sinks: list[Receiver]
    paths: dict[str, str] = field(default_factory=dict)
    expected: dict[str, set[str]] = field(default_factory=dict)

    def send(self, project: str, bug: int, release: str, user: str = "c-1") -> None:
        """Send an event of a bug.

        :raise RuntimeError: it is not answered with 200.
        """
        event = event_of(bug, 1) | {"release": release, "user": {"id": user}}
        event["exception"]["values"][0]["stacktrace"]["frames"][-1]["vars"] = {"order_id": bug}
        address = self.person.url + self.paths[project]
        answer = http.request("POST", address, body=envelope_of(event), timeout=30)
        if answer.status != 200:
            raise RuntimeError(f"an event of {project} was answered with {answer.status}")

    def heard(self, sink: Receiver) -> dict[str, Counter[str]]:
        """Return how often a sink heard of each type of error, by project."""
        found: dict[str, Counter[str]] = {}
        for message in messages(sink):
            types = Counter(issue["type"] for issue in message["issues"])
            found.setdefault(message["project"]["name"], Counter()).update(types)
        return found


def messages(sink: Receiver) -> list[dict[str, Any]]:
    """Return the messages about issues that a sink received."""
    return [one.json for one in sink.received if one.json.get("issues")]


def play(seed: int) -> list[str]:
    """Run the scenario; return a line for each error."""
    chance = random.Random(seed)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # A line for each message.
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Receiver() as first,
        Receiver() as second,
        serving_person(
            Path(folder),
            ALERTS_ALLOW_PRIVATE_TARGETS="on",
            ALERTS_EVALUATE_EVERY_S=str(EVALUATE_EVERY_S),
            DEFAULT_EVENTS_PER_MINUTE="0",
        ) as (server, person),
    ):
        run = Deploy(person, [first, second])
        _set_up(run, chance)
        other = another_person(server, person, SECOND)
        project, bug = _deploy(run, chance)
        wrong = [*_check_messages(run), *_check_link(run)]
        return wrong + _check_decision(run, other, project, bug)


def _set_up(run: Deploy, chance: random.Random) -> None:
    for number, sink in enumerate(run.sinks):
        body = {"kind": "webhook", "name": f"sink {number}", "url": sink.url}
        run.person.api("/api/alerts/channels", "POST", body)
    for number in chance.sample(range(1000, 9000), PROJECTS):
        name = f"Project {number}"
        made = run.person.api("/api/projects", "POST", {"name": name})
        run.paths[name] = f"/api/{made['id']}/envelope/?sentry_key={made['keys'][0]}"
        run.expected[name] = set()


def _deploy(run: Deploy, chance: random.Random) -> tuple[str, int]:
    """Send everything; return the project and the bug of the flood."""
    names, bugs = list(run.paths), chance.sample(range(1000, 9000), NEW_ISSUES + 1)
    back, *new = bugs
    run.send(names[0], back, "shop@1.0.0")
    (issue,) = run.person.api("/api/issues?status=unresolved")["issues"]
    # What was heard of the old release is no part of the deploy.
    wait_for(lambda: all(messages(sink) for sink in run.sinks), HEARD_WITHIN_S)
    run.person.api(f"/api/issues/{issue['id']}", "PATCH", {"status": "resolved"})
    for sink in run.sinks:
        sink.received.clear()
    run.send(names[0], back, "shop@2.0.0")
    run.expected[names[0]].add(_type(back))
    for place, bug in enumerate(new):
        run.send(names[place % PROJECTS], bug, "shop@2.0.0")
        run.expected[names[place % PROJECTS]].add(_type(bug))
    flooding = names[(len(new) - 1) % PROJECTS]
    with ThreadPoolExecutor(8) as callers:
        began = time.monotonic()
        list(callers.map(lambda _: run.send(flooding, new[-1], "shop@2.0.0"), range(FLOOD)))
        print(f"  {FLOOD} times one error in {time.monotonic() - began:.0f} s", flush=True)
    return flooding, new[-1]


def _type(bug: int) -> str:
    return str(event_of(bug, 1)["exception"]["values"][0]["type"])


def _check_messages(run: Deploy) -> list[str]:
    began = time.monotonic()

    def is_complete() -> bool:
        return all(
            {name: set(found) for name, found in run.heard(sink).items()} == run.expected
            for sink in run.sinks
        )

    try:
        wait_for(is_complete, HEARD_WITHIN_S)
        print(f"  both sinks heard of all after {time.monotonic() - began:.0f} s", flush=True)
    except AssertionError:
        heard = [f"after {HEARD_WITHIN_S} s a sink heard {run.heard(sink)}" for sink in run.sinks]
        return [*heard, f"it should have heard {run.expected}"]
    counts = [Counter(one["project"]["name"] for one in messages(sink)) for sink in run.sinks]
    return [
        f"{count} messages of {name}, {MESSAGES_A_PROJECT} are allowed"
        for found in counts
        for name, count in found.items()
        if count > MESSAGES_A_PROJECT
    ]


def _check_link(run: Deploy) -> list[str]:
    issue = messages(run.sinks[0])[0]["issues"][0]
    page = run.person.page(issue["url"].removeprefix(run.person.url))
    raising = event_of(0, 1)["exception"]["values"][0]["stacktrace"]["frames"][-1]
    text = unescape(re.sub("<[^>]*>", "", page.html))
    shows = raising["context_line"].strip() in text and "order_id" in text
    return [] if shows else ["the link of a message does not lead to the line and its variables"]


def _check_decision(run: Deploy, other: Person, project: str, bug: int) -> list[str]:
    """Assign and ignore the flooding issue until more users, and bring them."""
    found = run.person.api("/api/issues?sort=times_seen")["issues"][0]
    path = f"/api/issues/{found['id']}"
    run.person.api(path, "PATCH", {"assigned_to": SECOND})
    until = {"status": "ignored", "ignore_until": {"users": USERS}}
    run.person.api(path, "PATCH", until)

    def is_seen() -> bool:
        page = other.page("/admin/issues?status=ignored&period=all").html
        return SECOND in page and "until" in page

    wait_for(is_seen, SEEN_WITHIN_S)
    before = [len(messages(sink)) for sink in run.sinks]
    for number in range(USERS - 1):
        run.send(project, bug, "shop@2.0.0", f"new-{number}")
    time.sleep(1.5 * EVALUATE_EVERY_S)  # That nothing comes has no other sign.
    wrong = [] if _counts(run) == before else [f"a message after {USERS - 1} users"]
    run.send(project, bug, "shop@2.0.0", "new-last")
    wait_for(lambda: all(map(int.__gt__, _counts(run), before)), HEARD_WITHIN_S)
    time.sleep(1.2 * EVALUATE_EVERY_S)
    more = [now - then for now, then in zip(_counts(run), before, strict=True)]
    history = run.person.api(f"{path}/transitions")["transitions"]
    ended = [row for row in history if row["kind"] == "unignored"]
    wrong += [] if set(more) == {1} else [f"{more} messages after {USERS} users"]
    return wrong + ([] if len(ended) == 1 else [f"{len(ended)} rows of the history"])


def _counts(run: Deploy) -> list[int]:
    return [len(messages(sink)) for sink in run.sinks]
