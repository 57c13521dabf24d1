"""Writes a stage: the groups of one SELECT with the thresholds beside every aggregate (controls §3).

A stage has three parts over the same rows. ``main`` holds what was asked for. For each kind of privacy unit, ``per``
holds every unit's part in every group, and ``guard`` the number of units that reach each cell and the largest parts. A
group ``passes`` when every cell reaches ``units_min`` units of every kind and no sum is dominated by one or two units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules.functions import AggregateClass, Family, family
from gongshu.compute.rules.stages import Collector, Draft, Wanted
from gongshu.compute.rules.terms import Form, Term, conjunction, distinct, paren, parts_of, quoted, sql_type
from gongshu.policies.types import Thresholds

SOURCE, MAIN, PER, GUARD = "rows:", "main:", "per:", "guard:"
"""Names of the parts of a stage. No relation can have them: a resource's name has no colon."""
QUANTILE_MARGIN = 0.10
QUANTILE_SPREAD = 0.05
SIGNIFICANT_DIGITS = 3
"""A quantile lies between 10 % and 90 %, is the mean of the ones 5 % below and above it, rounded to three digits; dates to
the month. MIN and MAX are the outermost of these. No single row's value comes out."""


def name(text: str, table: str = "") -> exp.Expression:
    """Write a column of a stage."""
    return exp.Column(this=quoted(text), table=quoted(table)) if table else exp.Column(this=quoted(text))


def fn(function: str, *arguments: exp.Expression) -> exp.Expression:
    """Write a call."""
    return exp.Anonymous(this=function, expressions=list(arguments))


def number(value: float) -> exp.Expression:
    """Write a number."""
    return exp.Literal.number(repr(value))


def where(aggregate: exp.Expression, test: exp.Expression | None) -> exp.Expression:
    """Write ``aggregate FILTER (WHERE test)``."""
    return aggregate if test is None else exp.Filter(this=aggregate, expression=exp.Where(this=test))


def named(node: exp.Expression, alias: str) -> exp.Expression:
    """Write ``node AS alias``."""
    return exp.Alias(this=node, alias=quoted(alias))


@dataclass
class Rows:
    """The rows that reach a stage: one written column for each distinct key, argument and condition."""

    items: list[exp.Expression] = field(default_factory=list)
    known: dict[Any, str] = field(default_factory=dict)

    def column(self, term: Term, prefix: str) -> str:
        """Return the written name of ``term``, adding it when it is new."""
        if term.mark not in self.known:
            self.known[term.mark] = f"{prefix}{len(self.known)}"
            self.items.append(named(term.emit(Form.VALUE), self.known[term.mark]))
        return self.known[term.mark]


@dataclass(frozen=True)
class Cell:
    """Rows that reach an aggregate: those where these written conditions hold and these arguments are not NULL."""

    tests: tuple[str, ...]
    arguments: tuple[str, ...]

    def written(self) -> exp.Expression | None:
        """Write the condition; ``None`` means every row."""
        present = [exp.Not(this=exp.Is(this=name(a), expression=exp.Null())) for a in self.arguments]
        tests = [*(name(t) for t in self.tests), *present]
        return conjunction(tests) if tests else None


def build(
    collector: Collector, write_from: Callable[[exp.Select], None], condition: Term | None,
    units: Sequence[Callable[[], exp.Expression]], thresholds: Thresholds,
) -> exp.Expression:  # fmt: skip
    """Return the query of a stage with columns ``c0`` …, ``passes``, ``units``, ``negative``.

    ``write_from`` comes last: by then it is known which columns are demanded of the relations below.
    """
    rows = Rows()
    keys = [rows.column(key, "k") for key in collector.keys]
    cells, main, addends = _plan(rows, collector, units=bool(units))
    unit_names = [f"u{i}" for i in range(len(units))]
    items = rows.items + [named(unit(), alias) for unit, alias in zip(units, unit_names, strict=True)]
    source = exp.Select(expressions=items or [named(exp.Literal.number(1), "one")])
    if condition is not None:
        source.set("where", exp.Where(this=condition.emit(Form.VALUE)))
    write_from(source)
    ctes = [(SOURCE, source), (MAIN, _grouped(SOURCE, keys, [named(node, f"a{i}") for i, node in enumerate(main)]))]
    for unit in unit_names:
        ctes.append((f"{PER}{unit}", _parts(keys, unit, cells, addends)))
        ctes.append((f"{GUARD}{unit}", _guard(keys, unit, cells, addends, thresholds)))
    written = [exp.CTE(this=query, alias=exp.TableAlias(this=quoted(alias))) for alias, query in ctes]
    final = _final(collector, keys, unit_names, len(cells), len(addends), thresholds)
    return exp.Select(**final, with_=exp.With(expressions=written))


def _plan(
    rows: Rows, collector: Collector, *, units: bool
) -> tuple[list[Cell], list[exp.Expression], list[tuple[str, Cell]]]:
    cells: dict[Cell, None] = {Cell((), ()): None}
    main: list[exp.Expression] = []
    addends: dict[tuple[str, Cell], None] = {}
    for wanted in collector.wanted:
        is_unit = wanted.unit is not None and units
        arguments = [] if is_unit else [rows.column(term, "x") for term in wanted.arguments]
        tests = (rows.column(wanted.filter, "p"),) if wanted.filter is not None else ()
        reach = Cell(tests, tuple(arguments))
        inner = distinct(c for t in wanted.arguments for c in t.cells) if units else ()
        cells[reach] = None
        for cell in inner:
            cells[Cell((*tests, rows.column(cell, "p")), tuple(arguments))] = None
        main.append(_asked(wanted, arguments, reach, f"u{wanted.unit}" if is_unit else ""))
        if wanted.kind is AggregateClass.MOMENT and units:
            for part in distinct(a for t in wanted.arguments for a in _summed(t)):
                addends[rows.column(part, "x"), Cell(tests, tuple(arguments))] = None
    return list(cells), main, list(addends)


def _summed(term: Term) -> tuple[Term, ...]:
    # Constants added to a column must not hide that one unit dominates: the columns' own parts are looked at.
    return tuple(a for a in parts_of(term) if family(a.data_type) == Family.NUMBER)


def _asked(wanted: Wanted, arguments: list[str], reach: Cell, unit: str) -> exp.Expression:
    if unit:
        call: exp.Expression = fn("count", exp.Distinct(expressions=[name(unit)]))
    elif not arguments:
        call = exp.Count(this=exp.Star())
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
    low, high = (where(fn("quantile_cont", _double(given.copy()), number(round(p, 4))), test) for p in ends)
    return exp.Div(this=paren(exp.Add(this=low, expression=high)), expression=exp.Literal.number(2))


def _double(node: exp.Expression) -> exp.Expression:
    return exp.Cast(this=node, to=sql_type("DOUBLE"))


def _moment(seconds: exp.Expression) -> exp.Expression:
    micros = exp.Mul(this=paren(seconds), expression=exp.Literal.number(1_000_000))
    return fn("make_timestamp", exp.Cast(this=paren(micros), to=sql_type("BIGINT")))


def _rounded(node: exp.Expression, data_type: DataType | None) -> exp.Expression:
    if family(data_type) == Family.TIME:
        month = fn("date_trunc", exp.Literal.string("month"), _moment(node))
        return exp.TryCast(this=month, to=sql_type("DATE"))
    digits = fn("floor", fn("log10", fn("abs", node)))
    places = exp.Cast(
        this=exp.Sub(this=exp.Literal.number(SIGNIFICANT_DIGITS - 1), expression=digits), to=sql_type("INT")
    )
    is_plain = exp.Or(
        this=exp.Is(this=node.copy(), expression=exp.Null()), expression=exp.EQ(this=node.copy(), expression=number(0))
    )
    return exp.Case(ifs=[exp.If(this=is_plain, true=node.copy())], default=fn("round", node.copy(), places))


def _grouped(source: str, keys: list[str], items: list[exp.Expression]) -> exp.Expression:
    select = exp.Select(expressions=[*(name(k) for k in keys), *items] or [exp.Count(this=exp.Star())])
    select.set("from_", exp.From(this=exp.Table(this=quoted(source))))
    if keys:
        select.set("group", exp.Group(expressions=[name(k) for k in keys]))
    elif not items:
        select.set("expressions", [named(exp.Count(this=exp.Star()), "n")])
    return select


def _parts(keys: list[str], unit: str, cells: list[Cell], addends: list[tuple[str, Cell]]) -> exp.Expression:
    items = [named(where(exp.Count(this=exp.Star()), cell.written()), f"r{i}") for i, cell in enumerate(cells)]
    items += [named(where(fn("sum", name(part)), cell.written()), f"s{j}") for j, (part, cell) in enumerate(addends)]
    select = _grouped(SOURCE, [*keys, unit], items)
    select.set("where", exp.Where(this=exp.Not(this=exp.Is(this=name(unit), expression=exp.Null()))))
    return select


def _guard(
    keys: list[str], unit: str, cells: list[Cell], addends: list[tuple[str, Cell]], thresholds: Thresholds
) -> exp.Expression:
    reached = [exp.GT(this=name(f"r{i}"), expression=exp.Literal.number(0)) for i in range(len(cells))]
    items = [named(where(exp.Count(this=exp.Star()), test), f"n{i}") for i, test in enumerate(reached)]
    largest = max(2, thresholds.dominance_top_n)
    for j in range(len(addends)):
        size = fn("abs", name(f"s{j}"))
        items.append(named(fn("max", size, exp.Literal.number(largest)), f"top{j}"))
        items.append(named(fn("sum", size.copy()), f"total{j}"))
        items.append(named(fn("min", name(f"s{j}")), f"low{j}"))
    return _grouped(f"{PER}{unit}", keys, items)


def _dominated(table: str, j: int, thresholds: Thresholds) -> exp.Expression:
    """Write: the group is safe from its one or two largest units finding out about the others, or anybody about them."""
    total = _double(fn("coalesce", name(f"total{j}", table), exp.Literal.number(0)))
    top = name(f"top{j}", table)
    first, second = (
        _double(fn("coalesce", fn("list_extract", top.copy(), exp.Literal.number(i)), exp.Literal.number(0)))
        for i in (1, 2)
    )
    rest = exp.Sub(this=exp.Sub(this=total.copy(), expression=first), expression=second)
    share_p = exp.Mul(this=first.copy(), expression=number(thresholds.dominance_p_percent / 100))
    p_rule = exp.GTE(this=rest, expression=share_p)
    largest = fn("list_slice", top.copy(), exp.Literal.number(1), exp.Literal.number(thresholds.dominance_top_n))
    share = fn("list_sum", largest)
    ceiling = exp.Mul(this=total.copy(), expression=number(thresholds.dominance_top_percent / 100))
    n_k_rule = exp.LTE(this=_double(fn("coalesce", share, exp.Literal.number(0))), expression=ceiling)
    is_zero = exp.EQ(this=total.copy(), expression=exp.Literal.number(0))
    rules = conjunction((fn("isfinite", total.copy()), p_rule, n_k_rule))
    return paren(exp.Or(this=is_zero, expression=paren(rules)))


def _final(  # noqa: PLR0917 - what the parts of a stage agree on
    collector: Collector, keys: list[str], units: list[str], cells: int, addends: int, thresholds: Thresholds
) -> dict[str, Any]:
    items = [named(name(key, MAIN), f"c{i}") for i, key in enumerate(keys)]
    for i, wanted in enumerate(collector.wanted):
        node = name(f"a{i}", MAIN)
        if wanted.kind is AggregateClass.ORDER and not wanted.is_exact:
            node = _rounded(node, wanted.arguments[0].data_type)
        items.append(named(node, f"c{len(keys) + i}"))
    tests: list[exp.Expression] = []
    joins: list[exp.Expression] = []
    for unit in units:
        guard = f"{GUARD}{unit}"
        enough = [
            exp.GTE(this=name(f"n{i}", guard), expression=exp.Literal.number(thresholds.units_min))
            for i in range(cells)
        ]
        tests += [*enough, *(_dominated(guard, j, thresholds) for j in range(addends))]
        same = [exp.NullSafeEQ(this=name(key, MAIN), expression=name(key, guard)) for key in keys]
        joins.append(exp.Join(this=exp.Table(this=quoted(guard)), side="LEFT", on=conjunction(list(same))))
    passes = fn("coalesce", conjunction(tests), exp.Boolean(this=False)) if units else exp.Boolean(this=True)
    counts = [fn("coalesce", name("n0", f"{GUARD}{unit}"), exp.Literal.number(0)) for unit in units]
    fewest = fn("least", *counts) if counts else exp.Null()
    below = [
        exp.LT(this=name(f"low{j}", f"{GUARD}{u}"), expression=exp.Literal.number(0))
        for u in units
        for j in range(addends)
    ]
    negative = fn("coalesce", fn("greatest", *below), exp.Boolean(this=False)) if below else exp.Boolean(this=False)
    items += [named(passes, "passes"), named(fewest, "units"), named(negative, "negative")]
    return {"expressions": items, "from_": exp.From(this=exp.Table(this=quoted(MAIN))), "joins": joins or None}


def with_complement(draft: Draft, thresholds: Thresholds) -> exp.Expression:
    """Withhold one more group where the withheld ones could be found by subtraction from a total.

    That is so when one group alone is withheld, or when all of them together have fewer than ``units_min`` units. The
    passing group with the fewest units goes too.
    """
    inner, windowed = "all:", "counted:"
    shown = [name(f"c{i}") for i in range(draft.columns)]
    fails = exp.Not(this=name("passes"))
    place = exp.Window(
        this=fn("row_number"),
        partition_by=[name("passes")],
        order=exp.Order(
            expressions=[exp.Ordered(this=name(c)) for c in ("units", *(f"c{i}" for i in range(draft.keys)))]
        ),
        over="OVER",
    )
    counted = exp.Select(
        expressions=[
            *shown, name("passes"), name("units"), name("negative"), named(place, "place"),
            named(exp.Window(this=where(exp.Count(this=exp.Star()), fails), over="OVER"), "lost_groups"),
            named(exp.Window(this=where(fn("sum", name("units")), fails.copy()), over="OVER"), "lost_units"),
        ],
        from_=exp.From(this=exp.Table(this=quoted(inner))),
    )  # fmt: skip
    alone = exp.EQ(this=name("lost_groups"), expression=exp.Literal.number(1))
    few = exp.LT(this=name("lost_units"), expression=exp.Literal.number(thresholds.units_min))
    some = exp.GT(this=name("lost_groups"), expression=exp.Literal.number(0))
    next_one = exp.EQ(this=name("place"), expression=exp.Literal.number(1))
    goes = conjunction((paren(exp.Or(this=alone, expression=conjunction((some, few)))), next_one))
    stays = conjunction((name("passes"), exp.Not(this=paren(goes))))
    ctes = ((inner, draft.query), (windowed, counted))
    return exp.Select(
        expressions=[*(s.copy() for s in shown), named(stays, "passes"), name("units"), name("negative")],
        from_=exp.From(this=exp.Table(this=quoted(windowed))),
        with_=exp.With(expressions=[exp.CTE(this=q, alias=exp.TableAlias(this=quoted(n))) for n, q in ctes]),
    )
