"""The order of the page of monitors: what fails stands above, however many monitors there are."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.monitors.tables import monitors
from tests.conftest import parts_of
from tests.monitors.steps import check_in, send

NAMES = [f"job-{number:02}" for number in range(60)]
FAILING = ["job-07", "job-58", "zero"]


def pages_of(client: FlaskClient) -> list[list[str]]:
    found, path = [], "/admin/monitors"
    while path:
        page = client.get(path).text
        found.append(re.findall(r'<b>([^<]+)</b></a><span class="culprit">', page))
        following = re.search(r'href="(/admin/monitors\?[^"]*after=\d+)"', page)
        path = following[1] if following else ""
    return found


def test_monitors_that_fail_come_first_then_all_others_by_name(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(app, check_in("zero", "error", environment="test"), check_in("zero"))
    failed = [check_in(name, "error") for name in FAILING]
    send(app, *map(check_in, reversed(NAMES)), check_in("paused", "error"), *failed)
    with parts_of(app).store.write() as conn:
        is_paused = monitors.c.slug == "paused"
        conn.execute(update(monitors).where(is_paused).values(paused=True, name="A pause"))
    others = [name for name in NAMES if name not in FAILING]
    first, second = pages_of(admin_client)
    assert first + second == [*FAILING, "A pause", *others]
