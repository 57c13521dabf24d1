"""Arithmetic: what keeps a sum a sum, and where constants would turn it into a condition."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import functions
from gongshu.compute.rules.expressions import attempt, call, days_between, expect, handles, value
from gongshu.compute.rules.functions import Family, family
from gongshu.compute.rules.intervals import added, interval_of, multiplied, scaled
from gongshu.compute.rules.refusals import CONSTANT_OUT_OF_RANGE, FUNCTION_ARGUMENTS
from gongshu.compute.rules.scopes import Scope
from gongshu.compute.rules.terms import (
    FACTOR_MAX,
    FACTOR_MIN,
    FACTOR_SPREAD_MAX,
    OFFSET_MAX,
    Form,
    Shape,
    Term,
    derive,
    paren,
    poison,
    sql_type,
    with_step,
)


def _wide(term: Term) -> exp.Expression:
    # 128 bits: a whole number times a constant in range cannot overflow, which would be a condition on its size.
    node: exp.Expression = term.emit(Form.VALUE)
    return exp.Cast(this=node, to=sql_type("INT128")) if term.data_type is DataType.INTEGER else node


def _double(term: Term) -> exp.Expression:
    return exp.Cast(this=term.emit(Form.VALUE), to=sql_type("DOUBLE"))


def _reckoned(scope: Scope, kind: Any, *terms: Term) -> exp.Expression:
    """Write an operation that fails on no value.

    Whole numbers meet in 128 bits, what goes beyond gives NULL. Decimals meet as DOUBLE: their digits would run out
    where constants have many, and a NULL there is a condition on the size of a column.
    """
    parts = ("this", "expression")[: len(terms)]
    are_whole = all(t.data_type is DataType.INTEGER for t in terms)
    has_subquery = any(t.has_subquery for t in terms)
    if are_whole and kind is not exp.Div and not (has_subquery and scope.is_on_rows):
        made = kind(**{part: paren(_wide(t)) for part, t in zip(parts, terms, strict=True)})
        return paren(attempt(made, may_fail=not has_subquery))
    if kind is exp.IntDiv:
        return call("trunc", _reckoned(scope, exp.Div, *terms))
    return paren(kind(**{part: paren(_double(t)) for part, t in zip(parts, terms, strict=True)}))


def _within_range(scope: Scope, term: Term, operator: str) -> Term:
    low, high = term.factors
    if term.bases and (low < FACTOR_MIN or high > FACTOR_MAX or abs(term.offset) > OFFSET_MAX * low):
        scope.gate.findings.add(CONSTANT_OUT_OF_RANGE, function=operator)
    return term


def _scaled(term: Term, factor: float) -> tuple[tuple[float, float], float]:
    return (term.factors[0] * abs(factor), term.factors[1] * abs(factor)), term.offset * abs(factor)


@handles(exp.Neg)
def _negative(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    inner = value(scope, node.this)
    expect(scope, "-", inner, Family.NUMBER)
    shape = Shape.SCALED if inner.shape in {Shape.COLUMN, Shape.SCALED} else Shape.AFFINE
    made = derive("-", (inner,), data_type=inner.data_type, shape=shape, emit=lambda: _reckoned(scope, exp.Neg, inner))
    number = None if inner.number is None else -inner.number
    return replace(made, number=number, interval=scaled(interval_of(inner), -1))


@handles(exp.Add, exp.Sub)
def _sum(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    operator = "+" if isinstance(node, exp.Add) else "-"
    kind = type(node)
    if isinstance(node.expression, exp.Interval):
        return _shifted(scope, node, operator)
    left, right = value(scope, node.this), value(scope, node.expression)
    if left.data_type is DataType.DATE and _is_days(right):
        days = exp.Interval(this=exp.Literal.string(str(abs(int(right.number or 0)))), unit=exp.Var(this="DAY"))
        return _moved(scope, left, days, operator if (right.number or 0) >= 0 else "-" if operator == "+" else "+")
    if family(left.data_type) == family(right.data_type) == Family.TIME and kind is exp.Sub:
        return days_between(left, right)
    expect(scope, operator, left, Family.NUMBER)
    expect(scope, operator, right, Family.NUMBER)
    whole = left.data_type is right.data_type is DataType.INTEGER
    made = derive(
        operator, (left, right), data_type=DataType.INTEGER if whole else DataType.DECIMAL,
        emit=lambda: _reckoned(scope, kind, left, right),
        # A value of unknown size could swallow the digits of a column, which turns a sum into a step function.
        shape=Shape.AFFINE if all(t.bases or t.number is not None for t in (left, right)) else Shape.OTHER,
    )  # fmt: skip
    numbers = [t.number for t in (left, right) if t.is_constant and t.number is not None]
    sign = 1 if operator == "+" else -1
    number = numbers[0] + sign * numbers[1] if len(numbers) == 2 else None
    if left.bases and right.bases and made.factors[1] > FACTOR_SPREAD_MAX * made.factors[0]:
        scope.gate.findings.add(CONSTANT_OUT_OF_RANGE, function=operator)
    offset = made.offset + sum(abs(n) for n in numbers)
    if all(t.bases and (t.steps or t.offset) for t in (left, right)):
        made = with_step(made)  # two steps beside each other are one on which side of a value a row lies
    interval = added(interval_of(left), scaled(interval_of(right), sign))
    return _within_range(scope, replace(made, offset=offset, number=number, interval=interval), operator)


def _shifted(scope: Scope, node: exp.Expression, operator: str) -> Term:
    return _moved(scope, value(scope, node.this), node.expression, operator)


def _is_days(term: Term) -> bool:
    return term.is_constant and term.data_type is DataType.INTEGER and term.number is not None


def _moved(scope: Scope, left: Term, interval: exp.Expression, operator: str) -> Term:
    # Date ± interval: affine while the interval is too short to leave the calendar.
    kind = exp.Add if operator == "+" else exp.Sub
    expect(scope, operator, left, Family.TIME)
    scope.gate.only(interval, "this", "unit")
    unit = str(interval.args["unit"]).lower() if interval.args.get("unit") else ""
    amount = interval.this.this if isinstance(interval.this, exp.Literal) else ""
    most = functions.INTERVAL_UNITS.get(unit.removesuffix("s"))
    if most is None or not str(amount).isdigit() or int(amount) > most:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function="INTERVAL", expected=", ".join(functions.INTERVAL_UNITS))
        return poison(left.data_type)

    def emit() -> exp.Expression:
        span = exp.Interval(this=exp.Literal.string(str(amount)), unit=exp.Var(this=unit.removesuffix("s").upper()))
        moved = attempt(kind(this=left.emit(Form.VALUE), expression=span))
        return exp.TryCast(this=moved, to=sql_type(functions.WRITTEN_TYPES[left.data_type or DataType.DATE]))

    made = derive(
        operator, (left,), data_type=left.data_type, shape=Shape.AFFINE, emit=emit, extra=("interval", unit, amount)
    )
    made = replace(made, offset=made.offset + int(amount) * functions.INTERVAL_DAYS[unit.removesuffix("s")])
    if made.offset > functions.SHIFT_DAYS_MAX:
        scope.gate.findings.add(CONSTANT_OUT_OF_RANGE, function=operator)
    return made


@handles(exp.Mul)
def _product(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    left, right = value(scope, node.this), value(scope, node.expression)
    for term in (left, right):
        expect(scope, "*", term, Family.NUMBER)
    if right.is_constant:
        left, right = right, left
    data_type = DataType.INTEGER if left.data_type is right.data_type is DataType.INTEGER else DataType.DECIMAL
    emit = lambda: _reckoned(scope, exp.Mul, left, right)  # noqa: E731
    if not (left.is_constant and left.number is not None):
        made = derive("*", (left, right), data_type=data_type, emit=emit)
        return replace(made, interval=multiplied(interval_of(left), interval_of(right)))
    return _by_constant(scope, "*", right, left, left.number or 0.0, data_type, emit)


@handles(exp.Div)
def _quotient(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression", "typed", "safe")
    left, right = value(scope, node.this), value(scope, node.expression)
    for term in (left, right):
        expect(scope, "/", term, Family.NUMBER)

    def emit() -> exp.Expression:
        # DuckDB's "/" of floating-point numbers; by zero it gives an infinity or no number, as IEEE 754 has it, and never fails.
        return paren(exp.Div(this=_double(left), expression=_double(right), typed=False, safe=False))

    if right.is_constant and not left.is_constant and right.number:
        return _by_constant(scope, "/", left, right, 1.0 / right.number, DataType.DECIMAL, emit)
    return derive("/", (left, right), data_type=DataType.DECIMAL, emit=emit)


def _by_constant(  # noqa: PLR0917 - the parts of one operation
    scope: Scope,
    operator: str,
    term: Term,
    constant: Term,
    factor: float,
    data_type: DataType,
    emit: Callable[[], Any],
) -> Term:  # fmt: skip
    shape = Shape.SCALED if term.shape in {Shape.COLUMN, Shape.SCALED} else Shape.AFFINE
    made = derive(operator, (term,), data_type=data_type, emit=emit, shape=shape, extra=constant.mark)
    factors, offset = _scaled(term, factor)
    number = term.number * factor if term.number is not None else None
    interval = scaled(interval_of(term), factor)
    made = replace(made, factors=factors, offset=offset, number=number, interval=interval)
    return _within_range(scope, made, operator)


@handles(exp.DPipe)
def _beside(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression", "safe")
    terms = value(scope, node.this), value(scope, node.expression)
    for term in terms:
        expect(scope, "||", term, Family.TEXT)

    def emit() -> exp.Expression:
        # CONCAT takes NULL for nothing, which || does not.
        missing = [exp.Is(this=t.emit(Form.VALUE), expression=exp.Null()) for t in terms if t.text is None]
        whole = call("concat", *(t.emit(Form.VALUE) for t in terms))
        made = call("left", whole, exp.Literal.number(functions.TEXT_CHARACTERS_MAX))
        test = exp.or_(*missing, copy=False) if missing else None
        return made if test is None else paren(exp.Case(ifs=[exp.If(this=test, true=exp.Null())], default=made))

    return derive("||", terms, data_type=DataType.TEXT, emit=emit)


@handles(exp.Mod, exp.IntDiv)
def _remainder(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    operator, kind = ("%", exp.Mod) if isinstance(node, exp.Mod) else ("//", exp.IntDiv)
    left, right = value(scope, node.this), value(scope, node.expression)
    for term in (left, right):
        expect(scope, operator, term, Family.NUMBER)
    whole = left.data_type is right.data_type is DataType.INTEGER
    made = derive(
        operator, (left, right), data_type=DataType.INTEGER if whole else DataType.DECIMAL,
        emit=lambda: _reckoned(scope, kind, left, right),
    )  # fmt: skip
    return with_step(made)
