"""The set-up page of a project: its DSN, the code for each kind of program, and the first event.

You can leave the page and open it again at any time. While it is open, its region for the first
event reloads itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.project_service import first_event
from app.projects import Project, dsn_of, find_project
from app.web import access
from app.web.current import current_config, current_store

# The default of the SDK is 100. With it, a burst of 300 errors lost 194 before they left the
# program (sentry-sdk 2.75 alone, `python -m benchmarks`, a server on the same machine).
QUEUE_SIZE = 1000


@dataclass(frozen=True)
class Snippet:
    """The code for one kind of program.

    :param install: the command that installs the SDK; empty if none is needed.
    :param lines: the code that sends one event.
    """

    id: str
    title: str
    install: str
    lines: str
    note: str = ""


@bp.get("/projects/<int:project_id>/setup")
@access.admin
def set_up_project(project_id: int) -> ResponseReturnValue:
    """Show what a program needs to send events to a project.

    :raise 404: there is no such project.
    """
    with current_store().read() as conn:
        project, first = _found(conn, project_id)
    config, key = current_config(), project.keys[-1] if project.keys else None
    return render_template(
        "project_setup.html",
        project=project,
        first=first,
        dsn=dsn_of(config.public_url, project_id, key) if key else None,
        snippets=snippets(config.public_url, project_id, key) if key else [],
        is_local=config.PUBLIC_URL is None,
    )


@bp.get("/live/projects/<int:project_id>/first-event")
@access.admin
def show_first_event(project_id: int) -> ResponseReturnValue:
    """Show whether the first event has arrived.

    :raise 404: there is no such project.
    """
    with current_store().read() as conn:
        project, first = _found(conn, project_id)
    return render_template("_first_event.html", project=project, first=first)


def _found(conn: Connection, project_id: int) -> tuple[Project, Row[tuple[object, ...]] | None]:
    return find_project(conn, project_id), first_event(conn, project_id)


def snippets(public_url: str, project_id: int, key: str) -> list[Snippet]:
    """Return the code for every kind of program; each sends one event.

    Source: https://docs.sentry.io/platforms/, and the options as sentry-sdk 2.75 and
    @sentry/node 11.12 read them, 2026-11-24.
    """
    dsn = dsn_of(public_url, project_id, key)
    store = f"{public_url.rstrip('/')}/api/{project_id}/store/?sentry_key={key}"
    hello = json.dumps({"message": "Hello from curl", "level": "info"})
    return [
        Snippet("python", "Python", "pip install sentry-sdk", _python(dsn), _PYTHON_NOTE),
        Snippet("node", "Node", "npm install @sentry/node", _node(dsn), _NODE_NOTE),
        Snippet("browser", "Browser", "npm install @sentry/browser", _browser(dsn), _origin(dsn)),
        Snippet("cli", "sentry-cli", "npm install --global @sentry/cli", _cli(dsn), _CLI_NOTE),
        Snippet(
            "curl",
            "curl",
            "",
            f"curl '{store}' \\\n     -H 'Content-Type: application/json' -d '{hello}'",
            "Any program that can send a request can report; the answer has the event's id.",
        ),
    ]


def _python(dsn: str) -> str:
    return (
        "import sentry_sdk\n\n"
        "sentry_sdk.init(\n"
        f'    dsn="{dsn}",\n'
        f"    transport_queue_size={QUEUE_SIZE},\n"
        ")\n\n"
        'sentry_sdk.capture_message("Hello from Python")\n'
    )


def _node(dsn: str) -> str:
    return (
        'const Sentry = require("@sentry/node");\n\n'
        "Sentry.init({\n"
        f'  dsn: "{dsn}",\n'
        f"  transportOptions: {{ bufferSize: {QUEUE_SIZE} }},\n"
        "});\n\n"
        'Sentry.captureMessage("Hello from Node");\n'
    )


def _browser(dsn: str) -> str:
    return (
        'import * as Sentry from "@sentry/browser";\n\n'
        f'Sentry.init({{ dsn: "{dsn}" }});\n\n'
        'Sentry.captureMessage("Hello from the browser");\n'
    )


def _cli(dsn: str) -> str:
    return f"export SENTRY_DSN='{dsn}'\nsentry-cli send-event -m 'Hello from sentry-cli'\n"


def _origin(dsn: str) -> str:
    parts = urlsplit(dsn)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return (
        f"A page with a content security policy needs connect-src {origin}; a page served over "
        "https reaches only an address that is https, too."
    )


_PYTHON_NOTE = (
    "Early in the program. The SDK drops what does not fit its queue, and a burst of errors does "
    f"not fit the 100 it has by itself; {QUEUE_SIZE} is what the line above is for."
)
_NODE_NOTE = (
    "Before anything else is loaded. The SDK drops what it has no room for; the buffer makes it "
    "hold more than its own 64."
)
_CLI_NOTE = "For scripts and scheduled jobs; it waits for the answer."
