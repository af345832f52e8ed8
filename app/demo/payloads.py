"""The events of a demo, as SDKs send them: exceptions with frames, request, user, breadcrumbs."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from app.demo.plan import DAYS, ERRORS, PROJECTS, Bug, Occurrence

USERS = 400
# A release every six days.
RELEASE_DAYS = 6
REGIONS = ("eu-west", "eu-central", "us-east", "ap-south")
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1",
)
EXTENSIONS = {"python": "py", "javascript": "js", "node": "js", "go": "go", "java": "java"}
EXTENSIONS |= {"ruby": "rb", "php": "php"}
SDKS = {"python": "sentry.python.flask", "javascript": "sentry.javascript.react"}
LIBRARIES = ("router", "middleware", "dispatch")


def payload_of(occurrence: Occurrence, moment: datetime) -> dict[str, Any]:
    """Return the event of an occurrence.

    :param moment: when it happened.
    """
    bug, number = occurrence.bug, occurrence.number
    chance = random.Random(number)  # noqa: S311 -- a demo, not a secret
    name, platform = PROJECTS[bug.project]
    user = chance.randrange(USERS) if bug.weight > 0.01 else bug.number % USERS
    type_, _, level = ERRORS[bug.error]
    return {
        "event_id": uuid.UUID(int=chance.getrandbits(128)).hex,
        "timestamp": moment.isoformat(),
        "platform": platform,
        "level": level,
        "logger": f"{_word(name)}.{bug.verb}",
        "transaction": f"/{bug.noun.split('_')[0]}s/<id>/{bug.verb}",
        "release": release_of(name, occurrence.day),
        "environment": chance.choice(("production", "production", "production", "staging")),
        "server_name": f"{_word(name)}-{chance.randrange(4)}",
        "sdk": {"name": SDKS.get(platform, f"sentry.{platform}"), "version": "2.75.0"},
        "tags": {"region": chance.choice(REGIONS), "checkout": f"v{1 + number % 2}"},
        "user": {"id": f"u-{user}", "email": f"person{user}@customer.example"},
        "request": _request(bug, chance),
        "breadcrumbs": {"values": _breadcrumbs(bug, moment)},
        "contexts": {"trace": {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"}},
        "exception": {"values": _exceptions(bug, number, platform, name)},
    }


def release_of(project: str, day: float) -> str:
    """Return the release of a project that is deployed on a day of the demo."""
    return f"{_word(project)}@2.{int(min(day, DAYS) // RELEASE_DAYS)}.0"


def _exceptions(bug: Bug, number: int, platform: str, project: str) -> list[dict[str, Any]]:
    errors = [bug.error] if bug.cause is None else [bug.cause, bug.error]
    handled = {"type": "generic", "handled": bug.number % 3 == 0}
    return [
        {
            "type": ERRORS[error][0],
            "value": ERRORS[error][1].format(1000 + number, bug.number % 7),
            "module": f"{_word(project)}.errors",
            "mechanism": handled,
            "stacktrace": {"frames": _frames(bug, number, platform, project)},
        }
        for error in errors
    ]


def _frames(bug: Bug, number: int, platform: str, project: str) -> list[dict[str, Any]]:
    ending = EXTENSIONS.get(platform, "txt")
    library = [_frame(f"lib/{name}.{ending}", name, 40, {}, False) for name in LIBRARIES]
    path = f"{_word(project)}/{bug.noun.split('_')[0]}s/{bug.verb}.{ending}"
    own = {"order_id": 1000 + number, "retries": 3, "currency": "EUR"}
    caller = _frame(path, f"handle_{bug.noun}", 12, {"request": "<Request>"}, True)
    return [*library, caller, _frame(path, bug.function, 87 + bug.number % 9, own, True)]


def _frame(
    path: str, function: str, line: int, values: dict[str, Any], own: bool
) -> dict[str, Any]:
    return {
        "filename": path,
        "abs_path": f"/srv/{path}",
        "function": function,
        "module": path.rpartition(".")[0].replace("/", "."),
        "lineno": line,
        "pre_context": [f"    order = find_order(order_id)  # {function}", "    if not order:"],
        "context_line": f"        raise self.failed({function!r}, order)",
        "post_context": ["    return order.total"],
        "in_app": own,
        "vars": values,
    }


def _request(bug: Bug, chance: random.Random) -> dict[str, Any]:
    return {
        "url": f"https://demo.example/{bug.noun.split('_')[0]}s/{chance.randrange(9999)}/{bug.verb}",
        "method": chance.choice(("GET", "POST")),
        "headers": {"User-Agent": chance.choice(BROWSERS), "Host": "demo.example"},
    }


def _breadcrumbs(bug: Bug, moment: datetime) -> list[dict[str, Any]]:
    texts = ("SELECT * FROM orders WHERE id = %s", f"{bug.verb} {bug.noun}", "POST /inventory 504")
    kinds = ("query", "log", "http")
    return [
        {
            "timestamp": (moment - timedelta(seconds=3 - place)).isoformat(),
            "category": kind,
            "type": "http" if kind == "http" else "default",
            "message": text,
        }
        for place, (kind, text) in enumerate(zip(kinds, texts, strict=True))
    ]


def _word(name: str) -> str:
    return name.lower().replace(" ", "-")
