"""The self-test: every cause that stops events has its name, its mend and its exit code."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import sentry_sdk
from flask import Flask, Response, request
from sqlalchemy import select

from app import sentry
from app.cli.verify import capture, checks, command, endpoints, setup
from app.cli.verify.checks import Check, Run, run_checks
from app.cli.verify.network import dsn_parses
from app.delivery import accounting
from app.events.queries import find_event
from app.events.tables import events
from app.protocol.dsn import Dsn
from app.store import Store, StoreBusy
from app.store.disks import Disk
from app.web.checks import Verdict
from config import Config, load_config
from tests.conftest import ADMIN_PASSWORD, API_TOKEN, parts_of
from tests.mini_sentry import MiniSentry
from tests.stub_server import Answering

pytestmark = pytest.mark.one_database

NAMES = [check.name for check in command.CHECKS]
CAPTURES = ["message captured", "exception captured", "user context set"]
DSN_CHECKS = ["DSN parses", "resolves", "connects", "TLS", "accepts"]
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "a-secret-of-the-tests-only",
    "API_TOKEN": API_TOKEN,
    "PUBLIC_URL": "https://errors.example.org",
}


class Outcome(NamedTuple):
    code: int
    status: str
    checks: dict[str, dict[str, Any]]
    stdout: str

    def words(self, *names: str) -> list[str]:
        return [self.checks[name]["result"] for name in names or self.checks]


@pytest.fixture
def verify(make_app: Callable[..., Flask]) -> Callable[..., Outcome]:
    """Run `flask verify --json` on an application with the given settings."""

    def run(**settings: object) -> Outcome:
        app = make_app(**settings)
        result = app.test_cli_runner().invoke(args=["verify", "--json"])
        report = json.loads(result.stdout)
        found = {check["name"]: check for check in report["checks"]}
        return Outcome(result.exit_code, report["status"], found, result.stdout)

    return run


def run_of(app: Flask) -> Run:
    parts = parts_of(app)
    return Run(
        app,
        config=parts.config,
        release=parts.release,
        store=parts.store,
        intake=parts.intake,
        accounts=parts.accounts,
        destinations=parts.destinations,
    )


def run_to(dsn: str) -> Run:
    """A run for the checks of the DSN, which ask neither the store nor the application."""
    return run_with(
        load_config({}, ENVIRONMENT="testing", SENTRY_DSN=dsn, ADMIN_PASSWORD=ADMIN_PASSWORD)
    )


def run_with(config: Config) -> Run:
    nothing = cast(Any, None)
    return Run(
        Flask("nothing"),
        config=config,
        release="shop@1.2.3",
        store=Store("sqlite:///nowhere"),
        intake=nothing,
        accounts=nothing,
        destinations=nothing,
    )


def last_of(dsn: str, *names: str) -> Verdict:
    """Run only these checks; return the last one's verdict."""
    chain = tuple(check for check in command.CHECKS if check.name in names)
    return list(run_checks(chain, run_to(dsn)))[-1].verdict


def accepts(dsn: str) -> Verdict:
    return last_of(dsn, *DSN_CHECKS)


def tls(dsn: str) -> Verdict:
    return last_of(dsn, *DSN_CHECKS[:4])


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


# ---- the whole ----------------------------------------------------------------------------------


def test_healthy_service_with_a_sentry_passes_everything(
    verify: Callable[..., Outcome], mini_sentry: MiniSentry
) -> None:
    outcome = verify(SENTRY_DSN=mini_sentry.dsn)
    assert (outcome.code, outcome.status) == (0, "pass"), outcome.stdout
    assert list(outcome.checks) == NAMES
    assert outcome.words() == ["pass"] * 10 + ["skip", "pass", "pass"]
    assert "http to this machine" in outcome.checks["TLS"]["detail"]
    mini_sentry.wait_for(lambda server: len(server.events()) == 4)
    tags = {event["tags"]["verify"] for event in mini_sentry.events()}
    assert len(tags) == 1
    posted = next(e for e in mini_sentry.events() if e.get("logger") == "devenviro.verify")
    assert posted["event_id"] in outcome.checks["accepts"]["detail"]


def test_events_of_the_run_are_in_the_store_with_their_tag_user_and_frames(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()
    result = app.test_cli_runner().invoke(args=["verify"])
    run_id = result.output.rpartition("verify=")[2].strip()
    with parts_of(app).store.read() as conn:
        ids = list(conn.scalars(select(events.c.event_id).order_by(events.c.id)))
        found = [find_event(conn, event_id) for event_id in ids]
    assert all(event_id in result.output for event_id in ids)
    message, exception, user = [stored.event for stored in found if stored]
    assert {event.tags["verify"] for event in (message, exception, user)} == {run_id}
    assert (message.level, message.user) == ("info", {})
    assert exception.main_exception is not None
    assert exception.main_exception.frames[-1].function == "_raise_on_purpose"
    assert user.user["id"] == f"verify-{run_id[:8]}"


def test_without_a_dsn_its_five_checks_are_skipped_and_nothing_is_wrong(
    verify: Callable[..., Outcome],
) -> None:
    outcome = verify()
    assert (outcome.code, outcome.status) == (0, "pass")
    assert outcome.words(*DSN_CHECKS, "delivered") == ["skip"] * 6
    assert all("set SENTRY_DSN" in outcome.checks[name]["mend"] for name in DSN_CHECKS)


def test_json_is_the_only_thing_on_stdout_and_has_one_shape(
    verify: Callable[..., Outcome],
) -> None:
    outcome = verify()
    report = json.loads(outcome.stdout)
    assert set(report) == {"status", "checks"}
    for check in report["checks"]:
        assert set(check) == {"name", "result", "detail", "mend", "ms"}
        assert check["result"] in ("pass", "warn", "fail", "skip")
        assert check["ms"] >= 0 and check["detail"]
        assert check["mend"] or check["result"] == "pass"


def test_table_has_a_word_a_name_and_the_mend_below_and_a_summary(
    make_app: Callable[..., Flask],
) -> None:
    dsn = f"http://publickey@127.0.0.1:{closed_port()}/42"
    result = (make_app(SENTRY_DSN=dsn)).test_cli_runner().invoke(args=["verify"])
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    starts = [line.split("  ")[:2] for line in lines if line[:1] in "✓!✗-" and line]
    assert [name.strip() for _, name in starts] == NAMES
    failure = next(n for n, line in enumerate(lines) if line.startswith("✗ fail  connects"))
    assert "refused" in lines[failure]
    assert lines[failure + 1].strip().startswith("→ see that Sentry runs")
    assert "fail: 9 pass, 1 fail, 3 skip." in lines[-1]
    assert "\x1b" not in result.stdout


def test_help_names_the_exit_codes(make_app: Callable[..., Flask]) -> None:
    text = make_app().test_cli_runner().invoke(args=["verify", "--help"]).output
    assert "Exit code:" in text and "1  warnings" in text


def test_check_that_raises_is_a_failure_with_its_type_and_no_secret(
    make_app: Callable[..., Flask],
) -> None:
    def breaks(run: Run) -> Verdict:
        raise LookupError(f"no {ADMIN_PASSWORD}\x1b[31m here, password=hunter22")

    chain = (Check("breaks", breaks), Check("after", breaks, "breaks"))
    first, second = run_checks(chain, run_of(make_app()))
    assert first.verdict.result == "fail"
    assert first.verdict.detail.startswith("LookupError: no [Filtered]")
    assert "\x1b" not in first.verdict.detail and "hunter22" not in first.verdict.detail
    assert second.verdict == Verdict("skip", "not tried, because “breaks” failed", blocks=True)


def test_nothing_of_the_run_stays_in_the_scope(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    app.test_cli_runner().invoke(args=["verify"])
    event_id = sentry.capture_message("after it")
    with parts_of(app).store.read() as conn:
        stored = find_event(conn, str(event_id))
    assert stored is not None
    assert "verify" not in stored.event.tags and stored.event.user == {}


def test_no_secret_is_in_the_output(make_app: Callable[..., Flask], fake: Answering) -> None:
    def echoes() -> Response:
        heard = f"{request.headers['X-Sentry-Auth']} {ADMIN_PASSWORD} {API_TOKEN}"
        return Response(json.dumps({"detail": heard}), 403)

    fake.answers = echoes
    dsn = f"http://0123456789abcdef:theoldsecret@127.0.0.1:{fake.port}/42"
    runner = (make_app(**PRODUCTION, SENTRY_DSN=dsn)).test_cli_runner()
    for arguments in (["verify"], ["verify", "--json"]):
        output = runner.invoke(args=arguments).output
        assert "403: the key is disabled" in output
        secrets = ("0123456789abcdef", "theoldsecret", ADMIN_PASSWORD, API_TOKEN)
        assert not [secret for secret in (*secrets, PRODUCTION["SECRET_KEY"]) if secret in output]


# ---- what the service stands on -----------------------------------------------------------------


def test_open_data_folder_is_a_warning_with_its_chmod_and_exit_code_1(
    verify: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    outcome = verify(DATA_DIR=tmp_path / "open")
    assert (outcome.code, outcome.status) == (1, "warn")
    assert outcome.words("configuration") == ["warn"]
    assert outcome.checks["configuration"]["mend"] == f"chmod 700 {tmp_path / 'open'}"


def test_data_folder_of_another_user_is_a_warning(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(make_app())
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    verdict = setup.configuration(run)
    assert verdict.result == "warn"
    assert "as the user that the service runs as" in verdict.mend


def test_emergency_folder_that_is_a_file_is_a_failure(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    run = run_of(make_app(EMERGENCY_DIR=tmp_path / "taken"))
    (tmp_path / "taken").write_text("")
    verdict = setup.configuration(run)
    assert verdict.result == "fail"
    assert f"{tmp_path / 'taken'} is no folder" in verdict.detail


def test_complete_production_passes_with_a_closed_api(verify: Callable[..., Outcome]) -> None:
    outcome = verify(**PRODUCTION)
    assert (outcome.code, outcome.status) == (0, "pass"), outcome.stdout
    detail = outcome.checks["endpoints answer"]["detail"]
    assert "/api/events 401 (closed)" in detail
    assert "/api/events with a token 200" in detail


def test_production_without_token_public_address_and_release_is_warned_about(
    verify: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sentry.sdk._git_commit", lambda folder: None)
    monkeypatch.delenv("BUILD_RELEASE", raising=False)
    settings = PRODUCTION | {"API_TOKEN": None, "PUBLIC_URL": None, "SENTRY_RELEASE": None}
    outcome = verify(**settings)
    assert outcome.code == 1
    mend = outcome.checks["configuration"]["mend"]
    assert len(mend.splitlines()) == 3
    assert all(name in mend for name in ("API_TOKEN", "PUBLIC_URL", "SENTRY_RELEASE"))
    assert outcome.words("endpoints answer") == ["pass"]
    assert "/api/events 401 (closed)" in outcome.checks["endpoints answer"]["detail"]


def test_store_that_cannot_be_opened_fails_and_the_captures_say_where_events_went(
    verify: Callable[..., Outcome], database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    broken = (
        f"sqlite:///{tmp_path / 'file' / 'store.sqlite3'}"
        if database_url.startswith("sqlite")
        else f"postgresql://someone:hidden-word@127.0.0.1:{closed_port()}/nothing"
    )
    outcome = verify(DATABASE_URL=broken)
    assert (outcome.code, outcome.status) == (2, "fail")
    assert outcome.words("store", *CAPTURES) == ["fail"] * 4
    for name in CAPTURES:
        assert f"set aside in {tmp_path / 'data' / 'emergency'}" in outcome.checks[name]["detail"]
        assert "not in the store" in outcome.checks[name]["detail"]
    assert "/health/ready answers 503" in outcome.checks["endpoints answer"]["detail"]
    assert "hidden-word" not in outcome.stdout and "Traceback" not in outcome.stdout


def test_old_schema_is_named_with_its_command(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(make_app())
    monkeypatch.setattr("app.store.database.newest_revision", lambda: "9999")
    verdict = setup.store(run)
    assert (verdict.result, verdict.mend) == ("fail", "run `flask db upgrade`")


def test_store_that_stays_busy_names_the_writer_as_the_cause(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(make_app())

    def busy(timeout_s: float) -> None:
        raise StoreBusy("the store is busy")

    monkeypatch.setattr(run.store, "write", busy)
    verdict = setup.store(run)
    assert verdict.result == "fail" and "writes for seconds" in verdict.mend


def test_trial_write_leaves_no_counter_behind(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    assert setup.store(run_of(app)).result == "pass"
    with parts_of(app).store.read() as conn:
        assert "verify" not in accounting.read_counters(conn)


def test_little_room_on_the_disk_is_a_warning(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(Path("/"), 5 * 10**6, 0.01)
    monkeypatch.setattr("app.web.checks.fullest", lambda folders: disk)
    verdict = setup.store(run_of(make_app()))
    assert verdict.result == "warn"
    assert "only 5 MB are free" in verdict.detail


# ---- Sentry -------------------------------------------------------------------------------------


def test_another_init_that_takes_our_transport_away_is_named_and_captures_are_skipped(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()
    sentry_sdk.init(dsn="")
    result = app.test_cli_runner().invoke(args=["verify", "--json"])
    found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 2
    assert "its transport is another one" in found["Sentry initialised"]["detail"]
    assert [found[name]["result"] for name in CAPTURES] == ["skip"] * 3


@pytest.fixture
def filtered() -> Iterator[Callable[[sentry.Filter], None]]:
    added: list[sentry.Filter] = []
    yield lambda function: added.append(sentry.add_filter(function))
    for function in added:
        sentry.remove_filter(function)


def test_filter_that_drops_events_is_suspected(
    make_app: Callable[..., Flask], filtered: Callable[[sentry.Filter], None]
) -> None:
    run = run_of(make_app())
    filtered(lambda event, hint: None)
    verdict = capture.message_captured(run)
    assert verdict.result == "fail" and "a filter did that" in verdict.mend


def test_filter_that_changes_the_level_is_told_by_the_field(
    make_app: Callable[..., Flask], filtered: Callable[[sentry.Filter], None]
) -> None:
    run = run_of(make_app())
    filtered(lambda event, hint: {**event, "level": "debug"})
    assert capture.message_captured(run).detail.endswith("is stored, but not its level")


def test_busy_store_sets_the_message_aside_which_is_a_warning(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()
    other = Store(parts_of(app).store.url.render_as_string(hide_password=False))
    with other.write():
        verdict = capture.message_captured(run_of(app))
    other.dispose()
    assert verdict.result == "warn"
    assert "not in the store: the store was busy" in verdict.detail


def test_host_that_is_not_allowed_is_named(verify: Callable[..., Outcome]) -> None:
    outcome = verify(**PRODUCTION, ALLOWED_HOSTS="other.example.org")
    found = outcome.checks["endpoints answer"]
    assert found["result"] == "fail"
    assert "ALLOWED_HOSTS" in found["mend"]


@pytest.mark.parametrize("allowed", [(), "errors.example.org", "localhost,errors.example.org"])
def test_development_under_a_public_name_passes_however_hosts_are_allowed(
    make_app: Callable[..., Flask], allowed: object
) -> None:
    app = make_app(PUBLIC_URL="https://errors.example.org", ALLOWED_HOSTS=allowed)
    assert endpoints.endpoints_answer(run_of(app)).result == "pass"


# ---- the way to Sentry --------------------------------------------------------------------------


def test_wrong_key_is_named_with_sentrys_own_words(
    verify: Callable[..., Outcome], mini_sentry: MiniSentry
) -> None:
    outcome = verify(SENTRY_DSN=mini_sentry.dsn.replace("publickey", "wrongkey"))
    assert outcome.code == 2
    assert outcome.words("TLS", "accepts") == ["skip", "fail"]
    detail = outcome.checks["accepts"]["detail"]
    assert detail == "401: the key is wrong (it says: missing authorization)"
    assert "copy the DSN again" in outcome.checks["accepts"]["mend"]


def test_closed_port_fails_to_connect_and_skips_what_follows(
    verify: Callable[..., Outcome],
) -> None:
    outcome = verify(SENTRY_DSN=f"http://publickey@127.0.0.1:{closed_port()}/42")
    assert outcome.code == 2
    assert outcome.words(*DSN_CHECKS) == ["pass", "pass", "fail", "skip", "skip"]
    assert "refused" in outcome.checks["connects"]["detail"]
    assert outcome.checks["accepts"]["detail"] == "not tried, because “connects” failed"


def test_name_that_does_not_resolve_fails_and_skips_what_follows(
    verify: Callable[..., Outcome],
) -> None:
    outcome = verify(SENTRY_DSN="https://publickey@no-such-host.invalid/42")
    assert outcome.code == 2
    assert outcome.words(*DSN_CHECKS) == ["pass", "fail", "skip", "skip", "skip"]
    assert "no-such-host.invalid" in outcome.checks["resolves"]["detail"]


def test_dsn_shows_host_prefix_and_project_and_what_leads_back_is_warned_about() -> None:
    run = run_to("https://0123456789abcdef@sentry.example.org:9443/below/42")
    assert dsn_parses(run).detail == "https://sentry.example.org:9443/below, project 42"
    assert run.aim().path == "/below/api/42/envelope/"
    assert "0123" not in repr(run.target)
    assert dsn_parses(run_to("http://0123456789abcdef@localhost:8000/1")).result == "warn"


@pytest.fixture
def fake() -> Iterator[Answering]:
    with Answering() as server:
        yield server


ID = "9" * 32
TAKEN = json.dumps({"id": ID})


@pytest.mark.parametrize(
    ("answer", "result", "words"),
    [
        (Response(TAKEN), "pass", f"200, Sentry took event {ID}"),
        (
            Response(TAKEN, headers={"X-Sentry-Rate-Limits": "60:error;default:key:quota"}),
            "warn",
            "it takes no more until 20",
        ),
        (Response(TAKEN, headers={"X-Sentry-Rate-Limits": "60::organization"}), "warn", "UTC"),
        (Response(TAKEN, headers={"X-Sentry-Rate-Limits": "60:replay:key"}), "pass", "took"),
        (Response("<html>Log in</html>"), "fail", "200 with an HTML page: this is not Sentry"),
        (Response("ok"), "fail", "200 with no JSON: this is not Sentry"),
        (Response("{}"), "fail", "200 without an event id: this is not Sentry"),
        (
            Response(status=302, headers={"Location": "https://sso.example.org/login?next=x"}),
            "fail",
            "302: redirected to https://sso.example.org/login",
        ),
        (
            Response(status=400, headers={"X-Sentry-Error": "bad sentry DSN public key"}),
            "fail",
            "400: it cannot read the request or the key (it says: bad sentry DSN public key)",
        ),
        (
            Response('{"detail": "event submission rejected with_reason: ProjectId"}', 403),
            "fail",
            "another project's (it says: event submission rejected with_reason: ProjectId)",
        ),
        (Response("<h1>Not Found</h1>", 404), "fail", "404: the path or the project does not"),
        (Response(status=413), "fail", "413: it refuses even a small event"),
        (Response(status=429), "warn", "429: Sentry takes no events without saying until when"),
        (Response(status=429, headers={"Retry-After": "7"}), "warn", "no events until 20"),
        (
            Response(status=429, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}),
            "warn",
            "until 2100-12-31 23:59:59 UTC",
        ),
        (Response("busy", 503), "fail", "503: Sentry is overloaded or down"),
        (Response(status=418), "fail", "418: it refuses the event"),
    ],
    ids=lambda value: value.status if isinstance(value, Response) else None,
)
def test_answer_of_sentry_is_named(
    fake: Answering, answer: Response, result: str, words: str
) -> None:
    fake.answers = lambda: answer
    verdict = accepts(fake.dsn)
    assert (verdict.result, words in verdict.detail) == (result, True), verdict
    assert bool(verdict.mend) == (result != "pass")


@pytest.mark.parametrize(("seconds", "word"), [(-3600, "ahead"), (3600, "behind")])
def test_wrong_clock_is_a_warning(seconds: int, word: str) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        head = f"HTTP/1.1 200 OK\r\nDate: {formatdate(time.time() + seconds, usegmt=True)}"
        connection.sendall(f"{head}\r\nContent-Length: {len(TAKEN)}\r\n\r\n{TAKEN}".encode())

    with raw_server(answer) as dsn:
        verdict = accepts(dsn)
    assert verdict.result == "warn"
    assert f"s {word}" in verdict.detail and ID in verdict.detail


def test_proxy_of_the_environment_is_not_used_and_that_is_said(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:hidden-word@127.0.0.1:{closed_port()}")
    result = app.test_cli_runner().invoke(args=["verify"])
    assert result.exit_code == 0, result.output
    assert "(HTTPS_PROXY not used here)" in result.output
    assert "hidden-word" not in result.output


@contextlib.contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP server that does as it likes with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://publickey@127.0.0.1:{listening.getsockname()[1]}/42"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def trickle(connection: socket.socket) -> None:
    connection.settimeout(0.05)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(20):
        connection.sendall(b"X-A: b\r\n")
        time.sleep(0.05)


def test_server_that_trickles_its_answer_ends_within_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "TIMEOUT_S", 0.3)
    with raw_server(trickle) as dsn:
        started = time.monotonic()
        verdict = accepts(dsn)
        assert time.monotonic() - started < 3
        assert verdict.detail == "no answer within 0.3 s, though it connects"
        time.sleep(1.2)  # Until the trickle ends, and with it the thread that reads it.


def test_something_else_than_http_is_named() -> None:
    with raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")) as dsn:
        verdict = accepts(dsn)
    assert verdict.result == "fail"
    assert "does not speak HTTP" in verdict.detail


# ---- TLS ----------------------------------------------------------------------------------------


def test_certificate_signed_by_itself_is_not_trusted_and_nothing_is_sent(
    verify: Callable[..., Outcome], certify: Callable[..., Path]
) -> None:
    with Answering(certify()) as server:
        outcome = verify(SENTRY_DSN=server.dsn)
    assert outcome.code == 2
    assert outcome.words(*DSN_CHECKS) == ["pass", "pass", "pass", "fail", "skip"]
    assert "not trusted: self-signed certificate" in outcome.checks["TLS"]["detail"]
    assert "SSL_CERT_FILE" in outcome.checks["TLS"]["mend"]


def test_certificate_of_a_named_authority_is_trusted_and_sentry_accepts(
    verify: Callable[..., Outcome], certify: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Answering(certificate) as server:
        server.answers = lambda: Response(TAKEN)
        outcome = verify(SENTRY_DSN=server.dsn)
    assert outcome.words(*DSN_CHECKS) == ["pass"] * 5, outcome.stdout
    assert "TLSv1.3, the certificate is valid for 89 more days" in outcome.checks["TLS"]["detail"]


def test_certificate_that_ends_soon_is_a_warning(
    verify: Callable[..., Outcome], certify: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify(days=5)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Answering(certificate) as server:
        server.answers = lambda: Response(TAKEN)
        outcome = verify(SENTRY_DSN=server.dsn)
    assert outcome.words("TLS", "accepts") == ["warn", "pass"]
    assert outcome.code == 1


@pytest.mark.parametrize(
    ("made", "words", "mend"),
    [
        ({"days": -1}, "certificate has expired", "renew the certificate"),
        ({"name": "DNS:other.example.org"}, "IP address mismatch", "use a name in SENTRY_DSN"),
    ],
)
def test_certificate_that_does_not_fit_is_named(
    certify: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, Any],
    words: str,
    mend: str,
) -> None:
    certificate = certify(**made)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Answering(certificate) as server:
        verdict = tls(server.dsn)
    assert verdict.result == "fail"
    assert words in verdict.detail and mend in verdict.mend


def test_https_to_a_port_without_tls_is_named(fake: Answering) -> None:
    verdict = tls(fake.dsn.replace("http:", "https:"))
    assert verdict.result == "fail"
    assert f"no TLS on port {fake.port}" in verdict.detail
    assert "scheme and port" in verdict.mend


def test_http_to_another_machine_is_a_warning_and_to_this_one_is_not() -> None:
    look = next(check.look for check in command.CHECKS if check.name == "TLS")
    run = run_to("http://key@sentry.example.org/1")
    for host, result in {
        "sentry.example.org": "warn",
        "localhost": "skip",
        "127.0.0.1": "skip",
        "[::1]": "skip",
        "sentry.localhost": "skip",
    }.items():
        run.target = Dsn.of(f"http://key@{host}/1")
        assert (look(run).result, look(run).blocks) == (result, False)


def test_event_that_is_posted_has_no_sent_at_and_names_release_and_environment(
    mini_sentry: MiniSentry,
) -> None:
    assert accepts(mini_sentry.dsn).result == "pass"
    (event,) = mini_sentry.events()
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "testing")
    assert "sent_at" not in mini_sentry.envelopes[0].headers


@pytest.mark.parametrize(("mode", "is_warned"), [(0o644, True), (0o640, True), (0o600, False)])
def test_env_file_that_others_can_read_is_a_warning(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_warned: bool
) -> None:
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(mode)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    verdict = setup.configuration(run_of(app))
    assert (".env can be read by other users" in verdict.detail) == is_warned
