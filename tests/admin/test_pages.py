"""Every page, empty and full: what it says, where it leads, and that it stands on its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import update

from app import sentry
from app.delivery.accounting import check
from app.error_tracker import ErrorTracker
from app.events.tables import envelopes, events
from app.search.indexing import catch_up
from app.store import StoreUnavailable, utc_now
from tests.admin.hostile import insert
from tests.alert_steps import evaluate
from tests.conftest import csrf_token, parts_of
from tests.delivery_steps import deliver, deliver_until
from tests.mini_sentry import MiniSentry
from tests.questions import questions

PAGES = [
    "/admin/",
    "/admin/events",
    "/admin/issues",
    "/admin/performance",
    "/admin/ai-calls",
    "/admin/losses",
    "/admin/costs",
    "/admin/metrics",
    "/admin/releases",
    "/admin/feedback",
    "/admin/memories",
    "/admin/projects",
    "/admin/projects/new",
    "/admin/projects/1",
    "/admin/projects/1/setup",
    "/admin/alerts",
    "/admin/alerts/channels",
    "/admin/monitors",
    "/admin/monitors/new",
    "/admin/alerts/rules",
    "/admin/alerts/rules/1",
    "/admin/alerts/rules/new?kind=frequency",
    "/admin/test-error",
    "/admin/status",
    "/docs",
]


# The questions that a page may ask the store.
QUESTIONS = 12


def record(message: str = "declined") -> str:
    try:
        raise ValueError(message)
    except ValueError as error:
        event_id = ErrorTracker().log_error(error)
    assert event_id
    return event_id


def set_state(app: Flask, state: str, reason: str | None = None) -> None:
    with parts_of(app).store.write() as conn:
        conn.execute(update(envelopes).values(state=state, reason=reason, settled_at=utc_now()))


def state_of(client: FlaskClient, event_id: str) -> str:
    state: str = client.get(f"/api/events/{event_id}").json["delivery"]["state"]
    return state


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("filled", [False, True])
def test_page_stands_with_and_without_events(
    admin_client: FlaskClient, path: str, filled: bool
) -> None:
    if filled:
        record()
    answer = admin_client.get(path)
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    # Nothing from elsewhere, nothing that the content security policy would stop.
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.text)


def test_start_page_without_events_asks_for_the_first_one(admin_client: FlaskClient) -> None:
    page = admin_client.get("/admin/").text
    assert "No error has been recorded yet" in page
    assert (
        page.count("btn-primary") == 1
        and "Send a test error" in page
        and "Set up your first" in page
    )


def test_start_page_says_that_all_is_recorded_and_shows_the_newest_events(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = record("the last one")
    check(parts_of(app).store, utc_now())
    page = admin_client.get("/admin/").text
    assert "Everything recorded here; no project is forwarded to Sentry." in page
    assert f'href="/admin/events/{event_id}">ValueError: the last one' in page
    assert "All accounted for" in page and "accepted" in page


def test_start_page_names_what_is_wrong(app: Flask, admin_client: FlaskClient) -> None:
    record()
    set_state(app, "parked")
    check(parts_of(app).store, utc_now())
    page = admin_client.get("/admin/").text
    assert "The accounting does not add up" in page and "Sentry refused 1 envelope" in page


def test_start_page_does_not_claim_that_sentry_works_before_it_has_answered(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, login: Callable[..., FlaskClient]
) -> None:
    mini_sentry.answer = lambda envelope: Response("{}", 503)
    app = make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_BACKOFF_MAX_S=0.1)
    client = login(app.test_client())
    event_id = record()
    deliver_until(app, lambda: state_of(client, event_id) == "retry")
    page = client.get("/admin/").text
    assert "1 of 1 project waits for Sentry" in page
    assert re.search(
        r">DevEnviro</a> \(503: Sentry is overloaded or down[^)]*, 1 envelope waits\)", page
    )
    mini_sentry.answer = None
    deliver(app)
    assert "Everything recorded; Sentry has all 1." in client.get("/admin/").text


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("delivered", None, "accepted by Sentry"),
        ("parked", "400 bad event", "Sentry refused it: 400 bad event."),
        ("discarded", "sample_rate", "deliberately not sent: sampled out"),
        ("expired", None, "too old to send"),
    ],
)
def test_event_says_where_it_is(
    app: Flask, admin_client: FlaskClient, state: str, reason: str | None, words: str
) -> None:
    event_id = record()
    set_state(app, state, reason)
    path = f"/admin/events/{event_id}"
    assert "data-poll=" in admin_client.get(path).text  # Alert rules look at it soon.
    evaluate(app)
    page = admin_client.get(path).text
    assert words in page
    assert "data-poll=" not in page


def test_event_on_its_way_is_followed(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, login: Callable[..., FlaskClient]
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    client = login(app.test_client())
    event_id = record()
    assert (
        f'data-poll-url="/admin/live/test-error/{event_id}"'
        in client.get("/admin/test-error?event=" + event_id).text
    )
    fragment = client.get(f"/admin/live/trail/{event_id}", headers={"X-Fragment": "1"}).text
    assert fragment.lstrip().startswith("<section") and "<html" not in fragment


def test_trail_of_an_event_that_is_not_stored_yet_is_followed(admin_client: FlaskClient) -> None:
    fragment = admin_client.get(f"/admin/live/trail/{'a' * 32}")
    assert fragment.status_code == 200
    assert "Not in the store yet" in fragment.text and "data-poll=" in fragment.text


# ---- the list -----------------------------------------------------------------------------------


def titles(page: str) -> list[str]:
    found = re.findall(r'class="target"[^>]*>(.*?)</a>', page)
    return [re.sub("<[^>]*>", "", title) for title in found]


def test_list_is_narrowed_by_what_stands_in_the_address(
    app: Flask, admin_client: FlaskClient
) -> None:
    record("one")
    sentry.capture_message("two", level="warning")
    catch_up(parts_of(app).store)
    assert titles(admin_client.get("/admin/events").text) == ["two", "ValueError: one"]
    for query, expected in [
        ("query=level:warning", ["two"]),
        ("level=warning", ["two"]),
        ("q=ONE", ["ValueError: one"]),
        ("query=one&level=error&assigned=me", ["ValueError: one"]),
        ("environment=testing&release=shop@1.2.3", ["two", "ValueError: one"]),
        ("period=hour", ["two", "ValueError: one"]),
        ("start=2001-01-01T00:00&end=2002-01-01", []),
        ("environment=elsewhere", []),
        ("q=%00%ff", []),
    ]:
        assert titles(admin_client.get(f"/admin/events?{query}").text) == expected, query


def test_wrong_filters_are_named_and_left_out(admin_client: FlaskClient) -> None:
    record()
    query = "project=0&period=ever&start=yesterday&end=0001-01-01T00:00%2B14:00&before=x&after=-1"
    page = admin_client.get(f"/admin/events?{query}")
    assert page.status_code == 200
    assert page.text.count("It was left out.") == 4
    assert len(titles(page.text)) == 1


def test_each_emptiness_says_something_else(app: Flask, admin_client: FlaskClient) -> None:
    never = admin_client.get("/admin/events").text
    record()
    with parts_of(app).store.write() as conn:
        conn.execute(update(events).values(timestamp=utc_now() - timedelta(days=3)))
    catch_up(parts_of(app).store)
    no_match = admin_client.get("/admin/events?q=nothing").text
    no_project = admin_client.get("/admin/events?project=7&period=all").text
    no_time = admin_client.get("/admin/events?period=hour").text
    past_end = admin_client.get("/admin/events?before=1").text
    assert "No event was ever received." in never and "/admin/test-error" in never
    assert "No event of this time matches <code>nothing</code>" in no_match
    assert "?period=all&amp;query=nothing" in no_match.replace(
        "query=nothing&amp;period=all", "period=all&amp;query=nothing"
    )
    assert "No event matches this project." in no_project and "Show all projects" in no_project
    assert "Nothing happened in this time." in no_time
    assert "There are no older events." in past_end


def test_pages_of_the_list_lead_to_each_other_and_back(admin_client: FlaskClient) -> None:
    for number in range(60):
        sentry.capture_message(f"event {number:02}")
    first = admin_client.get("/admin/events").text
    assert titles(first)[0] == "event 59" and len(titles(first)) == 50
    assert 'rel="prev"' not in first
    older = re.search(r'href="([^"]+)" rel="next"', first)
    second = admin_client.get(older[1]).text
    assert titles(second) == [f"event {number:02}" for number in range(9, -1, -1)]
    assert 'rel="next"' not in second
    newer = re.search(r'href="([^"]+)" rel="prev"', second)
    assert titles(admin_client.get(newer[1]).text) == titles(first)


def test_news_counts_what_came_since_and_keeps_the_filter(
    app: Flask, admin_client: FlaskClient
) -> None:
    record("old")
    catch_up(parts_of(app).store)
    page = admin_client.get("/admin/events?level=error").text
    url = re.search(r'id="news" data-poll="15" data-poll-url="([^"]+)"', page)[1].replace(
        "&amp;", "&"
    )
    assert "new event" not in admin_client.get(url).text
    record("new")
    sentry.capture_message("of another level")
    catch_up(parts_of(app).store)
    fragment = admin_client.get(url).text
    assert "1 new event – reload" in fragment and "query=level:error" in fragment


def test_search_for_an_event_id_opens_the_event(admin_client: FlaskClient) -> None:
    event_id = record()
    dashed = f"{event_id[:8]}-{event_id[8:12]}-{event_id[12:16]}-{event_id[16:20]}-{event_id[20:]}"
    for name in ("q", "query"):
        answer = admin_client.get(f"/admin/events?{name}={dashed.upper()}")
        assert answer.location == f"/admin/events/{event_id}"


def test_events_have_the_menu_of_terms_and_no_bar_of_filters(
    app: Flask, admin_client: FlaskClient
) -> None:
    sentry.capture_message("deadly", level="fatal")
    catch_up(parts_of(app).store)
    page = admin_client.get("/admin/events").text
    assert 'aria-label="Filter"' not in page
    address = unescape(re.search(r'<a href="([^"]+)">fatal</a>', page)[1])
    assert titles(admin_client.get(address).text) == ["deadly"]
    wrong = admin_client.get("/admin/events?query=is:new").text
    assert "/admin/issues?" in re.search(r'<a href="([^"]+)">Search the issues', wrong)[1]


# ---- one event ----------------------------------------------------------------------------------


def test_event_page_opens_with_type_value_place_and_source(admin_client: FlaskClient) -> None:
    event_id = record("card declined")
    page = admin_client.get(f"/admin/events/{event_id}").text
    head = page[page.index("<h1") : page.index("</header>", page.index("<h1"))]
    assert "ValueError" in head and "card declined" in head
    assert "record in" in head and "test_pages.py:" in head
    assert page.index("trail-") < page.index('class="frame"')
    assert '<span class="k">raise</span>' in page
    assert "Nothing was taken out." in page


def test_chained_exceptions_are_read_from_the_outermost(admin_client: FlaskClient) -> None:
    try:
        try:
            raise KeyError("price")
        except KeyError as error:
            raise ValueError("no price") from error
    except ValueError as error:
        event_id = ErrorTracker().log_error(error)
    page = admin_client.get(f"/admin/events/{event_id}").text
    stacks = page[page.index('id="stack-title"') :]
    assert stacks.index("no price") < stacks.index("caused by") < stacks.rindex(">KeyError<")


def test_events_of_an_issue_lead_to_each_other(admin_client: FlaskClient) -> None:
    first, second, third = (record() for _ in range(3))
    page = admin_client.get(f"/admin/events/{second}").text
    assert "event 2 of 3" in page and "‹ Issue #1" in page
    assert f'href="/admin/events/{first}" rel="prev"' in page
    assert f'href="/admin/events/{third}" rel="next"' in page
    assert "rel=" not in re.sub(r"<link[^>]*>", "", admin_client.get("/admin/issues").text)


def test_payload_and_markdown_are_plain_files(admin_client: FlaskClient) -> None:
    event_id = record("with `ticks` and # signs")
    raw = admin_client.get(f"/admin/events/{event_id}/raw")
    assert raw.mimetype == "application/json" and raw.json["event_id"] == event_id
    markdown = admin_client.get(f"/admin/events/{event_id}.md")
    assert markdown.mimetype == "text/markdown"
    assert markdown.text.startswith("# ValueError: with \\`ticks\\` and \\# signs")
    assert "Most recent call first:" in markdown.text


def test_markdown_has_neither_headers_nor_cookies_nor_more_than_its_caps(
    app: Flask, admin_client: FlaskClient
) -> None:
    frames = [{"function": f"call_{n}", "filename": "a.py", "lineno": n} for n in range(40)]
    crumbs = [{"message": f"crumb {n}", "category": "x"} for n in range(30)]
    event_id = insert(
        app,
        {
            "exception": [
                {"type": "E", "value": "```\n# not a heading", "stacktrace": {"frames": frames}}
            ],
            "breadcrumbs": crumbs,
            "request": {
                "method": "GET",
                "url": "http://example.org/",
                "headers": {"X-Internal": "internal-header"},
                "cookies": {"flavour": "chocolate"},
            },
        },
    )
    text = admin_client.get(f"/admin/events/{event_id}.md").text
    assert text.count("a.py:") == 16 and "a.py:39 in call_39" in text
    assert text.count("crumb ") == 10 and "crumb 29" in text
    assert "GET http://example.org/" in text
    assert "internal-header" not in text and "chocolate" not in text
    assert "````\n```\n# not a heading\n````" in text


@pytest.mark.parametrize("suffix", ["", "/raw", ".md"])
@pytest.mark.parametrize("event_id", ["0" * 32, "nonsense", "%00", "../../etc/passwd"])
def test_unknown_event_is_a_404_page(admin_client: FlaskClient, event_id: str, suffix: str) -> None:
    answer = admin_client.get(f"/admin/events/{event_id}{suffix}")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"


def test_unknown_issue_is_a_404_page(admin_client: FlaskClient) -> None:
    for number in ("7", str(2**63), "9" * 400):
        assert admin_client.get(f"/admin/issues/{number}").status_code == 404


# ---- issues, errors -----------------------------------------------------------------------------


def test_issue_shows_its_events_and_why_they_belong_together(admin_client: FlaskClient) -> None:
    record("same")
    record("same")
    listed = admin_client.get("/admin/issues").text
    assert titles(listed) == ["ValueError: same"]
    path = re.search(r'href="(/admin/issues/\d+)"', listed)[1]
    assert len(titles(admin_client.get(f"{path}?tab=events").text)) == 2
    page = admin_client.get(f"{path}?tab=groups").text
    assert "Grouped by" in page and "ValueError at" in page
    assert "No issue is resolved." in admin_client.get("/admin/issues?status=resolved").text


def test_store_that_is_down_is_a_503_page_that_asks_nothing_of_it(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(parts_of(app).store, "read", refuse)
    monkeypatch.setattr(parts_of(app).store, "write", refuse)
    answer = admin_client.get("/admin/events")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "emergency folder" in answer.text and "the disk is gone" not in answer.text


def test_error_page_is_for_everyone(client: FlaskClient) -> None:
    answer = client.get("/admin/nowhere")
    assert answer.status_code == 404
    assert "Not Found" in answer.text and "Log out" not in answer.text


def test_reference_shows_every_route_of_the_document(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json["paths"]:
        assert f"<code>{path}</code>" in page
    assert "Log out" not in page


def test_status_says_what_to_do_about_what_is_wrong(app: Flask, admin_client: FlaskClient) -> None:
    page = admin_client.get("/admin/status").text
    assert "Set SENTRY_DSN" in page
    folder = parts_of(app).config.emergency_dir
    folder.mkdir(parents=True)
    (folder / "waiting.envelope").write_text("{}")
    page = admin_client.get("/admin/status").text
    assert "1 event in the emergency folder." in page


def test_admin_pages_ask_a_bounded_number_of_times(app: Flask, admin_client: FlaskClient) -> None:
    for number in range(30):
        record(f"{number}")
    event_id = record()
    with questions() as asked:
        for path in [*PAGES, "/admin/deliveries", f"/admin/events/{event_id}"]:
            asked.clear()
            admin_client.get(path)
            assert len(asked) <= QUESTIONS, (path, asked)


def test_token_is_there_for_every_form(admin_client: FlaskClient) -> None:
    for path in PAGES:
        page = admin_client.get(path).text
        assert page.count('method="post"') == page.count('name="csrf_token"')
        assert csrf_token(admin_client, path)
