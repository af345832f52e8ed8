"""Exports ``ErrorTracker`` for other code; :mod:`app.sentry` defines it."""

from app.sentry.error_tracker import ErrorTracker

__all__ = ["ErrorTracker"]
