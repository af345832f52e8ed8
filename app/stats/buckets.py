"""Durations and other values as logarithmic buckets, which add up over processes, minutes, hours.

Bucket ``b`` holds the durations from ``GAMMA ** (b - 1)`` (exclusive) to ``GAMMA ** b``
milliseconds. Whatever is in it, its middle is at most (GAMMA - 1) / (GAMMA + 1) off.

Values of whatever unit have a sign, and any magnitude: theirs are the same buckets, moved away from
0 by OFFSET on either side, so that the order of the buckets is that of the values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# A percentile is then at most 2.44 % off. With 1.02 it would be 1 %, of 2.4 times as many rows.
GAMMA = 1.05
# What took less counts as this much: a microsecond.
LEAST_MS = 0.001
# A request of which it is not known how long it took, or not plausible.
UNKNOWN = -1000
# What is closer to 0 than this is 0, as a value; what is larger than its inverse is none.
LEAST_VALUE = 1e-40
# Beyond the last bucket of LEAST_VALUE (-1888), so that a positive value's is above 0.
OFFSET = 2000

_LOG_GAMMA = math.log(GAMMA)
_MIDDLE = 2 / (GAMMA + 1)


def bucket_of(ms: float | None) -> int:
    """Return the bucket of a duration; :data:`UNKNOWN` for none."""
    return UNKNOWN if ms is None else math.ceil(math.log(max(ms, LEAST_MS)) / _LOG_GAMMA)


def duration_of(bucket: int) -> float:
    """Return what a bucket's durations are taken for, in milliseconds."""
    return float(_MIDDLE * GAMMA**bucket)


def value_bucket_of(value: float) -> int:
    """Return the bucket of a value of any sign, up to 1e40; it fits 16 bits."""
    if abs(value) < LEAST_VALUE:
        return 0
    bucket = math.ceil(math.log(abs(value)) / _LOG_GAMMA) + OFFSET
    return bucket if value > 0 else -bucket


def value_of(bucket: int) -> float:
    """Return what the values of a bucket of :func:`value_bucket_of` are taken for."""
    return math.copysign(duration_of(abs(bucket) - OFFSET), bucket) if bucket else 0.0


def percentiles(counts: Mapping[int, int], shares: Sequence[float]) -> list[float | None]:
    """Return the durations that these shares (0 to 1, ascending) of all do not exceed.

    By nearest rank, in milliseconds; ``None`` where nothing is known.

    :param counts: how many durations there are in each bucket; those unknown are left out.
    """
    known = {bucket: count for bucket, count in counts.items() if bucket != UNKNOWN}
    return [duration_of(bucket) for bucket in _ranked(known, shares)] or [None for _ in shares]


def value_percentiles(counts: Mapping[int, int], shares: Sequence[float]) -> list[float]:
    """Return the values that these shares (0 to 1, ascending) of all do not exceed.

    By nearest rank; empty where there is no value.

    :param counts: how many values there are in each bucket of :func:`value_bucket_of`.
    """
    return [value_of(bucket) for bucket in _ranked(counts, shares)]


def _ranked(counts: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """Return the bucket of each share; none where nothing is counted."""
    total = sum(counts.values())
    found: list[int] = []
    buckets, seen, bucket = iter(sorted(counts.items())), 0, 0
    for share in shares if total else ():
        # A share times a count may come out a hair above the whole number it stands for.
        rank = max(1, math.ceil(share * total - 1e-9))
        while seen < min(rank, total):
            bucket, count = next(buckets)
            seen += count
        found.append(bucket)
    return found
