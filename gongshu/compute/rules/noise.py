"""Calibrated noise instead of exact thresholds (controls §3): what is measured of a stage, and what it costs.

One unit adds at most N rows to a group and has rows in at most M groups, and what is summed is brought within declared
bounds. So one unit changes a count by at most N, a sum by at most N times the larger bound, in at most M groups: the
sensitivity that the noise is calibrated by. Groups are shown when their noisy number of units is large enough, so that the
presence of a group tells of no unit (τ-thresholding). Means and variances are made of noisy sums and counts.

Prices add up over measurements and stages (sequential composition); within a measurement the groups are disjoint, and one
unit pays for its M groups in the scale of the noise (parallel composition).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.behind import Behind, Rows
from gongshu.compute.rules.functions import AggregateClass
from gongshu.compute.rules.guards import SOURCE, Cell, known_unit
from gongshu.compute.rules.intervals import Interval, interval_of
from gongshu.compute.rules.refusals import NOISE_CLAMP, NOISE_FUNCTION
from gongshu.compute.rules.stages import Collector, Wanted
from gongshu.compute.rules.terms import Findings, Term, names, paren, sql_type
from gongshu.compute.rules.writing import double, fn, grouped, name, named, number, where
from gongshu.compute.types import Measurement, Price, Stage, StageNoise
from gongshu.policies.types import ContributionBounds, Noise, NoiseMechanism, Thresholds

NOISY = "noisy:"
UNITS = "units"
STEPS_PER_BOUND = 10**9
"""Sums are measured in whole steps of about this part of the bound: far below the noise, so nothing is lost."""
BOUND_MAX = 1e15
TOTAL_MAX = 9 * 10**18
"""Sums are brought within 64 bits. Doing so cannot make one unit's part of them larger."""
MEANS = frozenset({"avg"})
VARIANCES = frozenset({"var_pop", "var_samp", "stddev_pop", "stddev_samp"})


@dataclass
class Measured:
    """The measurements of a stage: written columns, and how much one unit changes them in one group."""

    bounds: ContributionBounds
    has_keys: bool
    unit: str
    written: dict[tuple[str, ...], tuple[exp.Expression, Measurement]] = field(default_factory=dict)

    def _once(self, key: tuple[str, ...], node: exp.Expression, sensitivity: int) -> exp.Expression:
        if key not in self.written:
            self.written[key] = (node, Measurement(f"m{len(self.written)}", sensitivity))
        return name(self.written[key][1].column)

    def rows(self, reach: Cell) -> exp.Expression:
        """Measure how many rows reach an aggregate; never less than none."""
        node = where(exp.Count(this=exp.Star()), reach.written())
        made = self._once(("rows", *reach.tests, "", *reach.arguments), node, self.bounds.rows_per_group_max)
        return fn("greatest", made, exp.Literal.number(0))

    def units(self, reach: Cell, unit: str) -> exp.Expression:
        """Measure how many units reach an aggregate. Those of a whole group are known from the choice of groups."""
        if self.has_keys and not reach.tests and unit == self.unit:
            return fn("greatest", name(UNITS), exp.Literal.number(0))
        node = where(_units(unit), reach.written())
        return fn("greatest", self._once(("units", unit, *reach.tests), node, 1), exp.Literal.number(0))

    def total(self, argument: exp.Expression, label: str, reach: Cell, largest: float) -> exp.Expression:
        """Measure the sum of ``argument``, whose size is at most ``largest``."""
        step = 10.0 ** (len(str(math.ceil(largest))) - len(str(STEPS_PER_BOUND)) + 1)
        steps = exp.Cast(
            this=fn("round", exp.Div(this=paren(argument), expression=number(step))), to=sql_type("BIGINT")
        )
        inside = fn("greatest", where(fn("sum", steps), reach.written()), exp.Literal.number(str(-TOTAL_MAX)))
        inside = fn("least", inside, exp.Literal.number(str(TOTAL_MAX)))
        node = exp.Cast(this=fn("coalesce", inside, exp.Literal.number(0)), to=sql_type("BIGINT"))
        sensitivity = (math.ceil(largest / step) + 1) * self.bounds.rows_per_group_max  # + 1: rounding
        made = self._once((label, *reach.tests, "", *reach.arguments), node, sensitivity)
        return paren(exp.Mul(this=double(made), expression=number(step)))


def _units(unit: str) -> exp.Expression:
    return fn("count", exp.Distinct(expressions=[known_unit(unit)]))


def _clamped(argument: str, interval: Interval) -> exp.Expression:
    """Write a value within its bounds; NULL stays NULL (GREATEST would leave it out)."""
    inside = fn("least", fn("greatest", double(name(argument)), number(interval[0])), number(interval[1]))
    is_there = exp.Not(this=exp.Is(this=name(argument), expression=exp.Null()))
    return exp.Case(ifs=[exp.If(this=is_there, true=inside)])


def _moment(measured: Measured, wanted: Wanted, argument: str, reach: Cell, interval: Interval) -> exp.Expression:
    low, high = interval
    value = _clamped(argument, interval)
    if wanted.function == "sum":
        total = measured.total(value, "sum", reach, max(abs(low), abs(high)))
        is_whole = wanted.arguments[0].data_type is DataType.INTEGER
        return exp.Cast(this=fn("round", total), to=sql_type("INT128")) if is_whole else total
    # Around the middle of the bounds, sums are as small as can be, and so is their noise.
    middle, half = (low + high) / 2, (high - low) / 2
    moved = exp.Sub(this=paren(value), expression=number(middle))
    count = double(measured.rows(reach))
    is_enough: exp.Expression = exp.GTE(this=count.copy(), expression=exp.Literal.number(1))
    mean = exp.Div(this=measured.total(moved.copy(), "moved", reach, half), expression=count.copy())
    if wanted.function in MEANS:
        made: exp.Expression = exp.Add(this=number(middle), expression=paren(mean))
        inside = fn("least", fn("greatest", made, number(low)), number(high))
        return exp.Case(ifs=[exp.If(this=is_enough, true=inside)])
    square = exp.Mul(this=paren(moved), expression=paren(moved.copy()))
    squares = exp.Div(this=measured.total(square, "squares", reach, half * half), expression=count.copy())
    variance: exp.Expression = exp.Sub(
        this=paren(squares), expression=exp.Mul(this=paren(mean), expression=paren(mean.copy()))
    )
    variance = fn("least", fn("greatest", variance, number(0)), number(half * half))
    if wanted.function.endswith("_samp"):
        is_enough = exp.GT(this=count.copy(), expression=exp.Literal.number(1))
        fewer = exp.Sub(this=count.copy(), expression=exp.Literal.number(1))
        variance = exp.Div(this=exp.Mul(this=variance, expression=count.copy()), expression=paren(fewer))
    variance = fn("sqrt", variance) if wanted.function.startswith("stddev") else variance
    return exp.Case(ifs=[exp.If(this=is_enough, true=variance)])


def check(findings: Findings, wanted: Wanted) -> None:
    """Refuse an aggregate without a sound noisy form, or whose argument has no declared bounds."""
    shown = f"{wanted.function.upper()}{'(DISTINCT)' if wanted.is_distinct else ''}"
    is_count = wanted.kind is AggregateClass.COUNT and (not wanted.is_distinct or wanted.unit is not None)
    if not is_count and wanted.function not in {"sum", *MEANS, *VARIANCES}:
        findings.add(NOISE_FUNCTION, function=shown)
    elif wanted.kind is AggregateClass.MOMENT and not _is_bounded(wanted.arguments):
        findings.add(NOISE_CLAMP, function=shown, column=", ".join(names(t.bases) for t in wanted.arguments))


def _is_bounded(arguments: Iterable[Term]) -> bool:
    intervals = [interval_of(term) for term in arguments]
    return all(one is not None and max(abs(end) for end in one) <= BOUND_MAX for one in intervals)


def stages_of(
    stage: str, collector: Collector, behind: Behind, thresholds: Thresholds, noise: Noise
) -> tuple[Stage, ...]:
    """Return the two steps of a noisy stage: its exact measurements, which get noise at once, and what is made of them."""
    contribution = thresholds.protection.bounds
    if contribution is None or min(contribution.rows_per_group_max, contribution.groups_per_unit_max) < 1:
        raise ValueError("noise is stated with contribution bounds")
    rows = Rows()
    keys = [rows.column(key, "k") for key in collector.keys]
    (unit,) = behind.kinds
    measured = Measured(contribution, bool(keys), unit)
    shown: list[exp.Expression] = [named(name(f"c{i}"), f"c{i}") for i in range(len(keys))]
    for index, wanted in enumerate(collector.wanted):
        shown.append(named(_wanted(measured, rows, wanted), f"c{len(keys) + index}"))
    raw = grouped(SOURCE, keys, [])
    raw.set("expressions", [
        *(named(name(key), f"c{i}") for i, key in enumerate(keys)), *([named(_units(unit), UNITS)] if keys else []),
        *(named(node, one.column) for node, one in measured.written.values()),
    ])  # fmt: skip
    if not raw.expressions:
        raw.set("expressions", [named(exp.Literal.number(1), "one")])
    raw.set("with_", exp.With(expressions=behind.sources(rows, keys)))
    spec = StageNoise(
        noise.mechanism, noise.epsilon_milli, noise.delta_pico, contribution.groups_per_unit_max if keys else 1,
        len(keys), tuple(one for _, one in measured.written.values()),
    )  # fmt: skip
    enough: exp.Expression = exp.Boolean(this=True)
    if keys:
        enough = exp.GTE(this=name(UNITS), expression=exp.Literal.number(thresholds.units_min))
    shown += [named(enough, "passes"), named(exp.Null(), "units"), named(exp.Boolean(this=False), "negative")]
    table = f"{NOISY}{stage}"
    made = exp.Select(expressions=shown, from_=exp.From(this=exp.Table(this=exp.Identifier(this=table, quoted=True))))
    return (
        Stage(table, raw.sql(dialect="duckdb"), is_counted=False, noise=spec),
        Stage(stage, made.sql(dialect="duckdb"), is_counted=False),
    )


def _wanted(measured: Measured, rows: Rows, wanted: Wanted) -> exp.Expression:
    tests = (rows.column(wanted.filter, "p"),) if wanted.filter is not None else ()
    if wanted.unit is not None:
        return measured.units(Cell(tests), f"u{wanted.unit}")
    arguments = tuple(rows.column(term, "x") for term in wanted.arguments)
    reach = Cell(tests, arguments)
    if wanted.kind is AggregateClass.COUNT:
        return measured.rows(reach)
    interval = interval_of(wanted.arguments[0])
    if interval is None:
        raise ValueError("an argument without bounds was refused before")
    return _moment(measured, wanted, arguments[0], reach, interval)


def price_of(stages: Iterable[Stage]) -> Price | None:
    """Return what a statement costs: every measurement of every stage, and each choice of groups."""
    epsilon = delta = count = 0
    for noise in (stage.noise for stage in stages if stage.noise is not None):
        choices = 1 if noise.keys else 0
        measured = len(noise.measurements) + choices
        count += measured
        epsilon += measured * noise.epsilon_milli
        delta += noise.delta_pico * (measured if noise.mechanism is NoiseMechanism.GAUSSIAN else choices)
    return Price(epsilon, delta, count) if count else None
