"""Channels: kept, shown without their secrets, and what arrives by each of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from app.alerts.channels.kind import KINDS
from app.alerts.channels.stored import find_channel
from app.alerts.channels.teams import Teams
from app.alerts.http_sender import HttpSender
from app.alerts.mail import AddressError, Mailer, addresses
from app.alerts.messages import Notification, cut
from app.alerts.targets import Targets
from tests.conftest import csrf_token, parts_of
from tests.receivers import MailServer, Receiver

pytestmark = pytest.mark.one_database

CHANNELS = "/api/alerts/channels"
TOKEN_PATH = "/services/T0/B0/very-secret-path"
SECRET = "a-signing-secret-of-mine"


def add(client: FlaskClient, **fields: Any) -> Any:
    answer = client.post(CHANNELS, json={"name": "Ops", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json


def send_test(client: FlaskClient, channel_id: int) -> Any:
    answer = client.post(f"{CHANNELS}/{channel_id}/test", json={})
    assert answer.status_code == 200, answer.text
    return client.get(f"/api/alerts/{answer.json['notice_id']}").json


# ---- what arrives -------------------------------------------------------------------------------


def test_webhook_is_sent_signed_json(client: FlaskClient, receiver: Receiver) -> None:
    made = add(client, kind="webhook", url=f"{receiver.url}/hook?key=1", secret=SECRET)
    notification = send_test(client, made["id"])
    [got] = receiver.received
    timestamp = got.headers["x-devenviro-timestamp"]
    signed = hmac.new(SECRET.encode(), timestamp.encode() + got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-devenviro-signature"] == f"sha256={signed}"
    assert abs(int(timestamp) - time.time()) < 60
    assert got.json["title"] == "Test of Ops" and got.json["kind"] == "test"
    assert got.json["id"] == got.headers["x-devenviro-notice"] == notification["uid"]
    assert got.json["links"]["notice"].endswith(f"/admin/alerts/{notification['id']}")
    [way] = notification["sendings"]
    assert (way["state"], way["attempts"], way["tries"][0]["status"]) == ("delivered", 1, 200)


def test_slack_is_sent_its_own_body_with_nothing_in_it_that_slack_would_act_on(
    client: FlaskClient, receiver: Receiver
) -> None:
    made = add(client, kind="slack", name="<!channel> & co", url=receiver.url + TOKEN_PATH)
    send_test(client, made["id"])
    [got] = receiver.received
    assert got.path == TOKEN_PATH and list(got.json) == ["text"]
    assert "&lt;!channel&gt; &amp; co" in got.json["text"]
    assert "<http" in got.json["text"] and "x-devenviro-signature" not in got.headers


def test_teams_is_sent_a_card_in_which_text_of_events_is_text(
    client: FlaskClient, receiver: Receiver
) -> None:
    receiver.answer = lambda: Response(status=202)
    name = "**bold** [x](http://x) {{DATE(2026-11-27T12:00:00Z)}}"
    made = add(client, kind="teams", name=name, url=receiver.url + TOKEN_PATH)
    notification = send_test(client, made["id"])
    [got] = receiver.received
    assert got.path == TOKEN_PATH and got.headers["content-type"] == "application/json"
    [attachment] = got.json["attachments"]
    assert got.json["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    # Rich text is not Markdown, as the text of a TextBlock is.
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    title, text = (block["inlines"][0]["text"] for block in card["body"])
    assert title == f"Test of {name}".replace("{{", "{\u200b{")
    assert text == "If you can read this, notifications arrive."
    [action] = card["actions"]
    assert (action["type"], action["title"]) == ("Action.OpenUrl", "Open the notice")
    assert action["url"].endswith(f"/admin/alerts/{notification['id']}")
    [way] = notification["sendings"]
    assert (way["state"], way["tries"][0]["status"]) == ("delivered", 202)


def test_older_connector_of_teams_is_sent_the_same_and_its_refusal_is_shown(
    client: FlaskClient, receiver: Receiver
) -> None:
    made = add(client, kind="teams", url=receiver.url + TOKEN_PATH)
    receiver.answer = lambda: Response("1", 200)
    assert send_test(client, made["id"])["sendings"][0]["state"] == "delivered"
    receiver.answer = lambda: Response("internal things", 413)
    [way] = send_test(client, made["id"])["sendings"]
    assert (way["state"], way["reason"]) == ("parked", "answered 413")


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("x" * 590, "x" * 590),
        ('"\\' * 295, '"\\' * 295),
        ("\N{GRINNING FACE}" * 590, "…"),
        ("x", "…"),
    ],
    ids=["letters", "quotes", "emoji", "short lines"],
)
def test_card_stays_below_the_limit_of_teams(line: str, last: str) -> None:
    text = "\n".join([line] * (6000 // (len(line) + 1)))
    row: Any = SimpleNamespace(title="t" * 300, text=text, total=0)
    about = {"project": {"id": 1, "name": "p" * 200}}
    body = json.dumps(Teams().content(Notification(row, about, {})))
    assert len(body) < 28_000
    shown = [
        block["inlines"][0]["text"]
        for block in json.loads(body)["attachments"][0]["content"]["body"]
    ]
    assert (shown[1], shown[-1]) == (line, last)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_is_sent_encrypted_and_after_a_login(
    make_app: Callable[..., Flask],
    certify: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
) -> None:
    certificate = certify()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    login = ("me", "mail-password")
    with MailServer(certificate, login, encrypted=tls == "tls") as server:
        client = make_app(
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=server.port,
            SMTP_TLS=tls,
            SMTP_USERNAME="me",
            SMTP_PASSWORD="mail-password",
            SMTP_FROM="alerts@example.org",
        ).test_client()
        made = add(client, kind="email", to="ops@example.org, Dev@example.org")
        notification = send_test(client, made["id"])
        [mail] = server.received
        assert server.recipients == [["ops@example.org", "Dev@example.org"]]
        assert server.was_encrypted == [True]
    assert mail["Subject"] == "[DevEnviro] Test of Ops" and mail["From"] == "alerts@example.org"
    assert mail["Message-ID"] == f"<{notification['uid']}@devenviro>"
    assert f"/admin/alerts/{notification['id']}" in mail.get_content()
    assert notification["sendings"][0]["state"] == "delivered"


def test_mail_server_that_nobody_vouches_for_gets_neither_password_nor_mail(
    make_app: Callable[..., Flask], certify: Callable[..., Path]
) -> None:
    with MailServer(certify(), login=("me", "mail-password"), encrypted=True) as server:
        client = make_app(
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=server.port,
            SMTP_TLS="tls",
            SMTP_USERNAME="me",
            SMTP_PASSWORD="mail-password",
        ).test_client()
        notification = send_test(client, add(client, kind="email", to="ops@example.org")["id"])
        assert server.received == []
    [way] = notification["sendings"]
    assert way["state"] == "parked" and way["reason"].startswith("TLS: ")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no mail server is set: SMTP_HOST"),
        ({"SMTP_HOST": "127.0.0.1", "SMTP_TLS": "starttls"}, "SMTP_TLS"),
        ({"SMTP_HOST": "127.0.0.1", "SMTP_TLS": "off", "SMTP_USERNAME": "me"}, "SMTP_USERNAME"),
    ],
)
def test_mail_that_cannot_be_sent_says_which_setting_is_wrong(
    make_app: Callable[..., Flask], settings: dict[str, object], words: str
) -> None:
    with MailServer() as server:
        client = make_app(SMTP_PORT=server.port, **settings).test_client()
        notification = send_test(client, add(client, kind="email", to="ops@example.org")["id"])
        assert server.received == []
    [way] = notification["sendings"]
    assert way["state"] == "parked" and words in way["reason"]


def test_mail_login_that_fails_is_told_without_the_password() -> None:
    with MailServer(login=("me", "right")) as server:
        mailer = Mailer("127.0.0.1", server.port, "a@example.org", "off", "me", "wrong-password")
        outcome = mailer.send("ops@example.org", "s", "t", "1")
    assert (outcome.is_sent, outcome.status) == (False, 535)
    assert "login" in outcome.note and "wrong-password" not in outcome.note + repr(mailer)


def test_mail_password_beyond_ascii_is_a_failure_that_does_not_tell_it() -> None:
    with MailServer(login=("me", "right")) as server:
        mailer = Mailer("127.0.0.1", server.port, "a@example.org", "off", "me", "pässwort")
        outcome = mailer.send("ops@example.org", "s", "t", "1")
    assert not outcome.is_sent and "have to be ASCII" in outcome.note
    assert "sswort" not in outcome.note


def test_mail_that_some_have_is_not_sent_to_them_again() -> None:
    with MailServer() as server:
        server.unknown = {"gone@example.org"}
        mailer = Mailer("127.0.0.1", server.port, "a@example.org", "off")
        outcome = mailer.send("gone@example.org, ops@example.org", "s", "t", "1")
        assert outcome.is_sent and outcome.note == "1 of the addresses were refused"
        assert server.recipients == [["ops@example.org"]]
        assert not mailer.send("gone@example.org", "s", "t", "1").is_sent


def test_title_with_line_breaks_makes_no_header_of_a_mail() -> None:
    assert cut("a\r\nBcc: all@example.org\x00\x1b[0m\u2028b", 300) == (
        "a Bcc: all@example.org [0m b"
    )
    assert len(cut("x" * 400, 300)) == 300


@pytest.mark.parametrize(
    "text",
    ["", "ops", "@example.org", "a@b@", "a b@example.org", "a@example.org\nBcc: b@example.org", ","]
    + [", ".join(f"a{n}@example.org" for n in range(21)), "ä@example.org", "<a@example.org>x"],
)
def test_what_is_no_list_of_addresses_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        addresses(text)


def test_certificate_is_held_against_the_name_not_the_address(
    certify: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify(name="DNS:hook.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    poster = HttpSender(Targets(True, resolve=lambda *_: ["127.0.0.1"]))
    with Receiver(certificate) as server:
        assert poster.post(f"https://hook.invalid:{server.port}/", b"{}", {}).is_sent
        other = poster.post(f"https://other.invalid:{server.port}/", b"{}", {})
        assert not other.is_sent and other.note.startswith("TLS: ")
        assert len(server.received) == 1


def test_failed_test_says_why_and_is_not_tried_again(
    client: FlaskClient, receiver: Receiver
) -> None:
    made = add(client, kind="webhook", url=receiver.url)
    receiver.answer = lambda: Response("internal things", 500)
    notification = send_test(client, made["id"])
    [way] = notification["sendings"]
    assert (way["state"], way["reason"], way["next_at"]) == ("parked", "answered 500", None)
    assert "internal things" not in str(notification)


def test_proxy_of_the_environment_is_not_asked(
    client: FlaskClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    made = add(client, kind="webhook", url=receiver.url)
    assert send_test(client, made["id"])["sendings"][0]["state"] == "delivered"


# ---- what is kept and shown ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["webhook", "slack", "teams"])
def test_secrets_are_shown_once_and_never_again(
    app: Flask,
    client: FlaskClient,
    login: Callable[..., FlaskClient],
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    made = add(client, kind=kind, url=receiver.url + TOKEN_PATH)
    assert made["address"] == f"{receiver.url}/…"
    assert (len(made["secret"] or "") > 30) is (kind == "webhook")
    receiver.answer = lambda: Response("no", 500)
    notification = send_test(client, made["id"])
    shown = [client.get(CHANNELS).text, str(notification), client.get("/api/alerts").text]
    admin = login(app.test_client())
    for page in (f"/admin/alerts/{notification['id']}", "/admin/alerts/channels", "/admin/alerts"):
        shown.append(admin.get(page).text)
    shown.append(admin.get(f"/admin/alerts/channels/{made['id']}").text)
    # The receiver here says itself what it was asked for.
    shown += [log.getMessage() for log in caplog.records if log.name != "werkzeug"]
    with parts_of(app).store.read() as conn:
        shown.append(repr(find_channel(conn, made["id"])))
    for text in shown:
        assert "very-secret-path" not in text
        assert made["secret"] is None or made["secret"] not in text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "pigeon", "to": "x"}, "kind"),
        ({"kind": "webhook"}, "url"),
        ({"kind": "webhook", "to": "ops@example.org"}, "url"),
        ({"kind": "webhook", "url": "https://127.0.0.1/", "to": "a@example.org"}, "to"),
        ({"kind": "webhook", "url": "file:///etc/passwd"}, "url"),
        ({"kind": "webhook", "url": "http://127.0.0.1/", "secret": "short"}, "secret"),
        ({"kind": "slack", "url": "http://169.254.169.254/"}, "url"),
        ({"kind": "slack", "url": "http://127.0.0.1/", "secret": SECRET}, "secret"),
        ({"kind": "teams"}, "url"),
        ({"kind": "teams", "to": "ops@example.org"}, "url"),
        ({"kind": "teams", "url": "http://169.254.169.254/"}, "url"),
        ({"kind": "teams", "url": "http://127.0.0.1/", "secret": SECRET}, "secret"),
        ({"kind": "email", "to": "ops"}, "to"),
        ({"kind": "email", "url": "https://example.org/"}, "to"),
        ({"kind": "email", "to": "ops@example.org", "name": " "}, "name"),
    ],
)
def test_wrong_channel_is_refused_at_its_field_and_not_kept(
    client: FlaskClient, fields: dict[str, str], field: str
) -> None:
    answer = client.post(CHANNELS, json={"name": "Ops", **fields})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert client.get(CHANNELS).json["channels"] == []


def test_private_target_is_refused_without_the_setting(make_app: Callable[..., Flask]) -> None:
    client = make_app().test_client()
    fields = {"kind": "webhook", "name": "Ops", "url": "http://127.0.0.1:9000/very-secret-path"}
    answer = client.post(CHANNELS, json=fields)
    assert answer.status_code == 422
    assert "ALERTS_ALLOW_PRIVATE_TARGETS" in answer.text and "very-secret" not in answer.text


def test_target_that_was_kept_while_private_ones_were_allowed_is_refused_at_sending(
    make_app: Callable[..., Flask], receiver: Receiver
) -> None:
    made = add(
        make_app(ALERTS_ALLOW_PRIVATE_TARGETS=True).test_client(), kind="webhook", url=receiver.url
    )
    notification = send_test(make_app().test_client(), made["id"])
    [way] = notification["sendings"]
    assert way["state"] == "parked" and way["reason"].startswith("not sent: ")
    assert receiver.received == []


def test_channel_is_changed_switched_off_and_deleted(
    client: FlaskClient, receiver: Receiver
) -> None:
    made = add(client, kind="webhook", url=receiver.url)
    path = f"{CHANNELS}/{made['id']}"
    changed = client.patch(
        path, json={"name": "Night", "enabled": False, "url": receiver.url + "/n"}
    )
    assert (changed.json["name"], changed.json["enabled"]) == ("Night", False)
    notification = send_test(client, made["id"])
    assert receiver.received[0].path == "/n"
    assert client.patch(path, json={"to": "ops@example.org"}).status_code == 422
    assert client.patch(path, json={"url": "http://169.254.169.254/"}).status_code == 422
    assert client.delete(path, json={}).status_code == 204
    assert client.delete(path, json={}).status_code == 404
    assert client.patch(path, json={}).status_code == 404
    [way] = client.get(f"/api/alerts/{notification['id']}").json["sendings"]
    assert (way["channel_name"], way["channel_id"], way["state"]) == ("Night", None, "delivered")


# ---- pages --------------------------------------------------------------------------------------


def send_form(client: FlaskClient, path: str, **fields: str) -> Any:
    token = csrf_token(client, "/admin/alerts/channels")
    return client.post(path, data={**fields, "csrf_token": token})


def test_channel_is_made_tested_and_deleted_on_the_pages(
    admin_client: FlaskClient, receiver: Receiver
) -> None:
    page = "/admin/alerts/channels"
    fields = {"kind": "webhook", "name": "Ops", "address": receiver.url + TOKEN_PATH}
    made = send_form(admin_client, page, **fields)
    assert made.status_code == 201 and "shown this one time" in made.text
    assert made.text.count("very-secret-path") == 0
    tested = send_form(admin_client, f"{page}/1/test")
    assert tested.status_code == 303
    shown = admin_client.get(tested.headers["Location"]).text
    assert "The test was sent by Ops" in shown and "delivered" in shown
    assert send_form(admin_client, f"{page}/1", name="Night", address="").status_code == 303
    assert send_form(admin_client, f"{page}/1/enabled", enabled="no").status_code == 303
    listed = admin_client.get(page).text
    assert "Night" in listed and "switch on" in listed
    assert send_form(admin_client, f"{page}/1/delete").status_code == 303
    assert "There are no channels" in admin_client.get(page).text
    assert "Test of Ops" in admin_client.get("/admin/alerts").text


def test_every_kind_is_offered_by_the_form_and_the_api(
    client: FlaskClient, admin_client: FlaskClient
) -> None:
    form = admin_client.get("/admin/alerts/channels").text
    for kind in KINDS.values():
        assert f'value="{kind.name}"' in form and f"<b>{kind.label}</b>" in form
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    for model in ("ChannelBody", "AlertChannel"):
        assert schemas[model]["properties"]["kind"]["enum"] == list(KINDS)
    assert list(KINDS) == [
        *("email", "webhook", "template", "slack", "teams"),
        *("discord", "mattermost", "pagerduty", "telegram", "ntfy"),
    ]


def test_teams_is_made_tested_and_changed_on_the_pages(
    admin_client: FlaskClient, receiver: Receiver
) -> None:
    page = "/admin/alerts/channels"
    fields = {"kind": "teams", "name": "Ops", "address": receiver.url + TOKEN_PATH}
    assert send_form(admin_client, page, **fields).status_code == 303
    shown = admin_client.get(f"{page}/1").text
    assert "Microsoft Teams to <code>" in shown and "Signing secret" not in shown
    assert send_form(admin_client, f"{page}/1/test").status_code == 303
    assert receiver.received[0].path == TOKEN_PATH
    wrong = send_form(admin_client, f"{page}/1", name="Ops", address="ftp://x/very-secret-path")
    assert wrong.status_code == 422 and "The URL has to begin with https://" in wrong.text


@pytest.mark.parametrize("kind", ["slack", "teams"])
def test_fault_stands_at_the_address(admin_client: FlaskClient, kind: str) -> None:
    fields = {"kind": kind, "name": "Ops", "address": "http://169.254.169.254/x"}
    page = send_form(admin_client, "/admin/alerts/channels", **fields)
    assert page.status_code == 422
    assert "The host has an address that is never sent to." in page.text


def test_unknown_notice_and_channel_are_404(admin_client: FlaskClient) -> None:
    for number in ("7", str(2**63), "9" * 400):
        for path in ("/admin/alerts/", "/admin/alerts/channels/", "/api/alerts/"):
            assert admin_client.get(path + number).status_code in (404, 405), path
