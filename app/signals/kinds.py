"""All kinds of signals."""

from __future__ import annotations

from app.signals.kind import Signal

SIGNALS: tuple[Signal, ...] = ()
