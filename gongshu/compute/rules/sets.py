"""Set operations: two relations under each other."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from gongshu.compute.rules.functions import family
from gongshu.compute.rules.groups import read_grouping
from gongshu.compute.rules.joins import Joins, read_from, write_from
from gongshu.compute.rules.refusals import (
    CONSTRUCT_REFUSED,
    JOIN_MISSING,
    ROWS_BETRAY,
    UNION_COLUMNS_DIFFER,
    UNION_UNITS_DIFFER,
)
from gongshu.compute.rules.relations import Selected, United, is_row_wise
from gongshu.compute.rules.scopes import Gate, Scope, Source
from gongshu.compute.rules.showing import check_order, read_shown
from gongshu.compute.rules.staging import Rows
from gongshu.compute.rules.terms import Shape, Term, need, need_filter
from gongshu.policies.types import Use


def read_set(
    gate: Gate, tables: dict[str, Any], node: exp.Expression, query: Callable[[exp.Expression], Source]
) -> Source:
    """Return the union, intersection or difference of two queries, each read by ``query``."""
    gate.only(node, "this", "expression", "distinct", "with_", "order", "limit", "offset")
    kind, is_distinct = type(node), bool(node.args.get("distinct"))
    left, right = query(node.this), query(node.expression)
    types = [[family(t.data_type) for _, t in side.columns] for side in (left, right)]
    fits = len(types[0]) == len(types[1]) and all(a == b or "null" in {a, b} for a, b in zip(*types, strict=True))
    if not fits:
        gate.findings.add(UNION_COLUMNS_DIFFER, left=", ".join(types[0]), right=", ".join(types[1]))
        return left
    if kind is not exp.Union and (left.is_row_level or right.is_row_level):
        left, right = _matched(gate, tables, node, left, right)
    is_row_level, is_match = left.is_row_level or right.is_row_level, kind is not exp.Union
    if is_row_level and not is_match and left.kinds != right.kinds:
        kinds = [" + ".join(side.kinds) or "—" for side in (left, right)]
        gate.findings.add(UNION_UNITS_DIFFER, left=kinds[0], right=kinds[1])
        return left
    united = United(gate, left, right, kind, is_distinct=is_distinct and (is_match or not is_row_level))
    scope = Scope(gate, tables)
    scope.add(united, "")
    joins = read_from(scope, exp.Select(), lambda _: united, lambda _: united)
    rows = Rows(scope, None, joins, united.hidden, united.indirect)
    items = tuple((name, scope.instances[0].term(i)) for i, (name, _) in enumerate(united.columns))
    if is_distinct and is_row_level and not is_match:
        return read_grouping(rows, node, items, "UNION")
    shown = read_shown(scope, node, items)
    if is_row_level:
        check_order(rows, items, shown)
    made = Selected(
        items,
        tuple(scope.instances),
        shown,
        write_from(scope, joins, None),
        is_row_level=is_row_level,
        is_single_row=False,
    )
    made.is_row_wise = scope.gate.is_noisy and is_row_wise(items, shown, tuple(scope.instances))
    made.hidden, made.indirect, made.hidden_by = united.hidden, united.indirect, united.hidden_by
    return made


def _matched(
    gate: Gate, tables: dict[str, Any], node: exp.Expression, left: Source, right: Source
) -> tuple[Source, Source]:
    """Return the sides of INTERSECT or EXCEPT over rows: linked by all of their columns, each of which is a key.

    Without ALL both are grouped by all columns first, thresholds included, so that a group of few units is on neither side.
    Grouped by their unit, rows stay that unit's own. With ALL every row counts, so every row must be one that may be seen.
    """
    operator = type(node).__name__.upper()
    for (_, one), (_, other) in zip(left.columns, right.columns, strict=True):
        _check_keys(gate, operator, one, other)
    if node.args.get("distinct"):
        sides = [_grouped(gate, tables, side, operator) if side.is_row_level else side for side in (left, right)]
        units = [[term.unit for _, term in side.columns] for side in sides]
        is_own = all(side.is_row_level for side in sides) and units[0] == units[1]
        if any(side.is_row_level for side in sides) and not is_own:
            kinds = [" + ".join(side.kinds) or "—" for side in sides]
            gate.findings.add(UNION_UNITS_DIFFER, left=kinds[0], right=kinds[1])
        if is_own and not all(_is_bare(term) for side in sides for _, term in side.columns):
            gate.findings.add(CONSTRUCT_REFUSED, construct=f"{operator} (expression)")
        return sides[0], sides[1]
    for side in (left, right):
        for name, term in side.columns if side.is_row_level else ():
            lacking = {b for b in term.bases | term.hidden | side.hidden if Use.REVEAL not in b.uses}
            for base in sorted(lacking, key=lambda b: b.name):
                gate.findings.add(ROWS_BETRAY, output=name, column=base.name, operator=f"{operator} ALL")
    return left, right


def _is_bare(term: Term) -> bool:
    return term.shape is Shape.COLUMN and not (term.cells or term.addends or term.steps)


def _check_keys(gate: Gate, operator: str, one: Term, other: Term) -> None:
    """Columns of two relations that are compared are keys; beside a literal or a reckoned value they are tested."""
    if not (_is_bare(one) and _is_bare(other)):
        need_filter(gate.findings, operator, one, other)
        return
    for term in (one, other):
        need(gate.findings, term, Use.JOIN, JOIN_MISSING, operator)


def _grouped(gate: Gate, tables: dict[str, Any], side: Source, operator: str) -> Source:
    scope = Scope(gate, tables)
    instance = scope.add(side, "")
    scope.joins = Joins([("", None)])
    items = tuple((name, instance.term(i)) for i, (name, _) in enumerate(side.columns))
    rows = Rows(scope, None, scope.joins, side.hidden, side.indirect)
    return read_grouping(rows, exp.Select(), items, operator)
