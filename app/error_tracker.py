"""``ErrorTracker`` under the name that other code knows; it stands in :mod:`app.sentry`."""

from app.sentry.error_tracker import ErrorTracker

__all__ = ["ErrorTracker"]
