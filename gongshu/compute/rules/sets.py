"""Set operations: two relations under each other."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from gongshu.compute.rules.functions import family
from gongshu.compute.rules.groups import read_grouping
from gongshu.compute.rules.joins import read_from, write_from
from gongshu.compute.rules.refusals import (
    CONSTRUCT_REFUSED,
    UNION_COLUMNS_DIFFER,
    UNION_UNITS_DIFFER,
)
from gongshu.compute.rules.relations import Selected, United, is_row_wise
from gongshu.compute.rules.scopes import Gate, Scope, Source
from gongshu.compute.rules.showing import check_order, read_shown
from gongshu.compute.rules.staging import Rows


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
    is_row_level = left.is_row_level or right.is_row_level
    if is_row_level and left.kinds != right.kinds:
        kinds = [" + ".join(side.kinds) or "—" for side in (left, right)]
        gate.findings.add(UNION_UNITS_DIFFER, left=kinds[0], right=kinds[1])
        return left
    if is_row_level and kind is not exp.Union:
        gate.findings.add(CONSTRUCT_REFUSED, construct=kind.__name__.upper())
        return left
    united = United(gate, left, right, kind, is_distinct=is_distinct and not is_row_level)
    scope = Scope(gate, tables)
    scope.add(united, "")
    joins = read_from(scope, exp.Select(), lambda _: united, lambda _: united)
    rows = Rows(scope, None, joins, united.hidden, united.indirect)
    items = tuple((name, scope.instances[0].term(i)) for i, (name, _) in enumerate(united.columns))
    if is_distinct and is_row_level:
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
