"""Aggregates and windows: which uses their arguments need, and what the stage must compute for them."""

from typing import Any

from sqlglot import exp

from gongshu.base.decisions import Rule
from gongshu.catalog.types import DataType
from gongshu.compute.rules import functions
from gongshu.compute.rules.expressions import anonymous, bind, handles, value
from gongshu.compute.rules.functions import Aggregate, AggregateClass, Family, family
from gongshu.compute.rules.listing import listed
from gongshu.compute.rules.refusals import (
    AGGREGATE_MISPLACED,
    CONSTRUCT_REFUSED,
    FUNCTION_ARGUMENTS,
    RANK_MISSING,
    TOTAL_MISSING,
)
from gongshu.compute.rules.scopes import Scope
from gongshu.compute.rules.stages import Collects, Wanted
from gongshu.compute.rules.terms import Form, Mark, Term, as_condition, condition, conjunction, need, poison
from gongshu.policies.types import Use


def inner_scope(scope: Scope, place: str) -> Scope:
    """Return the scope of an aggregate's arguments: rows, not groups; no aggregate, no alias."""
    return Scope(scope.gate, scope.tables, scope.instances, place=place, joins=scope.joins, is_argument=True)


@handles(*functions.AGGREGATES)
def _aggregate(scope: Scope, node: exp.Expression) -> Term:
    return aggregate(scope, node, functions.AGGREGATES[type(node)], None)


@handles(exp.Anonymous)
def _anonymous(scope: Scope, node: exp.Expression) -> Term:
    known = known_aggregate(node)
    return aggregate(scope, node, known, None) if known is not None else anonymous(scope, node)


@handles(exp.Filter)
def _filtered(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    called = node.this
    if isinstance(called, exp.IgnoreNulls) and isinstance(called.this, exp.AnyValue):
        called = called.this
    known = known_aggregate(called)
    if known is None:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct="FILTER")
        return poison()
    return aggregate(scope, called, known, node.expression.this)


@handles(exp.IgnoreNulls)
def _ignoring(scope: Scope, node: exp.Expression) -> Term:
    if isinstance(node.this, exp.AnyValue):
        return bind(scope, node.this)
    scope.gate.findings.add(CONSTRUCT_REFUSED, construct="IGNORE NULLS")
    return poison()


@handles(exp.WithinGroup)
def _within_group(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expression")
    inner, order = node.this, node.expression
    if not isinstance(inner, exp.PercentileCont | exp.PercentileDisc) or len(order.expressions) != 1:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct="WITHIN GROUP")
        return poison()
    scope.gate.only(inner, "this")
    ordered = order.expressions[0]
    scope.gate.only(ordered, "this", "desc", "nulls_first")
    name = functions.AGGREGATES[type(inner)].name
    return order_statistic(scope, name, ordered.this, inner.this, is_descending=bool(ordered.args.get("desc")))


def known_aggregate(node: exp.Expression) -> Aggregate | None:
    """Return the aggregate that ``node`` calls, if it is one."""
    if isinstance(node, exp.Anonymous):
        return functions.ANONYMOUS_AGGREGATES.get(str(node.this).lower())
    return functions.AGGREGATES.get(type(node))


def aggregate(scope: Scope, node: exp.Expression, known: Aggregate, filtered: exp.Expression | None) -> Term:
    """Return an aggregate of this SELECT's rows as a released value."""
    findings = scope.gate.findings
    if scope.collects is None:
        findings.add(AGGREGATE_MISPLACED, function=known.name.upper(), place=scope.place)
        return poison(DataType.DECIMAL)
    inner = inner_scope(scope, known.name.upper())
    test = None
    if filtered is not None:
        test = as_condition(findings, bind(inner, filtered), "FILTER")
    if known.kind is AggregateClass.LISTING:
        return listed(scope, node, known, test)
    if known.kind is AggregateClass.ORDER:
        scope.gate.only(node, "this", "expression", "quantile")
        fraction = node.args.get("expression") or node.args.get("quantile")
        return order_statistic(scope, known.name, node.this, fraction, test=test)
    if known.kind is AggregateClass.COUNT:
        return _count(scope, inner, node, known, test)
    return _moment(scope, inner, node, known, test)


def _collector(scope: Scope) -> Collects:
    if scope.collects is None:
        raise ValueError("aggregates are asked for where they can stand")
    return scope.collects


def _need(scope: Scope, term: Term, use: Use, rule: Rule, operator: str) -> None:
    # What stays the unit's own is not released: its uses are asked for where it is.
    if _collector(scope).is_released:
        need(scope.gate.findings, term, use, rule, operator)


def _mark(function: str, terms: tuple[Term, ...], test: Term | None, *extra: Any) -> Mark:
    return (function, *extra, tuple(t.mark for t in terms), test.mark if test else None)


def _moment(scope: Scope, inner: Scope, node: exp.Expression, known: Aggregate, test: Term | None) -> Term:
    nodes = node.expressions if isinstance(node, exp.Anonymous) else [node.this, node.args.get("expression")]
    if not isinstance(node, exp.Anonymous):
        scope.gate.only(node, "this", "expression")
    arguments = tuple(value(inner, part) for part in nodes if part is not None)
    fits = len(arguments) == known.arguments and all(_is_number(t) for t in arguments)
    if not fits:
        scope.gate.findings.add(FUNCTION_ARGUMENTS, function=known.name.upper(), expected=Family.NUMBER)
        return poison(DataType.DECIMAL)
    for term in arguments:
        _need(scope, term, Use.TOTAL, TOTAL_MISSING, known.name.upper())
    whole = known.name == "sum" and arguments[0].data_type is DataType.INTEGER
    made = Wanted(known.name, known.kind, arguments, _mark(known.name, arguments, test), filter=test)
    return _collector(scope).add(made, DataType.INTEGER if whole else DataType.DECIMAL)


def _is_number(term: Term) -> bool:
    return family(term.data_type) in {Family.NUMBER, "null"} or term.mark[0] == "refused"


def _count(scope: Scope, inner: Scope, node: exp.Expression, known: Aggregate, test: Term | None) -> Term:
    findings = scope.gate.findings
    scope.gate.only(node, "this", *functions.HARMLESS_FLAGS)
    argument, collector = node.args.get("this"), _collector(scope)
    if known.name == "count_if" and argument is not None:
        cell = as_condition(findings, bind(inner, argument), "COUNT_IF")
        both = cell if test is None else derive_both(cell, test)
        return collector.add(Wanted("count", known.kind, (), _mark("count", (), both), filter=both), DataType.INTEGER)
    if argument is None or isinstance(argument, exp.Star):
        if argument is not None:
            scope.gate.only(argument)
        return collector.add(Wanted("count", known.kind, (), _mark("count", (), test), filter=test), DataType.INTEGER)
    is_distinct = isinstance(argument, exp.Distinct) or known.name == "approx_count_distinct"
    nodes = [argument]
    if isinstance(argument, exp.Distinct):
        scope.gate.only(argument, "expressions")
        nodes = argument.expressions
    terms = tuple(value(inner, part) for part in nodes)
    unit = terms[0].unit if is_distinct and len(terms) == 1 else None
    for term in terms if unit is None else ():
        _need(scope, term, Use.TOTAL, TOTAL_MISSING, "COUNT(DISTINCT)" if is_distinct else "COUNT")
    made = Wanted(
        "count", known.kind, terms, _mark("count", terms, test, is_distinct), is_distinct, filter=test, unit=unit
    )
    return collector.add(made, DataType.INTEGER)


def derive_both(first: Term, second: Term) -> Term:
    """Return ``first AND second``."""
    emit = lambda: conjunction((first.emit(Form.VALUE), second.emit(Form.VALUE)))  # noqa: E731
    return condition("AND", (first, second), emit)


def order_statistic(
    scope: Scope, name: str, node: exp.Expression, fraction_node: exp.Expression | None, *,
    test: Term | None = None, is_descending: bool = False,
) -> Term:  # fmt: skip
    """Return a quantile. Of rows it is interpolated and rounded, never one row's value; of released values exact."""
    findings = scope.gate.findings
    if scope.collects is None:
        findings.add(AGGREGATE_MISPLACED, function=name.upper(), place=scope.place)
        return poison(DataType.DECIMAL)
    fraction = {"min": 0.0, "median": 0.5, "max": 1.0}.get(name)
    if fraction is None:
        given = bind(inner_scope(scope, name.upper()), fraction_node) if fraction_node is not None else poison()
        fraction = given.number if given.is_constant and given.number is not None else -1.0
    elif fraction_node is not None:
        fraction = -1.0
    term = value(inner_scope(scope, name.upper()), node)
    is_exact = not (term.bases and _collector(scope).is_released)
    is_plain = name in {"min", "max"} and is_exact  # the smallest of released values, whatever their type
    if not 0 <= fraction <= 1 or not (_is_number(term) or family(term.data_type) == Family.TIME or is_plain):
        findings.add(FUNCTION_ARGUMENTS, function=name.upper(), expected=f"{Family.NUMBER} | {Family.TIME}, 0 … 1")
        return poison(DataType.DECIMAL)
    _need(scope, term, Use.RANK, RANK_MISSING, name.upper())
    fraction = 1 - fraction if is_descending else fraction
    made = Wanted(
        name, AggregateClass.ORDER, (term,), _mark(name, (term,), test, fraction), fraction=fraction, filter=test,
        is_exact=is_exact,
    )  # fmt: skip
    is_time = family(term.data_type) == Family.TIME
    exact_type = term.data_type or DataType.DECIMAL
    rounded_type = DataType.DATE if is_time else DataType.DECIMAL
    return _collector(scope).add(made, exact_type if is_plain else rounded_type)
