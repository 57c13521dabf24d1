"""Aggregates made of each unit's part of them, so that results and thresholds read the rows behind a stage once.

For the thresholds every unit's rows and sums in every group are there anyway. A COUNT, SUM or AVG of the group is that of
these parts, and how many different units there are is one of the thresholds. Sums of whole numbers and decimals are exact
either way; sums of floating-point numbers differ in their last digits, as they do when rows come in another order. Anything
else (variances, quantiles, other distinct values, lists) is made of the rows.
"""

from dataclasses import dataclass

from sqlglot import exp

from gongshu.compute.rules.functions import AggregateClass
from gongshu.compute.rules.guards import Cell, Kept, Summed
from gongshu.compute.rules.stages import Wanted
from gongshu.compute.rules.terms import NUMERIC, Term, sql_type
from gongshu.compute.rules.writing import double, fn, name, named


@dataclass(frozen=True)
class Whole:
    """An aggregate that can be made of units' parts: of which rows, of which column, or of which kind of unit."""

    function: str  # count, sum, avg; "units": how many there are
    reach: Cell
    argument: str = ""
    unit: int = -1

    @property
    def summed(self) -> Summed:
        """What has to be summed of each unit."""
        return Summed(self.argument, self.reach.tests)


def whole_of(
    wanted: Wanted, terms: tuple[Term, ...], arguments: tuple[str, ...], reach: Cell, unit: int | None
) -> Whole | None:
    """Return how an aggregate is made of units' parts; ``None`` where it needs the rows."""
    if unit is not None:
        return Whole("units", reach, unit=unit)
    if wanted.is_distinct or len(arguments) > 1:
        return None
    if wanted.kind is AggregateClass.COUNT:
        return Whole("count", reach)
    is_number = all(term.data_type in NUMERIC for term in terms)
    if wanted.kind is AggregateClass.MOMENT and wanted.function in {"sum", "avg"} and arguments and is_number:
        return Whole(wanted.function, reach, arguments[0])
    return None


def kept_of(wholes: list[Whole | None], *, is_sure: bool) -> Kept:
    """Return what one kind of unit keeps of each unit, so that ``wholes`` can be made of it."""
    sums = dict.fromkeys(whole.summed for whole in wholes if whole is not None and whole.argument)
    return Kept(tuple(sums), is_sure=is_sure)


def written(wholes: list[Whole | None], cells: list[Cell], kept: Kept) -> list[exp.Expression]:
    """Write the aggregates of units' parts, ``a0`` … by their places; how many units there are stands in their guard."""
    return [
        named(_written(whole, cells, kept), f"a{i}")
        for i, whole in enumerate(wholes)
        if whole is not None and whole.function != "units"
    ]


def _written(whole: Whole, cells: list[Cell], kept: Kept) -> exp.Expression:
    count = fn("sum", name(f"r{cells.index(whole.reach)}"))
    if whole.function == "count":
        none = exp.Literal.number(0)
        return exp.Cast(this=fn("coalesce", count, none), to=sql_type("BIGINT"))
    total = fn("sum", name(kept.name_of(whole.summed)))
    if whole.function == "sum":
        return total
    return exp.Div(this=double(total), expression=double(fn("nullif", count, exp.Literal.number(0))))
