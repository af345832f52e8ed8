"""The page of a trace: a waterfall of two programs, with the error where it happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import urlencode

import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient

from app.projects import create_project
from app.protocol.envelope import Item
from tests.conftest import parts_of
from tests.questions import questions
from tests.traces.steps import (
    BEGAN,
    TRACE,
    program,
    send,
    settle,
    span,
    span_id,
    stream,
    streamed,
    transaction,
)

pytestmark = pytest.mark.one_database
SHOP, STOCK = 2, 3


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()
    for number, name in ((SHOP, "Shop front"), (STOCK, "Stock")):
        create_project(parts_of(app).store, name, number, str(number) * 32)
    return app


def text_of(html: str) -> str:
    """Return the text of a piece of HTML, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def rows_of(page: str) -> list[str]:
    """Return the texts of the rows of the waterfall."""
    found = re.findall(r'<div class="span[^"]*">.*?</div>', page, re.DOTALL)
    return [text_of(row) for row in found]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_waterfall_of_two_programs_has_the_error_at_its_span(
    app: Flask, admin_client: FlaskClient
) -> None:
    with program(app, SHOP), sentry_sdk.start_transaction(op="task", name="cart") as root:
        for number in range(4):
            sentry_sdk.start_span(op="db", name=f"SELECT {number}").finish()
        with sentry_sdk.start_span(op="http.client", name="POST /reserve"):
            headers = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
            with program(app, STOCK):
                going_on = sentry_sdk.continue_trace(headers, op="http.server", name="reserve")
                with sentry_sdk.start_transaction(going_on) as there:
                    there.set_status("internal_error")
                    event_id = sentry_sdk.capture_message("<b>no stock</b>", level="error")
    settle(app)
    page = admin_client.get(f"/admin/traces/{root.trace_id}").text
    rows = rows_of(page)
    assert len(rows) == 8
    assert rows[0].startswith("Shop front ◆ slowest path task cart")
    assert any(row.startswith("db SELECT ? × 4") for row in rows)
    (row,) = [row for row in rows if "http.server reserve" in row]
    assert row.startswith("Stock") and "internal_error" in row and "▲ <b>no stock</b>" in row
    assert "<b>no stock" not in page
    assert f'class="error" href="/admin/events/{event_id}"' in page
    event = admin_client.get(f"/admin/events/{event_id}").text
    assert f'href="/admin/traces/{root.trace_id}"' in event
    assert "Services 2" in text_of(page) and "Errors 1" in text_of(page)


def test_services_beyond_those_of_the_table_are_in_the_figures(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.trace.MAX_SERVICES", 1)
    send(app, transaction(1, [], ms=10), project_id=SHOP)
    send(app, transaction(2, [], parent=1, start=2, ms=3), project_id=STOCK)
    settle(app)
    page = text_of(admin_client.get(f"/admin/traces/{TRACE}").text)
    assert "Services 2" in page and "and 1 more service, with 1 span and 3.00 ms self time" in page


def test_page_of_a_span_shows_it_with_its_data_and_what_is_below(
    app: Flask, admin_client: FlaskClient
) -> None:
    data = {"db.system": "postgresql", "rows": 7}
    inside = [span(2, 1, op="db", description="SELECT\n1", data=data), span(3, 2), span(4, 1)]
    send(app, transaction(1, inside), project_id=SHOP)
    settle(app)
    page = admin_client.get(f"/admin/traces/{TRACE}?span={span_id(2)}").text
    assert len(rows_of(page)) == 2
    assert "postgresql" in page and "SELECT\n1" in page
    assert f'href="?span={span_id(1)}"' in page
    assert admin_client.get(f"/admin/traces/{TRACE}?span={span_id(9)}").status_code == 404
    assert admin_client.get(f"/admin/traces/{'a' * 32}").status_code == 404


def test_what_is_odd_is_said_and_harms_nothing(app: Flask, admin_client: FlaskClient) -> None:
    evil = "<script>alert(1)</script>\u202e" + "y" * 5000
    inside = [
        span(2, 1, 500, 10, op=evil, description=evil),
        span(3, 77, description=evil),
        span(4, 1) | {"timestamp": "soon", "span_id": "<i>"},
    ]
    send(app, transaction(1, inside, name=evil, trace={"status": evil}), project_id=SHOP)
    send(app, stream([streamed(5, 6), streamed(6, 5), streamed(6, 5)]), project_id=STOCK)
    settle(app)
    page = admin_client.get(f"/admin/traces/{TRACE}").text
    assert "<script>alert" not in page and "\u202e" not in page and "<i>&" not in page
    for words in (
        "1 span has a parent",
        "form 1 circle",
        "1 span runs outside",
        "1 span has no plausible time",
        "1 span is left out",
    ):
        assert words in page
    assert len(page) < 30_000
    assert (
        admin_client.get(f"/admin/traces/{TRACE}?after=9999999&span=x&alike=1").status_code == 200
    )
    assert rows_of(admin_client.get(f"/admin/traces/{TRACE}?after=999999").text) == []


def test_trace_larger_than_its_bounds_is_cut_and_says_so(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.traces.reading.MAX_SPANS", 50)
    monkeypatch.setattr("app.traces.reading.MAX_ENVELOPES", 30)
    for number in range(1, 32):
        send(app, stream([streamed(number, None), streamed(100 + number, number)]))
    settle(app)
    with questions() as asked:
        page = admin_client.get(f"/admin/traces/{TRACE}").text
    assert len(asked) <= 12
    assert "50 spans of it are shown" in page
    monkeypatch.setattr("app.traces.reading.MAX_SPANS", 1000)
    assert "60 spans of it are shown" in admin_client.get(f"/admin/traces/{TRACE}").text


def test_page_says_how_many_spans_have_a_time_that_does_not_fit(
    app: Flask, admin_client: FlaskClient
) -> None:
    wrong = {"start_timestamp": 253402300799.98, "timestamp": 253402300799.99}
    inside = [span(2, 1) | wrong, span(3, 1, description="right")]
    send(app, transaction(1, inside))
    settle(app)
    page = text_of(admin_client.get(f"/admin/traces/{TRACE}").text)
    assert "Duration 100 ms" in page and "1 span has a time that does not fit" in page
    assert "outside of" not in page
    alone = text_of(admin_client.get(f"/admin/traces/{TRACE}?span={span_id(2)}").text)
    assert "Of this part unknown" in alone and "Began" in alone


@pytest.mark.parametrize("bound", ["MAX_BYTES", "MAX_EVENT_BYTES"])
def test_page_says_which_errors_are_too_large_to_stand_at_their_spans(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    send(app, transaction(1, []))
    event = {"message": "large", "contexts": {"trace": {"trace_id": TRACE, "span_id": span_id(1)}}}
    send(app, Item({"type": "event"}, event), event_id="d" * 32)
    settle(app)
    assert "▲ large" in admin_client.get(f"/admin/traces/{TRACE}").text
    monkeypatch.setattr(f"app.traces.reading.{bound}", 50)
    page = admin_client.get(f"/admin/traces/{TRACE}").text
    assert "▲ large" not in page and "large</a>" in page
    assert "1 error stands in the list only" in page


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_logs_are_at_their_spans(app: Flask, admin_client: FlaskClient) -> None:
    send(app, transaction(1, [span(2, 1, description="load")]), project_id=SHOP)
    of = {2: ["first line", "second line"], 1: ["of the request"], 77: ["of no stored span"]}
    lines = [
        {
            "trace_id": TRACE,
            "span_id": span_id(n),
            "timestamp": BEGAN,
            "level": "info",
            "body": body,
        }
        for n, bodies in of.items()
        for body in bodies
    ]
    send(app, Item({"type": "log"}, {"items": lines}), project_id=SHOP)
    settle(app)
    page = admin_client.get(f"/admin/traces/{TRACE}").text
    assert [row.rpartition(" log line")[0][-1:] for row in rows_of(page)] == ["1", "2"]
    assert "Log lines 4" in text_of(page)
    assert "first line" not in page
    page = admin_client.get(f"/admin/traces/{TRACE}?span={span_id(2)}").text
    assert page.index("second line") < page.index("first line")
    assert "of the request" not in page


def test_search_box_leads_to_a_trace_by_its_id(app: Flask, admin_client: FlaskClient) -> None:
    send(app, transaction(1, []), project_id=SHOP)
    settle(app)
    answer = admin_client.get(f"/admin/search?query={TRACE}")
    assert answer.location == f"/admin/traces/{TRACE}"


def test_error_without_stored_spans_is_shown(app: Flask, admin_client: FlaskClient) -> None:
    event = {"message": "alone", "contexts": {"trace": {"trace_id": TRACE, "span_id": span_id(1)}}}
    send(app, Item({"type": "event"}, event), event_id="d" * 32)
    settle(app)
    page = admin_client.get(f"/admin/traces/{TRACE}").text
    assert "No span of this trace is stored" in page and "alone" in page


def test_samples_of_a_transaction_lead_to_their_traces(
    app: Flask, admin_client: FlaskClient
) -> None:
    with program(app, SHOP):
        ids = []
        for status in ("ok", "aborted", "ok"):
            with sentry_sdk.start_transaction(op="task", name="cart") as one:
                one.set_status(status)
            ids.append(one.trace_id)
    settle(app)

    def listed(samples: str) -> list[str]:
        query = urlencode({"project": SHOP, "transaction": "cart", "samples": samples})
        with questions() as asked:
            page = admin_client.get(f"/admin/performance?{query}").text
        assert len(asked) <= 12
        return re.findall(r'href="/admin/traces/(\w+)"', page)

    assert listed("newest") == ids[::-1]
    assert listed("failing") == [ids[1]]
    assert sorted(listed("slowest")) == sorted(ids)


def test_ai_call_leads_to_its_trace(app: Flask, admin_client: FlaskClient) -> None:
    call = span(2, 1, op="gen_ai.chat", data={"gen_ai.request.model": "small"}, status="ok")
    send(app, transaction(1, [call]), project_id=SHOP)
    settle(app)
    calls = admin_client.get(f"/admin/ai-calls?project={SHOP}").text
    address = f"/admin/traces/{TRACE}?span={span_id(2)}"
    assert f'href="{address}"' in calls
    assert "gen_ai.chat" in admin_client.get(address).text
