"""Channels by template: each receiver gets what its maker expects and what pages preview."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from app.alerts import queries
from app.alerts.channels.inputs import new_values
from app.alerts.channels.kind import KINDS
from app.alerts.channels.templated import MASK, TemplateChannel
from app.alerts.messages import Notification
from app.alerts.outage import _Sending as OutageSending
from app.alerts.targets import Targets
from app.alerts.template import MAX_BODY_BYTES, TemplateError, fill, parse
from app.alerts.template_values import example, largest, values_of
from app.store import utc_now
from tests.alert_steps import evaluate, only, send_due, sendings, store_events
from tests.alerts.test_channels import CHANNELS, add, send_form, send_test
from tests.alerts.vendor_shapes import SHAPES
from tests.conftest import csrf_token, parts_of
from tests.issues.payloads import calls
from tests.receivers import Received, Receiver

pytestmark = pytest.mark.one_database

KEY = "0123456789abcdef0123456789ABCDEF"
BOT = "/bot123456:very-secret-token/sendMessage"
TOKEN = "tk_a-secret-of-ntfy"
# Ends a string of JSON, mentions everybody, formats, and is an emoji.
HOSTILE = 'x", "y": "@everyone <@1> **b** [l](http://x) `c` :tada: \\'
READY_MADE = [kind for kind in KINDS.values() if isinstance(kind, TemplateChannel)]


def same(name: str, text: str) -> str:
    return text


def filled(template: str, **values: Any) -> Any:
    return json.loads(fill(parse(template, values), values, same))


# ---- the language -------------------------------------------------------------------------------


def test_value_cannot_end_the_string_it_stands_in() -> None:
    assert filled('{"a": "in {{title}}!"}', title=HOSTILE) == {"a": f"in {HOSTILE}!"}


def test_string_that_is_one_placeholder_becomes_the_value_itself() -> None:
    template = '{"a": ["{{n}}", "{{ none }}", "{{list}}"], "b": "{{n}} of {{none}}{{list}}"}'
    found = filled(template, n=7, none=None, list=[{"x": 1}])
    assert found == {"a": [7, None, [{"x": 1}]], "b": '7 of [{"x": 1}]'}


def test_placeholder_in_a_value_is_text() -> None:
    assert filled('{"a": "{{title}}"}', title="{{title}}") == {"a": "{{title}}"}


def test_text_is_cut_and_an_escape_is_not() -> None:
    values = {"title": "*" * 50}
    body = fill(parse('{"a": "{{title:21}}"}', values), values, lambda _, text: "\\*" * len(text))
    [text] = json.loads(body).values()
    assert 10 < len(text) <= 21 and text == "\\*" * (len(text) // 2) + "…"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ('{"a": "{{titel}}"}', "{{titel}} is unknown; known are title, url"),
        ('{"a": "{{ title | upper }}"}', "{{title | upper}} is no placeholder"),
        ('{"a": "{{title:0}}"}', "is no placeholder"),
        ('{"a": "{{"}', "{{ and }} stand around a name"),
        ('{"{{title}}": 1}', "not in a name"),
        ('{"a": "b",}', "JSON is expected: "),
        ('{"a": NaN}', "JSON is expected"),
        ('{"a": -1e999}', "JSON is expected"),
        ("[]", "a JSON object is expected"),
        ('{"a": ' * 30 + "1" + "}" * 30, "at most 20 levels"),
        ('{"a": ' + "[" * 4000 + "]" * 4000 + "}", "expected"),
        ('{"a": "' + "{{url}}" * 101 + '"}', "at most 100 placeholders"),
        ('{"a": "' + "x" * 10_000 + '"}', "at most 10,000 characters"),
    ],
)
def test_wrong_template_says_what_is_expected(template: str, words: str) -> None:
    with pytest.raises(TemplateError) as raised:
        parse(template, ("title", "url"))
    assert words in str(raised.value)


def test_body_is_bounded() -> None:
    kind = KINDS["template"]
    with pytest.raises(TemplateError, match="a body of .* bytes; at most 131,072"):
        kind.checked_template(json.dumps({"a": "{{text}}" * 10}))
    for kind in READY_MADE:
        body = kind.preview(None, largest())
        assert body and len(body) <= MAX_BODY_BYTES
        kind.checked_template(kind.ready_made)
    assert len(json.loads(KINDS["ntfy"].preview(None, largest()) or "")["message"].encode()) <= 4096


# ---- what arrives -------------------------------------------------------------------------------


def add_all(client: FlaskClient, receiver: Receiver) -> dict[str, int]:
    """Add a channel of each ready-made kind, and return their ids."""
    of_kind: dict[str, dict[str, str]] = {
        "discord": {"url": f"{receiver.url}/api/webhooks/1/very-secret"},
        "mattermost": {"url": f"{receiver.url}/hooks/very-secret"},
        "pagerduty": {"url": f"{receiver.url}/v2/enqueue", "secret": KEY},
        "telegram": {"url": f"{receiver.url}{BOT}?chat_id=-1009876"},
        "ntfy": {"url": f"{receiver.url}/very-secret-topic", "secret": TOKEN},
    }
    return {
        kind: add(client, kind=kind, name=kind, **fields)["id"] for kind, fields in of_kind.items()
    }


SECRETS = {"pagerduty": KEY, "telegram": "-1009876", "ntfy": "very-secret-topic"}
PATHS = {
    "/api/webhooks/1/very-secret": "discord",
    "/hooks/very-secret": "mattermost",
    "/v2/enqueue": "pagerduty",
    BOT: "telegram",
    "/": "ntfy",
}


def test_requests_have_the_published_shapes_and_equal_their_previews(
    app: Flask, client: FlaskClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channels = add_all(client, receiver)
    only(app, "new_issue")
    payload = calls("charge", value=HOSTILE)
    store_events(app, {**payload, "level": "fatal", "environment": "live", "release": "shop@1"})
    evaluate(app)
    send_due(app)
    got = {PATHS[request.path]: request for request in receiver.received}
    assert got.keys() == SHAPES.keys()
    for kind, shape in SHAPES.items():
        shape.model_validate_json(got[kind].body)
        assert got[kind].headers["content-type"] == "application/json"
    assert got["ntfy"].headers["authorization"] == f"Bearer {TOKEN}"
    assert got["pagerduty"].json["payload"]["severity"] == "critical"
    assert (got["ntfy"].json["priority"], got["telegram"].json["chat_id"]) == (5, "-1009876")
    check_previews(app, channels, got)
    check_hostile(got)
    # Nothing of it is told anywhere else.
    logs = [log.getMessage() for log in caplog.records if log.name != "werkzeug"]
    for text in (client.get(CHANNELS).text, client.get("/api/alerts/1").text, *logs):
        assert not [secret for secret in (KEY, TOKEN, "very-secret", "-1009876") if secret in text]


def check_previews(app: Flask, channels: dict[str, int], got: dict[str, Received]) -> None:
    parts = parts_of(app)
    for sending in sendings(app):
        kind = KINDS[sending.channel_kind]
        with parts.store.read() as conn:
            sent = queries.read_notification(conn, sending.id, parts.config.public_url)
        preview = (kind.preview(None, sent) or b"").decode()
        secret = SECRETS.get(kind.name)
        assert (MASK in preview) is (secret is not None) and (secret or "\0") not in preview
        assert preview.replace(MASK, secret or "").encode() == got[kind.name].body
    assert set(channels) == {row.channel_kind for row in sendings(app)}


def check_hostile(got: dict[str, Received]) -> None:
    [embed] = got["discord"].json["embeds"]
    assert got["discord"].json["allowed_mentions"] == {"parse": []}
    assert r"\@everyone \<@1\> \*\*b\*\* \[l\]\(http://x\) \`c\` \:tada: \\" in embed["title"]
    text = got["mattermost"].json["text"]
    assert "@everyone" not in text and ":tada:" not in text and r"\*\*b\*\* \[l\]\(" in text
    for kind, name in (("telegram", "text"), ("ntfy", "title")):
        assert HOSTILE in got[kind].json[name]
    assert HOSTILE in got["pagerduty"].json["payload"]["summary"]


def test_template_of_a_person_is_sent_and_its_secret_is_masked(
    client: FlaskClient, receiver: Receiver
) -> None:
    template = '{"auth": "{{secret}}", "what": ["{{title}}", {"n": "{{events}}"}]}'
    given = {"kind": "template", "url": receiver.url + "/hook", "secret": TOKEN}
    made = add(client, **given, template=template)
    assert (made["template"], made["secret"]) == (template, None)
    sending = send_test(client, made["id"])["sendings"][0]
    assert (sending["state"], sending["attempts"]) == ("delivered", 1)
    assert receiver.received[0].json == {"auth": TOKEN, "what": ["Test of Ops", {"n": None}]}
    preview = {"kind": "template", "template": template}
    shown = client.post(f"{CHANNELS}/preview", json=preview).json
    assert json.loads(shown["body"])["auth"] == MASK and shown["names"]["secret"]
    changed = client.patch(f"{CHANNELS}/{made['id']}", json={"template": None})
    assert changed.json["template"] is None
    send_test(client, made["id"])
    assert receiver.received[1].json["title"] == "Test of Ops"


def test_refusal_is_retried_as_by_other_channels(
    app: Flask, client: FlaskClient, receiver: Receiver
) -> None:
    add(client, kind="ntfy", url=f"{receiver.url}/topic")
    only(app, "new_issue")
    store_events(app, calls("charge", value="declined"))
    evaluate(app)
    receiver.answer = lambda: Response("slow down", 429)
    send_due(app)
    [sending] = sendings(app)
    assert (sending.state, sending.reason, sending.attempts) == ("retry", "answered 429", 1)


WRONG: list[tuple[dict[str, str], str, str]] = [
    ({"kind": "pagerduty"}, "secret", "the integration key is expected"),
    (
        {"kind": "pagerduty", "url": "http://127.0.0.1/", "secret": KEY + "x"},
        "secret",
        "32 letters and digits",
    ),
    ({"kind": "telegram", "url": "http://127.0.0.1/bot1:abc/sendMessage"}, "url", "chat_id="),
    ({"kind": "telegram", "url": f"http://127.0.0.1{BOT}"}, "url", "chat_id="),
    ({"kind": "ntfy", "url": "http://127.0.0.1/a/b"}, "url", "https://ntfy.sh/<topic>"),
    ({"kind": "ntfy", "url": "http://169.254.169.254/topic"}, "url", "never sent to"),
    ({"kind": "discord", "url": "http://127.0.0.1/", "secret": TOKEN}, "secret", "no secret"),
    (
        {"kind": "slack", "url": "http://127.0.0.1/", "template": "{}"},
        "template",
        "no template",
    ),
    (
        {"kind": "template", "url": "http://127.0.0.1/", "template": '{"a": "{{titel}}"}'},
        "template",
        "{{titel}} is unknown; known are secret, title, text, url, ",
    ),
]


def test_wrong_channel_is_refused_at_its_field(client: FlaskClient) -> None:
    for fields, field, words in WRONG:
        answer = client.post(CHANNELS, json={"name": "Ops", **fields})
        assert answer.status_code == 422, fields
        [error] = answer.json["errors"]
        assert error["field"] == field and words in error["message"], fields
    assert client.get(CHANNELS).json["channels"] == []


def test_list_of_issues_inside_a_text_is_no_formatting() -> None:
    for kind in ("discord", "mattermost"):
        body = KINDS[kind].preview('{"text": "{{issues}}!"}', example())
        assert body is not None and json.loads(body)["text"].startswith("\\[")


def test_secret_goes_to_no_other_host_unless_it_is_given_again(client: FlaskClient) -> None:
    made = add(client, kind="ntfy", url="http://127.0.0.1:18001/topic", secret=TOKEN)
    path, there = f"{CHANNELS}/{made['id']}", "http://127.0.0.1:18002/topic"
    refused = client.patch(path, json={"url": there})
    [error] = refused.json["errors"]
    assert (refused.status_code, error["field"]) == (422, "secret")
    assert "the access token is expected again" in error["message"]
    assert client.patch(path, json={"url": "http://127.0.0.1:18001/other"}).status_code == 200
    answer = client.patch(path, json={"url": there, "secret": TOKEN})
    assert answer.json["address"] == "http://127.0.0.1:18002/…"


def test_pagerduty_needs_no_address() -> None:
    targets = Targets(resolve=lambda host, _: {"events.pagerduty.com": ["8.8.8.8"]}[host])
    values = new_values(KINDS["pagerduty"], {"name": "Ops", "secret": KEY}, targets)
    assert values["address"] == "https://events.pagerduty.com/v2/enqueue"


# ---- pages --------------------------------------------------------------------------------------


def test_pages_preview_without_keeping_and_with_the_error_at_the_template(
    admin_client: FlaskClient, receiver: Receiver
) -> None:
    page = "/admin/alerts/channels"
    fields = {"kind": "discord", "preview": "yes", "template": "", "name": "", "address": ""}
    shown = send_form(admin_client, page, **fields)
    body = KINDS["discord"].preview(None, example())
    assert shown.status_code == 200 and in_html(body) in shown.text
    assert "There are no channels" in shown.text
    wrong = send_form(admin_client, page, **fields | {"template": '{"a": "{{titel}}"}'})
    assert wrong.status_code == 422 and "{{titel}} is unknown; known are title" in wrong.text
    made = {"kind": "pagerduty", "name": "Ops", "address": receiver.url, "secret": KEY}
    assert send_form(admin_client, page, **made).status_code == 303
    one = admin_client.get(f"{page}/1").text
    assert KEY not in one and MASK in one and "Integration key" not in one.split("<main")[0]
    assert in_html(KINDS["pagerduty"].ready_made.encode()) in one
    fragment = admin_client.post(
        f"{page}/1",
        data={
            "preview": "yes",
            "template": '{"only": "{{events}}"}',
            "csrf_token": csrf_token(admin_client, page),
        },
        headers={"X-Fragment": "1"},
    ).text
    assert fragment.strip().startswith("<section") and in_html(b'"only": 45') in fragment
    assert "<main" not in fragment


def in_html(body: bytes | None) -> str:
    text = (body or b"").decode()
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;")):
        text = text.replace(sign, entity)
    return text.replace("'", "&#39;")


def test_template_that_is_saved_unchanged_stays_the_ready_made_one(
    client: FlaskClient, admin_client: FlaskClient, receiver: Receiver
) -> None:
    made = add(client, kind="ntfy", url=f"{receiver.url}/topic")
    page = f"/admin/alerts/channels/{made['id']}"
    ready_made = KINDS["ntfy"].ready_made
    for text, kept in (
        (ready_made.replace("\n", "\r\n"), None),
        ('{"topic": "{{topic}}"}', '{"topic": "{{topic}}"}'),
        ("", None),
    ):
        assert send_form(admin_client, page, name="Ops", template=text).status_code == 303
        assert client.get(CHANNELS).json["channels"][0]["template"] == kept


def test_every_name_has_a_value_and_a_meaning() -> None:
    for kind in READY_MADE:
        values = values_of(example())
        assert kind.names().keys() == values.keys() | kind.hidden_names.keys()
        assert all(kind.names().values())


def test_notification_that_the_store_could_not_take_fills_every_template() -> None:
    about = dict.fromkeys(("rule", "project", "issue", "event"))
    sending: Any = OutageSending("0" * 32, utc_now())
    links = {"status": "http://127.0.0.1:8000/admin/status"}
    for kind in READY_MADE:
        body = kind.preview(None, Notification(sending, about, links)) or b""
        if kind.name in SHAPES:
            SHAPES[kind.name].model_validate_json(body.replace(MASK.encode(), KEY.encode()))
        assert b"/admin/status" in body
