"""The navigation and the header: every page is somewhere, and what the address says is kept."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.admin.navigation import GROUPS, PAGES, entry_of
from app.search.indexing import catch_up
from tests.admin.hostile import insert
from tests.admin.test_pages import record
from tests.conftest import parts_of
from tests.delivery.shop import add_project

pytestmark = pytest.mark.one_database
# Pages that stand for themselves, and answers that are no pages.
ALONE = {"login", "search", "suggestions", "news", "issue_news", "show_trail"} | {
    "show_first_event",
    "completions",
    "live_logs",
}
FILES = {"show_payload", "show_markdown", "download_attachment", "download_feedback_file"} | {
    *("show_picture", "export_logs")
}


def links_of(page: str) -> dict[str, str]:
    nav = re.search(r'<nav class="side".*?</nav>', page, re.DOTALL)
    assert nav
    found = re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', nav[0])
    return {label: unescape(address) for address, label in found}


def test_navigation_has_nine_entries_in_two_groups_and_a_foot(admin_client: FlaskClient) -> None:
    labels = [page.label for page in PAGES]
    assert list(links_of(admin_client.get("/admin/").text)) == labels
    assert [len(group) for group in GROUPS] == [5, 4, 4]
    assert labels[:5] == ["Start", "Issues", "Events", "Insights", "Alerts"]


def test_every_page_belongs_to_an_entry(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        name = rule.endpoint.removeprefix("admin.")
        if name != rule.endpoint and "GET" in (rule.methods or ()) and name not in ALONE | FILES:
            assert entry_of(rule.endpoint), rule.endpoint


@pytest.mark.parametrize(
    ("path", "entry", "tab"),
    [
        ("/admin/feedback", "Issues", "Feedback"),
        ("/admin/rules", "Issues", "Grouping rules"),
        ("/admin/metrics", "Insights", "Metrics"),
        ("/admin/alerts", "Alerts", "Sent"),
        ("/admin/alerts/rules", "Alerts", "Rules"),
        ("/docs", "API", None),
    ],
)
def test_page_is_marked_in_the_navigation_and_its_tabs(
    admin_client: FlaskClient, path: str, entry: str, tab: str | None
) -> None:
    page = admin_client.get(path).text
    here = re.findall(r'class="here" aria-current="page">([^<]+)<', page)
    assert here[:2] == [entry, tab] if tab else here[:1] == [entry]


def test_project_and_range_are_carried_to_pages_that_take_them(
    app: Flask, admin_client: FlaskClient
) -> None:
    add_project(app, 2, None)
    page = admin_client.get("/admin/issues?project=2&period=week&q=x&level=error").text
    links = links_of(page)
    assert links["Events"] == "/admin/events?project=2&period=week"
    assert links["Deliveries"] == "/admin/deliveries?project=2"
    assert links["Projects"] == "/admin/projects"
    assert '<summary class="top-menu" title="Project">shop 2</summary>' in page
    # Another project keeps the filter of the list.
    assert 'href="/admin/issues?period=week&amp;q=x&amp;level=error&amp;project=1"' in page


@pytest.mark.parametrize(
    "tab", ["performance", "releases", "metrics", "ai-calls", "losses", "costs"]
)
def test_insights_open_on_the_project_that_one_looked_at_last(
    app: Flask, admin_client: FlaskClient, tab: str
) -> None:
    add_project(app, 2, None)
    add_project(app, 3, None)
    insert(app, {"message": "newest"}, 3)

    def shown(path: str) -> str:
        page = admin_client.get(path).text
        return re.search(r'<summary class="top-menu" title="Project">([^<]+)<', page)[1]

    path = f"/admin/{tab}"
    assert shown(path) == "shop 3"  # Of a new session, the project of the newest event.
    admin_client.get("/admin/issues?project=2")
    assert shown(path) == "shop 2"
    admin_client.get("/admin/projects/1")
    assert shown(path) == "DevEnviro"
    admin_client.get("/admin/issues/1")
    page = admin_client.get(path).text
    assert links_of(page)["Issues"].startswith("/admin/issues?project=3")
    assert "All projects" not in page
    admin_client.get("/admin/events?project=99")
    assert shown(path) == "shop 3"  # There is no such project.


@pytest.mark.parametrize("project", ["0" * 12, "x", '"><b>', "-1", "²"])
def test_wrong_project_is_not_carried(admin_client: FlaskClient, project: str) -> None:
    page = admin_client.get("/admin/events", query_string={"project": project}).text
    assert links_of(page)["Issues"] == "/admin/issues"


def test_page_without_a_project_leads_to_the_issues_of_one(
    app: Flask, admin_client: FlaskClient
) -> None:
    add_project(app, 2, None)
    page = admin_client.get("/admin/status").text
    assert '<a href="/admin/issues?project=2">shop 2</a>' in page


def test_one_project_is_not_offered_to_choose(admin_client: FlaskClient) -> None:
    assert "All projects" not in admin_client.get("/admin/issues").text


# ---- the search box ------------------------------------------------------------------------------


def test_search_for_text_leads_to_the_issues_that_match(
    app: Flask, admin_client: FlaskClient
) -> None:
    sentry.capture_message("card declined")
    sentry.capture_message("out of stock")
    catch_up(parts_of(app).store)
    answer = admin_client.get("/admin/search?query=declined", follow_redirects=True)
    assert answer.request.path == "/admin/issues"
    assert "card declined" in answer.text and "out of stock" not in answer.text


def test_search_for_an_id_leads_straight_to_what_it_names(admin_client: FlaskClient) -> None:
    event_id = record()
    issue_id = admin_client.get(f"/api/events/{event_id}").json["issue_id"]
    for text in (str(issue_id), f"#{issue_id}"):
        answer = admin_client.get("/admin/search", query_string={"query": text})
        assert answer.location == f"/admin/issues/{issue_id}"
    for text in (event_id, event_id.upper(), f" {event_id[:8]}-{event_id[8:]} "):
        answer = admin_client.get("/admin/search", query_string={"query": text})
        assert answer.location.startswith("/admin/events/" + event_id)


@pytest.mark.parametrize("text", ["", "#", "999999", "9" * 40, "0" * 32, "²", "\x00", "%", "<b>"])
def test_any_other_text_is_searched_for(admin_client: FlaskClient, text: str) -> None:
    record()
    answer = admin_client.get("/admin/search", query_string={"query": text})
    assert answer.location.startswith("/admin/issues")
    assert admin_client.get(answer.location).status_code == 200
    assert admin_client.get("/admin/live/suggestions", query_string={"query": text}).json


def suggested(client: FlaskClient, text: str) -> list[tuple[str, str, str]]:
    answer = client.get("/admin/live/suggestions", query_string={"query": text})
    assert answer.status_code == 200
    return [(one["kind"], one["label"], one["url"]) for one in answer.json["suggestions"]]


def test_pages_projects_releases_and_ids_are_suggested(
    app: Flask, admin_client: FlaskClient
) -> None:
    add_project(app, 2, None)
    event_id = record("card declined")
    assert ("Page", "Deliveries", "/admin/deliveries") in suggested(admin_client, "deliv")
    assert suggested(admin_client, "SHOP 2") == [("Project", "shop 2", "/admin/issues?project=2")]
    [(kind, label, _)] = suggested(admin_client, "shop@1.2")
    assert (kind, label) == ("Release", "shop@1.2.3")
    [(kind, label, url)] = suggested(admin_client, event_id)
    assert kind == "Event" and label.endswith("ValueError: card declined")
    assert admin_client.get(url).status_code == 200
    assert suggested(admin_client, "no such thing") == []


def test_suggestions_are_few_whatever_there_is(app: Flask, admin_client: FlaskClient) -> None:
    for number in range(2, 30):
        add_project(app, number, None)
    assert len(suggested(admin_client, "s")) <= 10
    page = admin_client.get("/admin/issues").text
    assert page.count(">shop ") == 28
