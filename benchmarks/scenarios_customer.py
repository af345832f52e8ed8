"""A customer writes: from what they say, three actions lead to their very event.

They give their e-mail address, the event id of the error page, or a few words of what they saw.
The page of the event must show the request, the breadcrumbs, whether Sentry has it, and what was
removed from it. Every customer met the same bug, so the right event is one among many.
"""

from __future__ import annotations

import random
import re
import tempfile
from html import unescape
from pathlib import Path
from urllib.parse import quote_plus

from benchmarks.envelopes import envelope_of, event_of
from benchmarks.scenarios_pages import Page, Person, serving_person
from tests.fake_sentry import FakeSentry
from tests.server_process import http, wait_for

CUSTOMERS, ACTIONS = 30, 3
INDEXED_WITHIN_S = 60


def play(seed: int) -> list[str]:
    """Run the scenario; return a line for each error."""
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        FakeSentry() as sentry,
        serving_person(Path(folder)) as (_, person),
    ):
        number = chance.randrange(2, 9000)
        body = {"name": f"Shop {number}", "id": number, "upstream_dsn": sentry.dsn(number)}
        made = person.api("/api/projects", "POST", body)
        address = f"{person.url}/api/{number}/envelope/?sentry_key={made['keys'][0]}"
        ids = {name: _report(address, name, chance) for name in _customers(chance)}
        who = chance.choice(list(ids))
        path = f"/api/issues?query={quote_plus(_mail(who))}&period=all"
        wait_for(lambda: bool(person.api(path)["issues"]), INDEXED_WITHIN_S)
        wait_for(lambda: set(ids.values()) <= set(sentry.event_ids()), INDEXED_WITHIN_S)
        wrong = []
        for said in (_mail(who), ids[who], f"payment timed out {who}"):
            wrong += _follow(person, said, ids[who])
        return wrong


def _customers(chance: random.Random) -> list[str]:
    return [f"person{number}" for number in chance.sample(range(1000, 9000), CUSTOMERS)]


def _mail(name: str) -> str:
    return f"{name}@customer.example"


def _report(address: str, name: str, chance: random.Random) -> str:
    event = event_of(1, chance.randrange(10**6))
    event["user"] = {"id": name, "email": _mail(name)}
    event["exception"]["values"][0]["value"] = f"The payment of {name} timed out"
    answer = http.request("POST", address, body=envelope_of(event), timeout=30)
    if answer.status != 200:
        raise RuntimeError(f"an event was answered with {answer.status}")
    return str(event["event_id"])


def _follow(person: Person, said: str, event_id: str) -> list[str]:
    """Search for what the customer says, and follow the first link until the event is there."""
    path, actions = f"/admin/search?query={quote_plus(said)}", 1
    page, path = person.follow(path)
    while event_id not in page.html or not _is_event(page):
        link = re.search(r'href="(/admin/issues/\d+\?[^"]*|/admin/issues/\d+)"', page.html)
        actions += 1
        if link is None or actions > ACTIONS:
            return [f"“{said}” does not lead to the event in {ACTIONS} actions, but to {path}"]
        page, path = person.follow(unescape(link[1]))
    print(f"  “{said[:40]}”: {actions} actions", flush=True)
    return [f"“{said}”: the page lacks {what}" for what in _missing(page)]


def _is_event(page: Page) -> bool:
    return "Breadcrumbs" in page.html


def _missing(page: Page) -> list[str]:
    wanted = {
        "the request": "/checkout",
        "the breadcrumbs": "SELECT id, price",
        "that Sentry has it": "elivered",
        "what was removed": "password",
    }
    return [what for what, text in wanted.items() if text not in page.html]
