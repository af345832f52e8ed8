"""The background task that writes the search index."""

from __future__ import annotations

from collections.abc import Callable

from app.search.indexing import catch_up
from app.store.resting_task import RestingTask


class SearchTask(RestingTask):
    """Indexes new events seconds after they are stored."""

    name = "searching"

    def work_in_batches(self, goes_on: Callable[[], bool]) -> None:
        """Index the events that are not in the index yet."""
        catch_up(self.store, goes_on=goes_on)
