"""Fixtures: the application on both databases, clients, and a fake Sentry on a real socket."""

from __future__ import annotations

import gc
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
import sentry_sdk
from flask import Flask, session
from flask.testing import FlaskClient, FlaskCliRunner
from flask_login import login_user
from hypothesis import HealthCheck, settings
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from app import create_app
from app.accounts import Accounts, Logins, users
from app.alerts.dispatcher import Dispatcher
from app.cli.worker import make_worker
from app.delivery.destinations import Destinations
from app.intake import Intake
from app.memory.service import Memories
from app.projects import KeyRing
from app.projects.quotas import QuotaGate
from app.store import Store
from app.web.later import Later
from app.worker import Worker
from config import Config, load_config
from tests.fake_sentry import FakeSentry
from tests.mini_sentry import MiniSentry
from tests.postgres import Databases, error_of_server, url_of

ADMIN_PASSWORD = "correct-horse-battery"
API_TOKEN = "a-token-for-tests-only"
# The time that Hypothesis takes to make and try inputs depends on the machine, so it must not fail
# a test.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
NO_POSTGRES = error_of_server()


def pytest_configure() -> None:
    # Each test creates an application, of thousands of objects. With the thresholds of the language
    # the collector takes a fifth of the suite's CPU.
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    # The collector need not look at the modules and the tests again and again.
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if NO_POSTGRES:
        terminalreporter.write_line(
            f"THE POSTGRESQL HALF OF THE SUITE DID NOT RUN: {NO_POSTGRES}. Set TEST_DATABASE_URL.",
            red=True,
            bold=True,
        )
    skipped = terminalreporter.getreports("skipped")
    if any("live_qdrant" in report.keywords for report in skipped):
        terminalreporter.write_line(
            "NO REAL QDRANT WAS ASKED, only the contract server. Set QDRANT_TEST_URL and run "
            "`make test-qdrant`.",
            yellow=True,
            bold=True,
        )


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash passwords with a hundredth of the work; a login normally takes 0.1 s of CPU."""
    cheap = "scrypt:256:8:1"
    with pytest.MonkeyPatch.context() as patch:
        unmatched = users.UNMATCHED_HASH.replace(users.PASSWORD_METHOD, cheap)
        patch.setattr(users, "PASSWORD_METHOD", cheap)
        patch.setattr(users, "UNMATCHED_HASH", unmatched)
        yield


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    if NO_POSTGRES:
        pytest.skip(f"PostgreSQL does not answer: {NO_POSTGRES}")
    databases = Databases()
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated file; every test gets a copy, since migrating takes 0.5 s of CPU."""
    path = tmp_path_factory.mktemp("template") / "store.sqlite3"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.dispose()
    return path


class CompiledTemplates(BytecodeCache):
    """Templates, compiled once for all applications of a process."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is compiled, if it is."""
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._compiled[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first: at the end the other processes would wait for them."""
    words = ("serving(", "WorkerProcess(", "linear_time")

    @cache
    def is_long(path: Path) -> bool:
        text = path.read_text()
        return "browser" in path.parts or any(word in text for word in words)

    items.sort(key=lambda item: not is_long(item.path))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on both databases, or on SQLite alone if it is marked ``one_database``."""
    marks = list(metafunc.definition.iter_markers())
    if "database_url" not in metafunc.fixturenames or any(
        mark.name == "parametrize" and "database_url" in mark.args[0] for mark in marks
    ):
        return
    is_one = any(mark.name == "one_database" for mark in marks)
    names = ["sqlite"] if is_one else ["sqlite", "postgresql"]
    metafunc.parametrize("database_url", names, indirect=True, scope="function")


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty store, on SQLite or PostgreSQL."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'store.sqlite3')}"
        return
    databases = request.getfixturevalue("postgres_databases")
    name = databases.take()
    yield url_of(name)
    databases.give_back(name)


@pytest.fixture
def make_config(tmp_path: Path, database_url: str) -> Callable[..., Config]:
    """Build a configuration from the defaults of the tests and the given overrides."""

    def make(**overrides: object) -> Config:
        values: dict[str, object] = {
            "ENVIRONMENT": "testing",
            "DATA_DIR": tmp_path / "data",
            "DATABASE_URL": database_url,
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "SENTRY_RELEASE": "shop@1.2.3",
        }
        return load_config({}, **(values | overrides))

    return make


@pytest.fixture
def make_app(make_config: Callable[..., Config]) -> Iterator[Callable[..., Flask]]:
    """Build applications, and close them at the end."""
    made: list[Flask] = []

    def make(*, opens_store: bool = True, **overrides: object) -> Flask:
        made.append(create_app(make_config(**overrides), opens_store=opens_store))
        made[-1].jinja_env.bytecode_cache = TEMPLATES
        return made[-1]

    # The SDK keeps each untraced request with the scope it came in. This scope ends with the test.
    with sentry_sdk.isolation_scope():
        yield make
    # The threads of the SDK keep the scope they were started in until their client is closed.
    sentry_sdk.get_client().close(timeout=2)
    for app in made:
        parts_of(app).intake.close()
        parts_of(app).store.dispose()
    sentry_sdk.get_global_scope().set_client(None)
    sentry_sdk.get_isolation_scope().clear()
    sentry_sdk.get_current_scope().clear()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def login() -> Callable[[FlaskClient], FlaskClient]:
    """Log a client in as the form does; its pages would cost a fifth of a test of a page."""

    def log_in(client: FlaskClient) -> FlaskClient:
        app = client.application
        address, agent = (client.environ_base[key] for key in ("REMOTE_ADDR", "HTTP_USER_AGENT"))
        accounts = parts_of(app).accounts
        assert accounts.authenticate("admin", ADMIN_PASSWORD)
        user = accounts.open_session("admin", address, agent)
        with app.test_request_context(environ_base=client.environ_base):
            login_user(user)
            of_user = dict(session)
        with client.session_transaction() as of_client:
            of_client.update(of_user)
            of_client.permanent = True
        return client

    return log_in


@pytest.fixture
def admin_client(client: FlaskClient, login: Callable[[FlaskClient], FlaskClient]) -> FlaskClient:
    return login(client)


@pytest.fixture
def mini_sentry() -> Iterator[MiniSentry]:
    with MiniSentry() as server:
        yield server


@pytest.fixture
def fake_sentry() -> Iterator[FakeSentry]:
    """Start a fake Sentry in its own process, for tests that kill processes or count requests."""
    with FakeSentry() as server:
        yield server


@pytest.fixture
def certify(tmp_path: Path) -> Callable[..., Path]:
    """Make a self-signed certificate, and return a file with the certificate and its key."""
    if not shutil.which("openssl"):
        pytest.skip("NO TLS CHECK WAS TESTED: there is no openssl to make certificates with")

    def make(days: int = 90, name: str = "IP:127.0.0.1") -> Path:
        path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        wanted, names = tmp_path / "request.pem", tmp_path / "names.cnf"
        names.write_text(f"subjectAltName={name}")
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-new", *kind, "-subj", "/CN=fake", "-keyout", key, "-out", wanted)
        # Unlike `req -x509`, this accepts a negative number of days, for an expired certificate.
        files = ["-in", wanted, "-signkey", key, "-out", path, "-extfile", names]
        openssl("x509", "-req", *files, "-days", days)
        path.write_text(path.read_text() + key.read_text())
        return path

    return make


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True)
class Parts:
    """All parts of an application; the code of the application gets them one by one."""

    config: Config
    store: Store
    intake: Intake
    destinations: Destinations
    accounts: Accounts
    logins: Logins
    keys: KeyRing
    quotas: QuotaGate
    dispatcher: Dispatcher
    later: Later[Memories]
    release: str
    started_at: datetime

    @property
    def memories(self) -> Memories:
        return self.later.get()


def parts_of(app: Flask) -> Parts:
    found = {field.name: app.extensions.get(f"devenviro.{field.name}") for field in fields(Parts)}
    return Parts(**(found | {"later": app.extensions["devenviro.memories"]}))


def worker_of(app: Flask) -> Worker:
    with app.app_context():
        return make_worker()


def csrf_token(client: FlaskClient, path: str) -> str:
    """Return the CSRF token of a page's form."""
    page = client.get(path).text
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, f"no CSRF token on {path}"
    return found[1]
