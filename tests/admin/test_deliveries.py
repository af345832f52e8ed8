"""The pages of deliveries: what they say, where they lead, what a person does there."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.protocol.envelope import Envelope, Item
from tests.admin.hostile import script_event
from tests.conftest import csrf_token, parts_of
from tests.delivery.shop import (
    accept,
    add_project,
    answering,
    park,
    rows_of,
    set_columns,
    states_of,
)
from tests.delivery_steps import accounting_of, deliver, deliver_until, forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import wait_for

PATH = "/admin/deliveries"


@pytest.fixture
def shop(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Flask:
    return make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_BACKOFF_BASE_S=0.01)


@pytest.fixture
def person(shop: Flask, login: Callable[[FlaskClient], FlaskClient]) -> FlaskClient:
    return login(shop.test_client())


def titles(page: str) -> list[str]:
    return re.findall(r'class="target"[^>]*>([^<]+)<', page)


def press(client: FlaskClient, path: str, page: str = PATH, **values: object) -> str:
    """Send a form as its button does, and return the page it leads to."""
    data = {"csrf_token": csrf_token(client, page), **values}
    answer = client.post(path, data=data, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_page_without_sentry_says_how_to_set_it_up(admin_client: FlaskClient) -> None:
    page = admin_client.get(PATH).text
    assert "Envelopes stay here" in page and "SENTRY_DSN" in page
    assert "No envelope was ever received." in page and "/admin/test-error" in page


def test_requests_of_this_service_are_listed_only_if_asked_for(
    app: Flask, admin_client: FlaskClient
) -> None:
    add_project(app, 2, None)
    intake = parts_of(app).intake
    for project, types in [(1, ["transaction", "profile"]), (1, ["session"]), (2, ["transaction"])]:
        items = [Item({"type": name}, b"{}") for name in types]
        intake.accept(Envelope({}, items), project_id=project, timeout_s=10)

    def listed(**filter: str) -> list[str]:
        page = admin_client.get(PATH, query_string=filter).text
        return re.findall(r'href="/admin/deliveries/(\d)"', page)

    assert listed() == ["3", "2"]
    link = re.search(r'<a href="([^"]+)">Show them</a>', admin_client.get(PATH).text)[1]
    assert link == "/admin/deliveries?project=1&amp;item=transaction"
    assert listed(project="1", item="transaction") == ["1"]
    # Any filter lists all that match: what its buttons do is what one sees.
    assert listed(state="local") == ["3", "2", "1"]


def test_page_counts_states_and_each_leads_to_its_envelopes(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    accept(shop, "went")
    accept(shop, "1", "session")
    deliver(shop)
    park(shop, mini_sentry, 2)
    page = person.get(PATH).text
    for state, count in [("delivered", 2), ("parked", 2), ("expired", 0)]:
        assert re.search(
            rf'href="{PATH}\?state={state}">{state} <span class="count">{count}<', page
        )
    assert titles(page) == ["refused 1", "refused 0", "session", "went"]
    assert titles(person.get(f"{PATH}?state=parked").text) == ["refused 1", "refused 0"]
    assert titles(person.get(f"{PATH}?item=session").text) == ["session"]
    assert "No envelope is expired." in person.get(f"{PATH}?state=expired").text
    assert "No envelope matches" in person.get(f"{PATH}?state=parked&reason=else").text


def test_wrong_filters_are_named_and_left_out(shop: Flask, person: FlaskClient) -> None:
    accept(shop)
    query = "state=lost&project=x&from=yesterday&to=0001-01-01T00:00%2B14:00&before=x"
    page = person.get(f"{PATH}?{query}").text
    assert page.count("It was left out.") == 4 and len(titles(page)) == 1


def test_pages_of_the_list_lead_on_and_keep_the_filter(shop: Flask, person: FlaskClient) -> None:
    for number in range(55):
        accept(shop, f"number {number:02}")
    first = person.get(f"{PATH}?state=pending").text
    assert len(titles(first)) == 50
    older = re.search(r'href="([^"]+)" rel="next"', first)[1].replace("&amp;", "&")
    assert "state=pending" in older
    assert titles(person.get(older).text)[-1] == "number 00"


def test_open_circuit_is_explained_and_a_person_tries_at_once(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = answering(401)
    accept(shop)
    with forwarding(shop):
        wait_for(lambda: "circuit open" in person.get(PATH).text)
    page = person.get(PATH).text
    assert "401: the key is wrong" in page
    # Probes are a hundredth of a second apart here.
    assert "next probe at" in page or "a probe is due" in page
    assert ">DevEnviro</a> (401" in person.get("/admin/").text
    mini_sentry.answer = None
    assert "Delivery goes on" in press(person, "/admin/destinations/1/resume")
    deliver(shop)
    assert states_of(shop) == ["delivered"]


def test_top_of_every_page_says_whether_sentry_is_reached(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    def badge() -> str:
        found = re.search(r'<a class="state"[^>]*>([^<]+)</a>', person.get("/admin/").text)
        assert found
        return found[1]

    assert badge() == "Sentry: nothing sent yet"
    mini_sentry.answer = answering(401)
    accept(shop)
    deliver_until(shop, lambda: badge() == "Sentry: not reached")
    mini_sentry.answer = None
    deliver(shop)
    assert badge() == "Sentry: reached"


def test_paused_delivery_says_so_and_is_resumed(shop: Flask, person: FlaskClient) -> None:
    page = press(person, "/admin/destinations/1/pause")
    assert "Delivery is paused." in page and "Paused by a person since" in page
    assert "/admin/destinations/1/pause" not in page
    assert "paused by a person" in person.get("/admin/").text
    assert "Paused by a person" not in press(person, "/admin/destinations/1/resume")


def test_all_parked_are_replayed_by_one_button(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry, 3)
    assert "Replay all 3 parked" in person.get(PATH).text
    page = press(person, f"{PATH}/replay", state="parked")
    assert "3 envelopes sent again" in page
    deliver(shop)
    assert states_of(shop) == ["delivered"] * 3


def test_what_a_filter_shows_is_replayed_or_discarded_and_nothing_else(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry, 1, detail="too deep")
    park(shop, mini_sentry, 1, detail="bad header")
    page = person.get(f"{PATH}?state=parked&reason=deep").text
    form = page[page.index(f'action="{PATH}/replay"') :].partition("</form>")[0]
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    assert (values.pop("csrf_token"), values)[1] == {"state": "parked", "reason": "deep"}
    press(person, f"{PATH}/replay", **values)
    assert states_of(shop) == ["pending", "parked"]
    press(person, f"{PATH}/discard", state="parked", reason="header")
    assert states_of(shop) == ["pending", "discarded"]
    assert accounting_of(shop)["balanced"] is True


def test_form_that_names_nothing_or_the_unreadable_does_nothing(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry)
    token = csrf_token(person, PATH)
    for path, values in [
        ("replay", {}),
        ("replay", {"state": "parkd"}),
        ("replay", {"reason": "no", "from": "never"}),
        ("discard", {}),
        ("discard", {"reason": "no"}),
    ]:
        answer = person.post(f"{PATH}/{path}", data={"csrf_token": token, **values})
        assert answer.status_code == 400, values
    assert person.post(f"{PATH}/replay", data={"state": "parked"}).status_code == 400  # no token
    assert states_of(shop) == ["parked"]


def test_one_envelope_shows_its_way_its_attempts_and_what_can_be_done(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry, detail="item 1 has no length")
    row = rows_of(shop)[0]
    path = f"{PATH}/{row.id}"
    page = person.get(path).text
    assert "item 1 has no length" in page and 'data-hop="failed"' in page
    assert f"/admin/events/{row.event_id}" in page
    assert page.count("<tr>") >= 2 and ">400<" in page
    assert "It is sent again" in press(person, f"{path}/replay", path)
    assert "It was not tried yet." not in person.get(path).text
    assert "It is discarded." in press(person, f"{path}/discard", path)
    assert "a person discarded it" in person.get(path).text
    deliver(shop)
    assert states_of(shop) == ["discarded"]


def test_delivered_envelope_is_sent_again_only_after_it_was_asked_for(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    accept(shop)
    deliver(shop)
    path = f"{PATH}/{rows_of(shop)[0].id}"
    assert "Not done: Sentry has accepted it" in press(person, f"{path}/replay", path)
    assert "It is sent again" in press(person, f"{path}/replay", path, force="yes")
    assert states_of(shop) == ["pending"]


@pytest.mark.parametrize("number", ["7", "99999999999999999999"])
def test_unknown_envelope_is_404(person: FlaskClient, number: str) -> None:
    token = csrf_token(person, PATH)
    assert person.get(f"{PATH}/{number}").status_code == 404
    for act in ("replay", "discard"):
        answer = person.post(f"{PATH}/{number}/{act}", data={"csrf_token": token})
        assert answer.status_code == 404
    answer = person.post("/admin/destinations/77/pause", data={"csrf_token": token})
    assert answer.status_code == 404


def test_terms_of_the_accounting_and_the_event_lead_to_the_deliveries(
    shop: Flask, person: FlaskClient, mini_sentry: MiniSentry
) -> None:
    park(shop, mini_sentry)
    row = rows_of(shop)[0]
    assert f'href="{PATH}?state=parked"><b>1</b> parked' in person.get("/admin/").text
    assert (
        f'href="{PATH}/{row.id}">Delivery details'
        in person.get(f"/admin/events/{row.event_id}").text
    )


def test_envelope_of_a_project_without_a_dsn_offers_no_replay(
    shop: Flask, person: FlaskClient
) -> None:
    add_project(shop, 2, None)
    accept(shop, project_id=2)
    page = person.get(f"{PATH}/{rows_of(shop)[0].id}").text
    assert "/replay" not in page and "/discard" not in page


def test_script_in_title_and_reason_stays_text(shop: Flask, person: FlaskClient) -> None:
    envelope = Envelope({}, [Item({"type": "event"}, script_event())])
    parts_of(shop).intake.accept(envelope, project_id=1, timeout_s=10)
    set_columns(shop, reason="<script>window.ran=1</script>", state="parked")
    for path in (PATH, f"{PATH}/1", f"{PATH}?reason=%22><script>", "/admin/"):
        page = person.get(path).text
        assert "<script>window" not in page and '"><script>' not in page, path


def test_delivered_envelope_leads_to_sentry(
    make_app: Callable[..., Flask],
    mini_sentry: MiniSentry,
    login: Callable[[FlaskClient], FlaskClient],
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, SENTRY_WEB_URL="https://sentry.example/shop")
    event_id = accept(app)
    deliver(app)
    page = login(app.test_client()).get(f"{PATH}/{rows_of(app)[0].id}").text
    assert f'href="https://sentry.example/shop/issues/?query={event_id}"' in page
