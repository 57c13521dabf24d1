"""Writes the query of a stage: its groups, the results beside what thresholds ask of them, and whether they pass.

Results are made of the parts that one kind of unit keeps for the thresholds, where they can be (``partials``); the rest of the
rows. Where several stages are compared (``differences``) each unit's part is kept in a table, and both the stage and the
comparison are made of it, so that the rows behind are read once for each kind of unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.compute.rules import guards, partials
from gongshu.compute.rules.behind import Behind
from gongshu.compute.rules.functions import AggregateClass, Family, family
from gongshu.compute.rules.guards import GUARD, MAIN, PER, SOURCE, STEPS, Cell
from gongshu.compute.rules.stages import Collector, Draft, Tabled, UnitTable
from gongshu.compute.rules.terms import conjunction, paren, quoted, sql_type
from gongshu.compute.rules.thresholds import Plan
from gongshu.compute.rules.writing import counted, fn, grouped, name, named, number, where
from gongshu.policies.types import Thresholds

SIGNIFICANT_DIGITS, NEARLY_DIGITS = 3, 6
"""A quantile is rounded to three digits; one of dates to the month."""
UNITS = "units:"
"""Tables of each unit's part of the groups of a stage."""
NO_GROUP = exp.Cast(this=exp.Literal.number(0), to=sql_type("UBIGINT"))


def _cte(alias: str, query: exp.Expression) -> exp.CTE:
    return exp.CTE(this=query, alias=exp.TableAlias(this=quoted(alias)))


def build(
    collector: Collector, plan: Plan, behind: Behind, thresholds: Thresholds, tables: Mapping[str, str] | None = None
) -> exp.Expression:
    """Return the query of a stage with columns ``c0`` …, ``passes``, ``units``, ``negative``.

    ``tables``: where each unit's parts stand already, by kind of unit; then nothing is read of the rows.
    """
    keys, units = plan.keys, behind.kinds
    carrier, made = _carried(plan, behind)
    rest = [named(a, f"a{i}") for i, a in enumerate(plan.main) if i not in made]
    ctes = [] if tables else behind.sources(plan.rows, keys)
    ctes += [_cte(MAIN, grouped(SOURCE, keys, rest))] if rest or not carrier else []
    for unit in (*units, *behind.gone):
        asked, kept = _asked(plan, behind, unit), _kept(plan, behind, unit)
        results = partials.written(_wholes(plan, made), plan.cells, kept) if kept.is_carrier else []
        if not tables:
            ctes.append(_cte(f"{PER}{unit}", guards.parts(asked, keys, unit, behind.source_of(unit), kept=kept)))
        source = tables[unit] if tables else f"{PER}{unit}"
        ctes.append(
            _cte(f"{GUARD}{unit}", guards.guard(asked, keys, unit, thresholds, source, kept=kept, wholes=results))
        )
    lists = frozenset(f"u{i}" for i in behind.many)
    ctes += [
        _cte(f"{STEPS}{i}", guards.steps(plan, i, keys, units, lists)) for i in range(len(plan.steps) if units else 0)
    ]
    base = MAIN if rest or not carrier else f"{GUARD}{carrier}"
    found = _Found(base, _places(plan, made, carrier), carrier if keys and carrier not in behind.sure else "")
    select = exp.Select(**_final(collector, plan, behind, thresholds, found))
    select.set("with_", exp.With(expressions=ctes))
    return select


def tabled(
    name_of_stage: str, collector: Collector, plan: Plan, behind: Behind, thresholds: Thresholds
) -> Tabled | None:
    """Return the stage with each unit's parts in tables; ``None`` where anything else is read of the rows anyway."""
    carrier, made = _carried(plan, behind)
    if not carrier or plan.steps or len(made) < len(plan.main):
        return None
    units = (*behind.kinds, *behind.gone)
    tables = {unit: f"{UNITS}{name_of_stage}:{kind}" for kind, unit in enumerate(units)}
    queries, sources = [], []
    for unit, table in tables.items():
        asked, columns = _asked(plan, behind, unit), []
        query = guards.parts(asked, plan.keys, unit, behind.source_of(unit), kept=_kept(plan, behind, unit))
        for i, test in enumerate(_tests(plan)):
            known = Cell(test) in asked.cells
            columns.append(f"r{asked.cells.index(Cell(test))}" if known else f"t{i}")
            if not known:
                query.args["expressions"].append(named(counted(Cell(test).written()), f"t{i}"))
        for i, weight in enumerate(_weights(plan)):
            columns.append(f"w{i}")
            query.args["expressions"].append(named(_weighed(weight), f"w{i}"))
        query.set("with_", exp.With(expressions=behind.sources(plan.rows, plan.keys)))
        queries.append((table, query))
        sources.append(UnitTable(table, tuple(plan.keys), unit, tuple(columns)))
    return Tabled(tuple(queries), tuple(sources), build(collector, plan, behind, thresholds, tables))


def _asked(plan: Plan, behind: Behind, unit: str) -> guards.Guarded:
    return plan if unit in behind.kinds else plan.counted()


def _kept(plan: Plan, behind: Behind, unit: str) -> guards.Kept:
    carrier, made = _carried(plan, behind)
    if unit != carrier:
        return guards.Kept((), unit in behind.sure, is_carrier=False)
    return partials.kept_of(_wholes(plan, made), is_sure=unit in behind.sure)


def _wholes(plan: Plan, made: dict[int, partials.Whole]) -> list[partials.Whole | None]:
    return [made.get(i) for i in range(len(plan.main))]


def _carried(plan: Plan, behind: Behind) -> tuple[str, dict[int, partials.Whole]]:
    """Return the kind of unit of whose parts results are made, and which results these are."""
    whole_rows = [unit for unit in behind.kinds if behind.source_of(unit) == SOURCE]
    counted = {int(unit[1:]) for unit in whole_rows}
    made = {
        i: whole
        for i, whole in enumerate(plan.wholes)
        if whole is not None and (whole.function != "units" or whole.unit in counted)
    }
    sure = [unit for unit in whole_rows if unit in behind.sure]
    return ((sure or whole_rows)[0], made) if whole_rows and (made or not plan.main) else ("", {})


@dataclass(frozen=True)
class _Found:
    """Where every group of a stage stands, the results that are not in ``main``, and the unit that groups may lack."""

    base: str
    places: dict[int, exp.Expression]
    lacking: str


def _places(plan: Plan, made: dict[int, partials.Whole], carrier: str) -> dict[int, exp.Expression]:
    """Write from where the results are taken that are made of units' parts."""
    places = {i: name(f"a{i}", f"{GUARD}{carrier}") for i in made}
    for i, whole in made.items():
        if whole.function == "units":
            count = name(f"n{plan.cells.index(whole.reach)}", f"{GUARD}u{whole.unit}")
            places[i] = fn("coalesce", count, exp.Literal.number(0))
    return places


def parts_of_units(plan: Plan, behind: Behind) -> tuple[tuple[exp.Expression, ...], int]:
    """Return, for each kind of unit, the rows that each unit has in each group, by condition; and how many conditions.

    Columns: ``g`` the group, ``u`` the unit, ``r0`` its rows, ``r1`` … those where a condition of the stage holds, and then
    the rows below those that units have become.
    """
    tests, weights = _tests(plan), _weights(plan)
    made = []
    for unit in (*behind.kinds, *behind.gone):
        group = fn("hash", *(name(k) for k in plan.keys)) if plan.keys else NO_GROUP.copy()
        items = [named(group, "g"), named(name(unit), "u")]
        items += [
            named(where(exp.Count(this=exp.Star()), Cell(test).written()), f"r{j}") for j, test in enumerate(tests)
        ]
        items += [named(_weighed(weight), f"r{len(tests) + j}") for j, weight in enumerate(weights)]
        table = exp.Table(this=quoted(behind.source_of(unit)))
        select = exp.Select(expressions=items, from_=exp.From(this=table))
        select.set("where", exp.Where(this=exp.NEQ(this=name(unit), expression=exp.Literal.number(guards.NO_UNIT))))
        select.set("group", exp.Group(expressions=[name(column) for column in (*plan.keys, unit)]))
        select.set("with_", exp.With(expressions=behind.sources(plan.rows, plan.keys)))
        made.append(select)
    return tuple(made), len(tests) + len(weights)


def _tests(plan: Plan) -> list[tuple[str, ...]]:
    return [(), *dict.fromkeys(a.cell.tests for a in plan.asked if a.cell.tests)]


def _weights(plan: Plan) -> list[str]:
    return list(dict.fromkeys(weight.column for weight in plan.weights))


def _weighed(weight: str) -> exp.Expression:
    return fn("coalesce", fn("sum", name(weight)), exp.Literal.number(0))


def _moment(seconds: exp.Expression) -> exp.Expression:
    micros = exp.Mul(this=paren(seconds), expression=exp.Literal.number(1_000_000))
    return exp.Try(this=fn("make_timestamp", exp.TryCast(this=paren(micros), to=sql_type("BIGINT"))))


def _rounded(node: exp.Expression, data_type: DataType | None) -> exp.Expression:
    if family(data_type) == Family.TIME:
        month = fn("date_trunc", exp.Literal.string("month"), _moment(node))
        return exp.TryCast(this=month, to=sql_type("DATE"))
    digits = fn("floor", fn("log10", fn("abs", node)))
    places = exp.TryCast(
        this=exp.Sub(this=exp.Literal.number(SIGNIFICANT_DIGITS - 1), expression=digits), to=sql_type("INT")
    )
    is_zero = exp.EQ(this=node.copy(), expression=number(0))
    is_plain = exp.Or(this=exp.Is(this=node.copy(), expression=exp.Null()), expression=is_zero)
    # First to many more digits: engines differ in the last one of a mean, which would decide where it lies on a half.
    nearly = fn("round", node.copy(), exp.Add(this=paren(places.copy()), expression=exp.Literal.number(NEARLY_DIGITS)))
    return exp.Case(ifs=[exp.If(this=is_plain, true=node.copy())], default=fn("round", nearly, places))


def _final(
    collector: Collector, plan: Plan, behind: Behind, thresholds: Thresholds, found: _Found
) -> dict[str, Any]:  # fmt: skip
    keys, units, gone, base = plan.keys, behind.kinds, behind.gone, found.base
    items = [named(name(key, base), f"c{i}") for i, key in enumerate(keys)]
    for i, wanted in enumerate(collector.wanted):
        node = found.places.get(i) or name(f"a{i}", MAIN)
        if wanted.kind is AggregateClass.ORDER and not wanted.is_exact:
            node = _rounded(node, wanted.arguments[0].data_type)
        items.append(named(node, f"c{len(keys) + i}"))
    tests = [test for unit in units for test in guards.tests(plan, unit, thresholds, may_lack=unit == found.lacking)]
    tests += [test for unit in gone for test in guards.tests(plan.counted(), unit, thresholds, may_lack=False)]
    steps = [f"{STEPS}{i}" for i in range(len(plan.steps) if units else 0)]
    tests += guards.step_tests(plan, thresholds) if units else []
    joins: list[exp.Expression] = []
    for table in (*(f"{GUARD}{unit}" for unit in (*units, *gone) if f"{GUARD}{unit}" != base), *steps):
        same: list[exp.Expression] = [exp.NullSafeEQ(this=name(key, base), expression=name(key, table)) for key in keys]
        joins.append(exp.Join(this=exp.Table(this=quoted(table)), side="LEFT", on=conjunction(same)))
    passes = fn("coalesce", conjunction(tests), exp.Boolean(this=False)) if units or gone else exp.Boolean(this=True)
    counts = [fn("coalesce", name("n0", f"{GUARD}{unit}"), exp.Literal.number(0)) for unit in units or gone]
    fewest = fn("least", *counts) if counts else exp.Null()
    lowest = [name(f"low{j}", f"{GUARD}{u}") for u in units for j in range(len(plan.addends))]
    least = fn("least", *lowest) if len(lowest) > 1 else lowest[0] if lowest else None
    is_below = exp.LT(this=least, expression=exp.Literal.number(0)) if least is not None else None
    negative: exp.Expression = exp.Boolean(this=False)
    if is_below is not None:
        negative = fn("coalesce", is_below, negative)
    items += [named(passes, "passes"), named(fewest, "units"), named(negative, "negative")]
    return {"expressions": items, "from_": exp.From(this=exp.Table(this=quoted(base))), "joins": joins or None}


def with_complement(draft: Draft, thresholds: Thresholds) -> exp.Expression:
    """Withhold one more group where the withheld ones could be found by subtraction from a total.

    That is so when one group alone is withheld, or when all of them together have fewer than ``units_min`` units. The
    passing group with the fewest units goes too.
    """
    inner, windowed, lost = "all:", "counted:", "lost:"
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
        ],
        from_=exp.From(this=exp.Table(this=quoted(inner))),
    )  # fmt: skip
    # By itself, not as a window over all groups: DuckDB looks at every group for every group there.
    failing = exp.Select(
        expressions=[named(exp.Count(this=exp.Star()), "lost_groups"), named(fn("sum", name("units")), "lost_units")],
        from_=exp.From(this=exp.Table(this=quoted(inner))), where=exp.Where(this=fails),
    )  # fmt: skip
    alone = exp.EQ(this=name("lost_groups"), expression=exp.Literal.number(1))
    few = exp.LT(this=name("lost_units"), expression=exp.Literal.number(thresholds.units_min))
    some = exp.GT(this=name("lost_groups"), expression=exp.Literal.number(0))
    next_one = exp.EQ(this=name("place"), expression=exp.Literal.number(1))
    goes = conjunction((paren(exp.Or(this=alone, expression=conjunction((some, few)))), next_one))
    stays = conjunction((name("passes"), exp.Not(this=paren(goes))))
    ctes = ((inner, draft.query), (windowed, counted), (lost, failing))
    return exp.Select(
        expressions=[*(s.copy() for s in shown), named(stays, "passes"), name("units"), name("negative")],
        from_=exp.From(this=exp.Table(this=quoted(windowed))),
        joins=[exp.Join(this=exp.Table(this=quoted(lost)), kind="CROSS")],
        with_=exp.With(expressions=[exp.CTE(this=q, alias=exp.TableAlias(this=quoted(n))) for n, q in ctes]),
    )
