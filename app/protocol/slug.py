"""Slugs of monitors.

Source: https://develop.sentry.dev/sdk/telemetry/check-ins/, 2026-11-28.
"""

from __future__ import annotations

import re
import unicodedata

from app.protocol.lenient import read_text

MAX_SLUG = 50


def read_slug(value: object) -> str:
    """Return a slug as Sentry makes it; empty if nothing is left.

    Whatever names a monitor is read by this: check-ins, addresses of pages and of the API, forms.
    """
    text = unicodedata.normalize("NFKD", (read_text(value) or "")[:500])
    plain = text.encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:MAX_SLUG].strip("-")
