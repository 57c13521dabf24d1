"""GROUP BY and DISTINCT: keys, the stage behind them, and what is shown of its groups."""

from sqlglot import exp

from gongshu.compute.rules.aggregates import known_aggregate
from gongshu.compute.rules.expressions import value
from gongshu.compute.rules.joins import Joins, write_from
from gongshu.compute.rules.refusals import (
    COLUMN_NOT_GROUPED,
    CONSTRUCT_REFUSED,
    GROUP_MISSING,
    IDENTIFIER_AMBIGUOUS,
    POSITION_REFUSED,
)
from gongshu.compute.rules.relations import Selected, Shown
from gongshu.compute.rules.scopes import Instance, Scope, Source, fold
from gongshu.compute.rules.showing import check_order, items_of, read_shown
from gongshu.compute.rules.stages import Collector
from gongshu.compute.rules.staging import Rows, over_stage, stage
from gongshu.compute.rules.terms import (
    Term,
    hidden_of,
    need,
    union,
)
from gongshu.compute.rules.unit_groups import UnitCollector, UnitGroups, units_of
from gongshu.policies.types import Use


def aggregates_in(node: exp.Expression | None) -> bool:
    if node is None or isinstance(node, exp.Query):
        return False
    if known_aggregate(node) is not None:
        return True
    below = list(node.iter_expressions())
    if isinstance(node, exp.Window):
        below = [*node.this.iter_expressions(), *(part for part in below if part is not node.this)]
    return any(aggregates_in(part) for part in below)


def is_grouped(node: exp.Expression) -> bool:
    parts = [*node.expressions, node.args.get("having"), node.args.get("order"), node.args.get("qualify")]
    return node.args.get("group") is not None or any(aggregates_in(part) for part in parts)


def _keys(scope: Scope, node: exp.Expression) -> list[Term]:
    group = node.args.get("group")
    if group is None:
        return []
    scope.gate.only(group, "expressions")
    scope.place = "GROUP BY"
    aliases = {fold(p.alias): p.this for p in node.expressions if isinstance(p, exp.Alias)}
    found: list[Term] = []
    for part in group.expressions:
        if isinstance(part, exp.Literal):
            scope.gate.findings.add(
                POSITION_REFUSED, construct=f"GROUP BY {part.this}" if not part.is_string else "GROUP BY"
            )
            continue
        found.append(_key(scope, part, aliases))
    return [t for i, t in enumerate(found) if t.mark not in {other.mark for other in found[:i]}]


def _key(scope: Scope, part: exp.Expression, aliases: dict[str, exp.Expression]) -> Term:
    is_name = isinstance(part, exp.Column) and part.args.get("table") is None
    named = aliases.get(fold(part.name)) if is_name else None
    if named is None:
        return value(scope, part)
    is_column = any(fold(n) == fold(part.name) for i in scope.instances for n, _ in i.source.columns)
    if not is_column:
        return value(scope, named)
    own = value(scope, part)
    if aggregates_in(named) or value(scope, named).mark != own.mark:
        scope.gate.findings.add(IDENTIFIER_AMBIGUOUS, name=part.name)
    return own


def read_grouped(rows: Rows, node: exp.Expression) -> Source:
    scope, findings = rows.scope, rows.scope.gate.findings
    keys = _keys(scope, node)
    for key in keys:
        need(findings, key, Use.GROUP, GROUP_MISSING, "GROUP BY")
    own = units_of(rows, node, keys)
    if own is not None:
        return read_unit_groups(rows, node, keys, own)
    collector = Collector(scope.gate.fresh("r"), keys)
    collector.indirect = rows.indirect | union(k.direct | k.indirect for k in keys)
    scope.keys = {
        key.mark: collector.released(i, key.data_type, (key,)) for i, key in enumerate(keys) if not key.is_constant
    }
    scope.is_grouped, scope.collects, scope.place = True, collector, "SELECT"
    items = items_of(scope, node)
    shown = read_shown(scope, node, items)
    _check_grouped(scope, items, shown)
    staged = stage(rows, collector, is_single_row=not keys)
    if node.args.get("distinct") is not None:
        scope.gate.only(node.args["distinct"])
        shown.is_distinct = True
    return over_stage(collector, staged, items, shown)


def read_unit_groups(rows: Rows, node: exp.Expression, keys: list[Term], own: dict[int, int]) -> Source:
    """Read a SELECT whose groups are one unit's each: it stays row-level, and HAVING is a WHERE."""
    scope = rows.scope
    if node.args.get("distinct") is not None:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct="DISTINCT … GROUP BY")
    groups = UnitGroups(rows, keys, own)
    instance = Instance(scope.gate.fresh("r"), "", groups, 0)
    collector = UnitCollector(groups, instance)
    scope.keys = {key.mark: collector.column(i) for i, key in enumerate(keys) if not key.is_constant}
    scope.collects, scope.place = collector, "SELECT"
    items = items_of(scope, node)
    shown = read_shown(scope, node, items)
    _check_grouped(scope, items, shown)
    return over_unit_groups(scope, groups, instance, items, shown)


def _distinct_units(
    rows: Rows, node: exp.Expression, items: tuple[tuple[str, Term], ...], keys: list[Term], own: dict[int, int]
) -> Source:
    scope = rows.scope
    groups = UnitGroups(rows, keys, own)
    instance = Instance(scope.gate.fresh("r"), "", groups, 0)
    collector = UnitCollector(groups, instance)
    scope.keys = {key.mark: collector.column(i) for i, key in enumerate(keys)}
    chosen = tuple((name, scope.keys[term.mark]) for name, term in items)
    shown = read_shown(scope, node, chosen)
    _check_grouped(scope, chosen, shown)
    return over_unit_groups(scope, groups, instance, chosen, shown)


def over_unit_groups(
    scope: Scope, groups: UnitGroups, instance: Instance, items: tuple[tuple[str, Term], ...], shown: Shown
) -> Selected:
    """Return what a SELECT shows of the rows that units have become."""
    above = Scope(scope.gate, scope.tables, [instance])
    tests = tuple(term for term in (shown.having, shown.qualify) if term is not None)
    hidden = groups.hidden | hidden_of(tests)
    indirect = groups.indirect | union(t.direct | t.indirect for t in tests)
    rows = Rows(above, None, Joins([("", None)]), hidden, indirect)
    check_order(rows, items, shown)
    made = Selected(
        items, (instance,), shown, write_from(above, rows.joins, None), is_row_level=True, is_single_row=False
    )
    made.hidden, made.hidden_by, made.indirect = hidden, groups.hidden_by, indirect
    return made


def _check_grouped(scope: Scope, items: tuple[tuple[str, Term], ...], shown: Shown) -> None:
    terms = [t for _, t in items] + [t for t, _, _ in shown.order]
    terms += [t for t in (shown.having, shown.qualify) if t is not None]
    for term in terms:
        for shown_name in sorted(term.loose):
            scope.gate.findings.add(COLUMN_NOT_GROUPED, column=shown_name)


def read_distinct(rows: Rows, node: exp.Expression) -> Source:
    """Read SELECT DISTINCT over rows: grouping by all columns, thresholds included."""
    scope = rows.scope
    scope.gate.only(node.args["distinct"])
    items = items_of(scope, node)
    return read_grouping(rows, node, items, "DISTINCT")


def read_grouping(rows: Rows, node: exp.Expression, items: tuple[tuple[str, Term], ...], operator: str) -> Source:
    scope = rows.scope
    for _, term in items:
        need(scope.gate.findings, term, Use.GROUP, GROUP_MISSING, operator)
    keys = list({t.mark: t for _, t in items}.values())
    own = units_of(rows, node, keys)
    if own is not None:
        return _distinct_units(rows, node, items, keys, own)
    collector = Collector(scope.gate.fresh("r"), keys)
    collector.indirect = rows.indirect
    scope.keys = {key.mark: collector.released(i, key.data_type, (key,)) for i, key in enumerate(keys)}
    scope.is_grouped, scope.collects = True, collector
    released = tuple((name, scope.keys[term.mark]) for name, term in items)
    shown = read_shown(scope, node, released)
    _check_grouped(scope, released, shown)
    return over_stage(collector, stage(rows, collector, is_single_row=False), released, shown)
