"""Contribution bounds: at most so many rows of one unit in a group, and at most so many groups of one unit (controls §3).

Which rows stay follows from a keyed hash of each row's place in its version, so that the same statement keeps the same
rows every time, and nobody can say beforehand which. Ties are rows that a statement cannot tell apart.
"""

from sqlglot import exp

from gongshu.compute.rules.terms import conjunction, paren, quoted
from gongshu.compute.rules.writing import fn, name, named
from gongshu.policies.types import ContributionBounds

NO_UNIT = 0
"""How a row without a unit is marked in a projection."""
GIVEN, KNOWN, RANKED, KEPT = "given:", "known:", "ranked:", "kept:"
PLACE, FIRST = "place:", "first:"


def known(unit: str) -> exp.Expression:
    """Write whether a row has a unit: neither marked as missing nor left out by an outer join."""
    is_marked = exp.NEQ(this=name(unit), expression=exp.Literal.number(NO_UNIT))
    return fn("coalesce", is_marked, exp.Boolean(this=False))


def _star(source: str) -> exp.Select:
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=exp.Table(this=quoted(source))))


def _cte(alias: str, query: exp.Expression) -> exp.CTE:
    return exp.CTE(this=query, alias=exp.TableAlias(this=quoted(alias)))


def _window(call: exp.Expression, by: list[str], order: list[exp.Expression]) -> exp.Expression:
    ordered = exp.Order(expressions=[exp.Ordered(this=node) for node in order]) if order else None
    return exp.Window(this=call, partition_by=[name(column) for column in by], order=ordered, over="OVER")


def known_only(source: str, units: list[str], target: str) -> exp.CTE:
    """Write ``target``: the rows of ``source`` that have every unit."""
    select = _star(source)
    select.set("where", exp.Where(this=conjunction([known(unit) for unit in units])))
    return _cte(target, select)


def kept(  # noqa: PLR0917 - the parts of one step
    source: str, keys: list[str], units: list[str], orders: list[str], columns: list[str], bounds: ContributionBounds,
    target: str,
) -> list[exp.CTE]:  # fmt: skip
    """Write ``target``: the rows of ``source`` that the bounds of every kind of unit leave. Rows without unit all stay."""
    made: list[exp.CTE] = []
    for index, unit in enumerate(units):
        is_last = unit == units[-1]
        ranked, result = f"{RANKED}{index}", target if is_last else f"{KEPT}{index}"
        made += _kept_by(source, keys, unit, _order(unit, orders, columns), bounds, (ranked, result))
        source = result
    return made


def _order(unit: str, orders: list[str], columns: list[str]) -> list[exp.Expression]:
    mine = f"o{unit[1:]}"  # of the relation that has this unit
    own = [mine, *(order for order in orders if order != mine)]
    ties = [fn("hash", *(name(column) for column in columns))] if columns else []
    return [*(name(order) for order in own), *ties]


def _kept_by(  # noqa: PLR0917 - the parts of one step
    source: str, keys: list[str], unit: str, order: list[exp.Expression], bounds: ContributionBounds,
    names: tuple[str, str],
) -> list[exp.CTE]:  # fmt: skip
    ranked, result = names
    has_unit = known(unit)
    place = _window(fn("row_number"), [unit, *keys], order)
    items: list[exp.Expression] = [exp.Star(), named(place, f"{PLACE}{unit}")]
    limits_groups = bool(keys) and bounds.groups_per_unit_max > 0
    if limits_groups:
        items.append(named(_window(fn("min", order[0].copy()), [unit, *keys], []), f"{FIRST}{unit}"))
    ranking = exp.Select(expressions=items, from_=exp.From(this=exp.Table(this=quoted(source))))
    is_among = exp.LTE(this=name(f"{PLACE}{unit}"), expression=exp.Literal.number(bounds.rows_per_group_max))
    keeping = _star(ranked)
    keeping.set("where", exp.Where(this=paren(exp.Or(this=exp.Not(this=has_unit), expression=is_among))))
    if limits_groups:
        by_group = [name(f"{FIRST}{unit}"), *(name(key) for key in keys)]
        group = _window(fn("dense_rank"), [unit], by_group)
        few = exp.LTE(this=group, expression=exp.Literal.number(bounds.groups_per_unit_max))
        keeping.set("qualify", exp.Qualify(this=paren(exp.Or(this=exp.Not(this=has_unit.copy()), expression=few))))
    return [_cte(ranked, ranking), _cte(result, keeping)]
