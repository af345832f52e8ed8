"""The page Settings: every setting with its value, where it came from, and what it does.

config ────────────┬──▶ groups of lines
docs/settings.md ──┘    the words: the same that people read in the documentation

Settings are read at the start, so the page changes none. Secrets are masked.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from flask import render_template
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.web import access
from app.web.current import current_config
from config import FILE, ROOT, SECRET_NAMES, Config

MASK = "••••••••"
# What stands in for settings that are not set.
_EFFECTIVE = {
    "PUBLIC_URL": "public_url",
    "ALLOWED_HOSTS": "allowed_hosts",
    "EMERGENCY_DIR": "emergency_dir",
}
_ROW = re.compile(r"\| `([A-Z_]+)` \| ([^|]*) ?\| ([^|]*) ?\|")
_LINK = re.compile(r"\[([^\]]{1,200})\]\([^)]{1,200}\)")
# User name and password in a URL; a password may have an @ itself.
_LOGIN = re.compile(r"//[^/\s]{1,500}@")


class Words(NamedTuple):
    """What the documentation says about a setting."""

    group: str
    default: str
    help: str


class Line(NamedTuple):
    """A setting.

    :param value: masked if it is a secret; empty if it is not set.
    :param is_set: whether somebody has set it.
    """

    name: str
    value: str
    source: str
    is_set: bool
    words: Words


@bp.get("/settings")
@access.admin
def show_settings() -> ResponseReturnValue:
    """Show all settings, by the groups of the documentation."""
    return render_template("settings.html", groups=groups(current_config()))


def groups(config: Config) -> dict[str, list[Line]]:
    """Return the lines of all settings by group, in the order of the documentation."""
    found: dict[str, list[Line]] = {}
    for name, words in words_of_settings().items():
        found.setdefault(words.group, []).append(_line(config, name, words))
    return found


@cache
def words_of_settings(path: Path = ROOT / "docs" / "settings.md") -> dict[str, Words]:
    """Return the words of the documentation by setting."""
    group, found = "", {}
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            group = line[3:]
        elif row := _ROW.fullmatch(line):
            name, default, text = row.groups()
            found[name] = Words(
                group, default.strip(), _LINK.sub(r"\1", text.strip()).replace("**", "")
            )
    return found


def _line(config: Config, name: str, words: Words) -> Line:
    source = config.source_of(name)
    is_set = source in ("environment", ".env", "file", "code")
    value = getattr(config, name)
    if value in (None, ()) and name in _EFFECTIVE:
        value = getattr(config, _EFFECTIVE[name])
    is_secret = name in SECRET_NAMES
    shown = _text(value)
    return Line(name, MASK if is_secret and shown else shown, _of(name, source), is_set, words)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    return _LOGIN.sub(f"//{MASK}@", str(value))


def _of(name: str, source: str) -> str:
    """Return in words where a value came from."""
    if source == "file":
        return f"file of {name}{FILE}"
    if source in ("environment", ".env", "default", "code"):
        return source
    return f"default of {source}"
