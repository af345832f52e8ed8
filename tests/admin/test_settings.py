"""The page Settings: all of them, where each came from, and nothing secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.admin.settings import MASK, Line, groups, words_of_settings
from config import SECRET_NAMES, Config, load_config
from tests.conftest import ADMIN_PASSWORD

pytestmark = pytest.mark.one_database


def lines_of(environ: dict[str, str]) -> dict[str, Line]:
    found = groups(load_config(environ))
    return {line.name: line for lines in found.values() for line in lines}


def test_every_setting_has_words_and_a_place() -> None:
    words = words_of_settings()
    assert set(words) == set(Config.model_fields)
    assert all(one.help and one.group for one in words.values())
    assert list(dict.fromkeys(one.group for one in words.values()))[0] == "Environment"


def test_secrets_are_masked_and_others_say_where_they_came_from(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 20)
    lines = lines_of(
        {
            "ENVIRONMENT": "production",
            "SECRET_KEY_FILE": str(key),
            "ADMIN_PASSWORD": "very secret",
            "DATABASE_URL": "postgresql://me:very-secret@host/name",
            "SENTRY_DSN": "https://very5ecret@host/1",
            "PUBLIC_URL": "https://me:very-secret@very@errors.example.org",
            "SENTRY_ERROR_SAMPLE_RATES": "TimeoutError=0.1",
        }
    )
    values = " ".join(line.value for line in lines.values())
    assert "very" not in values and "k" * 20 not in values
    for name in ("SECRET_KEY", "ADMIN_PASSWORD", "DATABASE_URL", "SENTRY_DSN"):
        assert name in SECRET_NAMES and lines[name].value == MASK
    assert lines["SECRET_KEY"].source == "file of SECRET_KEY_FILE"
    assert lines["PUBLIC_URL"].value == f"https://{MASK}@errors.example.org"
    shown = {name: (line.value, line.source) for name, line in lines.items()}
    assert shown["ENVIRONMENT"] == ("production", "environment")
    assert shown["SENTRY_ERROR_SAMPLE_RATES"] == ("TimeoutError=0.1", "environment")
    assert shown["API_PORT"] == ("8000", "default")
    assert shown["SMTP_PASSWORD"] == ("", "default")
    # What is in force where nothing is set.
    assert shown["ALLOWED_HOSTS"] == ("errors.example.org", "default")
    development = lines_of({})["SENTRY_DEBUG"]
    assert (development.value, development.source) == ("on", "default of development")


def test_page_shows_all_settings_and_no_secret(
    client: FlaskClient, admin_client: FlaskClient
) -> None:
    page = admin_client.get("/admin/settings").text
    assert set(re.findall(r'<td class="what"><code>([A-Z_]+)</code>', page)) == set(
        Config.model_fields
    )
    assert MASK in page and ADMIN_PASSWORD not in page
    assert "<form" not in page.partition("<main")[2].partition("</main>")[0]
