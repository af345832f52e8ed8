"""What an envelope adds to the figures that are kept beside events: timings, sessions …"""

from __future__ import annotations

from typing import NamedTuple

from app.protocol.ai_call import AiCall, read_ai_calls
from app.protocol.envelope import Envelope
from app.protocol.metrics import Metric, read_metrics
from app.protocol.session import Sessions, read_sessions
from app.protocol.transaction import Timing, read_timings


class Measures(NamedTuple):
    """What is counted of one envelope.

    :param timings: only of what came through the second door; this application's own requests are
        counted as they are answered.
    :param metrics: custom metrics.
    :param sessions: how sessions went, one by one or added up.
    :param calls: what was asked of models, agents and tools, as spans say.
    """

    timings: list[Timing] = []
    metrics: list[Metric] = []
    calls: list[AiCall] = []
    sessions: list[Sessions] = []


NOTHING = Measures()


def read_measures(envelope: Envelope) -> Measures:
    """Return what is counted of a scrubbed envelope, whichever door it came through.

    Whatever is strange in it counts as nothing.
    """
    found = Measures(
        metrics=read_metrics(envelope),
        calls=read_ai_calls(envelope),
        sessions=read_sessions(envelope),
    )
    return found if any(found) else NOTHING


def with_timings(measures: Measures, envelope: Envelope) -> Measures:
    """Return measures to which the envelope's transactions are added."""
    return measures._replace(timings=read_timings(envelope))
