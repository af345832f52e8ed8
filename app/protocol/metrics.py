"""Custom metrics: what a program counts and measures, by the metrics API of its SDK.

An item holds many values, each with a name, a type, a unit and attributes. Values of the same
metric are put together here, on the thread of whoever sent them. What is no metric (no name,
another type, a value that is no number) counts as nothing; the envelope is kept as it is.

Of the attributes only release and environment tell figures apart: others may have as many values
as there are users.

Source: https://develop.sentry.dev/sdk/telemetry/metrics/, 2026-11-24.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_name, read_timestamp

ITEM_TYPE = "trace_metric"
COUNTER, GAUGE, DISTRIBUTION = TYPES = ("counter", "gauge", "distribution")
# Larger is no measurement, and sums of it would leave what a double holds.
LIMIT = 1e40
_LENGTHS = {"name": 200, "unit": 40, "release": 250, "environment": 64}
_UNITLESS = frozenset({"none", "1"})


class MetricKey(NamedTuple):
    """What the values of a metric have in common.

    :param type: one of :data:`TYPES`.
    :param unit: empty where there is none; so are ``release`` and ``environment``.
    """

    name: str
    type: str
    unit: str
    release: str
    environment: str


class Metric(NamedTuple):
    """Values of one metric, in the order in which they came.

    :param values: at least one; each finite and within :data:`LIMIT`.
    :param last: the newest of them, and ``last_at`` when it was taken, in seconds since 1970;
        infinity where that is not told, and for all but gauges, of which it says nothing.
    """

    key: MetricKey
    values: list[float]
    last: float
    last_at: float


def read_metrics(envelope: Envelope) -> list[Metric]:
    """Return the metrics in an envelope, each once, in the order in which they first came."""
    found: dict[MetricKey, Metric] = {}
    for item in envelope.items:
        if item.type == ITEM_TYPE and isinstance(item.payload, dict):
            for sample in read_list(item.payload.get("items")):
                if isinstance(sample, dict):
                    _put(found, sample)
    return list(found.values())


def is_measurement(sample: dict[str, Any]) -> bool:
    """Tell whether this is a value of a metric: a number, so no secret, whatever its name says."""
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
    # By its very type: bool is an int to Python, and no number here.
    if type(value) is not float and type(value) is not int:
        return None
    return float(value) if -LIMIT < value < LIMIT else None


def _moment(value: object) -> float:
    moment = read_timestamp(value)
    return math.inf if moment is None else moment.timestamp()
