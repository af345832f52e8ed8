"""Slugs of monitors.

Source: https://develop.sentry.dev/sdk/telemetry/check-ins/, 2026-11-28.
"""

from __future__ import annotations

import re
import unicodedata

from app.protocol.lenient import read_text

# Sentry cuts a slug at 50 characters, and jobs of which only the end differs share a monitor there
# (https://github.com/getsentry/sentry/issues/77642). Names of tasks are often longer, so there is
# room for them here, and what is still longer is refused, never cut.
MAX_SLUG = 200
TOO_LONG = f"a slug has at most {MAX_SLUG} characters"


def read_slug(value: object) -> str:
    """Return a slug in the letters of Sentry, of any length; empty if nothing is left.

    Whatever names a monitor is read by this: check-ins, addresses of pages and of the API, forms.
    """
    text = unicodedata.normalize("NFKD", read_text(value) or "")
    plain = text.encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")
