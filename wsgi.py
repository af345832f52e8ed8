"""What gunicorn and the `flask` command load: `gunicorn wsgi:app`, `flask --app wsgi`."""

from __future__ import annotations

import sys

from dotenv import load_dotenv

from app import create_app
from config import ROOT, ConfigError

load_dotenv(ROOT / ".env")
try:
    app = create_app()
except ConfigError as error:
    print(error, file=sys.stderr)
    raise SystemExit(2) from None
