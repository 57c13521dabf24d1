"""Rounded counts, and means that use the rounded numbers of rows (controls §3; OpenSAFELY's rules as options).

A mean times a count gives a sum, and a sum over a mean gives a count: so means and variances are reckoned with the rounded
number of their rows, and sums of whole numbers, which may be counts in disguise, are rounded like counts. Later steps of a
statement read the rounded numbers, so totals are those of what is shown.
"""

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.functions import AggregateClass
from gongshu.compute.rules.refusals import ROUNDING_ARGUMENT
from gongshu.compute.rules.stages import Wanted
from gongshu.compute.rules.terms import Findings, Shape, conjunction, names, paren, sql_type
from gongshu.compute.rules.writing import double, fn, name, where
from gongshu.policies.types import Rounding, RoundingMethod

POPULATION = {"var_samp": "var_pop", "stddev_samp": "stddev_pop", "covar_samp": "covar_pop"}
"""Variances of a sample are those of the population times n / (n - 1), with the rounded n."""


def check(findings: Findings, wanted: Wanted) -> None:
    """Refuse a moment of anything but columns and their multiples: a constant summed is a number of rows."""
    if wanted.kind is not AggregateClass.MOMENT:
        return
    for term in wanted.arguments:
        if term.shape not in {Shape.COLUMN, Shape.SCALED} or not term.bases:
            findings.add(ROUNDING_ARGUMENT, function=wanted.function.upper(), column=names(term.bases))


def rounded(count: exp.Expression, rounding: Rounding) -> exp.Expression:
    """Write a rounded count; NULL where it is not shown."""
    base = exp.Literal.number(rounding.base)
    share = exp.Div(this=double(count), expression=base)
    if rounding.method is RoundingMethod.NEAREST:
        made: exp.Expression = exp.Mul(this=fn("round", share), expression=base.copy())
    else:
        middle = exp.Literal.number(rounding.base // 2)
        above = exp.Sub(this=paren(exp.Mul(this=fn("ceil", share), expression=base.copy())), expression=middle)
        is_zero = exp.EQ(this=count.copy(), expression=exp.Literal.number(0))
        made = paren(exp.Case(ifs=[exp.If(this=is_zero, true=exp.Literal.number(0))], default=above))
    whole = exp.Cast(this=paren(made), to=sql_type("BIGINT"))
    if not rounding.redact_max:
        return whole
    is_shown = exp.GT(this=count.copy(), expression=exp.Literal.number(rounding.redact_max))
    return paren(exp.Case(ifs=[exp.If(this=is_shown, true=whole)]))


def _rows(arguments: tuple[str, ...], test: exp.Expression | None, rounding: Rounding) -> exp.Expression:
    present = [exp.Not(this=exp.Is(this=name(a), expression=exp.Null())) for a in arguments]
    tests = [*([test.copy()] if test is not None else []), *present]
    plain = Rounding(rounding.base, rounding.method)  # what is too small to show is still a number to divide by
    return rounded(where(exp.Count(this=exp.Star()), conjunction(tests)), plain)


def written(
    wanted: Wanted, call: exp.Expression, arguments: tuple[str, ...], test: exp.Expression | None, rounding: Rounding
) -> exp.Expression:
    """Write an aggregate with rounded counts; ``call`` is what it would be otherwise."""
    if wanted.kind is AggregateClass.COUNT:
        return rounded(call, rounding)
    function = wanted.function
    if wanted.kind is not AggregateClass.MOMENT:
        return call
    if function == "sum":
        is_whole = wanted.arguments[0].data_type is DataType.INTEGER
        return rounded(call, Rounding(rounding.base)) if is_whole else call
    rows = _rows(arguments, test, rounding)
    if function == "avg":
        total = double(where(fn("sum", name(arguments[0])), test))
        return exp.Div(this=total, expression=fn("nullif", rows, exp.Literal.number(0)))
    if function not in POPULATION:
        return call
    population = where(fn(POPULATION[function], *(name(a) for a in arguments)), test)
    fewer = exp.Sub(this=rows.copy(), expression=exp.Literal.number(1))
    is_enough = exp.GT(this=rows.copy(), expression=exp.Literal.number(1))
    ratio: exp.Expression = exp.Div(this=double(rows), expression=paren(fewer))
    ratio = fn("sqrt", ratio) if function == "stddev_samp" else ratio
    return exp.Case(ifs=[exp.If(this=is_enough, true=exp.Mul(this=population, expression=paren(ratio)))])
