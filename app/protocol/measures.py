"""Measures: the timings, metrics, sessions and AI calls that are counted from an envelope."""

from __future__ import annotations

from typing import NamedTuple

from app.protocol.ai_call import AiCall, read_ai_calls
from app.protocol.envelope import Envelope
from app.protocol.metrics import Metric, read_metrics
from app.protocol.session import Sessions, read_sessions
from app.protocol.transaction import Timing, read_timings


class Measures(NamedTuple):
    """What is counted from an envelope.

    :param timings: transactions, only from envelopes on the ingest routes. This application counts
        its own requests when it answers them.
    :param metrics: custom metrics.
    :param sessions: single sessions, or groups of sessions with the same outcome.
    :param calls: AI calls, read from spans.
    """

    timings: list[Timing] = []
    metrics: list[Metric] = []
    calls: list[AiCall] = []
    sessions: list[Sessions] = []


NOTHING = Measures()


def read_measures(envelope: Envelope) -> Measures:
    """Return what is counted from a scrubbed envelope of any origin, without its timings.

    Invalid parts of the envelope are not counted.
    """
    found = Measures(
        metrics=read_metrics(envelope),
        calls=read_ai_calls(envelope),
        sessions=read_sessions(envelope),
    )
    return found if any(found) else NOTHING


def with_timings(measures: Measures, envelope: Envelope) -> Measures:
    """Return the measures with the envelope's transactions as timings."""
    return measures._replace(timings=read_timings(envelope))
