"""What an envelope adds to the figures that are kept beside events: timings, sessions …"""

from __future__ import annotations

from typing import NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.session import Sessions, read_sessions
from app.protocol.transaction import Timing, read_timings


class Measures(NamedTuple):
    """What is counted of one envelope.

    :param timings: only of what came through the second door; this application's own requests are
        counted as they are answered.
    """

    timings: list[Timing] = []
    sessions: list[Sessions] = []


NOTHING = Measures()


def read_measures(envelope: Envelope) -> Measures:
    """Return what is counted of a scrubbed envelope, whichever door it came through.

    Whatever is strange in it counts as nothing.
    """
    sessions = read_sessions(envelope)
    return Measures(sessions=sessions) if sessions else NOTHING


def with_timings(measures: Measures, envelope: Envelope) -> Measures:
    """Return measures to which the envelope's transactions are added."""
    return measures._replace(timings=read_timings(envelope))
