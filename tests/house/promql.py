"""What a PromQL expression asks for: metrics and labels. That it is one at all is for promtool to say."""

import re
from typing import NamedTuple

from stream_app.monitor.metrics import METRICS

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"\b([a-zA-Z_:]\w*)\s*\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORD = re.compile(r"(?<![\w$])([a-zA-Z_]\w*)\b(?!\s*\()")
_KEYWORDS = {"and", "or", "unless", "offset", "bool", "Inf", "group_left", "group_right"}
_OF_THE_TARGET = {"job", "instance"}  # given by Prometheus


class Asked(NamedTuple):
    """Metrics, each with the labels that it is chosen by; and labels that results are grouped or matched by."""

    metrics: dict[str, set[str]]
    grouping: set[str]


def asked(expression: str) -> Asked:
    """All words of the expression that are no function and no keyword."""
    rest = _STRING.sub('""', expression)
    grouping = {label.strip() for found in _GROUPING.findall(rest) for label in found.split(",") if label.strip()}
    rest = _GROUPING.sub(" ", rest)
    metrics: dict[str, set[str]] = {}
    for name, matchers in _SELECTOR.findall(rest):
        metrics.setdefault(_metric(name), set()).update(_MATCHER.findall(matchers))
    for word in _WORD.findall(_SELECTOR.sub(" ", rest)):
        if word not in _KEYWORDS:
            metrics.setdefault(_metric(word), set())
    return Asked(metrics, grouping)


def _metric(series: str) -> str:
    """The metric that a series belongs to: a histogram has several."""
    base = re.sub(r"_(?:bucket|sum|count)$", "", series)
    return base if base in METRICS and METRICS[base].kind == "histogram" else series


def _labels(name: str) -> set[str]:
    return set(METRICS[name].labels) | ({"le"} if METRICS[name].kind == "histogram" else set())


def unknown(expression):
    """Metrics and labels of an expression that the monitor does not expose."""
    found = asked(expression)
    labels = {label for name in found.metrics if name in METRICS for label in _labels(name)} | _OF_THE_TARGET
    wrong = {name for name in found.metrics if name not in METRICS} | found.grouping - labels
    for name, chosen in found.metrics.items():
        if name in METRICS:
            wrong |= {f"{name}{{{label}}}" for label in chosen - _labels(name) - _OF_THE_TARGET}
    return wrong
