"""Columns of which no row of the registered version is empty: what depends on missing values need not be counted of them.

Whether a column has empty fields is known of every version when it is read in, and a version never changes. A SELECT of
rows below says of its columns and units what is known of those that they are made of.
"""

from collections.abc import Iterable

from gongshu.catalog.types import DataType
from gongshu.compute.rules.relations import Selected
from gongshu.compute.rules.scopes import Governed, Instance
from gongshu.compute.rules.terms import Mark

SUMS = frozenset({"+", "-", "*"})
WRAPPED = frozenset({"double", "summable"})
LITERAL_MAX = 1e18
"""Numbers of a statement below this can be summed as they stand."""


def is_filled(instances: Iterable[Instance], mark: Mark) -> bool:
    """Whether an expression is never NULL in the rows of these instances.

    That is so of a filled column, of decimals reckoned of such, and of a CASE all of whose branches are such or numbers. Whole
    numbers that are reckoned with give NULL where they grow too large, so nothing is said of them.
    """
    by_alias = {instance.alias: instance for instance in instances}
    inner = mark[1] if mark[0] in WRAPPED else mark
    if mark[0] == "summable":
        return _is_choice(by_alias, inner)
    return _is_column(by_alias, inner) or _is_sum(by_alias, inner) or _is_choice(by_alias, inner)


def _is_column(by_alias: dict[str, Instance], mark: Mark, *, of: DataType | None = None) -> bool:
    if mark[0] != "column" or len(mark) != 3 or mark[1] not in by_alias:
        return False
    instance, index = by_alias[mark[1]], mark[2]
    source = instance.source
    if instance.is_optional or (of is not None and source.columns[index][1].data_type is not of):
        return False
    if isinstance(source, Selected):
        return source.is_row_level and is_filled(source.instances, source.columns[index][1].mark)
    return isinstance(source, Governed) and source.is_filled(index)


def has_unit(instance: Instance, position: int) -> bool:
    """Whether every row of ``instance`` has its unit at ``position``, even if that is marked as missing: it is never NULL."""
    source = instance.source
    if instance.is_optional:
        return False
    if isinstance(source, Selected):
        found = source.instance_of_unit(position)
        return found is not None and has_unit(*found)
    return isinstance(source, Governed)


def _is_sum(by_alias: dict[str, Instance], mark: Mark) -> bool:
    if mark[0] not in SUMS:
        return False
    parts = [part for part in mark[1:] if isinstance(part, tuple)]
    return bool(parts) and all(
        part[0] == "number" or _is_column(by_alias, part, of=DataType.DECIMAL) or _is_sum(by_alias, part)
        for part in parts
    )


def _is_choice(by_alias: dict[str, Instance], mark: Mark) -> bool:
    if mark[0] != "CASE":
        return False
    branches = [*(then for _, then in mark[1:-1]), mark[-1]]
    return all(
        (branch[0] == "number" and abs(float(branch[1])) < LITERAL_MAX)
        or _is_column(by_alias, branch, of=DataType.DECIMAL)
        or _is_sum(by_alias, branch)
        or _is_choice(by_alias, branch)
        for branch in branches
    )
