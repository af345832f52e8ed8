"""Who may call what: the contract's table against the URL map, and every way to be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.projects import rotate_key
from app.web import access
from tests.conftest import API_TOKEN, parts_of

pytestmark = pytest.mark.one_database

# The contract's table: a prefix and the rule of what lies below it, most specific first.
TABLE = [
    ("/health", "open"),
    ("/static/", "open"),
    ("/bootstrap/", "open"),
    ("/feedback/", "open"),
    ("/admin/login", "open"),
    ("/test-error", "diagnostics"),
    ("/sentry-debug", "diagnostics"),
    ("/system/status", "status"),
    ("/metrics", "status"),
    ("/openapi.json", "status"),
    ("/docs", "status"),
    ("/api/events", "read"),
    ("/api/issues", "read"),
    ("/api/projects", "read"),
    ("/api/rules", "read"),
    ("/api/feedback", "read"),
    ("/api/alerts", "read"),
    ("/api/<int:project_id>/envelope/", "key"),
    ("/api/<int:project_id>/store/", "key"),
    ("/api/<int:project_id>/security/", "key"),
    ("/api/<int:project_id>/csp-report/", "key"),
    ("/api/<int:project_id>/nel/", "key"),
    ("/api/<int:project_id>/minidump/", "key"),
    ("/api/<int:project_id>/unreal/", "key"),
    ("/api/<int:project_id>/cron/", "key"),
    ("/api/envelope/", "key"),
    ("/api/store/", "key"),
    ("/<path:prefix>/api/<int:project_id>/", "key"),
    ("/tunnel/", "key"),
    ("/api/deliveries", "read"),
    ("/api/performance", "read"),
    ("/api/transactions", "read"),
    ("/api/traces", "read"),
    ("/api/monitors", "read"),
    ("/api/ai-calls", "read"),
    ("/api/losses", "read"),
    ("/api/costs", "read"),
    ("/api/metrics", "read"),
    ("/memories", "memories"),
    ("/mcp", "mcp"),
    ("/api/audit", "audit"),
    ("/api/releases", "read"),
    ("/api/series", "read"),
    ("/api/logs", "read"),
    ("/api/logs/series", "read"),
    ("/api/erasures", "read"),
]
READS = [
    "/api/events",
    "/api/issues",
    "/api/projects",
    "/api/rules",
    "/api/feedback",
    "/api/alerts",
    "/api/audit",
    "/api/alerts/channels",
    "/api/alerts/rules",
    "/api/deliveries",
    "/api/deliveries.csv",
    "/api/deliveries/overview",
    "/api/performance",
    "/api/transactions",
    "/api/monitors",
    "/api/ai-calls",
    "/api/losses",
    "/api/costs",
    "/api/metrics",
    "/memories?user_id=ada",
    "/api/releases",
    "/api/series",
    "/api/logs",
    "/api/logs/series",
    "/api/erasures",
    "/system/status",
    "/metrics",
    "/openapi.json",
    "/docs",
]
WRITES = [
    ("PATCH", "/api/issues/1", {"status": "resolved"}),
    ("DELETE", "/api/issues/1", {}),
    ("PATCH", "/api/issues", {"ids": [1], "status": "resolved"}),
    ("DELETE", "/api/issues", {"ids": [1]}),
    ("POST", "/api/issues/1/comments", {"text": "seen"}),
    ("POST", "/api/releases", {"version": "shop@2"}),
    ("POST", "/api/rules", {"kind": "ignore", "text": "level:debug"}),
    ("POST", "/api/rules/try", {"kind": "ignore", "text": "level:debug"}),
    ("POST", "/api/alerts/rules", {"project_id": 1, "kind": "new_issue"}),
    ("POST", "/api/alerts/channels", {"kind": "email", "name": "Ops", "to": "ops@example.org"}),
    ("POST", "/api/monitors", {"project_id": 1, "slug": "nightly"}),
    ("POST", "/api/deliveries/replay", {"state": "parked"}),
    ("POST", "/api/deliveries/discard", {"state": "parked"}),
    ("POST", "/api/projects", {"name": "Shop"}),
    ("PATCH", "/api/projects/1", {"name": "Shop"}),
    ("POST", "/api/projects/1/keys", {}),
    ("DELETE", f"/api/projects/1/keys/{'a' * 32}", {}),
]


# What below /api/ is no write whatever its method is.
READING = {"GET", "HEAD", "OPTIONS"}


def contract_rule(path: str, methods: Iterable[str]) -> str | None:
    if path == "/":
        return "open"
    if path.startswith("/admin/") and path != "/admin/login":
        return "by role"  # tests/web/test_roles.py has the role of each.
    rule = next((rule for prefix, rule in TABLE if path.startswith(prefix)), None)
    return "write" if rule == "read" and not READING.issuperset(methods) else rule


def test_every_route_has_the_rule_of_the_contract(app: Flask) -> None:
    with app.app_context():
        stated = {
            (rule.rule, *sorted(rule.methods or ())): getattr(
                access.rule_of(rule.endpoint), "name", None
            )
            for rule in app.url_map.iter_rules()
        }
    by_role = {"viewer", "member", "tests", "configuration", "admin"}
    stated = {key: "by role" if name in by_role else name for key, name in stated.items()}
    assert stated == {(path, *methods): contract_rule(path, methods) for path, *methods in stated}


def test_route_without_a_rule_is_refused(app: Flask) -> None:
    app.add_url_rule("/api/forgotten", "forgotten", lambda: "secret")
    answer = app.test_client().get("/api/forgotten")
    assert answer.status_code == 403 and "secret" not in answer.text


@pytest.fixture
def production(make_app: Callable[..., Flask]) -> Flask:
    return make_app(
        ENVIRONMENT="production",
        SECRET_KEY="s" * 32,
        API_TOKEN=API_TOKEN,
    )


@pytest.mark.parametrize("path", READS)
def test_production_wants_a_token_from_loopback_too(production: Flask, path: str) -> None:
    client = production.test_client()
    refused = client.get(path)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].lower().startswith("bearer")
    wrong = client.get(path, headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    right = client.get(path, headers={"Authorization": f"Bearer {API_TOKEN}"})
    assert right.status_code == 200


def test_without_any_token_the_refusal_names_the_setting(make_app: Callable[..., Flask]) -> None:
    app = make_app(ENVIRONMENT="production", SECRET_KEY="s" * 32)
    answer = app.test_client().get("/api/events")
    assert answer.status_code == 401
    assert "API_TOKEN" in answer.json["detail"]


def test_token_without_the_scope_is_refused_with_403(production: Flask) -> None:
    token = parts_of(production).accounts.create_token("narrow", ("read",))
    headers = {"Authorization": f"Bearer {token}"}
    client = production.test_client()
    assert client.get("/api/events", headers=headers).status_code == 200
    answer = client.get("/sentry-debug", headers=headers)
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")
    assert "diagnostics" in answer.json["detail"]


def test_memories_want_a_token_of_their_scope(production: Flask) -> None:
    client, accounts = production.test_client(), parts_of(production).accounts
    body = {"content": "tea", "user_id": "ada"}
    for scope, status in [("read", 403), ("write", 403), ("memories", 201)]:
        headers = bearer(accounts.create_token(scope, (scope,)))
        assert client.post("/memories", json=body, headers=headers).status_code == status
    assert client.post("/memories", json=body).status_code == 401


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_write_wants_a_token_of_its_scope(
    production: Flask, method: str, path: str, body: dict
) -> None:
    sentry.capture_message("one")
    rotate_key(parts_of(production).store, 1, "a" * 32)
    client, accounts = production.test_client(), parts_of(production).accounts
    tokens = {scope: accounts.create_token(scope, (scope,)) for scope in ("read", "write")}

    def status(token: str | None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return client.open(path, method=method, json=body, headers=headers).status_code

    assert (status(None), status("wrong"), status(tokens["read"])) == (401, 401, 403)
    assert client.get("/api/issues/1", headers=bearer(tokens["read"])).json["status"] == (
        "unresolved"
    )
    assert status(tokens["write"]) in (200, 201, 204)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_loopback_writes_json_without_a_token_and_nothing_else(
    app: Flask, client: FlaskClient, method: str, path: str, body: dict
) -> None:
    sentry.capture_message("one")
    rotate_key(parts_of(app).store, 1, "a" * 32)
    forged = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    assert client.open(path, method=method, data="{}", headers=forged).status_code == 401
    assert client.open(path, method=method, json=body).status_code in (200, 201, 204)


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_loopback_may_write_whatever_token_it_sends(
    app: Flask, client: FlaskClient, method: str, path: str, body: dict
) -> None:
    """As the documentation says: it could leave the token out."""
    sentry.capture_message("one")
    rotate_key(parts_of(app).store, 1, "a" * 32)
    headers = bearer(parts_of(app).accounts.create_token("reader", ("read",)))
    answer = client.open(path, method=method, json=body, headers=headers)
    assert answer.status_code in (200, 201, 204)


def test_revoked_token_is_refused(production: Flask) -> None:
    accounts = parts_of(production).accounts
    headers = {"Authorization": f"Bearer {accounts.create_token('old', ('read',))}"}
    assert accounts.revoke_token("old")
    assert production.test_client().get("/api/events", headers=headers).status_code == 401


def test_diagnostics_can_be_closed(make_app: Callable[..., Flask]) -> None:
    client = make_app(DIAGNOSTICS=False).test_client()
    assert client.get("/sentry-debug").status_code == 404
    assert client.post("/test-error", json={}).status_code == 404


@pytest.mark.parametrize(
    ("why", "options"),
    [
        ("the peer is elsewhere", {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}),
        ("a proxy passed it on", {"headers": {"X-Forwarded-For": "192.0.2.7"}}),
        ("a foreign name was bound to this machine", {"headers": {"Host": "evil.example"}}),
    ],
)
def test_development_wants_a_token_when(client: FlaskClient, why: str, options: dict) -> None:
    assert client.get("/api/events", **options).status_code == 401, why
    assert client.get("/api/events").status_code == 200


@pytest.mark.parametrize(
    "header",
    """Via Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded
    X-Forwarded-Prefix X-Forwarded-Client-Cert Forwarded-For X-Real-IP X-Original-URL
    X-Original-Host X-Original-Forwarded-For X-Original-For X-Rewrite-URL X-Client-IP
    Client-IP X-Cluster-Client-IP
    CF-Connecting-IP CF-Ray CDN-Loop True-Client-IP Fastly-Client-IP X-Envoy-External-Address
    X-Envoy-Original-Path X-ProxyUser-Ip X-Proxy-Host Proxy-Connection X-Amzn-Trace-Id X-ARR-SSL
    X-Azure-ClientIP X-AppEngine-User-IP X-Cloud-Trace-Context X-Varnish X-Remote-Addr
    X-Originating-IP WL-Proxy-Client-IP X-Scheme X-Vercel-Id Fly-Client-IP""".split(),
)
def test_what_a_proxy_passed_on_needs_a_token(app: Flask, header: str) -> None:
    with app.test_request_context("/api/events", headers={header: "127.0.0.1"}):
        assert not access._is_trusted_loopback()


def test_what_browsers_and_tools_send_themselves_needs_no_token(client: FlaskClient) -> None:
    headers = {
        "User-Agent": "Mozilla/5.0",
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Accept-Language": "en",
        "Cache-Control": "no-cache",
        "Cookie": "theme=dark",
        "DNT": "1",
        "Origin": "http://localhost",
        "Priority": "u=0, i",
        "Referer": "http://localhost/docs",
        "Sec-CH-UA-Platform": '"Linux"',
        "Sec-Fetch-Dest": "empty",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Site": "same-origin",
        "Sec-GPC": "1",
        "Upgrade-Insecure-Requests": "1",
        "X-Request-Id": "1",
        "X-Requested-With": "XMLHttpRequest",
        "baggage": "a=b",
        "sentry-trace": f"{'a' * 32}-{'b' * 16}-0",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-00",
    }
    assert client.get("/api/events", headers=headers).status_code == 200


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", ""])
def test_plain_proxy_pass_needs_a_token(client: FlaskClient, version: str) -> None:
    answer = client.get("/api/events", environ_overrides={"SERVER_PROTOCOL": version})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "reads", "writes"),
    [
        ({"Sec-Fetch-Site": "none"}, True, True),
        ({"Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "same-site"}, True, False),
        ({"Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Sec-Fetch-Site": "Cross-Site"}, False, False),
        ({"Sec-Fetch-Site": "something else"}, True, False),
        ({"Origin": "http://localhost"}, True, True),
        ({"Origin": "http://localhost:3000"}, False, False),
        ({"Origin": "https://localhost"}, False, False),
        ({"Origin": "null"}, False, False),
    ],
)
def test_pages_of_other_sites_need_a_token(
    client: FlaskClient, headers: dict, reads: bool, writes: bool
) -> None:
    def is_refused(method: str, path: str) -> bool:
        return client.open(path, method=method, json={}, headers=headers).status_code == 401

    assert is_refused("GET", "/api/events") == (not reads)
    for method in ("POST", "PATCH", "DELETE"):
        assert is_refused(method, "/api/issues" if method != "POST" else "/api/rules") == (
            not writes
        )


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded"])
def test_curl_on_this_machine_needs_a_json_header_for_post_only(
    client: FlaskClient, content_type: str | None
) -> None:
    def send(method: str, path: str, body: str = "") -> int:
        return client.open(path, method=method, data=body, content_type=content_type).status_code

    sentry.capture_message("one")
    note = client.post("/memories", json={"content": "tea", "user_id": "ada"}).json["id"]
    assert send("PATCH", "/api/issues/1", '{"status": "resolved"}') == 200
    assert send("PUT", f"/memories/{note}?user_id=ada", '{"content": "coffee"}') == 200
    assert send("DELETE", "/api/issues", '{"ids": [1]}') == 200
    assert send("DELETE", f"/memories/{note}?user_id=ada") in (200, 204)
    assert send("POST", "/api/rules", '{"kind": "ignore", "text": "level:debug"}') == 401


def test_token_needs_the_json_header_for_every_method(production: Flask) -> None:
    answer = production.test_client().patch(
        "/api/issues/1", data='{"status": "resolved"}', headers=bearer(API_TOKEN)
    )
    assert answer.status_code == 415


def test_loopback_write_without_a_json_body_is_refused(client: FlaskClient) -> None:
    # What a form of a foreign page could send.
    answer = client.post("/test-error", data={"error_type": "message", "message": "x"})
    assert answer.status_code == 401
    assert "`Content-Type: application/json` will do" in answer.json["detail"]


HOSTS = [
    {"ALLOWED_HOSTS": ("errors.example.org",)},
    {"ENVIRONMENT": "production", "PUBLIC_URL": "https://errors.example.org:8443/base"},
    {"ENVIRONMENT": "staging", "PUBLIC_URL": "https://errors.example.org"},
]


@pytest.mark.parametrize("settings", HOSTS)
def test_pages_are_served_under_the_names_of_people_only(
    make_app: Callable[..., Flask], settings: dict
) -> None:
    client = make_app(SECRET_KEY="s" * 32, API_TOKEN=API_TOKEN, **settings).test_client()
    inside = {"Host": "10.0.0.7:8000"}
    for path in ("/admin/login", "/admin/", "/", "/feedback/" + "a" * 32):
        answer = client.get(path, headers=inside)
        assert answer.status_code in (400, 405), path
    assert "ALLOWED_HOSTS" in client.get("/admin/login", headers=inside).text
    assert client.get("/admin/login", headers={"Host": "errors.example.org"}).status_code == 200


@pytest.mark.parametrize("settings", HOSTS)
def test_programs_are_served_under_every_name(
    make_app: Callable[..., Flask], settings: dict
) -> None:
    app = make_app(SECRET_KEY="s" * 32, API_TOKEN=API_TOKEN, **settings)
    client, inside = app.test_client(), {"Host": "10.0.0.7:8000"}
    key = rotate_key(parts_of(app).store, 1, "a" * 32)
    for path in ("/health", "/health/live", "/health/ready"):
        assert client.get(path, headers=inside).status_code == 200
    for path in READS:
        assert client.get(path, headers=inside | bearer(API_TOKEN)).status_code == 200
        assert client.get(path, headers=inside).status_code == 401
    sent = client.post(f"/api/1/store/?sentry_key={key}", json={"message": "one"}, headers=inside)
    assert sent.status_code == 200


@pytest.mark.parametrize(
    ("allowed", "host", "is_served"),
    [
        ("errors.example.org", "Errors.Example.Org:8443", True),
        ("Errors.Example.Org:8443", "errors.example.org", True),
        ("errors.example.org", "errors.example.org.", True),
        ("errors.example.org", "errors.example.org.evil.example", False),
        ("errors.example.org", "an.errors.example.org", False),
        ("errors.example.org", "", False),
        (".example.org", "errors.example.org", True),
        (".example.org", "example.org", True),
        (".example.org", "evilexample.org", False),
        ("b\u00fccher.example", "xn--bcher-kva.example", True),
        ("[2001:db8::1]", "[2001:db8::1]:8000", True),
        ("2001:db8::1", "[2001:DB8::1]", True),
        ("[2001:db8::1]", "[2001:db8::2]", False),
        ("a.example, b.example", "b.example", True),
    ],
)
def test_host_is_compared_as_names_are(
    make_app: Callable[..., Flask], allowed: str, host: str, is_served: bool
) -> None:
    client = make_app(ALLOWED_HOSTS=allowed).test_client()
    answer = client.get("/admin/login", headers={"Host": host})
    assert answer.status_code == (200 if is_served else 400)


def test_public_url_with_an_address_of_ipv6_is_served(make_app: Callable[..., Flask]) -> None:
    app = make_app(
        ENVIRONMENT="production", SECRET_KEY="s" * 32, PUBLIC_URL="https://[2001:db8::1]:8443"
    )
    headers = {"Host": "[2001:db8::1]:8443"}
    assert app.test_client().get("/admin/login", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000"])
def test_every_name_of_this_machine_is_trusted_in_development(
    client: FlaskClient, host: str
) -> None:
    assert client.get("/api/events", headers={"Host": host}).status_code == 200


def test_api_call_by_a_login_is_refused_under_another_name(
    make_app: Callable[..., Flask], login: Callable[[FlaskClient], FlaskClient]
) -> None:
    app = make_app(ENVIRONMENT="production", SECRET_KEY="s" * 32, PUBLIC_URL="http://localhost")
    client = login(app.test_client())
    cookie = client.get_cookie("devenviro_session")
    assert cookie and client.get("/system/status").status_code == 200
    headers = {"Host": "10.0.0.7", "Cookie": f"{cookie.key}={cookie.value}"}
    answer = app.test_client(use_cookies=False).get("/system/status", headers=headers)
    assert answer.status_code == 400 and "ALLOWED_HOSTS" in answer.json["detail"]
    # A token that does not work is no way around it.
    headers |= bearer("wrong")
    answer = app.test_client(use_cookies=False).get("/system/status", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize("environment", ["development", "production"])
def test_without_a_public_url_every_name_is_served(
    make_app: Callable[..., Flask], environment: str
) -> None:
    client = make_app(ENVIRONMENT=environment, SECRET_KEY="s" * 32).test_client()
    assert client.get("/admin/login", headers={"Host": "anything.example"}).status_code == 200


def test_admin_pages_lead_to_the_login(client: FlaskClient) -> None:
    answer = client.get("/admin/events?level=error")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login?next=")
    assert client.get("/").headers["Location"] == "/admin/"


def test_status_is_open_to_a_logged_in_admin_in_production(
    production: Flask, login: Callable[[FlaskClient], FlaskClient]
) -> None:
    client = login(production.test_client())
    assert client.get("/system/status").status_code == 200
    assert client.get("/api/events").status_code == 401  # tokens only
