"""What is declared: whatever stands here is counted, rolled up, expired and bounded."""

from __future__ import annotations

from app.stats.additive import AdditiveSeries, DailyCounts
from app.stats.ai_calls import AI_CALLS
from app.stats.item_counts import ITEMS, LOSSES
from app.stats.metrics import METRICS
from app.stats.timings import PERFORMANCE

# Sessions (:mod:`.sessions`) share how they are read and expire; they are counted in their own way.
SERIES: tuple[AdditiveSeries, ...] = (PERFORMANCE, AI_CALLS, METRICS)
DAILY: tuple[DailyCounts, ...] = (ITEMS, LOSSES)
