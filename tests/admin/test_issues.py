"""The issue list and page: what they show, where they lead, and what their buttons do."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.admin.filters import percent
from app.admin.issues import MAX_COUNT, PAGE_SIZE
from app.admin.sparkline import sparkline
from app.issues import triage
from app.issues.tables import issues
from app.projects import projects
from app.search.indexing import catch_up
from app.store import utc_now
from tests.admin.hostile import insert, script_event
from tests.conftest import csrf_token, parts_of
from tests.questions import questions


def titles(page: str) -> list[str]:
    found = re.findall(r'class="target"[^>]*>(.*?)</a>', page)
    return [unescape(re.sub("<[^>]*>", "", title)) for title in found]


def tabs(page: str) -> dict[str, str]:
    start = page.index('aria-label="Status"')
    nav = page[start : page.index("</nav>", start)]
    return dict(re.findall(r'>(\w+) <span class="count">([^<]+)<', nav))


def post(client: FlaskClient, path: str, **data: Any) -> Any:
    """Send a form as the page would, and follow where it leads."""
    data["csrf_token"] = csrf_token(client, "/admin/")
    return client.post(path, data=data, follow_redirects=True)


def id_of(client: FlaskClient, title: str) -> int:
    found = client.get("/api/issues", query_string={"q": title}).json["issues"]
    return int(found[0]["id"])


def history(page: str) -> list[str]:
    rows = re.findall(r'<li data-kind="\w+"><b>([^<]+)</b>( by [^<]+?)? <', page)
    return [f"{kind}{actor}" for kind, actor in rows]


def fill(app: Flask, count: int, **fields: Any) -> None:
    row = {
        "project_id": 1, "culprit": "c", "type": "T", "level": "error", "times_seen": 1,
        "stored_event_count": 0, "users": 0, "first_seen": utc_now(), "last_seen": utc_now(),
    }  # fmt: skip
    rows = [{**row, "title": f"issue {n:04}", **fields} for n in range(count)]
    with parts_of(app).store.write() as conn:
        conn.execute(issues.insert(), rows)


# ---- the list -----------------------------------------------------------------------------------


def test_list_shows_what_one_chooses_by(admin_client: FlaskClient) -> None:
    sentry.set_user_context("u1")
    sentry.capture_message("one", level="warning")
    page = admin_client.get("/admin/issues").text
    row = page[page.index("<tbody>") : page.index("</tbody>")]
    for expected in (
        ">one<",
        "warning",
        "1 event in the range",
        "new in shop@1.2.3",
        "1 event · 1 user",
    ):
        assert expected in row, expected
    # Every issue of the tab is open.
    assert "unresolved" not in row
    assert row.count("<time ") == 2
    assert len(re.findall(r"M\d+ 18v-\d+", row)) == 29  # A week in steps of six hours.


def test_tabs_count_each_status_and_lead_to_it(admin_client: FlaskClient) -> None:
    for name in "abcd":
        sentry.capture_message(name)
    post(admin_client, "/admin/issues/change", action="resolve", ids=[id_of(admin_client, "a")])
    post(admin_client, "/admin/issues/change", action="ignore", ids=[id_of(admin_client, "b")])
    page = admin_client.get("/admin/issues").text
    assert tabs(page) == {"Open": "2", "Resolved": "1", "Ignored": "1", "All": "4"}
    assert titles(page) == ["d", "c"]
    assert titles(admin_client.get("/admin/issues?status=resolved").text) == ["a"]
    assert titles(admin_client.get("/admin/issues?status=all").text) == ["d", "c", "b", "a"]


def test_tabs_count_no_further_than_they_show(app: Flask, admin_client: FlaskClient) -> None:
    fill(app, MAX_COUNT + 5)
    assert tabs(admin_client.get("/admin/issues").text)["Open"] == "999+"


def test_filter_and_sorting_stand_in_every_address_of_the_page(
    app: Flask, admin_client: FlaskClient
) -> None:
    fill(app, PAGE_SIZE + 10, level="fatal")
    fill(app, 1, title="other", times_seen=7)
    page = admin_client.get(
        "/admin/issues?query=timesSeen:1+is:unassigned&sort=times_seen&period=all"
    ).text
    assert tabs(page)["Open"] == str(PAGE_SIZE + 10)
    status_tabs = page[page.index('aria-label="Status"') : page.index('class="query-line"')]
    assert status_tabs.count("sort=events") == 4
    assert status_tabs.count("query=timesSeen%3A1+is%3Aunassigned") == 4
    older = unescape(re.search(r'href="([^"]+)" rel="next"', page)[1])
    second = admin_client.get(older).text
    assert len(titles(second)) == 10 and "other" not in titles(second)
    assert not set(titles(second)) & set(titles(page))
    first = unescape(re.search(r'href="([^"]+)" rel="prev"', second)[1])
    assert titles(admin_client.get(first).text) == titles(page)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("last_seen", "acb"), ("first_seen", "cba"), ("times_seen", "abc"), ("users", "bac")],
)
def test_list_is_sorted_as_asked(
    app: Flask, admin_client: FlaskClient, sort: str, expected: str
) -> None:
    for name, users in [("a", 1), ("b", 3), ("a", 1), ("a", 1), ("a", 1), ("c", 0), ("a", 1)]:
        for user in range(1, users + 1) or (None,):
            insert(app, {"message": name, "user": {"id": user and f"u{user}"}})
    assert "".join(titles(admin_client.get(f"/admin/issues?sort={sort}").text)) == expected


def test_figures_and_order_are_those_of_the_range(app: Flask, admin_client: FlaskClient) -> None:
    for name, days in [("old", (20, 20, 20, 1)), ("new", (1, 1))]:
        for user, ago in enumerate(days):
            at = (utc_now() - timedelta(days=ago)).isoformat()
            insert(app, {"message": name, "timestamp": at, "user": {"id": f"u{user}"}})

    def shown(**given: str) -> list[tuple[str, str]]:
        page = admin_client.get("/admin/issues", query_string=given).text
        facts = re.findall(r'class="facts">(.*?) · (.*?) · ', page)
        return [(name, " · ".join(f)) for name, f in zip(titles(page), facts, strict=True)]

    week = [("new", "2 events · 2 users"), ("old", "1 event · 1 user")]
    month = [("old", "4 events · 4 users"), ("new", "2 events · 2 users")]
    for sort in ("events", "users", "times_seen"):
        assert shown(sort=sort, period="week") == week
        assert shown(sort=sort, period="month") == shown(sort=sort, period="all") == month
    assert shown(sort="trend", period="week") == week
    assert shown(sort="events") == week  # The range that was chosen last.
    start, end = ((utc_now() - timedelta(days=days)).isoformat() for days in (22, 18))
    assert shown(start=start, end=end) == [("old", "3 events · ~3 users")]
    # Both have the same hours and days, but no day says what happened long ago.
    fill(app, 1, title="ancient", times_seen=9)
    assert shown(period="quarter")[0] == ("ancient", "0 events · 0 users")
    assert shown(period="all")[0] == ("ancient", "9 events · 0 users")


def test_page_says_what_its_chart_and_figures_leave_out(admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    catch_up(parts_of(admin_client.application).store)
    words = "the query only chooses issues"
    assert "1 event; at most 1 in" in (page := admin_client.get("/admin/issues").text)
    assert words not in page
    for query, expected in [
        ("timesSeen:1", words),
        ("environment:testing", "The chart is of testing; the figures"),
        ("is:new", ""),
    ]:
        page = admin_client.get("/admin/issues", query_string={"query": query}).text
        assert titles(page) == ["one"] and expected in page
        assert (words in page) == (expected == words)


def test_projects_are_told_apart_once_there_are_two(app: Flask, admin_client: FlaskClient) -> None:
    fill(app, 1)
    assert "<b>Project</b>" not in admin_client.get("/admin/issues").text
    with parts_of(app).store.write() as conn:
        conn.execute(projects.insert().values(id=2, name="the shop", created_at=utc_now()))
    fill(app, 1, title="of the shop", project_id=2)
    page = admin_client.get("/admin/issues").text
    assert '<a href="/admin/issues?project=2">the shop</a>' in page
    assert '<span class="chip">the shop</span>' in page
    assert titles(admin_client.get("/admin/issues?project=2").text) == ["of the shop"]


def test_each_emptiness_of_the_list_says_something_else(
    app: Flask, admin_client: FlaskClient
) -> None:
    never = admin_client.get("/admin/issues").text
    fill(app, 1)
    for query, words in [
        ("status=ignored", "No issue is ignored."),
        ("query=nothing+level:fatal", "No issue that is open matches"),
        ("status=all&query=nothing", "No issue matches"),
        ("start=2001-01-01&end=2001-01-02", "No issue that is open was seen in this range."),
        ("before=2001-01-01T00:00:00%2B00:00~1", "There are no more issues."),
    ]:
        page = admin_client.get(f"/admin/issues?{query}").text
        assert words in page, query
        assert page.count('class="empty"') == 1 and titles(page) == []
    assert "No error has been recorded yet." in never and "/admin/test-error" in never
    with parts_of(app).store.write() as conn:
        triage.resolve(conn, [1], "ada")
    assert "No issue is open." in admin_client.get("/admin/issues").text


def test_wrong_parameters_are_named_and_left_out(app: Flask, admin_client: FlaskClient) -> None:
    fill(app, 1)
    query = "status=gone&sort=luck&project=x&before=nonsense&environment=%00"
    page = admin_client.get(f"/admin/issues?{query}")
    assert page.status_code == 200
    assert page.text.count("It was left out.") == 3


def test_parameters_of_older_addresses_become_terms(app: Flask, admin_client: FlaskClient) -> None:
    sentry.capture_message("paid twice", level="fatal")
    sentry.capture_message("paid once", level="error")
    catch_up(parts_of(app).store)
    page = admin_client.get("/admin/issues?q=paid+twice&level=fatal&assigned=nobody").text
    assert 'value="level:fatal assigned:nobody &#34;paid twice&#34;"' in page
    assert titles(page) == ["paid twice"]


def test_wrong_query_shows_where_it_is_wrong_and_no_issue(
    app: Flask, admin_client: FlaskClient
) -> None:
    fill(app, 1)
    page = admin_client.get("/admin/issues?query=issue+is:unresolve").text
    assert "<code>issue is:<mark>unresolve</mark></code>" in page
    assert "Did you mean is:unresolved?" in page and ">Clear</a>" in page
    assert titles(page) == [] and 'class="bulk"' not in page
    form = {"action": "resolve", "scope": "matching", "highest": "9", "query": "is:unresolve"}
    assert post(admin_client, "/admin/issues/change", **form).status_code == 400
    assert titles(admin_client.get("/admin/issues").text) == ["issue 0000"]


def test_key_with_a_typo_gets_a_hint(app: Flask, admin_client: FlaskClient) -> None:
    fill(app, 1)
    page = admin_client.get("/admin/issues?query=levl:error").text
    assert "Did you mean level?" in page


def test_states_in_the_query_choose_the_tab(admin_client: FlaskClient) -> None:
    for name in "ab":
        sentry.capture_message(name)
    post(admin_client, "/admin/issues/change", action="resolve", ids=[id_of(admin_client, "a")])
    page = admin_client.get("/admin/issues?query=is:resolved").text
    assert titles(page) == ["a"]
    assert re.search(r'class="here" aria-current="page">Resolved', page)
    page = admin_client.get("/admin/issues?query=is:[resolved,unresolved]").text
    assert titles(page) == ["b", "a"] and ">resolved</span>" in page


def test_issues_of_the_week_are_shown_and_older_ones_offered(
    app: Flask, admin_client: FlaskClient
) -> None:
    fill(app, 3, last_seen=utc_now() - timedelta(days=20))
    empty = admin_client.get("/admin/issues").text
    assert titles(empty) == []
    address = re.search(r'<a href="([^"]+)">Show all 3</a>', empty)[1]
    assert len(titles(admin_client.get(unescape(address)).text)) == 3
    fill(app, 1, title="new")
    page = admin_client.get("/admin/issues?period=week").text
    assert titles(page) == ["new"]
    assert 'Open <span class="count">4</span><span class="seen">, 1 seen this week' in page
    # The number of a search is that of the range, and the tab says so.
    found = admin_client.get("/admin/issues?period=week&query=lastSeen:-1h").text
    assert 'Open <span class="count">1</span><span class="seen">, seen this week' in found


def test_menu_writes_terms_into_the_query_and_takes_them_out(
    app: Flask, admin_client: FlaskClient
) -> None:
    sentry.capture_message("issue 0000", level="fatal")
    catch_up(parts_of(app).store)

    def link(path: str, label: str) -> str:
        page = admin_client.get(path).text
        return unescape(re.search(rf'<a href="([^"]+)"[^>]*>{label}</a>', page)[1])

    fatal = link("/admin/issues?query=issue+level:error", "fatal")
    assert fatal == "/admin/issues?period=week&query=issue+level%3Afatal"
    assert titles(admin_client.get(fatal).text) == ["issue 0000"]
    assert link(fatal, "fatal") == "/admin/issues?period=week&query=issue"
    mine = link("/admin/issues", "me")
    assert titles(admin_client.get(mine).text) == []


def test_row_counts_the_comments_of_its_issue(
    client: FlaskClient, admin_client: FlaskClient
) -> None:
    sentry.capture_message("one")
    for text in ("who saw it?", "I did"):
        client.post("/api/issues/1/comments", json={"text": text})
    assert "2 comments" in admin_client.get("/admin/issues").text


def test_issues_with_new_events_are_announced(admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    page = admin_client.get("/admin/issues").text
    address = unescape(re.search(r'data-poll-url="([^"]+)"', page)[1])
    assert " new</a>" not in admin_client.get(address).text
    sentry.capture_message("one")
    assert "1 new</a>" in admin_client.get(address).text


# ---- many at once -------------------------------------------------------------------------------


def test_chosen_issues_are_changed_and_the_list_comes_back_as_it_was(
    app: Flask, admin_client: FlaskClient
) -> None:
    for name in ("shop a", "shop b", "shop c"):
        sentry.capture_message(name)
    catch_up(parts_of(app).store)
    chosen = [id_of(admin_client, "shop a"), id_of(admin_client, "shop b")]
    answer = post(admin_client, "/admin/issues/change", action="resolve", ids=chosen, query="shop")
    assert answer.request.full_path.startswith("/admin/issues?query=shop&undo=")
    assert "Resolved 2 issues." in answer.text and titles(answer.text) == ["shop c"]
    page = admin_client.get(f"/admin/issues/{chosen[0]}?tab=history").text
    assert history(page) == ["Resolved by admin", "First seen"]
    again = post(admin_client, "/admin/issues/change", action="resolve", ids=chosen)
    assert "Resolved 0 issues." in again.text


def test_all_that_match_are_changed_on_every_page_but_what_came_later(
    app: Flask, admin_client: FlaskClient
) -> None:
    fill(app, PAGE_SIZE + 5)
    page = admin_client.get("/admin/issues?query=timesSeen:1").text
    highest = re.search(r'name="highest" value="(\d+)"', page)[1]
    fill(app, 1, title="issue late")
    answer = post(
        admin_client, "/admin/issues/change",
        action="ignore", scope="matching", highest=highest, query="timesSeen:1",
    )  # fmt: skip
    assert f"Ignored {PAGE_SIZE + 5} issues." in answer.text
    assert titles(answer.text) == ["issue late"]


def test_decision_about_issues_of_the_list_is_undone(app: Flask, admin_client: FlaskClient) -> None:
    for name in ("shop a", "shop b", "shop c"):
        sentry.capture_message(name)
    catch_up(parts_of(app).store)
    chosen = [id_of(admin_client, "shop a"), id_of(admin_client, "shop b")]
    for action, words in [
        ("resolve", "Resolved 2 issues."),
        ("ignore_worse", "Ignored 2 issues until it gets worse."),
        ("assign:admin", "Assigned 2 issues to admin."),
    ]:
        answer = post(admin_client, "/admin/issues/change", action=action, ids=chosen)
        assert words in answer.text
        # It is offered as long as the page is open, and after a reload.
        page = admin_client.get(answer.request.full_path).text
        token = re.search(r'name="token" value="([^"]+)"', page)[1]
        undone = post(admin_client, "/admin/issues/undo", token=token, query="shop")
        assert undone.request.full_path == "/admin/issues?query=shop"
        assert "Undone: 2 issues as before." in undone.text
        assert titles(undone.text) == ["shop c", "shop b", "shop a"]
        again = post(admin_client, "/admin/issues/undo", token=token)
        assert "This cannot be undone any more." in again.text
    page = admin_client.get(f"/admin/issues/{chosen[0]}?tab=history").text
    assert history(page)[:2] == ["Assigned by admin", "Assigned by admin"]
    assert (
        post(admin_client, "/admin/issues/change", action="assign:x", ids=chosen).status_code == 400
    )


def test_next_issue_gets_the_focus_after_a_decision(admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    form = {"csrf_token": csrf_token(admin_client, "/admin/"), "action": "resolve", "ids": "1"}
    for then, anchor in [("7", "#issue-7"), ("x", ""), ("", "")]:
        answer = admin_client.post("/admin/issues/change", data={**form, "then": then})
        assert answer.location.partition("#")[1:] == tuple(anchor.partition("#")[1:])


def test_nothing_chosen_changes_nothing_and_says_so(admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    for ids in ([], ["x", "-1", "9" * 30, "²"]):
        answer = post(admin_client, "/admin/issues/change", action="resolve", ids=ids)
        assert "No issue was chosen." in answer.text
    assert titles(admin_client.get("/admin/issues").text) == ["one"]


def test_unknown_action_is_refused(admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    number = id_of(admin_client, "one")
    assert post(admin_client, "/admin/issues/change", action="x", ids=[number]).status_code == 400
    assert post(admin_client, f"/admin/issues/{number}/status", action="x").status_code == 400
    assert post(admin_client, "/admin/issues/777/status", action="resolve").status_code == 404
    assert post(admin_client, "/admin/issues/777/comments", text="x").status_code == 404


def test_deleting_asks_first_and_then_removes(admin_client: FlaskClient) -> None:
    for name in ("one", "one", "two"):
        sentry.capture_message(name)
    number = id_of(admin_client, "one")
    asked = post(admin_client, "/admin/issues/change", action="delete", ids=[number, 777])
    assert "Delete 1 issue and 2 events?" in asked.text and "<li>one</li>" in asked.text
    assert len(titles(admin_client.get("/admin/issues").text)) == 2
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    assert fields["sure"] == "yes"
    gone = post(
        admin_client, "/admin/issues/change", action="delete", ids=[number], sure=fields["sure"]
    )
    assert "1 issue deleted." in gone.text and titles(gone.text) == ["two"]
    assert admin_client.get(f"/admin/issues/{number}").status_code == 404
    assert titles(admin_client.get("/admin/events").text) == ["two"]


@pytest.mark.parametrize("path", ["/admin/issues/change", "/admin/issues/1/status"])
def test_change_without_the_token_of_the_form_is_refused(
    admin_client: FlaskClient, path: str
) -> None:
    sentry.capture_message("one")
    answer = admin_client.post(path, data={"action": "resolve", "ids": ["1"]})
    assert answer.status_code == 400
    assert titles(admin_client.get("/admin/issues").text) == ["one"]


# ---- one issue ----------------------------------------------------------------------------------


def test_issue_page_shows_the_latest_event_and_walks_to_the_others(
    admin_client: FlaskClient,
) -> None:
    ids = [str(sentry.capture_message("same")) for _ in range(3)]
    path = f"/admin/issues/{id_of(admin_client, 'same')}"
    latest = admin_client.get(path).text
    assert "Latest event" in latest and "3 of 3" in latest
    assert f'href="/admin/events/{ids[2]}">Full event' in latest
    older = re.search(r'href="([^"]+)" rel="prev"', latest)[1]
    assert older == f"{path}?event={ids[1]}"
    chosen = admin_client.get(older).text
    assert "2 of 3" in chosen and f'href="/admin/events/{ids[1]}">Full event' in chosen
    assert f'href="{path}?event={ids[2]}" rel="next"' in chosen
    first = admin_client.get(re.search(r'href="([^"]+)">« ', chosen)[1]).text
    assert "1 of 3" in first and f'href="/admin/events/{ids[0]}">Full event' in first


def test_event_of_another_issue_is_not_shown_as_one_of_this(admin_client: FlaskClient) -> None:
    foreign, own = sentry.capture_message("another"), sentry.capture_message("this")
    page = admin_client.get(f"/admin/issues/{id_of(admin_client, 'this')}?event={foreign}").text
    assert f"/admin/events/{foreign}" not in page
    assert f'href="/admin/events/{own}">Full event' in page


def test_tags_are_shown_with_their_shares(app: Flask, admin_client: FlaskClient) -> None:
    for shop in ("books", "books", "books", "toys"):
        insert(app, {"message": "x", "tags": {"shop": shop}})
    page = admin_client.get(f"/admin/issues/{id_of(admin_client, 'x')}").text
    shown = re.findall(r'share-value" href="([^"]+)">([^<]+)</a><span class="share">([^<]+)<', page)
    assert ("/admin/issues?query=shop:books", "books", "75%") in shown
    assert ("/admin/issues?query=shop:toys", "toys", "25%") in shown


def test_page_says_why_its_events_are_one_issue(app: Flask, admin_client: FlaskClient) -> None:
    insert(app, {"message": "x", "fingerprint": ["checkout"]})
    page = admin_client.get(f"/admin/issues/{id_of(admin_client, 'x')}?tab=groups").text
    assert "Grouped by: fingerprint of the client" in page and "checkout" in page


def test_status_is_changed_from_the_page_and_stands_in_the_history(
    admin_client: FlaskClient,
) -> None:
    sentry.capture_message("one")
    path = f"/admin/issues/{id_of(admin_client, 'one')}"
    done = post(admin_client, f"{path}/status", action="resolve")
    assert done.request.path == path and "The issue is resolved." in done.text
    assert ">Reopen<" in done.text and ">Resolve<" not in done.text
    sentry.capture_message("one")
    assert 'data-state="regressed"' in admin_client.get(path).text
    page = admin_client.get(f"{path}?tab=history").text
    assert history(page) == ["Regressed", "Resolved by admin", "First seen"]


def test_comment_is_kept_as_text(admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    path = f"/admin/issues/{id_of(admin_client, 'one')}"
    page = post(admin_client, f"{path}/comments", text="<b>a</b>\r\n**b**").text
    assert "&lt;b&gt;a&lt;/b&gt;<br />\n<strong>b</strong>" in page
    post(admin_client, f"{path}/comments", text="  ")
    long = post(admin_client, f"{path}/comments", text="x" * 10_001).text
    page = admin_client.get(f"{path}?tab=history").text
    assert "it was not kept" in long
    assert history(page) == ["Comment by admin", "First seen"]


def test_long_history_goes_on_on_the_next_page(app: Flask, admin_client: FlaskClient) -> None:
    sentry.capture_message("one")
    number = id_of(admin_client, "one")
    with parts_of(app).store.write() as conn:
        for count in range(25):
            triage.comment(conn, number, f"comment {count}", "ada")
    first = admin_client.get(f"/admin/issues/{number}?tab=history").text
    assert "comment 24" in first and "comment 5<" in first and "comment 4<" not in first
    older = re.search(r'href="([^"]+)">Older history', first)[1]
    assert history(admin_client.get(unescape(older)).text)[-1] == "First seen"


def test_script_in_tags_comments_and_names_stays_text(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = insert(app, script_event())
    number = admin_client.get(f"/api/events/{event_id}").json["issue_id"]
    page = post(admin_client, f"/admin/issues/{number}/comments", text="<script>x</script>").text
    asked = post(admin_client, "/admin/issues/change", action="delete", ids=[number]).text
    searched = admin_client.get("/admin/issues", query_string={"q": "<script>x</script>"}).text
    for text in (page, asked, searched):
        assert "<script>" not in text and "<img" not in text and "<svg/" not in text


# ---- what it costs ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["unresolved", "all"])
def test_pages_ask_as_often_for_fifty_issues_as_for_one(
    app: Flask, admin_client: FlaskClient, status: str
) -> None:
    sentry.capture_message("one")
    path = f"/admin/issues?status={status}"
    issue = f"/admin/issues/{id_of(admin_client, 'one')}"
    with questions() as asked:

        def ask(path: str) -> int:
            asked.clear()
            assert admin_client.get(path).status_code == 200
            return len(asked)

        before = ask(path), ask(issue)
        fill(app, PAGE_SIZE * 2)
        for number in range(40):
            insert(app, {"message": "one", "tags": {f"k{number}": "v"}})
        assert (ask(path), ask(issue)) == before
    assert before[0] <= 12 and before[1] <= 16


@pytest.mark.parametrize(
    "query", ["", "timesSeen:>0", "level:error timesSeen:>0", "environment:testing", "nothing"]
)
def test_list_asks_few_questions(app: Flask, admin_client: FlaskClient, query: str) -> None:
    sentry.capture_message("one")
    parts_of(app).intake.flush()
    catch_up(parts_of(app).store)
    path = "/admin/issues?" + urlencode({"query": query})
    with questions() as asked:
        for _ in range(2):
            asked.clear()
            assert admin_client.get(path).status_code == 200
            assert 0 < len(asked) <= 12


@pytest.mark.parametrize(
    ("hours", "label", "tallest"),
    [
        ([0] * 24, "no events in 24 hours", 1),
        ([0] * 23 + [1], "1 event in 24 hours, at most 1 an hour", 18),
        ([1, 1000] + [0] * 22, "1,001 events in 24 hours, at most 1,000 an hour", 18),
    ],
)
def test_sparkline_says_what_it_shows(hours: list[int], label: str, tallest: int) -> None:
    line = sparkline(hours)
    heights = [int(height) for height in re.findall(r"v-(\d+)", line.path)]
    assert (line.label, len(heights), max(heights)) == (label, 24, tallest)
    assert all((height > 1) == bool(count) for height, count in zip(heights, hours, strict=True))


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.001, "<1%"), (0.374, "37%"), (1.0, "100%")]
)
def test_share_is_a_whole_percentage(share: float, text: str) -> None:
    assert percent(share) == text
