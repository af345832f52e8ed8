"""All kinds of signals."""

from __future__ import annotations

from app.signals.check_ins import CheckInSignal
from app.signals.kind import Signal
from app.signals.logs.signal import LogSignal
from app.signals.traces import TraceSignal

SIGNALS: tuple[Signal, ...] = (TraceSignal(), LogSignal(), CheckInSignal())
