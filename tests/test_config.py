"""Settings: what is wrong is named, all of it at once, and never repeated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from config import (
    CONFIGS,
    ROOT,
    SECRET_NAMES,
    Config,
    ConfigError,
    DevelopmentConfig,
    ProductionConfig,
    load_config,
    load_env_file,
)

SECRETS = {"SECRET_KEY": "s" * 16, "ADMIN_PASSWORD": "long enough"}


def problems(environ: dict[str, str]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_config(environ)
    return caught.value.problems


@pytest.mark.parametrize(
    ("environment", "traces", "profiles", "debug", "pii"),
    [
        ("development", 1.0, 1.0, True, True),
        ("staging", 0.1, 0.1, False, False),
        ("production", 0.1, 0.1, False, False),
    ],
)
def test_environments_have_the_documented_rates(
    environment: str, traces: float, profiles: float, debug: bool, pii: bool
) -> None:
    config = load_config({"ENVIRONMENT": environment, **SECRETS})
    assert config.SENTRY_TRACES_SAMPLE_RATE == traces
    assert config.SENTRY_PROFILES_SAMPLE_RATE == profiles
    assert config.SENTRY_DEBUG is debug
    assert config.SENTRY_SEND_PII is pii


def test_nothing_set_means_development() -> None:
    assert type(load_config({})) is DevelopmentConfig
    assert type(load_config({"ENVIRONMENT": "Production", **SECRETS})) is ProductionConfig


def test_empty_means_unset() -> None:
    config = load_config({"API_PORT": "", "SENTRY_DSN": "  ", "DATA_DIR": ""})
    assert (config.API_PORT, config.SENTRY_DSN) == (8000, None)
    assert config.DATA_DIR == ROOT / "instance"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_no_start_without_secrets_where_they_are_needed(environment: str) -> None:
    found = problems({"ENVIRONMENT": environment, "API_PORT": "http"})
    assert set(found) == {"SECRET_KEY", "ADMIN_PASSWORD", "API_PORT"}
    assert found["SECRET_KEY"].startswith(f"required in {environment}; expected at least 16")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "prod"),
        ("QDRANT_URL", "vectors:6333"),
        ("QDRANT_URL", "http://vectors"),
        ("QDRANT_URL", "https://x.cloud.qdrant.io"),
        ("QDRANT_URL", "http://qdrant:0"),
        ("QDRANT_URL", "grpc://qdrant:6334"),
        ("QDRANT_URL", "http://key@qdrant:6333"),
        ("QDRANT_URL", "http://qdrant :6333"),
        ("QDRANT_URL", "http://qdrant:6333?key=1"),
        ("QDRANT_API_KEY", "two words"),
        ("QDRANT_API_KEY", "schlüssel"),
        ("QDRANT_TIMEOUT_S", "0"),
        ("QDRANT_COLLECTION", "../other"),
        ("QDRANT_COLLECTION", "our_notes"),
        ("QDRANT_SHARD_NUMBER", "0"),
        ("QDRANT_REPLICATION_FACTOR", "many"),
        ("EMBEDDER_URL", "api.example.org"),
        ("EMBEDDER_URL", "https://key@api.openai.com/v1"),
        ("EMBEDDER_URL", "https://api.openai.com/v1?x=1"),
        ("EMBEDDER_API_KEY", "two words"),
        ("EMBEDDER_MODEL", "two words"),
        ("EMBEDDER_DIMS", "0"),
        ("EMBEDDER_TIMEOUT_S", "0"),
        ("SENTRY_DSN", "https://sentry.example.org/1"),
        ("SENTRY_DSN", "https://key@sentry.example.org/project"),
        ("SENTRY_DSN", "nonsense"),
        ("SENTRY_SAMPLE_RATE", "1.5"),
        ("SENTRY_SAMPLE_RATE", "nan"),
        ("SENTRY_TRACES_SAMPLE_RATE", "-0.1"),
        ("SENTRY_DEBUG", "maybe"),
        ("API_PORT", "0"),
        ("API_PORT", "65536"),
        ("API_PORT", "8000.5"),
        ("PUBLIC_URL", "errors.host"),
        ("PUBLIC_URL", "https://host:port"),
        ("TRUSTED_PROXIES", "-1"),
        ("SECRET_KEY", "short"),
        ("ADMIN_PASSWORD", "1234567"),
        ("API_TOKEN", "short"),
        ("DIAGNOSTICS", "sometimes"),
        ("DATABASE_URL", "mysql://host/db"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "not a url"),
        ("WEB_CONCURRENCY", "0"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_wrong_value_is_named_with_what_was_expected_and_not_repeated(
    name: str, value: str
) -> None:
    beside = {"EMBEDDER_MODEL": "m", "EMBEDDER_DIMS": "3"} if name == "EMBEDDER_URL" else {}
    found = problems({name: value} | beside)
    assert list(found) == [name]
    assert "expected" in found[name]
    if value not in ("0", "sqlite://", "short", "prod"):  # parts of the words that explain
        assert value not in found[name]


def test_all_wrong_values_are_named_at_once() -> None:
    found = problems({"API_PORT": "x", "SENTRY_DSN": "y", "LOG_LEVEL": "z", "ENVIRONMENT": "q"})
    assert set(found) == {"API_PORT", "SENTRY_DSN", "LOG_LEVEL", "ENVIRONMENT"}


@pytest.mark.parametrize(
    "host",
    ["qdrant", "localhost", "10.1.2.3", "[::1]", "100.64.0.1", "qdrant.ns.svc", "q.internal"],
)
def test_key_of_qdrant_goes_without_tls_through_private_networks(host: str) -> None:
    config = load_config({"QDRANT_URL": f"http://{host}:6333/", "QDRANT_API_KEY": "key"})
    assert config.QDRANT_URL == f"http://{host}:6333"


@pytest.mark.parametrize("host", ["qdrant.example.org", "8.8.8.8", "127.0.0.1.example.org"])
def test_key_of_qdrant_goes_nowhere_else_without_tls(host: str) -> None:
    found = problems({"QDRANT_URL": f"http://{host}:6333", "QDRANT_API_KEY": "s3cret"})
    assert set(found) == {"QDRANT_API_KEY"}
    assert "https" in found["QDRANT_API_KEY"]
    assert load_config({"QDRANT_URL": f"https://{host}:6333", "QDRANT_API_KEY": "s3cret"})


def test_embedding_api_needs_a_model_its_dimensions_and_no_other_embedder() -> None:
    url = {"EMBEDDER_URL": "https://api.example.org/v1/embeddings/"}
    assert problems(url) == {
        "EMBEDDER_MODEL": "required with EMBEDDER_URL; expected the name of a model, such as"
        " text-embedding-3-small, of 1 to 90 printable characters",
        "EMBEDDER_DIMS": "required with EMBEDDER_URL; expected the number of dimensions of its"
        " vectors, from 1 to 8192",
    }
    whole = url | {"EMBEDDER_MODEL": "m", "EMBEDDER_DIMS": "3", "EMBEDDER_API_KEY": "s3cret"}
    assert load_config(whole).EMBEDDER_URL == "https://api.example.org/v1"
    assert set(problems(whole | {"EMBEDDER": "a:b"})) == {"EMBEDDER_URL"}
    plain = {"EMBEDDER_URL": "http://api.example.org/v1"}
    assert set(problems(whole | plain)) == {"EMBEDDER_API_KEY"}
    assert load_config(whole | {"EMBEDDER_URL": "http://ollama:11434/v1"}).EMBEDDER_API_KEY


def test_secrets_are_not_in_the_repr() -> None:
    config = load_config(
        {"ENVIRONMENT": "production", "SENTRY_DSN": "https://thekey@host/1", **SECRETS}
    )
    assert not re.search("thekey|ssss|long enough", repr(config))


def test_every_setting_stands_in_the_example_with_a_comment_above() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert named == set(Config.model_fields)


def test_example_is_a_working_configuration() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    example = load_config({name: value for name, _, value in pairs})
    assert example.model_dump() == load_config({}).model_dump()


def test_settings_in_the_documentation_exist() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    named = set(re.findall(r"^\| `([A-Z][A-Z_]+)`", table, re.M))
    assert named == set(Config.model_fields)


# ---- secrets in files ---------------------------------------------------------------------------


def test_secret_of_a_file_is_read_without_its_last_newline(tmp_path: Path) -> None:
    for name, ending in (("SECRET_KEY", "\n"), ("ADMIN_PASSWORD", "\r\n"), ("API_TOKEN", "")):
        (tmp_path / name).write_bytes(f" {name} of 16 letters {ending}".encode())
    files = {f"{path.name}_FILE": str(path) for path in tmp_path.iterdir()}
    config = load_config({"ENVIRONMENT": "production", **files})
    assert config.SECRET_KEY == " SECRET_KEY of 16 letters "
    assert config.ADMIN_PASSWORD == " ADMIN_PASSWORD of 16 letters "
    assert (config.source_of("SECRET_KEY"), config.source_of("SMTP_PASSWORD")) == (
        "file",
        "default",
    )


def test_every_secret_may_stand_in_a_file() -> None:
    assert set(SECRET_NAMES) == {
        *("SECRET_KEY", "ADMIN_PASSWORD", "API_TOKEN", "SENTRY_DSN", "DATABASE_URL"),
        *("QDRANT_API_KEY", "EMBEDDER_API_KEY", "SMTP_PASSWORD", "SENTRY_API_TOKEN"),
    }
    settings = (ROOT / "docs" / "settings.md").read_text().partition("Secrets may stand")[2]
    paragraph = settings.partition("\n\n")[0]
    assert all(f"`{name}`" in paragraph for name in SECRET_NAMES)


def test_secret_that_is_given_twice_is_an_error_that_names_both(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 20)
    found = problems({"SECRET_KEY": "s" * 20, "SECRET_KEY_FILE": str(file)})
    assert found == {
        "SECRET_KEY": "given twice, as SECRET_KEY and as SECRET_KEY_FILE: expected is one of them"
    }


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\xff", b"x" * 70_000, "folder"])
def test_file_that_cannot_be_read_is_named_and_its_path_is_not(
    content: bytes | str | None, tmp_path: Path
) -> None:
    file = tmp_path / "very-secret"
    if content == "folder":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    # In production SECRET_KEY is required, but only its file is what is wrong.
    given = {"ENVIRONMENT": "production", "ADMIN_PASSWORD": "long enough"}
    found = problems({**given, "SECRET_KEY_FILE": str(file)})
    assert list(found) == ["SECRET_KEY_FILE"]
    assert found["SECRET_KEY_FILE"].startswith("expected a readable file of at most 64 KiB")
    assert "very-secret" not in found["SECRET_KEY_FILE"]


def test_value_of_a_file_is_checked_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("https://nobody.example.org/\n")
    assert list(problems({"SENTRY_DSN_FILE": str(file)})) == ["SENTRY_DSN"]


def test_compose_example_of_secrets_names_settings_and_secrets_that_exist() -> None:
    example = yaml.safe_load((ROOT / "docs/deploy/compose.secrets.yml").read_text())
    api = example["services"]["api"]
    assert set(api["secrets"]) == set(example["secrets"])
    for name, value in api["environment"].items():
        if name.endswith("_FILE"):
            assert name.removesuffix("_FILE") in SECRET_NAMES
            assert value.removeprefix("/run/secrets/") in example["secrets"]
        else:
            assert name in Config.model_fields


def test_variables_of_the_env_file_are_known_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("LOG_LEVEL=DEBUG\nAPI_PORT=9000\n")
    monkeypatch.setenv("API_PORT", "9001")
    monkeypatch.setattr("config._from_env_file", set())
    monkeypatch.setattr("os.environ", dict(os.environ))
    load_env_file(file)
    loaded = load_config(ENVIRONMENT="testing")
    assert (loaded.LOG_LEVEL, loaded.API_PORT) == ("DEBUG", 9001)
    named = ("LOG_LEVEL", "API_PORT", "ENVIRONMENT", "SMTP_PORT", "SENTRY_TRACES_SAMPLE_RATE")
    assert [loaded.source_of(name) for name in named] == [
        *(".env", "environment", "code", "default", "testing")
    ]


def test_every_environment_has_a_class() -> None:
    assert set(CONFIGS) == {"development", "staging", "production", "testing"}


@pytest.mark.parametrize("command", [["-m", "gunicorn"], ["-m", "flask", "db", "upgrade"]])
def test_wrong_setting_ends_the_command_with_2_and_no_traceback(
    command: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "ENVIRONMENT": "production", "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "SECRET_KEY: required in production" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "SECRET_KEY and ADMIN_PASSWORD are not set"),
        ({"SECRET_KEY": "s" * 32}, "ADMIN_PASSWORD is not set"),
        ({"ADMIN_PASSWORD": "p" * 12, "API_PORT": "no port"}, "SECRET_KEY is not set"),
    ],
)
@pytest.mark.parametrize("environment", ["production", "staging"])
def test_missing_secret_is_the_last_line_with_the_command_that_makes_one(
    given: dict[str, str], missing: str, environment: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config({"ENVIRONMENT": environment, **given})
    last = str(raised.value).splitlines()[-1]
    assert last.startswith(missing) and "secrets.token_urlsafe" in last
