"""The page of AI calls: what it tells, where it leads, what it never shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.admin.call_charts import token_chart
from app.insights.ai_calls import CallFigures
from app.projects import create_project
from tests.conftest import parts_of
from tests.insights.ai_stream import Call, stream, transaction

SHOP = 7
ONE = Call(0, "chat", "gpt-4o", "1.0", 100.0, False, 10, 5)
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def shop(app: Flask) -> Iterator[Any]:
    """A project, and a way to have it make calls."""
    create_project(parts_of(app).store, "Shop", SHOP, "a" * 32)
    numbers = iter(range(10_000))

    def take(*given: Call) -> None:
        numbered = [replace(one, number=next(numbers)) for one in given]
        parts_of(app).intake.accept(stream(numbered), project_id=SHOP, timeout_s=10)

    yield take


def names(page: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'class="target"[^>]*>([^<]+)<', page)]


def get(client: FlaskClient, **query: str) -> str:
    answer = client.get("/admin/ai-calls", query_string={"project": SHOP, **query})
    assert answer.status_code == 200
    return answer.text


def test_chart_of_tokens_draws_steps_in_proportion_and_says_them() -> None:
    busy, odd = CallFigures(), CallFigures()
    busy.add(0, 2, 0, 1500, 500, 2000)
    odd.add(0, 1, 0, 0, 900, 500)  # says less in total than in part
    start, hour = datetime(2026, 3, 1, 12, tzinfo=UTC), timedelta(hours=1)
    drawn = token_chart([busy, CallFigures(), odd], start, hour)
    tops = [dict(re.findall(r"M(\d+) 100v-([\d.]+)h", p)) for p in (drawn.total, drawn.output)]
    assert tops == [{"1": "94.0", "21": "23.5"}, {"1": "23.5", "21": "23.5"}]
    assert drawn.marks[0].title == "1 Mar 12:00: 2,000 tokens (1,500 in, 500 out)"
    assert drawn.marks[1].title == "1 Mar 13:00: no token"
    assert drawn.label == "2,500 tokens; at most 2,000 in 1 hour"


def test_page_tells_of_models_operations_and_the_latest_calls(
    admin_client: FlaskClient, shop: Any
) -> None:
    shop(ONE, ONE, replace(ONE, model="claude", failed=True))
    shop(replace(ONE, operation="execute_tool", model="", input_tokens=None, output_tokens=None))
    page = get(admin_client)
    assert names(page)[:4] == ["gpt-4o", "claude", "chat", "execute_tool"]
    assert names(page)[4:] == ["execute_tool", "chat claude", "chat gpt-4o", "chat gpt-4o"]
    assert "3 calls, 1 failed" in page and "45 tokens; at most 45 in 1 hour" in page
    assert "what nobody shall read" not in page
    assert names(get(admin_client, sort="failing"))[0] == "claude"
    [link] = re.findall(r'href="([^"]+)">execute_tool</a> <span class="chip">tool<', page)
    one = admin_client.get(unescape(link)).text
    assert "1 call, 0 failed" in one and names(one)[-1:] == ["execute_tool"]
    [link, *_] = re.findall(r'href="([^"]+)">chat gpt-4o<', page)
    assert admin_client.get(link).status_code == 200  # its envelope
    assert names(get(admin_client, model="claude"))[-1:] == ["chat claude"]


def test_more_calls_than_a_page_has_are_on_the_next(admin_client: FlaskClient, shop: Any) -> None:
    shop(*[replace(ONE, release=f"r{number:02}") for number in range(60)])
    page = get(admin_client)
    [following] = re.findall(r'href="([^"]+)" rel="next"', page)
    pages = [page, admin_client.get(unescape(following)).text]
    found = [re.findall(r"<span>release\u00a0(r\d\d)</span>", text) for text in pages]
    assert [len(some) for some in found] == [50, 10]
    assert sorted(found[0] + found[1]) == [f"r{number:02}" for number in range(60)]
    assert "There is none that is older" in get(admin_client, before="1")


def test_empty_page_says_how_to_send_calls_and_what_leaves_them_out(
    admin_client: FlaskClient, shop: Any
) -> None:
    page = get(admin_client)
    assert "gen_ai." in page and f"/admin/projects/{SHOP}/setup" in page
    assert "SENTRY_TRACES_SAMPLE_RATE" in admin_client.get("/admin/ai-calls?project=1").text
    with time_machine.travel(datetime.now(UTC) - timedelta(days=3)):
        shop(ONE)
    assert "No AI call came in this time" in get(admin_client)
    assert "1 call, 0 failed" in get(admin_client, period="week")
    page = get(admin_client, period="week", model="none", environment="moon")
    assert "No AI call in this time matches" in page and "Clear filters" in page
    page = get(admin_client, period="hour", sort="fair")
    assert "There is no period “hour”" in page and "There is no sort “fair”" in page


def test_names_of_strangers_are_only_text(app: Flask, admin_client: FlaskClient, shop: Any) -> None:
    shop(replace(ONE, operation="chat", model=HOSTILE, release=HOSTILE))
    strange = transaction([ONE], "e" * 32)
    data = strange.items[0].payload["contexts"]["trace"]["data"]
    data |= {"gen_ai.operation.name": HOSTILE, "gen_ai.agent.name": HOSTILE}
    data |= {"gen_ai.tool.name": HOSTILE, "gen_ai.usage.input_tokens": float("nan")}
    parts_of(app).intake.accept(strange, project_id=SHOP, timeout_s=10)
    for page in (get(admin_client), get(admin_client, model=HOSTILE, operation=HOSTILE)):
        assert "<script>alert" not in page
