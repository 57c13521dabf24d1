"""Windows. Over a released relation all are free; over rows there are two ways, and no third:

- an aggregate by partition alone, without ORDER BY and frame, is that of a GROUP BY: a stage with thresholds, joined back
  to the rows by the partition's columns. A value that is withheld is NULL. By the privacy unit it stays that unit's own;
- where everything may be seen that goes in (arguments, partition, order, what decided the rows), the window is written as
  it stands. Ranking and LAG and its likes need an ORDER BY then: the order of storage is nobody's to see.

A frame of one row is a way to show a row, so frames are of the second kind.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import functions
from gongshu.compute.rules.aggregates import aggregate, known_aggregate
from gongshu.compute.rules.expressions import bind, handles, value
from gongshu.compute.rules.functions import Family, family
from gongshu.compute.rules.refusals import (
    AGGREGATE_MISPLACED,
    CONSTRUCT_REFUSED,
    FUNCTION_ARGUMENTS,
    GROUP_MISSING,
    WINDOW_ON_ROWS,
)
from gongshu.compute.rules.scopes import Instance, Scope, Staged
from gongshu.compute.rules.stages import Collector
from gongshu.compute.rules.staging import Rows, stage
from gongshu.compute.rules.terms import (
    Form,
    Mark,
    Term,
    as_condition,
    column,
    conjunction,
    derive,
    hidden_of,
    names,
    need,
    poison,
    quoted,
    union,
)
from gongshu.compute.rules.unit_groups import UnitCollector, UnitGroups, units_of
from gongshu.compute.rules.writing import name as column_name
from gongshu.policies.types import Use

PLACES = frozenset({"SELECT", "ORDER BY", "QUALIFY"})


@dataclass
class Window:
    """A window as it was read."""

    name: str
    kind: type[exp.Expression]
    arguments: list[Term]
    is_star: bool
    parts: list[Term]
    orders: list[tuple[Term, exp.Expression]]
    test: Term | None
    ignores_nulls: bool
    spec: exp.Expression | None

    @property
    def terms(self) -> tuple[Term, ...]:
        """Everything that goes in."""
        tests = (self.test,) if self.test is not None else ()
        return (*self.arguments, *self.parts, *(t for t, _ in self.orders), *tests)

    @property
    def mark(self) -> Mark:
        """What tells two windows over the same columns apart."""
        directions = tuple((bool(o.args.get("desc")), bool(o.args.get("nulls_first"))) for _, o in self.orders)
        frame = self.spec.sql() if self.spec is not None else ""
        return ("window", len(self.arguments), len(self.parts), directions, self.ignores_nulls, frame)

    def write(self) -> exp.Expression:
        """Write the window."""
        arguments = [exp.Star()] if self.is_star else [t.emit(Form.VALUE) for t in self.arguments]
        call: exp.Expression = exp.Anonymous(this=self.name, expressions=arguments)
        if self.ignores_nulls:
            call = exp.IgnoreNulls(this=self.kind(**dict(zip(("this", "offset", "default"), arguments, strict=False))))
        if self.test is not None:
            call = exp.Filter(this=call, expression=exp.Where(this=self.test.emit(Form.VALUE)))
        return exp.Window(
            this=call,
            partition_by=[t.emit(Form.VALUE) for t in self.parts],
            order=exp.Order(expressions=[ordered(t, o) for t, o in self.orders]) if self.orders else None,
            spec=self.spec.copy() if self.spec is not None else None,
            over="OVER",
        )


@dataclass
class OfUnit:
    """Rows partitioned by (at least) their privacy unit: what is reckoned of them stays that unit's own."""

    keys: list[Term]
    own: dict[int, int]
    groups: UnitGroups
    instance: Instance
    collector: UnitCollector

    def same(self, scope: Scope) -> exp.Expression:
        """Write when a row belongs to a group."""
        tests: list[exp.Expression] = []
        for i, key in enumerate(self.keys):
            left, right = key.emit(Form.VALUE), self.instance.term(i).emit(Form.VALUE)
            if i in self.own:
                below = next(s for s in scope.instances if self.own[i] < s.first_unit + len(s.source.kinds))
                left = column(below.alias, below.source.demand_unit(self.own[i] - below.first_unit))
                right = column(self.instance.alias, f"u{self.own[i]}")
            tests.append(exp.NullSafeEQ(this=left, expression=right))
        return conjunction(tests)


@dataclass
class RowWindows:
    """The windows of one SELECT over rows: a stage for each way in which the rows are partitioned."""

    rows: Rows
    node: exp.Expression
    partitions: list[Collector] = field(default_factory=list)
    units: list[OfUnit] = field(default_factory=list)
    staged: list[Staged] = field(default_factory=list)

    def partition(self, parts: list[Term]) -> Collector:
        """Return the stage by ``parts``."""
        marks = [part.mark for part in parts]
        for known in self.partitions:
            if [key.mark for key in known.keys] == marks:
                return known
        indirect = self.rows.indirect | union(p.direct | p.indirect for p in parts)
        made = Collector(
            self.rows.scope.gate.fresh("r"), list(parts), indirect=indirect, hidden=self.rows.hidden | hidden_of(parts)
        )
        self.partitions.append(made)
        return made

    def of_unit(self, parts: list[Term]) -> OfUnit | None:
        """Return the groups by ``parts`` if each of them is one unit's."""
        own = units_of(self.rows, self.node, parts)
        if own is None:
            return None
        marks = [part.mark for part in parts]
        for known in self.units:
            if [key.mark for key in known.keys] == marks:
                return known
        groups = UnitGroups(self.rows, list(parts), own)
        instance = Instance(self.rows.scope.gate.fresh("r"), "", groups, 0)
        made = OfUnit(list(parts), own, groups, instance, UnitCollector(groups, instance))
        self.units.append(made)
        return made

    def finish(self) -> None:
        """Write the stages, once everything that is asked of them is known."""
        self.staged = [stage(self.rows, c, is_single_row=not c.keys) for c in self.partitions]

    def write(self, inner: Callable[[exp.Select], None]) -> Callable[[exp.Select], None]:
        """Return what writes FROM and WHERE with the stages joined to the rows."""

        def write(select: exp.Select) -> None:
            conditions = [_same(collector) for collector in self.partitions]
            of_units = [unit.same(self.rows.scope) for unit in self.units]
            inner(select)
            joins = list(select.args.get("joins") or [])
            joins += [
                exp.Join(this=unit.instance.emit(), side="LEFT", on=on)
                for unit, on in zip(self.units, of_units, strict=True)
            ]
            for collector, staged, on in zip(self.partitions, self.staged, conditions, strict=True):
                written = staged.emit()
                written.set("alias", exp.TableAlias(this=quoted(collector.alias)))
                joins.append(exp.Join(this=written, side="LEFT", on=on))
            select.set("joins", joins or None)

        return write


def _same(collector: Collector) -> exp.Expression:
    tests: list[exp.Expression] = [
        exp.NullSafeEQ(this=key.emit(Form.VALUE), expression=column_name(f"c{i}", collector.alias))
        for i, key in enumerate(collector.keys)
    ]
    return conjunction(tests)


# -------------------------------------------------------------------------------------------------------- reading


@handles(exp.Window)
def _window(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "partition_by", "order", "spec", "over")
    function, test, ignores_nulls = _unwrapped(node.this)
    called = str(function.this).upper() if isinstance(function, exp.Anonymous) else type(function).__name__.upper()
    if scope.place not in PLACES:
        scope.gate.findings.add(AGGREGATE_MISPLACED, function=f"{called} OVER"[:60], place=scope.place)
        return poison(DataType.DECIMAL)
    place, scope.place = scope.place, "OVER"  # a window in a window is none
    parts = [value(scope, part) for part in node.args.get("partition_by") or []]
    order = node.args.get("order")
    orders = [(value(scope, o.this), o) for o in order.expressions] if order is not None else []
    is_plain = order is None and node.args.get("spec") is None and not ignores_nulls
    try:
        if scope.is_on_rows and is_plain and known_aggregate(function) is not None:
            return _of_partition(scope, function, parts, test)
        return _written(scope, function, parts, orders, test, node.args.get("spec"), ignores_nulls=ignores_nulls)
    finally:
        scope.place = place


def _unwrapped(node: exp.Expression) -> tuple[exp.Expression, exp.Expression | None, bool]:
    test, ignores_nulls = None, False
    if isinstance(node, exp.Filter):
        node, test = node.this, node.expression.this
    if isinstance(node, exp.IgnoreNulls):  # which the parser puts around every ANY_VALUE
        node, ignores_nulls = node.this, not isinstance(node.this, exp.AnyValue)
    return node, test, ignores_nulls


def _of_partition(scope: Scope, function: exp.Expression, parts: list[Term], test: exp.Expression | None) -> Term:
    """Return an aggregate of the rows with the same partition: released with thresholds, known to be of that partition."""
    known, windows = known_aggregate(function), scope.windows
    if known is None or not isinstance(windows, RowWindows):
        scope.gate.findings.add(WINDOW_ON_ROWS, function=type(function).__name__.upper(), columns="—")
        return poison(DataType.DECIMAL)
    for part in parts:
        need(scope.gate.findings, part, Use.GROUP, GROUP_MISSING, "PARTITION BY")
    of_unit = windows.of_unit(parts)
    if of_unit is not None:
        inner = Scope(scope.gate, scope.tables, scope.instances, collects=of_unit.collector)
        made = aggregate(inner, function, known, test)
        indirect = made.indirect | union(p.direct | p.indirect for p in parts)
        return replace(made, hidden=made.hidden | hidden_of(parts), indirect=indirect)
    collector = windows.partition(parts)
    inner = Scope(scope.gate, scope.tables, scope.instances, collects=collector)
    made = aggregate(inner, function, known, test)
    if not parts or made.mark[0] == "refused":
        return made
    # Which partition a row belongs to can be told from the value: it is one of the partition's columns in disguise.
    of_row = derive(
        f"{known.name} OVER", tuple(parts), data_type=made.data_type, emit=lambda: made.emit(Form.VALUE),
        extra=("partition", made.mark),
    )  # fmt: skip
    return replace(of_row, direct=made.direct, indirect=of_row.indirect | of_row.direct | made.indirect)


def _written(  # noqa: PLR0917 - the parts of a window
    scope: Scope, function: exp.Expression, parts: list[Term], orders: list[tuple[Term, exp.Expression]],
    test: exp.Expression | None, spec: exp.Expression | None, *, ignores_nulls: bool,
) -> Term:  # fmt: skip
    findings, known = scope.gate.findings, functions.WINDOWS.get(type(function))
    if known is None:
        findings.add(CONSTRUCT_REFUSED, construct=f"{type(function).__name__.upper()} OVER")
        return poison()
    name, fewest, most = known
    is_star = isinstance(function.args.get("this"), exp.Star)
    nodes = [function.args.get(key) for key in ("this", "offset", "default")] if not is_star else []
    scope.gate.only(function, "this", "offset", "default", *functions.HARMLESS_FLAGS)
    made = Window(
        name, type(function), [value(scope, part) for part in nodes if part is not None], is_star, parts, orders,
        as_condition(findings, bind(scope, test), "FILTER") if test is not None else None, ignores_nulls,
        _frame(scope, spec),
    )  # fmt: skip
    if not fewest <= len(made.arguments) <= most:
        findings.add(FUNCTION_ARGUMENTS, function=name.upper(), expected=f"{fewest} … {most}")
        return poison(DataType.DECIMAL)
    is_sum = name in functions.WINDOWS_OF_NUMBERS and bool(made.arguments)
    if is_sum and family(made.arguments[0].data_type) not in {Family.NUMBER, "null"}:
        findings.add(FUNCTION_ARGUMENTS, function=name.upper(), expected=Family.NUMBER)
        return poison(DataType.DECIMAL)
    if scope.is_on_rows or any(t.bases for t in made.terms):
        _check_rows(scope, made)
    keeps_type = name in functions.WINDOWS_OF_A_ROW
    data_type = (
        made.arguments[0].data_type
        if keeps_type and made.arguments
        else functions.WINDOW_TYPES.get(name, DataType.DECIMAL)
    )
    term = derive(f"{name} OVER", made.terms, data_type=data_type, emit=made.write, extra=made.mark)
    return replace(term, has_subquery=True)  # TRY can hold neither


def _check_rows(scope: Scope, made: Window) -> None:
    """Refuse a window over rows unless everything may be seen that goes in."""
    windows = scope.windows
    decided = windows.rows.hidden if isinstance(windows, RowWindows) else frozenset()
    lacking = hidden_of(made.terms) | decided
    is_ordered = bool(made.orders) or made.name not in functions.WINDOWS_IN_ORDER
    if lacking or not is_ordered or not isinstance(windows, RowWindows):
        columns = names(lacking) if lacking else "ORDER BY"
        scope.gate.findings.add(WINDOW_ON_ROWS, function=made.name.upper(), columns=columns)


def _frame(scope: Scope, spec: exp.Expression | None) -> exp.Expression | None:
    if spec is None:
        return None
    scope.gate.only(spec, "kind", "start", "start_side", "end", "end_side")
    for edge in (spec.args.get("start"), spec.args.get("end")):
        is_whole = isinstance(edge, exp.Literal) and not edge.is_string and str(edge.this).isdigit()
        if isinstance(edge, exp.Expression) and not is_whole:
            scope.gate.findings.add(CONSTRUCT_REFUSED, construct="FRAME")
    return spec


def ordered(term: Term, node: exp.Expression) -> exp.Expression:
    """Write an ORDER BY item."""
    return exp.Ordered(
        this=term.emit(Form.VALUE), desc=bool(node.args.get("desc")), nulls_first=bool(node.args.get("nulls_first"))
    )
