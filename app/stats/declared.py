"""The list of declarations. All of them are counted, summed up to hours, expired and limited."""

from __future__ import annotations

from app.stats.additive import AdditiveSeries, DailyCounts
from app.stats.ai_calls import AI_CALLS
from app.stats.item_counts import ITEMS
from app.stats.log_counts import LOGS
from app.stats.losses import LOSSES
from app.stats.metrics import METRICS
from app.stats.months import MONTHS
from app.stats.timings import PERFORMANCE

# Sessions (:mod:`.sessions`) are read and expire in the same way, but are counted differently.
# Losses are no measures: refused envelopes are among them. Nor are lines of logs, which are read
# after the commit.
SERIES: tuple[AdditiveSeries, ...] = (PERFORMANCE, AI_CALLS, METRICS, LOSSES, LOGS)
DAILY: tuple[DailyCounts, ...] = (ITEMS, MONTHS)
