"""Rows that carry a list of units: those of another relation that each of them meets by a key (see ``links``).

For the thresholds every such row is laid out once for each unit that it meets, as a join would have done. Rows that were
taken away because of whom they meet are kept beside the others, so that the units that took them can be counted.
"""

from sqlglot import exp

from gongshu.compute.rules.guards import SOURCE
from gongshu.compute.rules.terms import conjunction, quoted
from gongshu.compute.rules.writing import fn, name, named

EVERY, PLACES = "every:", "places:"
"""The rows before any is taken away; the numbers from one to the length of the longest list."""
THERE, PLACE = "there", "place"


def spread_name(unit: str) -> str:
    """Return what the rows that are laid out by ``unit`` are called."""
    return f"{SOURCE}{unit}"


def places(most: int) -> exp.CTE:
    """Write the numbers from 1 to ``most``."""
    made: exp.Expression = _place(1)
    for place in range(2, most + 1):
        made = exp.Union(this=made, expression=_place(place), distinct=False)
    return _cte(PLACES, made)


def _place(number: int) -> exp.Select:
    return exp.Select(expressions=[named(exp.Literal.number(number), PLACE)])


def staying(columns: list[str]) -> exp.CTE:
    """Write the rows that are not taken away."""
    select = exp.Select(expressions=[name(c) for c in columns] or [named(exp.Literal.number(1), "one")])
    select.set("from_", exp.From(this=exp.Table(this=quoted(EVERY))))
    select.set("where", exp.Where(this=name(THERE)))
    return _cte(SOURCE, select)


def spread(columns: list[str], source: str, unit: str) -> exp.CTE:
    """Write the rows of ``source`` once for each unit in the list ``unit``; of all rows, those that are taken away."""
    each = fn("list_extract", name(unit, source), name(PLACE, PLACES))
    select = exp.Select(expressions=[*(name(c, source) for c in columns), named(each, unit)])
    select.set("from_", exp.From(this=exp.Table(this=quoted(source))))
    select.set("joins", [exp.Join(this=exp.Table(this=quoted(PLACES)), kind="CROSS")])
    tests: list[exp.Expression] = [exp.LTE(this=name(PLACE, PLACES), expression=fn("len", name(unit, source)))]
    if source == EVERY:
        tests.append(exp.Not(this=name(THERE, source)))
    select.set("where", exp.Where(this=conjunction(tests)))
    return _cte(spread_name(unit), select)


def _cte(alias: str, query: exp.Expression) -> exp.CTE:
    return exp.CTE(this=query, alias=exp.TableAlias(this=quoted(alias)))
