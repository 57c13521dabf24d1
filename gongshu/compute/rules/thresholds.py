"""What thresholds ask of the groups of one SELECT, for every aggregate that it asks for (controls §3).

A group passes when every cell reaches ``units_min`` units of every kind, no sum is dominated by one or two units, and no two
of the aggregates leave fewer units than that when they are subtracted. ``stage_sql`` writes it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import guards, listing, partials, rounding
from gongshu.compute.rules.behind import Rows
from gongshu.compute.rules.functions import AggregateClass, Family, family
from gongshu.compute.rules.guards import (
    Apart,
    Blank,
    Cell,
    Guarded,
    Rest,
    Side,
    Unequal,
)
from gongshu.compute.rules.stages import Collector, Wanted
from gongshu.compute.rules.terms import (
    OTHERWISE,
    Form,
    Mark,
    Shape,
    Term,
    cast_to,
    conjunction,
    distinct,
    otherwise,
    paren,
    parts_of,
)
from gongshu.compute.rules.writing import double, fn, name, number, where
from gongshu.policies.types import Rounding

QUANTILE_MARGIN = 0.10
QUANTILE_SPREAD = 0.05
"""A quantile lies between 10 % and 90 %, and is the mean of the ones 5 % below and above it. MIN and MAX are the outermost of
these. No single row's value comes out."""
WHOLE_MAX = 10**31
"""A whole number beyond this is no part of a sum, so that sums cannot overflow. Columns and what is reckoned of them without
a condition stay far below."""
COUNTED = "#"
"""What counts have in common: rows."""
SPARE_MAX = 600


@dataclass(frozen=True)
class Asked:
    """A cell of one aggregate, and of which quantities it tells something."""

    wanted: int
    cell: Cell
    quantities: frozenset[str]
    may_be_null: bool  # its argument is NULL on a condition, not only where a column is
    is_weighed: bool = False  # its rows are units', made of rows that ``Weight`` compares


@dataclass(frozen=True)
class Weight:
    """Of how many rows an aggregate's units have become one: all, or those that conditions chose."""

    wanted: int
    column: str
    quantities: frozenset[str]
    chosen_by: Mark


@dataclass
class Plan(Guarded):
    """A stage before it is written."""

    rows: Rows = field(default_factory=Rows)
    keys: list[str] = field(default_factory=list)
    main: list[exp.Expression] = field(default_factory=list)
    rounding: Rounding | None = None
    asked: list[Asked] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)  # of each aggregate over rows that units have become
    wholes: list[partials.Whole | None] = field(default_factory=list)  # beside ``main``: out of units' parts
    same: frozenset[int] = frozenset()  # positions of units that are another one in every row, or missing
    filled: Callable[[Mark], bool] = lambda _: False  # whether an expression is never NULL
    counted_as: Callable[[int], int] = lambda unit: unit  # which unit a unit is in every row

    def add(self, wanted: Wanted, *, units: bool) -> None:
        """Add an aggregate with its cells, its parts and its steps."""
        is_unit = wanted.unit is not None and units
        unit = self.counted_as(wanted.unit) if wanted.unit is not None else -1
        terms = (
            tuple(summable(t) for t in wanted.arguments) if wanted.kind is AggregateClass.MOMENT else wanted.arguments
        )
        arguments = () if is_unit else tuple(self.rows.column(term, "x") for term in terms)
        is_listing = wanted.kind is AggregateClass.LISTING
        tests = (self.rows.column(wanted.filter, "p"),) if wanted.filter is not None else ()
        missing = tuple(a for t, a in zip(terms, arguments, strict=False) if not self.filled(t.mark))
        reach = Cell(tests, missing)
        inner = distinct(c for t in wanted.arguments for c in t.cells) if units else ()
        cells = [reach, *(Cell((*tests, self.rows.column(cell, "p")), missing) for cell in inner)]
        call = written(wanted, arguments, reach, f"u{unit}" if is_unit else "")
        if self.rounding is not None and units:
            test = conjunction([name(t) for t in tests]) if tests else None
            call = rounding.written(wanted, call, arguments, test, self.rounding)
        self.main.append(call)
        self.wholes.append(
            partials.whole_of(wanted, terms, arguments, reach, unit if is_unit else None)
            if units and self.rounding is None
            else None
        )
        if is_listing:
            return  # each of these rows could be shown by itself
        if unit in self.same:
            cells.append(
                Cell(tests, (f"u{unit}",))
            )  # counted with another unit, so how many there are is looked at here
        self.cells += [cell for cell in dict.fromkeys(cells) if cell not in self.cells]
        if not units:
            return
        quantities = _quantities(wanted)
        may_be_null = any(t.shape is Shape.OTHER and t.bases for t in wanted.arguments)
        is_weighed = any(t.weights for t in wanted.arguments)
        self.asked += [Asked(len(self.main), cell, quantities, may_be_null, is_weighed) for cell in cells]
        if wanted.kind is AggregateClass.ORDER and not wanted.is_exact:
            self.ordered.append(reach)
        if wanted.kind is AggregateClass.MOMENT:
            known = {term.mark: argument for term, argument in zip(wanted.arguments, arguments, strict=True)}
            for part in distinct(a for t in wanted.arguments for a in _summed(t)):
                column = known.get(part.mark) or self.rows.known.get(("double", part.mark))
                self._once(self.addends, (column or self.rows.column(part, "x"), reach))
            for term, argument in zip(wanted.arguments, arguments, strict=True):
                if _may_cancel(term):
                    self._once(self.addends, (argument, reach))
                    self._once(self.nets, (argument, reach))
        for weight in distinct(w for t in wanted.arguments for w in t.weights):
            column = self.rows.column(weight, "x")
            self.weights.append(Weight(len(self.main), column, quantities, weight.source))
        steps = distinct(step for t in wanted.arguments for step in t.steps)
        if len(wanted.arguments) > 1 and wanted.kind is AggregateClass.MOMENT:
            # A value that few units have, and be it 0, is a lever on what is correlated with it.
            steps = distinct((*steps, *terms))
        for step in steps:
            self._once(self.steps, (self.rows.column(step, "x"), reach))
        for blank in distinct(b for t in wanted.arguments for b in t.blanks):
            self.spare.append(self._left_out(blank, tests, missing))
        if wanted.filter is not None:
            self.spare.append(self._left_out(otherwise(wanted.filter), (), ()))

    def _left_out(self, term: Term, tests: tuple[str, ...], missing: tuple[str, ...]) -> Apart | Blank:
        """Return the rows where ``term`` holds; where that is what a known condition leaves of all rows, as that."""
        known = self.rows.known.get(term.mark[1]) if term.mark[0] == OTHERWISE else None
        if known is not None and not tests and not missing:
            return Apart(Cell(), Cell((known,)), is_strict=True)
        return Blank(Cell((*tests, self.rows.column(term, "p")), missing))

    def _once(self, known: list[tuple[str, Cell]], made: tuple[str, Cell]) -> None:
        if made not in known:
            known.append(made)

    def compare(self, sides: int) -> None:
        """Note what would be left if aggregates were subtracted from each other, or one side of a union were known."""
        found: dict[Apart | Rest | Side | Blank | Unequal, None] = dict.fromkeys(self.spare)
        for one, other in itertools.combinations(self.asked, 2):
            apart = _apart(one, other)
            if apart is not None and replace(apart, first=apart.second, second=apart.first) not in found:
                found[apart] = None
        for whole in self.asked:
            beside = [a.cell.tests for a in self.asked if a.cell.tests and a.quantities & whole.quantities]
            others = tuple(Cell(tests) for tests in dict.fromkeys(beside))
            if not whole.cell.tests and len(others) > 1:
                found[Rest(others)] = None
        for first, second in itertools.combinations(self.weights, 2):
            shared = first.quantities & second.quantities
            is_strict = first.chosen_by != second.chosen_by  # a condition keeps them apart
            tells = shared if is_strict else shared - {COUNTED}
            if tells and first.wanted != second.wanted and first.column != second.column:
                found[Unequal(first.column, second.column, is_strict)] = None
        for position, cell in itertools.product(range(sides), self.cells):
            found[Side(cell, f"w{position}")] = None
        self.spare = list(found)


def _quantities(wanted: Wanted) -> frozenset[str]:
    if wanted.kind is AggregateClass.ORDER:
        return frozenset()
    if wanted.kind is AggregateClass.COUNT:
        return frozenset({COUNTED})
    columns = frozenset(name for t in wanted.arguments for name in t.direct if t.bases)
    return columns or frozenset({COUNTED})


def _apart(one: Asked, other: Asked) -> Apart | None:
    shared = one.quantities & other.quantities
    first, second = one.cell, other.cell
    if one.wanted == other.wanted or not shared or first == second:
        return None
    is_strict = not (one.is_weighed or other.is_weighed)
    if first.arguments == second.arguments:
        return Apart(first, second, is_strict)
    if first.tests != second.tests:
        return Apart(Cell(first.tests), Cell(second.tests), is_strict)
    # The same rows but for missing values. How many values are missing may be told, what others hold there may not.
    return Apart(first, second) if shared - {COUNTED} or one.may_be_null or other.may_be_null else None


def summable(term: Term) -> Term:
    """Return an argument of a sum so that no sum of it can fail."""
    if (term.shape is Shape.COLUMN and term.bases) or term.number is not None or term.data_type is None:
        return term
    if term.data_type is not DataType.INTEGER:
        return replace(cast_to(term, "DOUBLE"), mark=("double", term.mark))
    ends = (exp.Neg(this=exp.Literal.number(WHOLE_MAX)), exp.Literal.number(WHOLE_MAX))

    def emit(form: Form) -> exp.Expression:
        test = exp.Between(this=paren(term.emit(form)), low=ends[0].copy(), high=ends[1].copy())
        return exp.Case(ifs=[exp.If(this=test, true=term.emit(form))])

    return replace(term, emit=emit, mark=("summable", term.mark))


def _summed(term: Term) -> tuple[Term, ...]:
    # Constants added to a column must not hide that one unit dominates: the columns' own parts are looked at.
    return tuple(a for a in parts_of(term) if family(a.data_type) == Family.NUMBER)


def _may_cancel(term: Term) -> bool:
    """Whether a unit's parts of ``term`` may cancel, so that a sum over many is about those for whom they do not."""
    others = sum(addend.mark != term.mark for addend in term.addends)
    is_one_branch = term.is_tested or (term.mark[0] in {"CASE", "COALESCE"} and len(term.cells) == 1)
    return term.is_mixed or others > 1 or (bool(term.cells) and (not is_one_branch or bool(term.offset)))


def plan_of(
    collector: Collector, *, units: bool, sides: int, rounding: Rounding | None = None,
    filled: Callable[[Mark], bool] = lambda _: False, same: frozenset[int] = frozenset(),
    counted_as: Callable[[int], int] = lambda unit: unit,
) -> Plan:  # fmt: skip
    """Return what a stage asks for and what must hold of its groups. ``filled`` tells what is never NULL."""
    plan = Plan(cells=[Cell()], rounding=rounding, filled=filled, same=same, counted_as=counted_as)
    plan.keys = [plan.rows.column(key, "k") for key in collector.keys]
    for argument in (t for w in collector.wanted if w.kind is AggregateClass.MOMENT for t in w.arguments):
        plan.rows.column(summable(argument), "x")  # first, so that parts of others find the same number there
    for wanted in collector.wanted:
        plan.add(wanted, units=units)
    if units:
        plan.compare(sides)
    return plan


def written(wanted: Wanted, arguments: tuple[str, ...], reach: Cell, unit: str) -> exp.Expression:
    """Write an aggregate over rows whose columns have these names."""
    if wanted.kind is AggregateClass.LISTING:
        return listing.written(wanted, arguments, conjunction([name(t) for t in reach.tests]) if reach.tests else None)
    if unit:
        call: exp.Expression = fn("count", exp.Distinct(expressions=[guards.known_unit(unit)]))
    elif not arguments:
        call = exp.Count(this=exp.Star())
    elif wanted.is_distinct and len(arguments) > 1:
        row = exp.Tuple(expressions=[name(a) for a in arguments])
        return where(fn("count", exp.Distinct(expressions=[row])), reach.written())
    elif wanted.is_distinct:
        call = fn("count", exp.Distinct(expressions=[name(arguments[0])]))
    elif wanted.kind is AggregateClass.ORDER:
        return _quantile(wanted, arguments[0], reach)
    else:
        call = fn(wanted.function, *(name(a) for a in arguments))
    return where(call, conjunction([name(t) for t in reach.tests]) if reach.tests else None)


def _quantile(wanted: Wanted, argument: str, reach: Cell) -> exp.Expression:
    test = conjunction([name(t) for t in reach.tests]) if reach.tests else None
    fraction = wanted.fraction if wanted.fraction is not None else 0.5
    term = wanted.arguments[0]
    if wanted.is_exact:
        if wanted.function in {"min", "max"}:
            return where(fn(wanted.function, name(argument)), test)
        kind = "quantile_disc" if wanted.function in {"quantile_disc", "quantile"} else "quantile_cont"
        return where(fn(kind, name(argument), number(fraction)), test)
    middle = min(max(fraction, QUANTILE_MARGIN), 1 - QUANTILE_MARGIN)
    ends = (middle - QUANTILE_SPREAD, middle + QUANTILE_SPREAD)
    is_time = family(term.data_type) == Family.TIME
    given = fn("epoch", name(argument)) if is_time else name(argument)
    low, high = (where(fn("quantile_cont", double(given.copy()), number(round(p, 4))), test) for p in ends)
    return exp.Div(this=paren(exp.Add(this=low, expression=high)), expression=exp.Literal.number(2))
