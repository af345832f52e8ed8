"""The lines that a program needs to report to a project, for each kind of program.

They name environment and release, because issues are compared by release, and a person looks at
production first. Each sends one event.

Source: https://docs.sentry.io/platforms/, and the options as sentry-sdk 2.75 and @sentry/node
11.12 read them, 2026-11-27.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.projects import dsn_of

# The default of the SDK is 100. With it, a burst of 300 errors lost 194 before they left the
# program (sentry-sdk 2.75 alone, `python -m benchmarks`, a server on the same machine).
QUEUE_SIZE = 1000
ENVIRONMENT, RELEASE = "production", "my-app@1.0.0"


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


def snippets(public_url: str, project_id: int, key: str) -> list[Snippet]:
    """Return the code for every kind of program; each sends one event."""
    dsn = dsn_of(public_url, project_id, key)
    store = f"{public_url.rstrip('/')}/api/{project_id}/store/?sentry_key={key}"
    return [*_of_python(dsn), *_of_javascript(dsn), *_of_others(dsn), *_of_shells(dsn, store)]


def _of_python(dsn: str) -> list[Snippet]:
    pip = "pip install sentry-sdk"
    return [
        Snippet("python", "Python", pip, _python(dsn, "Python"), _PYTHON_NOTE),
        Snippet("django", "Django", pip, _python(dsn, "Django"), _DJANGO_NOTE),
        Snippet("flask", "Flask", pip, _python(dsn, "Flask", *_FLASK), _BEFORE_APP_NOTE),
        Snippet("fastapi", "FastAPI", pip, _python(dsn, "FastAPI", *_FASTAPI), _BEFORE_APP_NOTE),
    ]


def _of_javascript(dsn: str) -> list[Snippet]:
    origin = _origin(dsn)
    return [
        Snippet("node", "Node", "npm install @sentry/node", _node(dsn), _NODE_NOTE),
        Snippet("browser", "Browser", "npm install @sentry/browser", _browser(dsn), origin),
        Snippet("react", "React", "npm install @sentry/react", _react(dsn), origin),
    ]


def _of_others(dsn: str) -> list[Snippet]:
    go = "go get github.com/getsentry/sentry-go"
    return [
        Snippet("go", "Go", go, _go(dsn), _GO_NOTE),
        Snippet("ruby", "Ruby", "gem install sentry-ruby", _ruby(dsn), _RUBY_NOTE),
        Snippet("php", "PHP", "composer require sentry/sentry", _php(dsn), _PHP_NOTE),
    ]


def _of_shells(dsn: str, store: str) -> list[Snippet]:
    cli = "npm install --global @sentry/cli"
    return [
        Snippet("cli", "sentry-cli", cli, _cli(dsn), _CLI_NOTE),
        Snippet("curl", "curl", "", _curl(store), _CURL_NOTE),
    ]


def _python(dsn: str, name: str, imports: str = "", app: str = "") -> str:
    return (
        f"import sentry_sdk\n{imports}\n"
        "sentry_sdk.init(\n"
        f'    dsn="{dsn}",\n'
        f'    environment="{ENVIRONMENT}",\n'
        f'    release="{RELEASE}",\n'
        f"    transport_queue_size={QUEUE_SIZE},\n"
        ")\n\n"
        f'{app}sentry_sdk.capture_message("Hello from {name}")\n'
    )


_FLASK = "from flask import Flask\n", "app = Flask(__name__)\n\n"
_FASTAPI = "from fastapi import FastAPI\n", "app = FastAPI()\n\n"


def _node(dsn: str) -> str:
    return (
        'const Sentry = require("@sentry/node");\n\n'
        "Sentry.init({\n"
        f'  dsn: "{dsn}",\n'
        f'  environment: "{ENVIRONMENT}",\n'
        f'  release: "{RELEASE}",\n'
        f"  transportOptions: {{ bufferSize: {QUEUE_SIZE} }},\n"
        "});\n\n"
        'Sentry.captureMessage("Hello from Node");\n'
    )


def _init_in_browser(dsn: str) -> str:
    return (
        "Sentry.init({\n"
        f'  dsn: "{dsn}",\n'
        f'  environment: "{ENVIRONMENT}",\n'
        f'  release: "{RELEASE}",\n'
        "});\n\n"
    )


def _browser(dsn: str) -> str:
    return (
        'import * as Sentry from "@sentry/browser";\n\n'
        f"{_init_in_browser(dsn)}"
        'Sentry.captureMessage("Hello from the browser");\n'
    )


def _react(dsn: str) -> str:
    return (
        'import * as Sentry from "@sentry/react";\n'
        'import { createRoot } from "react-dom/client";\n'
        'import App from "./App";\n\n'
        f"{_init_in_browser(dsn)}"
        'createRoot(document.getElementById("root"), {\n'
        "  onUncaughtError: Sentry.reactErrorHandler(),\n"
        "  onCaughtError: Sentry.reactErrorHandler(),\n"
        "  onRecoverableError: Sentry.reactErrorHandler(),\n"
        "}).render(<App />);\n\n"
        'Sentry.captureMessage("Hello from React");\n'
    )


def _go(dsn: str) -> str:
    return (
        "package main\n\n"
        "import (\n"
        '\t"log"\n'
        '\t"time"\n\n'
        '\t"github.com/getsentry/sentry-go"\n'
        ")\n\n"
        "func main() {\n"
        "\terr := sentry.Init(sentry.ClientOptions{\n"
        f'\t\tDsn:         "{dsn}",\n'
        f'\t\tEnvironment: "{ENVIRONMENT}",\n'
        f'\t\tRelease:     "{RELEASE}",\n'
        "\t})\n"
        "\tif err != nil {\n"
        "\t\tlog.Fatal(err)\n"
        "\t}\n"
        "\tdefer sentry.Flush(2 * time.Second)\n\n"
        '\tsentry.CaptureMessage("Hello from Go")\n'
        "}\n"
    )


def _ruby(dsn: str) -> str:
    return (
        'require "sentry-ruby"\n\n'
        "Sentry.init do |config|\n"
        f'  config.dsn = "{dsn}"\n'
        f'  config.environment = "{ENVIRONMENT}"\n'
        f'  config.release = "{RELEASE}"\n'
        "end\n\n"
        'Sentry.capture_message("Hello from Ruby")\n'
    )


def _php(dsn: str) -> str:
    return (
        "<?php\n"
        'require __DIR__ . "/vendor/autoload.php";\n\n'
        "\\Sentry\\init([\n"
        f"    'dsn' => '{dsn}',\n"
        f"    'environment' => '{ENVIRONMENT}',\n"
        f"    'release' => '{RELEASE}',\n"
        "]);\n\n"
        "\\Sentry\\captureMessage('Hello from PHP');\n"
    )


def _cli(dsn: str) -> str:
    return (
        f"export SENTRY_DSN='{dsn}'\n"
        "sentry-cli send-event -m 'Hello from sentry-cli'"
        f" -E {ENVIRONMENT} -r {RELEASE}\n"
    )


def _curl(store: str) -> str:
    hello = {"message": "Hello from curl", "level": "info"}
    body = json.dumps({**hello, "environment": ENVIRONMENT, "release": RELEASE})
    return f"curl '{store}' \\\n     -H 'Content-Type: application/json' -d '{body}'"


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
_DJANGO_NOTE = (
    "At the end of settings.py; errors in views are then reported by themselves. Remove the last "
    "line when the first event has arrived, or every start sends one."
)
_BEFORE_APP_NOTE = (
    "Before the application is made; errors in views are then reported by themselves. Remove the "
    "last line when the first event has arrived, or every start sends one."
)
_NODE_NOTE = (
    "Before anything else is loaded. The SDK drops what it has no room for; the buffer makes it "
    "hold more than its own 64."
)
_GO_NOTE = "At the beginning of main. Flush waits until what was captured has been sent."
_RUBY_NOTE = (
    "In Rails, install sentry-rails too and put the first block into config/initializers/sentry.rb."
)
_PHP_NOTE = (
    "Before anything else runs. Laravel and Symfony have packages of their own, sentry/sentry-"
    "laravel and sentry/sentry-symfony, which read the DSN from SENTRY_LARAVEL_DSN and SENTRY_DSN."
)
_CLI_NOTE = "For scripts and scheduled jobs; it waits for the answer."
_CURL_NOTE = "Any program that can send a request can report; the answer has the event's id."
