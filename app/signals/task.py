"""The background task that writes the rows of signals."""

from __future__ import annotations

from collections.abc import Callable

from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from app.store.resting_task import RestingTask


class SignalTask(RestingTask):
    """Shows signals seconds after their envelopes are stored."""

    name = "signals"

    def work_in_batches(self, goes_on: Callable[[], bool]) -> None:
        """Read the envelopes that were not read yet."""
        catch_up(self.store, SIGNALS, goes_on)
