"""Settings: one class per environment, read from environment variables, typed and validated.

    .env ──▶ environ ──▶ load_config() ──▶ DevelopmentConfig, StagingConfig, ProductionConfig,
    files of secrets ───────┘     │        TestingConfig; each knows where its values came from
                                  └──▶ ConfigError: names every wrong setting and what was expected

An error message never repeats the wrong value, because it may be a secret. This module does not
import the application at import time: ``gunicorn.conf.py`` reads it in the master, before any fork.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from dotenv import load_dotenv
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

VERSION = "0.1.0"
ROOT = Path(__file__).resolve().parent

# 16 random characters are about 96 bits, more than anyone can guess online. The limit also refuses
# the values "secret", "changeme" and "dev" from tutorials.
MIN_SECRET_KEY_LENGTH = 16
MIN_ADMIN_PASSWORD_LENGTH = 8
# An empty schema and a few large events need some space. With less, pruning would run all the time.
MIN_STORE_BYTES = 64 * 1024**2


# The settings that staging and production require, and the command that makes a secret.
SECRETS = ("SECRET_KEY", "ADMIN_PASSWORD")
MAKE_SECRET = 'python -c "import secrets; print(secrets.token_urlsafe(48))"'  # noqa: S105 -- makes one
REQUIRED = "required in "
# The name of a secret with this at its end names a file that holds it, as Docker and Kubernetes
# mount them.
FILE = "_FILE"
MAX_SECRET_FILE_BYTES = 64 * 1024


class ConfigError(Exception):
    """One or more settings are wrong.

    :param problems: maps the name of a setting to what was expected, in the order of the class.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(self.report())

    def report(self) -> str:
        """Return the message for the operator, with one line for each wrong setting."""
        many = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        lines = [f"  {name}: {text}" for name, text in self.problems.items()]
        return "\n".join([f"DevEnviro cannot start: {many} wrong.", *lines, *self._missing()])

    def _missing(self) -> list[str]:
        """Return a line that says how to make the missing secrets, or an empty list."""
        names = [name for name in SECRETS if self.problems.get(name, "").startswith(REQUIRED)]
        if not names:
            return []
        missing = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set"
        return [f"{missing}. This makes one, for .env: {MAKE_SECRET}"]


def _dsn(value: str) -> str:
    parts = urlsplit(value)
    project = parts.path.rpartition("/")[2]
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not parts.username
        or not project.isdigit()
        or parts.port == 0  # also raises ValueError for a port that is not a number
    ):
        raise ValueError("not a DSN")
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.query
        or parts.port == 0
    ):
        raise ValueError("not a URL")
    return value.rstrip("/")


def _database_url(value: str) -> str:
    # Other products write postgres://, which SQLAlchemy no longer accepts.
    try:
        url = make_url(value.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise ValueError("not a URL") from None
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("SQLite in memory does not survive a restart")
        return url.set(drivername="sqlite").render_as_string(hide_password=False)
    if url.get_backend_name() == "postgresql" and url.host is not None:
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    raise ValueError("not a database that is supported")


def _qdrant_url(value: str) -> str:
    # Without a port, the client uses 6333, even with https. Almost nobody means that by such a URL.
    # Without a scheme, it reads the host name as the scheme.
    parts = urlsplit(_base_url(value))
    if not parts.port or parts.username is not None or parts.fragment or " " in value:
        raise ValueError("not the URL of a Qdrant")
    return value.rstrip("/")


def _key_for(url: str) -> AfterValidator:
    """Refuse a key that would be sent in plain text through a public network.

    :param url: the setting with the address that the key is sent to.
    """

    def check(value: str, info: ValidationInfo) -> str:
        parts = urlsplit(info.data.get(url) or "https:")
        if parts.scheme == "http" and not _is_private(parts.hostname or ""):
            raise ValueError("everybody on the way could read it")
        return value

    return AfterValidator(check)


def _embedder_url(value: str, info: ValidationInfo) -> str:
    parts = urlsplit(_base_url(value))
    if parts.username is not None or parts.fragment or " " in value:
        raise ValueError("not the URL of an API")
    if ":" in info.data.get("EMBEDDER", ""):
        raise ValueError("EMBEDDER names another embedder")
    return value.rstrip("/").removesuffix("/embeddings")


def _is_private(host: str) -> bool:
    """Return whether the name of a host shows that it is this machine or in a private network."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    # A name without a dot is a service in the compose network or a host in the local network.
    return "." not in host or host.endswith((".local", ".internal", ".localhost", ".svc"))


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _patterns(values: tuple[str, ...]) -> tuple[str, ...]:
    if values:
        # Imported late: gunicorn's master reads this module and must not import the application.
        from app.protocol.scrubbing.patterns import check_pattern

        for pattern in values:
            check_pattern(pattern)
    return values


def _rates(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = (part.rpartition("=") for part in value.split(",") if part.strip())
    return {name.strip(): rate.strip() for name, _, rate in pairs}


def _named(rates: dict[str, float]) -> dict[str, float]:
    if "" in rates:
        raise ValueError("a rate without an exception type")
    return rates


def _store_bytes(value: int) -> int:
    if value != 0 and value < MIN_STORE_BYTES:
        raise ValueError("too small")
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Dsn = Annotated[str, AfterValidator(_dsn)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
QdrantUrl = Annotated[str, AfterValidator(_qdrant_url)]
QdrantKey = Annotated[str, Field(pattern=r"^[!-~]{1,8192}$"), _key_for("QDRANT_URL")]
EmbedderUrl = Annotated[str, AfterValidator(_embedder_url)]
EmbedderKey = Annotated[str, Field(pattern=r"^[!-~]{1,8192}$"), _key_for("EMBEDDER_URL")]
ApiToken = Annotated[str, Field(pattern=r"^[!-~]{1,500}$")]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(value.split()) if isinstance(value, str) else value),
    AfterValidator(_patterns),
]
StoreBytes = Annotated[int, AfterValidator(_store_bytes)]
Rate = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Rates = Annotated[dict[str, Rate], BeforeValidator(_rates), AfterValidator(_named)]
Environment = Literal["development", "staging", "production", "testing"]
SmtpTls = Literal["starttls", "tls", "off"]
MailAddress = Annotated[str, Field(pattern=r"^[!-?A-~]+@[!-?A-~]+$")]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

RATE = "a number from 0 to 1"
BOOL = "true or false"
DSN = "a DSN such as https://key@host/1"
BASE_URL = "a URL such as https://errors.example.org"


def setting(default: Any, expected: str, **constraints: Any) -> Any:
    """Declare a setting.

    :param default: used where the setting is not set; it is not validated.
    :param expected: what the error message says was expected.
    :param constraints: further arguments of ``pydantic.Field``.
    """
    return Field(default, description=expected, validate_default=False, **constraints)


class Config(BaseModel):
    """The settings of every environment. A field has the name of its environment variable.

    A field that ``repr`` leaves out is a secret.
    """

    model_config = ConfigDict(
        # Only the class of the environment is built.
        defer_build=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )
    needs_secrets: ClassVar[bool] = False
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    ENVIRONMENT: Environment = setting(
        "development", "one of development, staging, production, testing"
    )
    SENTRY_DSN: Dsn | None = setting(None, DSN, repr=False)
    SENTRY_RELEASE: str | None = setting(
        None, "a release name of at most 200 characters", max_length=200
    )
    SENTRY_SAMPLE_RATE: Rate = setting(1.0, RATE)
    SENTRY_ERROR_SAMPLE_RATES: Rates = setting(
        {}, "exception types with a number from 0 to 1, such as TimeoutError=0.1,KeyError=0.5"
    )
    SENTRY_TRACES_SAMPLE_RATE: Rate = setting(0.1, RATE)
    SENTRY_PROFILES_SAMPLE_RATE: Rate = setting(0.1, RATE)
    SENTRY_SEND_PII: bool = setting(False, BOOL)
    SENTRY_DEBUG: bool = setting(False, BOOL)
    SENTRY_LOGS: bool = setting(False, BOOL)
    SENTRY_WEB_URL: BaseUrl | None = setting(
        None, "the address of your organization in Sentry, such as https://acme.sentry.io"
    )
    SENTRY_API_TOKEN: ApiToken | None = setting(
        None, "a token of Sentry's API, at most 500 printable characters", repr=False
    )
    SENTRY_API_URL: BaseUrl | None = setting(
        None, "the address of Sentry's API without /api/0, such as https://sentry.example.org"
    )
    SENTRY_ORG: str | None = setting(
        None,
        "the slug or the number of an organization in Sentry",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
    )
    SENTRY_CANARY: bool = setting(True, "on or off")
    API_HOST: str = setting("127.0.0.1", "a host name or address to listen on", max_length=255)
    API_PORT: int = setting(8000, "a port from 1 to 65535", ge=1, le=65535)
    PUBLIC_URL: BaseUrl | None = setting(None, BASE_URL)
    TRUSTED_PROXIES: int = setting(0, "the number of proxies in front, from 0 to 10", ge=0, le=10)
    MAX_CONNECTIONS_PER_PEER: int = setting(
        64, "a number of connections from 1 to 1000", ge=1, le=1000
    )
    ALLOWED_HOSTS: Names = setting((), "host names, separated by commas")
    SECRET_KEY: str | None = setting(
        None,
        f"at least {MIN_SECRET_KEY_LENGTH} random characters, for instance of "
        "`openssl rand -base64 32`",
        min_length=MIN_SECRET_KEY_LENGTH,
        repr=False,
    )
    ADMIN_USERNAME: str = setting("admin", "1 to 100 characters", min_length=1, max_length=100)
    ADMIN_PASSWORD: str | None = setting(
        None,
        f"a password of at least {MIN_ADMIN_PASSWORD_LENGTH} characters",
        min_length=MIN_ADMIN_PASSWORD_LENGTH,
        repr=False,
    )
    API_TOKEN: str | None = setting(
        None,
        f"a token of at least {MIN_SECRET_KEY_LENGTH} characters",
        min_length=MIN_SECRET_KEY_LENGTH,
        repr=False,
    )
    DIAGNOSTICS: bool = setting(True, "on or off")
    DATA_DIR: Folder = setting(ROOT / "instance", "a folder to keep everything in")
    EMERGENCY_DIR: Folder | None = setting(None, "a folder for events the store could not take")
    DATABASE_URL: DatabaseUrl | None = setting(
        None, "sqlite:///file or postgresql://user:password@host/name", repr=False
    )
    QDRANT_URL: QdrantUrl | None = setting(
        None, "http or https with host and port, such as http://qdrant:6333"
    )
    QDRANT_API_KEY: QdrantKey | None = setting(
        None,
        "printable characters, and https in QDRANT_URL unless it leads to a private network",
        repr=False,
    )
    QDRANT_TIMEOUT_S: float = setting(
        2.0, "seconds from 0.1 to 60", ge=0.1, le=60, allow_inf_nan=False
    )
    QDRANT_COLLECTION: str = setting(
        "devenviro",
        "1 to 30 lower-case letters, digits and hyphens",
        pattern=r"^[a-z0-9][a-z0-9-]{0,29}$",
    )
    QDRANT_SHARD_NUMBER: int | None = setting(None, "a number from 1 to 1024", ge=1, le=1024)
    QDRANT_REPLICATION_FACTOR: int = setting(1, "a number from 1 to 32", ge=1, le=32)
    SCRUB_KEYS: Names = setting((), "names of fields, separated by commas")
    SCRUB_PATTERNS: Patterns = setting(
        (), "regular expressions without nested repeats, separated by whitespace"
    )
    ATTACHMENTS: Literal["scrub", "keep", "off"] = setting("scrub", "one of scrub, keep, off")
    RETENTION_DAYS: int = setting(90, "a number of days, 0 for no limit", ge=0, le=36500)
    AUDIT_RETENTION_DAYS: int = setting(365, "a number of days, 0 for no limit", ge=0, le=36500)
    RETENTION_EVENTS: int = setting(
        1_000_000, "a number of events, 0 for no limit", ge=0, le=10**12
    )
    MAX_STORE_BYTES: StoreBytes = setting(
        10 * 1024**3, "a number of bytes from 67108864 (64 MiB), 0 for no limit", le=10**15
    )
    LOG_RETENTION_DAYS: int = setting(30, "a number of days, 0 for no limit", ge=0, le=36500)
    LOG_MAX_BYTES: int = setting(1024**3, "a number of bytes, 0 for no limit", ge=0, le=10**15)
    MAX_NEW_ISSUES_PER_HOUR: int = setting(
        200, "a number of issues, 0 for no limit", ge=0, le=10**6
    )
    DEFAULT_EVENTS_PER_MINUTE: int = setting(
        60_000, "a number of envelopes, 0 for no limit", ge=0, le=10**9
    )
    DELIVERY_BACKOFF_BASE_S: float = setting(
        1.0, "seconds from 0.01 to 3600", ge=0.01, le=3600, allow_inf_nan=False
    )
    DELIVERY_BACKOFF_MAX_S: float = setting(
        300.0, "seconds from 0.01 to 86400", ge=0.01, le=86400, allow_inf_nan=False
    )
    DELIVERY_MAX_AGE_DAYS: float = setting(
        7.0, "days, more than 0 and at most 3650", gt=0, le=3650, allow_inf_nan=False
    )
    DELIVERY_BACKLOG_PER_S: float = setting(
        50.0,
        "envelopes a second, 0 for as many as go",
        ge=0,
        le=100_000,
        allow_inf_nan=False,
    )
    DELIVERY_MAX_PER_ISSUE_PER_HOUR: int = setting(
        0, "a number of events, 0 for no cap", ge=0, le=10**9
    )
    ALERTS_EVALUATE_EVERY_S: float = setting(
        60.0, "seconds from 1 to 3600", ge=1, le=3600, allow_inf_nan=False
    )
    UPSTREAM_ALLOW_PRIVATE: bool = setting(True, "on or off")
    ALERTS_ALLOW_PRIVATE_TARGETS: bool = setting(False, BOOL)
    SMTP_HOST: str | None = setting(
        None, "the name or address of a mail server", min_length=1, max_length=255
    )
    SMTP_PORT: int = setting(587, "a port from 1 to 65535", ge=1, le=65535)
    SMTP_TLS: Annotated[SmtpTls, BeforeValidator(_lower)] = setting(
        "starttls", "starttls, tls or off"
    )
    SMTP_USERNAME: str | None = setting(None, "a user name", max_length=255)
    SMTP_PASSWORD: str | None = setting(None, "a password", max_length=1000, repr=False)
    SMTP_FROM: MailAddress | None = setting(
        None, "a mail address such as alerts@example.org", max_length=254
    )
    EMBEDDER: str = setting(
        "wordllama",
        "wordllama, or module:factory of another one",
        pattern=r"^(wordllama|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        max_length=200,
    )
    EMBEDDER_URL: EmbedderUrl | None = setting(
        None,
        "http or https with host and path, such as https://api.openai.com/v1, and no module:factory"
        " in EMBEDDER",
    )
    EMBEDDER_API_KEY: EmbedderKey | None = setting(
        None,
        "printable characters, and https in EMBEDDER_URL unless it leads to a private network",
        repr=False,
    )
    EMBEDDER_MODEL: str | None = setting(
        None,
        "the name of a model, such as text-embedding-3-small, of 1 to 90 printable characters",
        pattern=r"^[!-~]{1,90}$",
    )
    EMBEDDER_DIMS: int | None = setting(
        None, "the number of dimensions of its vectors, from 1 to 8192", ge=1, le=8192
    )
    EMBEDDER_TIMEOUT_S: float = setting(
        10.0, "seconds from 0.1 to 120", ge=0.1, le=120, allow_inf_nan=False
    )
    WORKER_IN_WEB: bool = setting(True, "on or off")
    WEB_CONCURRENCY: int = setting(2, "a number of worker processes from 1 to 64", ge=1, le=64)
    LOG_LEVEL: Annotated[LogLevel, BeforeValidator(_upper)] = setting(
        "INFO", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    )

    @model_validator(mode="before")
    @classmethod
    def _what_is_required(cls, values: dict[str, Any]) -> dict[str, Any]:
        if cls.needs_secrets:
            # 0 fails the check of the field, so the missing secret is reported with all the others.
            values = {**dict.fromkeys(SECRETS, 0), **values}
        if values.get("EMBEDDER_URL"):
            values = {"EMBEDDER_MODEL": 0, "EMBEDDER_DIMS": 0, **values}
        return values

    def source_of(self, name: str) -> str:
        """Return where the value of a setting came from: ``environment``, ``.env``, ``file``,
        ``code``, ``default``, or the default of an environment such as ``production``.
        """
        if name in self._sources:
            return self._sources[name]
        common, own = (kind.model_fields[name].default for kind in (Config, type(self)))
        return self.ENVIRONMENT if own != common and name != "ENVIRONMENT" else "default"

    @property
    def testing(self) -> bool:
        """Whether errors inside the error tracker are raised instead of only logged."""
        return self.ENVIRONMENT == "testing"

    @property
    def trusts_loopback(self) -> bool:
        """Whether callers on this machine need no token (development and testing)."""
        return not self.needs_secrets

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The host names that pages are served under; an empty tuple allows any host.

        In staging and production, the default is the host of ``PUBLIC_URL``.
        """
        if self.ALLOWED_HOSTS or not self.needs_secrets or self.PUBLIC_URL is None:
            return self.ALLOWED_HOSTS
        host = urlsplit(self.PUBLIC_URL).hostname or ""
        return (f"[{host}]" if ":" in host else host,)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL, by default a SQLite file in ``DATA_DIR``."""
        return self.DATABASE_URL or f"sqlite:///{self.DATA_DIR / 'devenviro.sqlite3'}"

    @property
    def emergency_dir(self) -> Path:
        """The emergency folder: it keeps the events that the store could not write."""
        return self.EMERGENCY_DIR or self.DATA_DIR / "emergency"

    @property
    def public_url(self) -> str:
        """The URL that people use, without a slash at the end."""
        host = "127.0.0.1" if self.API_HOST in {"0.0.0.0", "::"} else self.API_HOST  # noqa: S104 -- compared, not bound
        host = f"[{host}]" if ":" in host else host
        return self.PUBLIC_URL or f"http://{host}:{self.API_PORT}"


class DevelopmentConfig(Config):
    """Settings for development: all data is sent to Sentry, and no secrets are required."""

    ENVIRONMENT: Literal["development"] = setting("development", "development")
    SENTRY_TRACES_SAMPLE_RATE: Rate = setting(1.0, RATE)
    SENTRY_PROFILES_SAMPLE_RATE: Rate = setting(1.0, RATE)
    SENTRY_SEND_PII: bool = setting(True, BOOL)
    SENTRY_DEBUG: bool = setting(True, BOOL)


class StagingConfig(Config):
    """Settings for staging: like production, with another environment name in Sentry."""

    needs_secrets = True
    ENVIRONMENT: Literal["staging"] = setting("staging", "staging")


class ProductionConfig(Config):
    """Settings for production: sampled traces, required secrets, and no personal data sent."""

    needs_secrets = True
    ENVIRONMENT: Literal["production"] = setting("production", "production")


class TestingConfig(Config):
    """Settings for tests: no traces by default, and errors inside the error tracker are raised."""

    __test__ = False  # pytest collects classes named Test*
    ENVIRONMENT: Literal["testing"] = setting("testing", "testing")
    SENTRY_TRACES_SAMPLE_RATE: Rate = setting(0.0, RATE)
    SENTRY_PROFILES_SAMPLE_RATE: Rate = setting(0.0, RATE)


CONFIGS: dict[str, type[Config]] = {
    "development": DevelopmentConfig,
    "staging": StagingConfig,
    "production": ProductionConfig,
    "testing": TestingConfig,
}


SECRET_NAMES = tuple(name for name, field in Config.model_fields.items() if not field.repr)

# The variables that the process has from .env. Workers have it from gunicorn's master.
_from_env_file: set[str] = set()


def load_env_file(path: Path = ROOT / ".env") -> None:
    """Add the variables of .env to the environment of the process, which wins over them."""
    before = set(os.environ)
    load_dotenv(path)
    _from_env_file.update(set(os.environ) - before)


def load_config(environ: Mapping[str, str] | None = None, **overrides: Any) -> Config:
    """Read and validate the settings.

    :param environ: by default the environment of the process; an empty value means not set.
    :param overrides: settings given in code; they win over the environment.
    :raise ConfigError: one or more settings are wrong; the error names all of them.
    """
    own = environ is None
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {
        name: environ[name].strip() for name in Config.model_fields if environ.get(name, "").strip()
    }
    is_of_file = _from_env_file if own else set()
    sources = {name: ".env" if name in is_of_file else "environment" for name in values}
    of_files, problems = _read_secrets(environ)
    values |= of_files | overrides
    sources |= dict.fromkeys(of_files, "file") | dict.fromkeys(overrides, "code")
    environment = _lower(values.pop("ENVIRONMENT", "development"))
    chosen = CONFIGS.get(str(environment))
    if chosen is None:
        problems["ENVIRONMENT"] = f"expected {Config.model_fields['ENVIRONMENT'].description}"
    try:
        config = (chosen or DevelopmentConfig)(**values)
    except ValidationError as error:
        found = _problems(chosen or DevelopmentConfig, values, error)
        # Whoever named a file did not forget the secret.
        known = {name.removesuffix(FILE) for name in problems}
        problems |= {name: text for name, text in found.items() if name not in known}
    if problems:
        raise ConfigError(problems)
    config._sources = sources
    return config


def _read_secrets(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the secrets that files hold, and what is wrong with these files, by setting."""
    values, problems = {}, {}
    for name in SECRET_NAMES:
        path = environ.get(name + FILE, "").strip()
        if not path:
            continue
        if environ.get(name, "").strip():
            problems[name] = f"given twice, as {name} and as {name}{FILE}: expected is one of them"
            continue
        try:
            values[name] = _read_secret(Path(path))
        except (OSError, ValueError):
            problems[name + FILE] = (
                f"expected a readable file of at most {MAX_SECRET_FILE_BYTES // 1024} KiB of text,"
                f" which holds {name}"
            )
    return values, problems


def _read_secret(path: Path) -> str:
    if not path.is_file():  # A pipe would be waited for.
        raise ValueError("no file")
    with path.open("rb") as file:
        content = file.read(MAX_SECRET_FILE_BYTES + 1)
    text = content.decode().removesuffix("\n").removesuffix("\r")
    if not text.strip() or len(content) > MAX_SECRET_FILE_BYTES:
        raise ValueError("empty or too large")
    return text


def _problems(
    chosen: type[Config], values: Mapping[str, Any], error: ValidationError
) -> dict[str, str]:
    wrong = {str(detail["loc"][0]) for detail in error.errors(include_input=False)}
    problems = {}
    for name, field in chosen.model_fields.items():
        if name in wrong:
            missing = "" if name in values else f"{_reason_for(name, chosen)}; "
            problems[name] = f"{missing}expected {field.description}"
    problems.update({name: "no such setting" for name in wrong if name not in problems})
    return problems


def _reason_for(name: str, chosen: type[Config]) -> str:
    """Return why a setting that is not set is required."""
    if name in SECRETS:
        return f"{REQUIRED}{chosen.model_fields['ENVIRONMENT'].default}"
    return "required with EMBEDDER_URL"


if __name__ == "__main__":
    # `make run` runs this check before it starts gunicorn. gunicorn reads WEB_CONCURRENCY itself
    # and would print a traceback for a wrong value.
    load_env_file()
    try:
        load_config()
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
