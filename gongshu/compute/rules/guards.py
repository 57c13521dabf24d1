"""The conditions under which a group may be shown: enough units in every cell, no small difference, no dominance.

For each kind of privacy unit, ``per`` holds every unit's part in every group, and ``guard`` the number of units that reach
each cell and the largest parts. Rows whose unit is missing count as one unit for dominance and as none for the minimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from gongshu.compute.rules.terms import conjunction, paren, quoted, sql_type
from gongshu.compute.rules.writing import counted, double, fn, grouped, name, named, number, summed
from gongshu.policies.types import Thresholds

SOURCE, MAIN, PER, GUARD, STEPS = "rows:", "main:", "per:", "guard:", "steps:"
"""Names of the parts of a stage. No relation can have them: a resource's name has no colon."""
THERE = "there:"
"""How many units have parts of a group, where some rows have none."""
NO_UNIT = 0
"""How a row without a unit is marked in a projection."""
CLASSES_MAX = 20
"""Values of a step function are looked at one by one when there are no more than these."""
CANCELLED_SHARE = 1e-9
"""A unit's part is as good as nothing when it is this little of what it is made of."""
ORDER_SHARE = 10
"""Behind a quantile no unit may have more than one in so many rows: the window of 10 % must not be one unit's."""


@dataclass(frozen=True)
class Cell:
    """Rows that reach an aggregate: those where these written conditions hold and these arguments are not NULL."""

    tests: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def _present(self) -> list[exp.Expression]:
        return [exp.Not(this=exp.Is(this=name(a), expression=exp.Null())) for a in self.arguments]

    def written(self) -> exp.Expression | None:
        """Write the condition; ``None`` means every row."""
        tests = [*(name(t) for t in self.tests), *self._present()]
        return conjunction(tests) if tests else None

    def truth(self) -> exp.Expression:
        """Write whether a row belongs to the cell, never NULL."""
        tests = (
            [fn("coalesce", conjunction([name(t) for t in self.tests]), exp.Boolean(this=False))] if self.tests else []
        )
        return paren(conjunction([*tests, *self._present()]))

    def rows(self) -> exp.Expression:
        """Write how many rows belong to the cell."""
        is_argument = not self.tests and len(self.arguments) == 1
        return fn("count", name(self.arguments[0])) if is_argument else counted(self.written())

    def total(self, part: str, *, is_size: bool = False) -> exp.Expression:
        """Write the sum of ``part`` (or of its size) over the rows of the cell."""
        node = fn("abs", double(name(part))) if is_size else double(name(part))
        return summed(node, None if self == Cell((), (part,)) else self.written())


@dataclass(frozen=True)
class Apart:
    """Rows that belong to one of two cells: what is left when their aggregates are subtracted."""

    first: Cell
    second: Cell
    is_strict: bool = False  # a condition keeps them apart: nobody between them would tell as much as one

    def written(self) -> exp.Expression:
        """Write the condition."""
        for one, other in ((self.first, self.second), (self.second, self.first)):
            if one == Cell():  # every row
                return exp.Not(this=other.truth())
        return exp.NEQ(this=self.first.truth(), expression=self.second.truth())


@dataclass(frozen=True)
class Rest:
    """Rows of a total that belong to none of the cells beside it."""

    cells: tuple[Cell, ...]
    is_strict: bool = False

    def written(self) -> exp.Expression:
        """Write the condition."""
        return conjunction([exp.Not(this=cell.truth()) for cell in self.cells])


@dataclass(frozen=True)
class Side:
    """Rows of a cell that come from one side of a UNION ALL: those of the other may be constants."""

    cell: Cell
    side: str
    is_strict: bool = False

    def written(self) -> exp.Expression:
        """Write the condition."""
        return conjunction([self.cell.truth(), name(self.side)])


@dataclass(frozen=True)
class Blank:
    """Rows where an argument is 0 on a condition, or that a condition keeps out: what is left of a known total.

    Nobody there is told as well as one: that all of a group are alike is known of each of them (class disclosure).
    """

    cell: Cell
    is_strict: bool = True

    def written(self) -> exp.Expression:
        """Write the condition."""
        return self.cell.truth()


@dataclass(frozen=True)
class Unequal:
    """Rows of units that two aggregates have made of different numbers of the rows below."""

    first: str
    second: str
    is_strict: bool = False

    def written(self) -> exp.Expression:
        """Write the condition."""
        numbers = [fn("coalesce", name(text), exp.Literal.number(0)) for text in (self.first, self.second)]
        return exp.NEQ(this=numbers[0], expression=numbers[1])


@dataclass
class Guarded:
    """What must hold of a group: each of ``cells`` has enough units, each of ``spare`` enough or none, and so on."""

    cells: list[Cell] = field(default_factory=list)
    spare: list[Apart | Rest | Side | Blank | Unequal] = field(default_factory=list)
    addends: list[tuple[str, Cell]] = field(default_factory=list)  # no unit's part of these dominates
    nets: list[tuple[str, Cell]] = field(default_factory=list)  # of the addends: enough units' parts do not cancel
    ordered: list[Cell] = field(default_factory=list)  # no unit has many of these rows
    steps: list[tuple[str, Cell]] = field(default_factory=list)  # few values: each of them has enough units

    def counted(self) -> "Guarded":
        """Return what must hold of units that took rows away: that there are enough of them, wherever rows are missing."""
        return Guarded(cells=self.cells, spare=self.spare)


@dataclass(frozen=True)
class Summed:
    """A column that is summed for each unit over the rows where conditions hold, as it stands: decimals stay decimals."""

    argument: str
    tests: tuple[str, ...] = ()

    def written(self) -> exp.Expression:
        """Write the sum."""
        return summed(name(self.argument), conjunction([name(t) for t in self.tests]) if self.tests else None)

    def is_of(self, part: str, cell: Cell) -> bool:
        """Whether this is the sum of ``part`` over the rows of ``cell``."""
        return part == self.argument and cell.tests == self.tests and set(cell.arguments) <= {part}


@dataclass(frozen=True)
class Kept:
    """What one kind of unit keeps beside its thresholds.

    ``is_carrier``: the results of the stage are made of its parts, so that rows without a unit are a part, too.
    ``is_sure``: there is no row without one (a unit that is marked as missing is one).
    """

    sums: tuple[Summed, ...] = ()
    is_sure: bool = False
    is_carrier: bool = True

    def name_of(self, wanted: Summed) -> str:
        """Return the name of a sum among the parts."""
        return f"p{self.sums.index(wanted)}"

    def part(self, plan: Guarded, j: int) -> exp.Expression:
        """Write a unit's part of an addend: the sum that is kept of it anyway, or its own."""
        known = next((one for one in self.sums if one.is_of(*plan.addends[j])), None)
        return name(f"s{j}") if known is None else double(name(self.name_of(known)))

    @property
    def lacks_units(self) -> bool:
        """Whether there can be parts that are no unit's."""
        return self.is_carrier and not self.is_sure

    def of_units(self, unit: str, node: exp.Expression) -> exp.Expression:
        """Write ``node`` for units alone, where a part may be that of the rows without one."""
        if not self.lacks_units:
            return node
        is_unit = exp.Not(this=exp.Is(this=name(unit), expression=exp.Null()))
        return exp.Case(ifs=[exp.If(this=is_unit, true=node)])


def parts(plan: Guarded, keys: list[str], unit: str, source: str, *, kept: Kept) -> exp.Select:
    """Write every unit's part in every group."""
    items = [named(cell.rows(), f"r{i}") for i, cell in enumerate(plan.cells)]
    items += [named(counted(spare.written()), f"q{i}") for i, spare in enumerate(plan.spare)]
    items += [named(one.written(), f"p{k}") for k, one in enumerate(kept.sums)]
    items += [
        named(cell.total(part), f"s{j}")
        for j, (part, cell) in enumerate(plan.addends)
        if not any(one.is_of(part, cell) for one in kept.sums)
    ]
    items += [named(cell.total(part, is_size=True), f"v{j}") for j, (part, cell) in enumerate(plan.nets)]
    select = grouped(source, [*keys, unit], items)
    if not kept.is_carrier and not kept.is_sure:
        select.set("where", exp.Where(this=exp.Not(this=exp.Is(this=name(unit), expression=exp.Null()))))
    return select


def guard(
    plan: Guarded, keys: list[str], unit: str, thresholds: Thresholds, source: str, *, kept: Kept,
    wholes: Sequence[exp.Expression] = (),
) -> exp.Expression:  # fmt: skip
    """Write how many units reach each cell of a group, and the largest parts, out of the parts in ``source``.

    ``wholes`` are results that are made of the parts.
    """
    items = [named(fn("count", name(unit)), THERE)] if kept.lacks_units else []
    items += [_units(unit, f"r{i}", f"n{i}") for i in range(len(plan.cells))]
    items += [_units(unit, f"q{i}", f"m{i}") for i in range(len(plan.spare))]
    for i in _positions(plan):
        rows = kept.of_units(unit, name(f"r{i}"))
        items += [named(fn("max", rows), f"big{i}"), named(fn("sum", rows.copy()), f"all{i}")]
    largest, none = max(2, thresholds.dominance_top_n), exp.Literal.number(0)
    for j in range(len(plan.addends)):
        part = kept.of_units(unit, kept.part(plan, j))
        size = fn("abs", part)
        items.append(named(fn("max", size, exp.Literal.number(largest)), f"top{j}"))
        items.append(named(fn("coalesce", fn("sum", size.copy()), none.copy()), f"total{j}"))
        items.append(named(fn("min", part.copy()), f"low{j}"))
    for j, net in enumerate(plan.nets):
        items.append(named(_moved(unit, kept.part(plan, plan.addends.index(net)), f"v{j}"), f"moved{j}"))
    return grouped(source, keys, [*items, *wholes])


def _moved(unit: str, part: exp.Expression, size: str) -> exp.Expression:
    least = exp.Mul(this=number(CANCELLED_SHARE), expression=name(size))
    is_more = exp.GT(this=fn("abs", part), expression=least)
    is_unit = exp.NEQ(this=name(unit), expression=exp.Literal.number(NO_UNIT))
    return counted(conjunction([is_more, is_unit]))


def _units(unit: str, rows: str, alias: str) -> exp.Expression:
    has_rows = exp.GT(this=name(rows), expression=exp.Literal.number(0))
    is_unit = exp.NEQ(this=name(unit), expression=exp.Literal.number(NO_UNIT))
    return named(counted(conjunction([has_rows, is_unit])), alias)


def _positions(plan: Guarded) -> list[int]:
    return [plan.cells.index(cell) for cell in dict.fromkeys(plan.ordered)]


def steps(
    plan: Guarded, index: int, keys: list[str], units: Sequence[str], lists: frozenset[str] = frozenset()
) -> exp.Expression:
    """Write how many values a step function has in each group, and the fewest units that one of them has."""
    step, cell = plan.steps[index]
    counts = [
        _listed(unit) if unit in lists else fn("count", exp.Distinct(expressions=[known_unit(unit)])) for unit in units
    ]
    fewest = fn("least", *counts) if len(counts) > 1 else counts[0]
    by_value = grouped(SOURCE, [*keys, step], [named(fewest, "n")])
    has_value = exp.Not(this=exp.Is(this=name(step), expression=exp.Null()))
    by_value.set("where", exp.Where(this=conjunction([cell.truth(), has_value])))
    inner = f"{STEPS}{index}:"
    items = [named(exp.Count(this=exp.Star()), "classes"), named(fn("min", name("n")), "fewest")]
    select = grouped(inner, keys, items)
    alias = exp.TableAlias(this=quoted(inner))
    select.set("with_", exp.With(expressions=[exp.CTE(this=by_value, alias=alias)]))
    return select


def _listed(unit: str) -> exp.Expression:
    """Write how many units are in lists of them."""
    every = fn("list_distinct", fn("flatten", fn("list", name(unit))))
    missing = exp.Cast(this=fn("list_contains", every.copy(), exp.Literal.number(NO_UNIT)), to=sql_type("INT"))
    return fn("coalesce", exp.Sub(this=fn("len", every), expression=missing), exp.Literal.number(0))


def known_unit(unit: str, table: str = "") -> exp.Expression:
    """Write a unit, NULL where it is missing."""
    return fn("nullif", name(unit, table), exp.Literal.number(NO_UNIT))


def tests(plan: Guarded, unit: str, thresholds: Thresholds, *, may_lack: bool) -> list[exp.Expression]:
    """Write what must hold of one kind of unit. A group in which nobody is of the kind is not shown."""
    table, fewest = f"{GUARD}{unit}", thresholds.units_min
    enough: list[exp.Expression] = []
    if may_lack:
        enough.append(exp.GT(this=name(THERE, table), expression=exp.Literal.number(0)))
    enough += [
        exp.GTE(this=name(f"n{i}", table), expression=exp.Literal.number(fewest)) for i in range(len(plan.cells))
    ]
    enough += [
        exp.GTE(this=name(f"moved{j}", table), expression=exp.Literal.number(fewest)) for j in range(len(plan.nets))
    ]
    spare = [_none_or(name(f"m{i}", table), fewest, s.is_strict) for i, s in enumerate(plan.spare)]
    shares: list[exp.Expression] = []
    for i in _positions(plan):
        rows = exp.Mul(this=name(f"big{i}", table), expression=exp.Literal.number(ORDER_SHARE))
        shares.append(exp.LTE(this=rows, expression=name(f"all{i}", table)))
    return [*enough, *spare, *shares, *(_dominated(table, j, thresholds) for j in range(len(plan.addends)))]


def step_tests(plan: Guarded, thresholds: Thresholds) -> list[exp.Expression]:
    """Write what must hold of the values of step functions. A group without rows in the cell has none."""
    made: list[exp.Expression] = []
    for index in range(len(plan.steps)):
        table = f"{STEPS}{index}"
        few = exp.LTE(this=name("classes", table), expression=exp.Literal.number(CLASSES_MAX))
        small = exp.LT(this=name("fewest", table), expression=exp.Literal.number(thresholds.units_min))
        made.append(exp.Not(this=fn("coalesce", conjunction([few, small]), exp.Boolean(this=False))))
    return made


def _none_or(count: exp.Expression, fewest: int, is_strict: bool) -> exp.Expression:  # noqa: FBT001 - as its rule says
    if is_strict:
        return exp.GTE(this=count, expression=exp.Literal.number(fewest))
    none = exp.EQ(this=count, expression=exp.Literal.number(0))
    return paren(exp.Or(this=none, expression=exp.GTE(this=count.copy(), expression=exp.Literal.number(fewest))))


def _dominated(table: str, j: int, thresholds: Thresholds) -> exp.Expression:
    """Write: the group is safe from its one or two largest units finding out about the others, or anybody about them."""
    total, top = name(f"total{j}", table), name(f"top{j}", table)  # a total that is not 0 has a largest part
    first, second = _at(top, 1), fn("coalesce", _at(top, 2), exp.Literal.number(0))
    rest = exp.Sub(this=exp.Sub(this=total.copy(), expression=first), expression=second)
    p_rule = exp.GTE(
        this=rest, expression=exp.Mul(this=first.copy(), expression=number(thresholds.dominance_p_percent / 100))
    )
    ceiling = exp.Mul(this=total.copy(), expression=number(thresholds.dominance_top_percent / 100))
    n_k_rule = exp.LTE(this=_largest(top, thresholds.dominance_top_n), expression=ceiling)
    is_zero = exp.EQ(this=total.copy(), expression=exp.Literal.number(0))
    # A rule that asks for nothing is not written: adding in another order could break it by a last digit.
    asked: list[exp.Expression] = [p_rule] if thresholds.dominance_p_percent > 0 else []
    asked += [n_k_rule] if thresholds.dominance_top_percent < 100 else []
    rules = conjunction((fn("isfinite", total), *asked))
    return paren(exp.Or(this=is_zero, expression=paren(rules)))


def _at(top: exp.Expression, place: int) -> exp.Expression:
    return fn("list_extract", top.copy(), exp.Literal.number(place))


def _largest(top: exp.Expression, count: int) -> exp.Expression:
    """Write the sum of the largest parts. Of one or two, as they stand: it is what most thresholds ask for."""
    if count == 1:
        return _at(top, 1)
    if count == 2:
        return exp.Add(this=_at(top, 1), expression=fn("coalesce", _at(top, 2), exp.Literal.number(0)))
    share = fn("list_sum", fn("list_slice", top.copy(), exp.Literal.number(1), exp.Literal.number(count)))
    return fn("coalesce", share, exp.Literal.number(0))
