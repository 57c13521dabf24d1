"""GROUP BY and DISTINCT: keys, the stage behind them, and what is shown of its groups."""

from sqlglot import exp

from gongshu.compute.rules.aggregates import known_aggregate
from gongshu.compute.rules.expressions import value
from gongshu.compute.rules.grouping_sets import sets_in
from gongshu.compute.rules.joins import Joins, write_from
from gongshu.compute.rules.refusals import (
    COLUMN_NOT_GROUPED,
    CONSTRUCT_REFUSED,
    GROUP_MISSING,
    IDENTIFIER_AMBIGUOUS,
)
from gongshu.compute.rules.relations import Selected, Shown
from gongshu.compute.rules.scopes import Instance, Scope, Source, fold
from gongshu.compute.rules.showing import check_order, items_of, read_shown, refuse_position, star
from gongshu.compute.rules.stages import Collector, Sets
from gongshu.compute.rules.staging import Rows, over_stage, stages
from gongshu.compute.rules.terms import (
    Term,
    hidden_of,
    need,
    union,
)
from gongshu.compute.rules.unit_groups import UnitCollector, UnitGroups, units_of
from gongshu.policies.types import Use


def aggregates_in(node: exp.Expression | None) -> bool:
    """Whether an aggregate of this SELECT's rows stands in ``node``."""
    if node is None or isinstance(node, exp.Query):
        return False
    if known_aggregate(node) is not None or isinstance(node, exp.Grouping | exp.GroupingId):
        return True
    below = list(node.iter_expressions())
    if isinstance(node, exp.Window):
        called = node.this  # the window function itself is no aggregate of the SELECT; what it is given may hold one
        while isinstance(called, exp.Filter | exp.IgnoreNulls):
            below += [called.expression] if isinstance(called, exp.Filter) else []
            called = called.this
        below = [*called.iter_expressions(), *(part for part in below if part is not node.this)]
    return any(aggregates_in(part) for part in below)


def is_grouped(node: exp.Expression) -> bool:
    """Whether a SELECT groups its rows, by keys or all into one."""
    parts = [*node.expressions, node.args.get("having"), node.args.get("order"), node.args.get("qualify")]
    return node.args.get("group") is not None or any(aggregates_in(part) for part in parts)


def _keys(scope: Scope, node: exp.Expression) -> tuple[list[Term], Sets]:
    """Return every key, and where there are several sets of them, which keys each set has."""
    group = node.args.get("group")
    if group is None:
        return [], ()
    scope.gate.only(group, "expressions", "all")
    scope.place = "GROUP BY"
    if group.args.get("all"):
        return list({t.mark: t for t in _all_keys(scope, node)}.values()), ()
    aliases = {fold(p.alias): p.this for p in node.expressions if isinstance(p, exp.Alias)}
    alternatives = sets_in(scope, group.expressions)
    found: dict[int, Term] = {}
    for part in {id(p): p for alternative in alternatives for p in alternative}.values():
        if isinstance(part, exp.Literal):
            refuse_position(scope, "GROUP BY", part, [p.alias_or_name for p in node.expressions])
            meant = _at(node, part)
            if meant is not None:
                found[id(part)] = value(scope, meant)  # so that the rest can be looked at
            continue
        found[id(part)] = _key(scope, part, aliases)
    keys = list({t.mark: t for t in found.values()}.values())
    if len(alternatives) == 1:
        return keys, ()
    places = {key.mark: i for i, key in enumerate(keys)}
    sets = (tuple(dict.fromkeys(places[found[id(p)].mark] for p in one if id(p) in found)) for one in alternatives)
    return keys, tuple(sorted(sets, key=len))


def _at(node: exp.Expression, part: exp.Literal) -> exp.Expression | None:
    position = int(part.this) if str(part.this).isdigit() and len(str(part.this)) < 5 else 0
    item = node.expressions[position - 1] if 0 < position <= len(node.expressions) else None
    inner = item.this if isinstance(item, exp.Alias) else item
    return None if inner is None or isinstance(inner, exp.Star) or aggregates_in(inner) else inner


def _all_keys(scope: Scope, node: exp.Expression) -> list[Term]:
    """Return the keys of GROUP BY ALL: every item without an aggregate."""
    found: list[Term] = []
    for part in node.expressions:
        inner = part.this if isinstance(part, exp.Alias) else part
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            found += [term for _, term in star(scope, part)]
        elif not aggregates_in(inner):
            found.append(value(scope, inner))
    return [term for term in found if not term.is_constant]


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
    """Read a SELECT that groups its rows."""
    scope, findings = rows.scope, rows.scope.gate.findings
    keys, sets = _keys(scope, node)
    for key in keys:
        need(findings, key, Use.GROUP, GROUP_MISSING, "GROUP BY")
    own = units_of(rows, node, keys)
    if own is not None and not sets:
        return read_unit_groups(rows, node, keys, own)
    if own is not None:
        findings.add(CONSTRUCT_REFUSED, construct="GROUPING SETS (privacy unit)")
    collector = Collector(scope.gate.fresh("r"), keys, hidden=rows.hidden | hidden_of(keys), sets=sets)
    collector.indirect = rows.indirect | union(k.direct | k.indirect for k in keys)
    scope.keys = {
        key.mark: collector.released(i, key.data_type, (key,)) for i, key in enumerate(keys) if not key.is_constant
    }
    scope.is_grouped, scope.collects, scope.place = True, collector, "SELECT"
    items = items_of(scope, node)
    shown = read_shown(scope, node, items)
    _check_grouped(scope, items, shown)
    staged = stages(rows, collector)
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
    return over_stage(collector, stages(rows, collector), released, shown)
