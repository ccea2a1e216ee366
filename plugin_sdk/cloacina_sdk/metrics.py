"""What a runner measures, as values that any exporter can take.

Names and kinds are those of Prometheus. Labels have few values (a status, an executor's name),
never ids, so the number of series is bounded.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class MetricKind(enum.StrEnum):
    """How the values of a family are to be read."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of one series.

    Attributes:
        family: the metric's name; that of its samples too, but for histograms.
        kind: the same for all samples of a family.
        help: what the family counts, one sentence.
        name: the family's name; a histogram's samples have `_bucket`, `_sum` or `_count` behind it.
        labels: what tells the series of a family apart.
        value: a number; durations are in seconds.
    """

    family: str
    kind: MetricKind
    help: str
    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def to_prometheus_text(samples: Iterable[Sample]) -> str:
    """Return samples in the text format of Prometheus, version 0.0.4, families together."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.family, []).append(sample)
    lines: list[str] = []
    for family, members in families.items():
        lines.append(f"# HELP {family} {_escaped(members[0].help)}")
        lines.append(f"# TYPE {family} {members[0].kind.value}")
        lines += [f"{each.name}{_labels(each.labels)} {_number(each.value)}" for each in members]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
