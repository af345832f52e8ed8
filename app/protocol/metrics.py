"""Custom metrics: the values that a program sends through the metrics API of its SDK.

An item contains many values, each with a name, a type, a unit and attributes. The values of a
metric are collected here, on the thread of the sender. Invalid metrics (no name, another type, a
value that is not a number) are not counted. The envelope is not changed.

Figures are separated only by the attributes release and environment. Other attributes may have as
many values as there are users.

Source: https://develop.sentry.dev/sdk/telemetry/metrics/, 2026-11-24.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_name, read_timestamp

ITEM_TYPE = "trace_metric"
COUNTER, GAUGE, DISTRIBUTION = TYPES = ("counter", "gauge", "distribution")
# Larger values are not real measurements, and their sums could exceed the range of a double.
LIMIT = 1e40
_LENGTHS = {"name": 200, "unit": 40, "release": 250, "environment": 64}
_UNITLESS = frozenset({"none", "1"})


class MetricKey(NamedTuple):
    """The key of a metric.

    :param type: one of :data:`TYPES`.
    :param unit: empty if there is none; the same for ``release`` and ``environment``.
    """

    name: str
    type: str
    unit: str
    release: str
    environment: str


class Metric(NamedTuple):
    """The values of a metric, in wire order.

    :param values: at least one value; each is finite and within :data:`LIMIT`.
    :param last: the newest value.
    :param last_at: the time of the newest value, in seconds since 1970. It is infinity if the time
        is unknown, and for all types except gauges, which do not use it.
    """

    key: MetricKey
    values: list[float]
    last: float
    last_at: float


def read_metrics(envelope: Envelope) -> list[Metric]:
    """Return the metrics in an envelope, one for each key, in the order of their first values."""
    found: dict[MetricKey, Metric] = {}
    for item in envelope.items:
        if item.type == ITEM_TYPE and isinstance(item.payload, dict):
            for sample in read_list(item.payload.get("items")):
                if isinstance(sample, dict):
                    _put(found, sample)
    return list(found.values())


def is_measurement(sample: dict[str, Any]) -> bool:
    """Return whether this is a value of a metric. It is a number, so it is never a secret."""
    return sample.get("type") in TYPES and type(sample.get("value")) in (float, int)


def _put(found: dict[MetricKey, Metric], sample: dict[str, Any]) -> None:
    key, value = _key(sample), _value(sample.get("value"))
    if key is None or value is None:
        return
    at = _moment(sample.get("timestamp")) if key.type == GAUGE else math.inf
    metric = found.get(key)
    if metric is None:
        found[key] = Metric(key, [value], value, at)
        return
    metric.values.append(value)
    if at >= metric.last_at:
        found[key] = metric._replace(last=value, last_at=at)


def _key(sample: dict[str, Any]) -> MetricKey | None:
    name, kind, attributes = (
        sample.get("name"),
        sample.get("type"),
        read_dict(sample.get("attributes")),
    )
    known = read_name(name) if isinstance(name, str) else None
    if known is None or not isinstance(kind, str) or kind not in TYPES:
        return None
    unit = read_name(sample.get("unit")) or ""
    return MetricKey(
        known[: _LENGTHS["name"]],
        kind,
        "" if unit.lower() in _UNITLESS else unit[: _LENGTHS["unit"]],
        _attribute(attributes, "sentry.release")[: _LENGTHS["release"]],
        _attribute(attributes, "sentry.environment")[: _LENGTHS["environment"]],
    )


def _attribute(attributes: dict[str, Any], name: str) -> str:
    value = attributes.get(name)
    return read_name(value.get("value") if isinstance(value, dict) else value) or ""


def _value(value: object) -> float | None:
    # Compare the exact type: in Python a bool is an int, but here it is not a number.
    if type(value) is not float and type(value) is not int:
        return None
    return float(value) if -LIMIT < value < LIMIT else None


def _moment(value: object) -> float:
    moment = read_timestamp(value)
    return math.inf if moment is None else moment.timestamp()
