"""All kinds of signals."""

from __future__ import annotations

from app.signals.kind import Signal
from app.signals.logs.signal import LogSignal

SIGNALS: tuple[Signal, ...] = (LogSignal(),)
