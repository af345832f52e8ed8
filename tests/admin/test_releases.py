"""The releases pages: what they show, where they lead, and what they say of nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.admin.filters import crash_free, points
from app.insights.releases import announce
from app.issues import triage
from app.projects import create_project
from app.store import utc_now
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.insights.visits import envelope, group

SHOP = 7
CRASH_FREE = (
    "Crash-free are sessions that did not end in a crash: an unhandled error that ended nothing"
    " (Sentry’s status <code>unhandled</code>) counts as an error, not as a crash."
)
ODD = "../shop/web@2+<b>"


def happen(app: Flask, bug: str, release: str, user: str = "ada") -> None:
    insert(app, {"message": bug, "release": release, "user": {"id": user}}, SHOP)


@pytest.fixture
def shop(app: Flask) -> Flask:
    store = parts_of(app).store
    create_project(store, "Shop", SHOP, "a" * 32)
    happen(app, "old bug", "shop@1")
    with store.write() as conn:
        triage.resolve(conn, [1], "ada")
    happen(app, "new bug", ODD)
    happen(app, "old bug", ODD, "bob")
    with store.write() as conn:
        announce(conn, SHOP, "shop@3", "ci", utc_now())
    return app


def test_list_and_page_show_what_a_release_brought(shop: Flask, admin_client: FlaskClient) -> None:
    # A thousand sessions of each; of one, a hundred with a user, three of whom met a crash.
    ended = [group(ODD, did=f"u{n}", **{"crashed" if n < 3 else "exited": 1}) for n in range(100)]
    ended.append(group(ODD, exited=891, errored=7, abnormal=1, crashed=1))
    ended.append(group("shop@1", exited=999, crashed=1))
    with time_machine.travel(utc_now() - timedelta(hours=3)):
        parts_of(shop).intake.accept(envelope(*ended), project_id=SHOP, timeout_s=10)
    page = admin_client.get(f"/admin/releases?project={SHOP}").text
    assert page.index("shop@3") < page.index("shop/web@2") < page.index("shop@1")
    assert "announced, not seen yet" in page and "no sessions" in page
    assert "99.60%" in page and "\N{MINUS SIGN}0.30" in page and "50%" in page
    assert CRASH_FREE in page
    hour = admin_client.get(f"/admin/releases?project={SHOP}&period=hour").text
    assert "99.60%" not in hour and hour.count("no sessions") == 3
    query = {"project": SHOP, "version": ODD, "period": "day"}
    answer = admin_client.get("/admin/releases", query_string=query, follow_redirects=True)
    assert answer.request.path.startswith("/admin/releases/")
    one = answer.text
    assert "<b>" not in one.partition("<h1")[2].partition("</h1>")[0]
    assert "New issues <span" in one and "Regressed issues <span" in one
    assert one.index("new bug") < one.index("old bug")
    assert "99.60%" in one and "97.00%" in one and "shop@1" in one
    assert CRASH_FREE in one
    assert "Users of each of 30 days; at most 2" in one


def test_page_of_a_release_that_brought_nothing_says_so(
    shop: Flask, admin_client: FlaskClient
) -> None:
    query = {"project": SHOP, "version": "shop@3"}
    page = admin_client.get("/admin/releases", query_string=query, follow_redirects=True).text
    assert "It brought no issue" in page and "No session of it was reported" in page
    assert "announced" in page and "by ci" in page


def test_issue_page_draws_its_users_and_leads_to_its_releases(
    shop: Flask, admin_client: FlaskClient
) -> None:
    assert (
        "Users of each of 30 days; at most 2" in admin_client.get("/admin/issues/1?tab=events").text
    )
    page = admin_client.get("/admin/issues/1").text
    assert f"/admin/releases?project={SHOP}&amp;version=shop@1" in page


def test_what_is_not_there_is_said_in_words(app: Flask, admin_client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Shop", SHOP)
    page = admin_client.get(f"/admin/releases?project={SHOP}").text
    assert "No release of this project is known" in page
    page = admin_client.get("/admin/releases?project=x&environment=none&version=gone").text
    assert "There is no project" in page and "nothing is kept" in page
    assert admin_client.get("/admin/releases?project=99999").status_code == 200
    assert admin_client.get("/admin/releases/77").status_code == 404
    assert admin_client.get(f"/admin/releases/{10**30}").status_code == 404


def test_only_all_is_a_hundred_percent_and_no_change_has_no_sign() -> None:
    assert (crash_free(1.0), crash_free(0.999999)) == ("100.00%", "99.99%")
    assert (points(0.0031), points(-0.2), points(-0.000001)) == (
        "+0.31", "\N{MINUS SIGN}20.00", "±0.00",
    )  # fmt: skip
