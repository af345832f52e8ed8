"""What gunicorn and the `flask` command load: `gunicorn wsgi:app`, `flask --app wsgi`."""

from __future__ import annotations

import os
import sys

from dotenv import load_dotenv

from app import create_app
from app.output import say
from config import ROOT, ConfigError

load_dotenv(ROOT / ".env")
# A command opens the store when it needs it, so that help and mistakes in its usage make no files.
# What serves or runs somebody's own code opens it at once.
_is_command = os.environ.get("FLASK_RUN_FROM_CLI") == "true"
_serves = bool({"run", "shell"} & set(sys.argv)) and "--help" not in sys.argv
try:
    app = create_app(opens_store=_serves or not _is_command)
except ConfigError as error:
    say(*str(error).split("\n"), err=True)
    raise SystemExit(2) from None
