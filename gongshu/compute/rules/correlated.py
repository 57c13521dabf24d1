"""Subqueries that look at the SELECT around them and give values: scalar aggregates, and LATERAL.

A correlated aggregate is a LEFT JOIN to that aggregate grouped by the inner columns of its correlation. So the subquery is
read as that grouped query: keys need ``join`` and ``group``, thresholds apply to its groups before anything of them is
looked at, and grouped by the privacy unit it stays row-level. A row whose group is withheld finds what a row without a
group finds: NULL, also of COUNT, as nobody may know which of the two it is.
"""

from dataclasses import dataclass, replace
from functools import partial

from sqlglot import exp

from gongshu.compute.rules.aggregates import known_aggregate
from gongshu.compute.rules.conditions import compare, conjuncts, form_of, is_key
from gongshu.compute.rules.expressions import bind, handles
from gongshu.compute.rules.functions import AggregateClass
from gongshu.compute.rules.groups import is_grouped
from gongshu.compute.rules.joins import LATERALS, read_from
from gongshu.compute.rules.refusals import (
    CONSTRUCT_REFUSED,
    CORRELATION_NOT_EQUAL,
    JOIN_WITHOUT_KEY,
    LINK_MISPLACED,
    SUBQUERY_NOT_RELEASED,
)
from gongshu.compute.rules.scopes import Instance, Scope
from gongshu.compute.rules.selects import find_table, read_query, with_tables
from gongshu.compute.rules.subqueries import released_column
from gongshu.compute.rules.terms import Form, Term, all_of, condition, poison

PARTS = ("expressions", "from_", "joins", "where", "having", "with_")
KEY_NAME = "key:"


@dataclass(frozen=True)
class Correlation:
    """What links a subquery to the SELECT around it: pairs of columns, and the parts of WHERE that do not."""

    pairs: tuple[tuple[exp.Column, exp.Column], ...]  # outside, inside
    rest: tuple[exp.Expression, ...]
    others: tuple[exp.Expression, ...]  # look outside, but are no equality of columns


def _correlation(scope: Scope, node: exp.Select) -> Correlation:
    """Find what of a subquery's WHERE looks outside, by reading its FROM once for this alone."""
    gate = scope.gate.again()
    tables = with_tables(gate, scope.tables, node)
    inside = Scope(gate, tables, outer=scope, place="WHERE")
    inside.joins = read_from(
        inside, node, lambda inner: read_query(gate, tables, inner), lambda name: find_table(gate, tables, name)
    )
    pairs: list[tuple[exp.Column, exp.Column]] = []
    rest: list[exp.Expression] = []
    others: list[exp.Expression] = []
    for part in conjuncts(inside, node.args["where"].this):
        before = len(inside.reached)
        bare = part.unnest()
        sides = (bare.this, bare.expression) if isinstance(bare, exp.EQ) else ()
        if len(sides) == 2 and all(isinstance(side, exp.Column) for side in sides):
            left, right = (bind(inside, side) for side in sides)
            outside = {i.alias for i in scope.instances}
            is_outside = [bool(t.source) and t.source[1] in outside for t in (left, right)]
            if is_outside[0] != is_outside[1]:
                pairs.append(sides if is_outside[0] else (sides[1], sides[0]))
                continue
        else:
            bind(inside, part)
        (others if len(inside.reached) > before else rest).append(part)
    return Correlation(tuple(pairs), tuple(rest), tuple(others))


def _rewritten(node: exp.Select, found: Correlation, keys: list[exp.Expression], *, groups: bool = True) -> exp.Select:
    """Return the subquery without its correlation, with its keys as further columns."""
    named = [
        exp.Alias(this=key, alias=exp.Identifier(this=f"{KEY_NAME}{i}", quoted=True)) for i, key in enumerate(keys)
    ]
    args = {name: node.args[name] for name in PARTS if node.args.get(name) is not None and name != "where"}
    made = exp.Select(**{**args, "expressions": [*node.expressions, *named]})
    if found.rest:
        made.set("where", exp.Where(this=exp.and_(*found.rest, copy=False)))
    if groups:
        made.set("group", exp.Group(expressions=[key.copy() for key in keys]))
    return made


# ----------------------------------------------------------------------------------------------- scalar aggregates


@handles(exp.Subquery)
def _scalar(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    inner = node.this
    while isinstance(inner, exp.Subquery):
        scope.gate.only(inner, "this")
        inner = inner.this
    if isinstance(inner, exp.Select) and inner.args.get("where") is not None and scope.instances:
        if id(node) in scope.values:
            return scope.values[id(node)]
        found = _correlation(scope, inner)
        if found.pairs or found.others:
            return scope.values.setdefault(id(node), _correlated(scope, inner, found))
    return released_column(scope, inner, scope.place, is_single=True)


def _correlated(scope: Scope, node: exp.Select, found: Correlation) -> Term:
    gate = scope.gate
    gate.only(node, *PARTS)
    aggregates = _aggregates(node.expressions[0]) if len(node.expressions) == 1 else []
    if not aggregates or node.args.get("having") is not None:
        gate.findings.add(SUBQUERY_NOT_RELEASED, place=scope.place)
        return poison()
    if scope.joins is None or scope.is_grouped or scope.is_argument or scope.place == "ON":
        columns = ", ".join(dict.fromkeys(pair[0].sql() for pair in found.pairs)) or "—"
        gate.findings.add(LINK_MISPLACED, place="ON" if scope.place == "ON" else "SELECT / HAVING", column=columns)
        return poison()
    only_aggregates = exp.Select(**{**node.args, "expressions": [a.copy() for a in aggregates]})
    instance = _beside(scope, only_aggregates, found, "")
    if instance is None:
        return poison()
    instance.is_hidden = True
    # The expression around the aggregates is reckoned here, where a row without a group has none of them.
    item = node.expressions[0].unalias().copy()
    for index, aggregate in enumerate(_aggregates(item)):
        placeholder = exp.column(f"{KEY_NAME}value")
        term = _given(scope, instance, aggregate, index)
        gate.mean(placeholder, partial(_as_given, term))
        item = placeholder if aggregate is item else item
        if aggregate is not placeholder and aggregate.parent is not None:
            aggregate.replace(placeholder)
    return bind(scope, item)


def _as_given(term: Term, _: Scope) -> Term:
    return term


def _aggregates(node: exp.Expression) -> list[exp.Expression]:
    """Return the aggregates in an expression, each with its FILTER."""
    if isinstance(node, exp.Query):
        return []
    inner = node.this if isinstance(node, exp.Filter | exp.WithinGroup) else node
    if isinstance(inner, exp.Expression) and known_aggregate(inner) is not None:
        return [node]
    return [found for part in node.iter_expressions() for found in _aggregates(part)]


def _given(scope: Scope, instance: Instance, aggregate: exp.Expression, index: int) -> Term:
    """Return an aggregate as a row finds it: which row it is, and what decided there, is told with it."""
    term, source = instance.term(index), instance.source
    inner = aggregate.this if isinstance(aggregate, exp.Filter) else aggregate
    known = known_aggregate(inner)
    if instance.is_complete and known is not None and known.kind is AggregateClass.COUNT:
        placeholder = exp.column(f"{KEY_NAME}count")
        scope.gate.mean(placeholder, partial(_as_given, term))
        term = bind(scope, exp.Coalesce(this=placeholder, expressions=[exp.Literal.number(0)]))
    step = scope.joins.steps[scope.instances.index(instance)][1]
    return replace(
        term, hidden=term.hidden | source.hidden | step.hidden,
        indirect=term.indirect | source.indirect | step.indirect | step.direct,
    )  # fmt: skip


def _beside(scope: Scope, node: exp.Select, found: Correlation, name: str) -> Instance | None:
    """Put a correlated aggregate, grouped by its keys, beside the rows of ``scope``."""
    gate = scope.gate
    for part in found.others:
        gate.findings.add(CORRELATION_NOT_EQUAL, operator=type(part.unnest()).__name__.upper())
    if not found.pairs or found.others:
        return None
    outside = [bind(scope, column) for column, _ in found.pairs]
    keys: list[exp.Expression] = [column.copy() for _, column in found.pairs]
    rewritten, forms = _rewritten(node, found, keys), dict[int, Form]()
    for i, left in enumerate(outside):
        for copy in (keys[i], rewritten.args["group"].expressions[i]):
            gate.mean(copy, partial(_as_key, found.pairs[i][1], left, forms, i))
    before = len(gate.drafts)
    source = read_query(gate, scope.tables, rewritten)
    if len(source.columns) <= len(keys):
        return None  # there is a reason against it already
    instance = scope.add(source, name, is_optional=True)
    instance.is_complete = source.is_row_level or not any(draft.is_guarded for draft in gate.drafts[before:])
    first = len(source.columns) - len(keys)
    start = len(scope.joins.equalities)
    tests = [_linked(scope, left, instance.term(first + i), forms.get(i, Form.VALUE)) for i, left in enumerate(outside)]
    scope.joins.cover(scope, "LEFT", start)
    instance.unnamed |= set(range(first, len(source.columns)))
    scope.joins.steps.append(("LEFT", all_of(tests)))
    return instance


def _as_key(column: exp.Column, left: Term, forms: dict[int, Form], index: int, scope: Scope) -> Term:
    """Return an inner key in the form in which it is compared: its value is not shown, so its hash will do."""
    term = scope.bind(column)
    forms[index] = form = form_of(scope, "=", left, term)
    if not (is_key(left) and is_key(term)) and "refused" not in {left.mark[0], term.mark[0]}:
        scope.gate.findings.add(JOIN_WITHOUT_KEY, relation=column.sql())
    return replace(term, mark=("key", form.value, term.mark), emit=lambda _: term.emit(form))


def _linked(scope: Scope, left: Term, right: Term, form: Form) -> Term:
    scope.joins.equalities.append((left, right))
    return condition("=", (left, right), lambda: exp.EQ(this=left.emit(form), expression=right.emit(form)))


# --------------------------------------------------------------------------------------------------------- LATERAL


def _lateral(scope: Scope, node: exp.Expression, name: str) -> tuple[Instance, str, tuple[Term, ...]] | None:
    """Put what LATERAL gives beside the rows so far; return how it is joined: which side may be missing, by what keys.

    An aggregate is there for every row, so its side may be missing; rows are joined as any others.
    """
    inner = node.this
    while isinstance(inner, exp.Subquery):
        scope.gate.only(inner, "this")
        inner = inner.this
    if not isinstance(inner, exp.Select):
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct="LATERAL")
        return None
    found = _correlation(scope, inner) if inner.args.get("where") is not None else Correlation((), (), ())
    if not found.pairs and not found.others:
        return scope.add(read_query(scope.gate, scope.tables, inner), name), "", ()
    scope.gate.only(inner, *PARTS)
    if is_grouped(inner):
        return _lateral_groups(scope, inner, found, name)
    for part in found.others:
        scope.gate.findings.add(CORRELATION_NOT_EQUAL, operator=type(part.unnest()).__name__.upper())
    keys: list[exp.Expression] = [column.copy() for _, column in found.pairs]
    outside = [bind(scope, column) for column, _ in found.pairs]
    source = read_query(scope.gate, scope.tables, _rewritten(inner, found, keys, groups=False))
    instance = scope.add(source, name)
    first = len(source.columns) - len(keys)
    if first < 1:
        return None
    instance.unnamed |= set(range(first, len(source.columns)))
    tests = tuple(compare(scope, exp.EQ, left, instance.term(first + i)) for i, left in enumerate(outside))
    for i, left in enumerate(outside):
        scope.joins.add(left, instance.term(first + i))
    return instance, "", tests


def _lateral_groups(
    scope: Scope, node: exp.Select, found: Correlation, name: str
) -> tuple[Instance, str, tuple[Term, ...]] | None:
    if node.args.get("having") is not None or not all(_aggregates(part) for part in node.expressions):
        scope.gate.findings.add(SUBQUERY_NOT_RELEASED, place="LATERAL")
        return None
    instance = _beside(scope, node, found, name)
    if instance is None:
        return None
    _, test = scope.joins.steps.pop()
    for index, item in enumerate(node.expressions):
        whole = item.unalias()
        if instance.is_complete and _aggregates(whole) != [whole]:
            scope.gate.findings.add(CONSTRUCT_REFUSED, construct="LATERAL (SELECT … aggregate …)")
        scope.joins.steps.append(("LEFT", test))
        instance.stand_for(index, _given(scope, instance, whole, index))
        scope.joins.steps.pop()
    return instance, "LEFT", (test,)


LATERALS.append(_lateral)
