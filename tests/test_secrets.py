"""Nothing secret on disk: planted in twenty places, found in none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import sentry
from app.protocol.packing import unpack
from app.web import access
from tests.conftest import parts_of
from tests.delivery_steps import deliver
from tests.mini_sentry import MiniSentry

# Obviously made up, and none of them stands in the source as a whole: what is looked for must have
# come from the event.
JWT = ".".join(
    ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "s1gnature-of-n0body_at.all"[:22]]
)
SECRETS = {
    "password": "hunter" + "2-planted",
    "nested": "tok_" + "nested_0815",
    "bearer": "bearer" + "AbCd1234efGH",
    "cookie": "sess" + "ion-4711-abc",
    "query": "query" + "-key-42-xyz",
    "url": "url" + "pass-31337",
    "card": "4111" + "1111" + "1111" + "1111",
    "aws": "AKIA" + "IOSFODNN7" + "PLANTED",
    "github": "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345",
    "jwt": JWT,
    "pem": "MIIEpAIBAAKCAQEA" + "plantedplantedplanted",
    "crumb": "crumb" + "-token-99-q",
    "tag": "tag" + "-secret-77-z",
    "extra": "extra" + "-apikey-55-w",
    "user": "user" + "-secret-33-v",
    "message": "message" + "-token-11-u",
    "chained": "chained" + "-pw-22-t",
    "logged": "logged" + "-pw-44-s",
    "custom": "acct" + "-000-1234567",
    "named": "by-own" + "-name-66-r",
}


def fails() -> None:
    password = SECRETS["password"]
    body = {"user": "ada", "deep": [{"api_token": SECRETS["nested"]}]}
    dsn = f"postgres://ada:{SECRETS['url']}@db.example.org/shop"
    pem = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRETS['pem']}\n-----END RSA PRIVATE KEY-----"
    blob = {"aws": SECRETS["aws"], "text": f"see {SECRETS['github']} and {SECRETS['jwt']}"}
    card = f"card {SECRETS['card']}"
    shop_account, pincode = SECRETS["custom"], {"kundenwort": SECRETS["named"]}
    sentry.set_tag("access_token", SECRETS["tag"])
    sentry.set_context("payment", {"secret": SECRETS["extra"], "amount": 42})
    logging.getLogger("shop").info("calling with token=%s", SECRETS["crumb"])
    try:
        raise KeyError(f"password={SECRETS['chained']}")
    except KeyError as error:
        locals_kept = (password, body, dsn, pem, blob, card, shop_account, pincode)
        raise RuntimeError(f"failed with token={SECRETS['message']} {len(locals_kept)}") from error


@pytest.fixture
def shop(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Flask:
    app = make_app(
        SENTRY_DSN=mini_sentry.dsn,
        SENTRY_SEND_PII=True,
        SCRUB_KEYS=("kundenwort",),
        SCRUB_PATTERNS=(r"acct-\d{3}-\d{7}",),
    )
    add_route(app)
    return app


def add_route(app: Flask) -> None:
    app.extensions["csrf"].exempt(fails)
    app.add_url_rule("/shop", "shop", access.anyone(fails), methods=["POST"])


def send(app: Flask) -> str:
    answer = app.test_client().post(
        f"/shop?api_key={SECRETS['query']}&page=7",
        json={"user": "ada", "secret_answer": SECRETS["user"]},
        headers={
            "Authorization": f"Bearer {SECRETS['bearer']}",
            "Cookie": f"session={SECRETS['cookie']}; theme=dark",
            "X-Request-Id": "books-7",
            "X-Shop": "books",
        },
    )
    assert answer.status_code == 500
    return str(answer.json["event_id"])


def planted_in(data: str) -> list[str]:
    return [name for name, secret in SECRETS.items() if secret in data]


def test_planted_secrets_are_in_no_row_no_answer_no_log_and_not_at_sentry(
    shop: Flask, mini_sentry: MiniSentry, capsys: pytest.CaptureFixture[str]
) -> None:
    event_id = send(shop)
    logging.getLogger("shop").error("again: password=%s", SECRETS["logged"])
    deliver(shop)
    assert event_id in mini_sentry.event_ids()
    client = shop.test_client()
    answers = client.get(f"/api/events/{event_id}").text
    answers += client.get(f"/api/events/{event_id}?raw=1").text + client.get("/api/events").text
    assert planted_in(answers) == []
    assert planted_in(str(mini_sentry.events())) == []
    captured = capsys.readouterr()
    assert planted_in(captured.err + captured.out) == []
    with parts_of(shop).store.read() as conn:
        for table in ("envelopes", "events", "issues"):
            rows = conn.execute(text(f"SELECT * FROM {table}")).all()  # noqa: S608
            for value in (value for row in rows for value in row):
                data = unpack(value) if isinstance(value, bytes) else value
                assert planted_in(str(data)) == [], table


def test_planted_secrets_are_in_no_file(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(
        DATABASE_URL=None, SCRUB_KEYS=("kundenwort",), SCRUB_PATTERNS=(r"acct-\d{3}-\d{7}",)
    )
    add_route(app)
    send(app)
    with parts_of(app).store.write():
        send(app)  # this one goes to the emergency folder
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert any(path.suffix == ".envelope" for path in files)
    for path in files:
        data = path.read_bytes()
        assert planted_in(data.decode("latin-1")) == [], path.name


def test_planted_secrets_are_on_no_page(
    shop: Flask, login: Callable[[FlaskClient], FlaskClient]
) -> None:
    event_id = send(shop)
    client = login(shop.test_client())
    for page in ("", "/raw", ".md"):
        assert planted_in(client.get(f"/admin/events/{event_id}{page}").text) == []
    assert planted_in(client.get("/admin/events").text + client.get("/admin/issues").text) == []


def test_what_is_not_secret_is_untouched_and_the_receipt_names_paths_only(shop: Flask) -> None:
    event = shop.test_client().get(f"/api/events/{send(shop)}").json
    assert event["request"]["headers"]["X-Request-Id"] == "books-7"
    assert "X-Shop" not in event["request"]["headers"]
    assert "page=7" in event["request"]["query_string"]
    assert event["contexts"]["payment"]["amount"] == 42
    assert event["exceptions"][-1]["type"] == "RuntimeError"
    assert event["exceptions"][-1]["value"].endswith("8")
    names = {frame["function"] for frame in event["exceptions"][-1]["frames"]}
    assert "fails" in names
    assert {finding["rule"] for finding in event["scrubbed"]} >= {"pair", "url", "card", "pattern"}
    assert planted_in(str(event["scrubbed"])) == []
    assert all(finding["path"] for finding in event["scrubbed"])
