"""Rules about the service as a whole: its disk, and whether its accounting balances."""

from __future__ import annotations

import shutil

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.delivery.accounting import accounting
from app.store.disks import fullest


@KINDS.register("disk", "Disk", position=70)
class Disk(RuleKind):
    """Checks whether the store is full or cannot be written, and whether a disk is nearly full."""

    summary = "Less of the disk is free."
    threshold = Threshold(10, "%", "below {:g} % free", highest=100)
    cooldown_minutes = 240
    preset = Preset("disk", "The disk is nearly full")
    is_of_service = True

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return how many percent of the disk are free."""
        folder, intake = question.parts.folder, question.parts.intake
        if intake is not None and intake.bound.state().is_full():
            said = "The store is full: it has reached MAX_STORE_BYTES, and what it holds waits"
            return Reading(0, True, f"{said} for delivery.", said)
        if intake is not None and intake.store.write_failed:
            said = "The store could not be written"
            return Reading(0, True, f"{said}: the log says why.", said)
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        disk = fullest((existing, intake.emergency.path) if intake else (existing,))
        if disk.is_low:
            said = f"{100 * disk.free_share:.1f} % of a disk is free, of its bytes or its inodes"
            return Reading(100 * disk.free_share, True, f"{said}.", said)
        usage = shutil.disk_usage(existing)
        free = 100 * usage.free / usage.total
        said = f"{free:.1f} % of the disk is free"
        detail = f"{said}, {usage.free / 2**30:,.1f} GiB."
        return Reading(free, free < (rule.threshold or 0), detail, said)


@KINDS.register("books", "Accounting", position=71)
class Books(RuleKind):
    """Checks whether every envelope is accounted for."""

    summary = "The accounting of envelopes does not add up."
    cooldown_minutes = 240
    preset = Preset("books", "The accounting does not add up")
    is_of_service = True
    # Comparing the counters with the rows takes longer with more rows.
    rest_factor = 100

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Compare the counters with each other and with the rows."""
        totals = accounting(question.conn)
        if totals["balanced"]:
            return Reading(0, False, "Everything is accounted for.")
        said = "The accounting of envelopes does not add up"
        return Reading(1, True, f"{said}: the status page shows them.", said)
