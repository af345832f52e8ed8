"""What gunicorn and the `flask` command load: `gunicorn wsgi:app`, `flask --app wsgi`."""

from __future__ import annotations

from dotenv import load_dotenv

from app import create_app
from app.output import say
from config import ROOT, ConfigError

load_dotenv(ROOT / ".env")
try:
    app = create_app()
except ConfigError as error:
    say(*str(error).split("\n"), err=True)
    raise SystemExit(2) from None
