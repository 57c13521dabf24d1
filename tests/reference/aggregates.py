"""What aggregates are over Python lists: counts, moments, and quantiles that are no single row's value."""

import math
import statistics
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, cast

from sqlglot import exp

from tests.reference.values import Row, Scope, mark, read
from tests.reference.withholding import Asked, Part, argument

MARGIN, SPREAD, DIGITS = 0.10, 0.05, 3
"""A quantile lies between 10 % and 90 %, is the mean of those 5 % below and above it, rounded to three digits."""
START = datetime(1970, 1, 1)  # noqa: DTZ001 - as the engine's TIMESTAMP, without a zone


class Rounded(float):
    """A quantile as it is shown: a hair's breadth before rounding may be a digit after it."""


def _spread(values: tuple[Any, ...], less: int) -> float | None:
    if len(values) <= less:
        return None
    mean = statistics.fmean(map(float, values))
    return sum((float(v) - mean) ** 2 for v in values) / (len(values) - less)


def _together(ys: tuple[Any, ...], xs: tuple[Any, ...], less: int) -> float | None:
    if len(ys) <= less:
        return None
    means = statistics.fmean(map(float, ys)), statistics.fmean(map(float, xs))
    return sum((float(y) - means[0]) * (float(x) - means[1]) for y, x in zip(ys, xs, strict=True)) / (len(ys) - less)


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


def _sum(values: tuple[Any, ...]) -> Any:
    return math.fsum(values) if any(isinstance(v, float) for v in values) else sum(values)


MOMENTS: dict[type, Callable[..., Any]] = {
    exp.Sum: _sum,
    exp.Avg: lambda values: float(_sum(values)) / len(values),
    exp.VariancePop: lambda values: _spread(values, 0),
    exp.Variance: lambda values: _spread(values, 1),
    exp.StddevPop: lambda values: _root(_spread(values, 0)),
    exp.StddevSamp: lambda values: _root(_spread(values, 1)),
    exp.Stddev: lambda values: _root(_spread(values, 1)),
    exp.CovarPop: lambda ys, xs: _together(ys, xs, 0),
    exp.CovarSamp: lambda ys, xs: _together(ys, xs, 1),
}
COUNTS = (exp.Count, exp.CountIf)
FRACTIONS = {exp.Min: 0.0, exp.Median: 0.5, exp.Max: 1.0}
ORDERS = (exp.Min, exp.Max, exp.Median, exp.PercentileCont, exp.Quantile)


def aggregates_in(node: exp.Expression) -> list[exp.Expression]:
    """Return the aggregates in an expression, with their FILTER; those of subqueries are not among them."""
    if isinstance(node, exp.Query):
        return []
    if isinstance(node, exp.Filter) or type(node) in MOMENTS or isinstance(node, (*COUNTS, *ORDERS)):
        return [node]
    below = list(node.iter_expressions())
    if isinstance(node, exp.Window):
        call = node.this.this if isinstance(node.this, exp.Filter) else node.this
        tests = [node.this.expression] if call is not node.this else []
        below = [*call.iter_expressions(), *tests, *(part for part in below if part is not node.this)]
    return [found for part in below for found in aggregates_in(part)]


def _split(node: exp.Expression) -> tuple[exp.Expression, list[exp.Expression], bool, exp.Expression | None]:
    """Return the call, its arguments, whether they are DISTINCT, and the condition on rows."""
    call, test = (node.this, node.expression.this) if isinstance(node, exp.Filter) else (node, None)
    inner = call.args.get("this")
    if isinstance(call, exp.CountIf):
        return call, [], False, inner if test is None else exp.and_(inner, test)
    if isinstance(inner, exp.Distinct):
        return call, inner.expressions, True, test
    given = [inner] if isinstance(call, ORDERS) else [inner, call.args.get("expression")]
    return call, [p for p in given if p is not None and not isinstance(p, exp.Star)], False, test


def asked_of(node: exp.Expression, scope: Scope) -> Asked:
    """Return what thresholds look at in an aggregate over rows."""
    call, given, is_distinct, test = _split(node)
    part = None if test is None else Part(mark(test, scope), read(test, scope))
    kind = "count" if isinstance(call, COUNTS) else "order" if isinstance(call, ORDERS) else "moment"
    position = scope.find(given[0]) if is_distinct and isinstance(given[0], exp.Column) else None
    is_unit = position is not None and scope.columns[position].unit is not None
    return Asked(kind, tuple(argument(g, scope) for g in given), part, is_unit)


def reckoning(node: exp.Expression, scope: Scope, *, exact: bool) -> Callable[[list[Row]], Any]:
    """Return the aggregate as a function of rows. ``exact``: of released values, whose smallest and largest are shown."""
    call, given, is_distinct, test = _split(node)
    holds = read(test, scope) if test is not None else lambda _: True
    meanings = [read(part, scope) for part in given]

    def reckon(rows: list[Row]) -> Any:
        reached = [tuple(m(row) for m in meanings) for row in rows if holds(row) is True]
        present = [tuple(map(_number, values)) for values in reached if None not in values]
        if is_distinct:
            return len(set(present))
        if isinstance(call, COUNTS):
            return len(present)
        if isinstance(call, ORDERS):
            return quantile(call, [values[0] for values in present], exact=exact)
        return MOMENTS[type(call)](*zip(*present, strict=True)) if present else None

    return reckon


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def quantile(call: exp.Expression, values: list[Any], *, exact: bool) -> Any:
    """Return a quantile as it is shown; a date to its month."""
    if not values:
        return None
    if exact and isinstance(call, exp.Min | exp.Max):
        return (min if isinstance(call, exp.Min) else max)(values)
    fraction = FRACTIONS.get(type(call))
    if fraction is None:
        fraction = float(cast(exp.Expression, call.args.get("expression") or call.args.get("quantile")).this)
    is_time = isinstance(values[0], date)
    numbers = sorted(_seconds(v) if is_time else float(v) for v in values)
    if exact:
        return _at(numbers, fraction)
    middle = min(max(fraction, MARGIN), 1 - MARGIN)
    found = sum(_at(numbers, round(p, 4)) for p in (middle - SPREAD, middle + SPREAD)) / 2
    if is_time:
        return (START + timedelta(seconds=found)).date().replace(day=1)
    return Rounded(round(found, DIGITS - 1 - math.floor(math.log10(abs(found)))) if found else 0.0)


def _seconds(day: date) -> float:
    return (datetime(day.year, day.month, day.day) - START).total_seconds()  # noqa: DTZ001


def _at(numbers: list[float], fraction: float) -> float:
    place = fraction * (len(numbers) - 1)
    low = math.floor(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (place - low)
