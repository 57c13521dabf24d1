"""Relations of the reference: columns and rows; their order, LIMIT, and windows over them."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from gongshu.compute.types import Relation
from gongshu.policies.types import Thresholds, Use
from tests.reference.aggregates import MOMENTS, aggregates_in, asked_of, reckoning
from tests.reference.masks import worn
from tests.reference.values import Column, Meaning, Row, Scope, mark, read
from tests.reference.withholding import UNKNOWN, Record, is_shown


@dataclass(frozen=True)
class Table:
    """A governed relation with its rows as Python values, in the order of its columns."""

    relation: Relation
    rows: tuple[Row, ...]


@dataclass
class Result:
    """A relation on the way: ``kinds`` privacy units per row, ``sides`` of unions; protected while its rows are rows.

    Values behind the last column are what columns were reckoned of (``Column.cells``, ``Column.parts``). ``takers`` are the
    rows that NOT EXISTS and its likes took away, with the units that did it: in each group there must be somebody who did,
    unless all columns that decide may be seen.
    """

    columns: list[Column]
    rows: list[Record]
    kinds: int = 0
    sides: int = 0
    is_protected: bool = False
    takers: list[list[Record]] = field(default_factory=list)

    def named(self, alias: str) -> "Result":
        """Return it under another name."""
        return replace(self, columns=[replace(c, alias=alias) for c in self.columns], rows=list(self.rows))

    @property
    def width(self) -> int:
        """How many values a row has."""
        hidden = [i + 1 for c in self.columns for i in (*c.cells, *c.blanks, *c.parts)]
        return max([len(self.columns), *hidden])


def base(table: Table) -> Result:
    """Return a governed relation as rows, each with its privacy unit. Of a masked column the masked value is there."""
    relation = table.relation
    names = [column.name for column in relation.columns]
    places = [names.index(name) for name in relation.policy.unit]
    masks = [relation.policy.of(name).mask for name in names]
    seen = [tuple(worn(mask, value) for mask, value in zip(masks, row, strict=True)) for row in table.rows]
    rows = [
        Record(values, (_unit(row, places),) if places else ()) for values, row in zip(seen, table.rows, strict=True)
    ]
    columns = [
        Column(
            relation.name, c.name, c.data_type, 0 if relation.policy.unit == (c.name,) else None,
            is_seen=Use.REVEAL in relation.policy.of(c.name).uses, sources=frozenset({f"{relation.name}.{c.name}"}),
        )
        for c in relation.columns
    ]  # fmt: skip
    return Result(columns, rows, len(places) and 1, 0, is_protected=True)


def _unit(row: Row, places: list[int]) -> Any:
    values = tuple(row[place] for place in places)
    return UNKNOWN if None in values else values


def nothing(made: Result) -> Record:
    """Return the row that stands for a partner that was not found."""
    return Record((None,) * made.width, (None,) * made.kinds, (False,) * made.sides)


def beside(left: Result, right: Result) -> Result:
    """Return the columns of two relations beside each other, without rows. Hidden values of both come last."""
    shown, hidden = len(left.columns) + len(right.columns), left.width - len(left.columns)
    columns = [_moved(c, 0, len(right.columns)) for c in left.columns]
    columns += [_moved(c, left.kinds, shown + hidden - len(right.columns)) for c in right.columns]
    is_protected = left.is_protected or right.is_protected
    return Result(columns, [], left.kinds + right.kinds, left.sides + right.sides, is_protected)


def _moved(column: Column, kinds: int, by: int) -> Column:
    moved = {part: tuple(i + by for i in getattr(column, part)) for part in ("cells", "blanks", "parts")}
    return replace(column, unit=None if column.unit is None else column.unit + kinds, **moved)


def joined(left: Result, a: Record, right: Result, b: Record) -> Record:
    """Return two rows as one."""
    m, n = len(left.columns), len(right.columns)
    values = (*a.values[:m], *b.values[:n], *a.values[m:], *b.values[n:])
    return Record(values, (*a.units, *b.units), (*a.sides, *b.sides))


# ------------------------------------------------------------------------------------------------ order and windows


@dataclass
class _Down:
    """A value that comes before smaller ones."""

    value: Any

    def __lt__(self, other: "_Down") -> bool:
        return bool(self.value > other.value)


@dataclass(frozen=True)
class OrderKey:
    """One part of an ORDER BY."""

    of: Meaning
    is_descending: bool
    nulls_first: bool

    def of_row(self, row: Row) -> tuple[bool, Any]:
        """Return what a row is sorted by."""
        value = self.of(row)
        if value is None:
            return (not self.nulls_first, 0)
        return (self.nulls_first, _Down(value) if self.is_descending else value)


def order_keys(node: exp.Expression, scope: Scope) -> list[OrderKey]:
    """Return the ORDER BY of a query or a window."""
    order = node.args.get("order")
    return [
        OrderKey(read(o.this, scope), bool(o.args.get("desc")), bool(o.args.get("nulls_first")))
        for o in (order.expressions if order is not None else [])
    ]


def cut(node: exp.Expression, rows: list[Record]) -> list[Record]:
    """Return what LIMIT and OFFSET leave."""
    limit, offset = node.args.get("limit"), node.args.get("offset")
    start = int(offset.expression.this) if offset is not None else 0
    return rows[start : start + int(limit.expression.this) if limit is not None else None]


def add_window(node: exp.Window, made: Result, scope: Scope, thresholds: Thresholds) -> None:
    """Reckon a window over the rows that are there and put its value behind each of them.

    An aggregate by partition alone, over rows that are still rows, is that of a group: rounded and withheld as it is, unless
    the partition is one unit's own.
    """
    parts = [read(part, scope) for part in node.args.get("partition_by") or []]
    is_plain = not node.args.get("order") and not node.args.get("spec") and bool(aggregates_in(node.this))
    if made.is_protected and is_plain:
        found = _of_groups(node, parts, made, scope, None if _is_by_unit(node, made, scope) else thresholds)
        scope.known[mark(node, scope)] = len(made.rows[0].values) if made.rows else 0
        made.rows = [Record((*r.values, found[i]), r.units, r.sides) for i, r in enumerate(made.rows)]
        return
    order, given = order_keys(node, scope), node.this.args.get("this")
    inner = read(given, scope) if given is not None and not isinstance(given, exp.Star) else lambda _: 1
    partitions: dict[Row, list[int]] = defaultdict(list)
    for i, record in enumerate(made.rows):
        partitions[tuple(part(record.values) for part in parts)].append(i)
    found: dict[int, Any] = {}
    for places in partitions.values():
        for key in reversed(order):
            places.sort(key=lambda i: key.of_row(made.rows[i].values))
        keys = [tuple(key.of(made.rows[i].values) for key in order) for i in places]
        values = [inner(made.rows[i].values) for i in places]
        for position, i in enumerate(places):
            found[i] = _window_value(node.this, keys, values, position)
    scope.known[mark(node, scope)] = len(made.rows[0].values) if made.rows else 0
    made.rows = [Record((*r.values, found[i]), r.units, r.sides) for i, r in enumerate(made.rows)]


def _is_by_unit(node: exp.Window, made: Result, scope: Scope) -> bool:
    """Whether every kind of unit is among the columns that rows are partitioned by."""
    positions = [scope.find(p) for p in node.args.get("partition_by") or [] if isinstance(p, exp.Column)]
    units = {scope.columns[position].unit for position in positions if position is not None}
    return made.kinds > 0 and units >= set(range(made.kinds))


def _of_groups(
    node: exp.Window, parts: list[Meaning], made: Result, scope: Scope, thresholds: Thresholds | None
) -> dict[int, Any]:  # fmt: skip
    """Return for each row the aggregate of its partition, or nothing where too few stand behind it.

    Without ``thresholds`` the partition is one unit's own, and its value exact.
    """
    asked, reckon = asked_of(node.this, scope), reckoning(node.this, scope, exact=thresholds is None)
    groups: dict[Row, list[int]] = defaultdict(list)
    for i, record in enumerate(made.rows):
        groups[tuple(part(record.values) for part in parts)].append(i)
    found: dict[int, Any] = {}
    for places in groups.values():
        members = [made.rows[i] for i in places]
        is_here = thresholds is None or is_shown(
            [asked], members, made.kinds, made.sides, thresholds, is_keyed=bool(parts)
        )
        value = reckon([m.values for m in members]) if is_here else None
        found.update(dict.fromkeys(places, value))
    return found


def _window_value(call: exp.Expression, keys: list[Row], values: list[Any], position: int) -> Any:
    peers = [i for i, key in enumerate(keys) if key == keys[position]]
    if isinstance(call, exp.RowNumber):
        return position + 1
    if isinstance(call, exp.Rank):
        return peers[0] + 1
    if isinstance(call, exp.DenseRank):
        return len(dict.fromkeys(keys[: peers[0] + 1]))
    if isinstance(call, exp.Lag):
        return values[position - 1] if position else None
    # Without an ORDER BY all rows are peers: the frame ends with the last peer in either case.
    frame = [v for v in values[: peers[-1] + 1] if v is not None]
    if isinstance(call, exp.Count):
        return len(frame)
    chosen = {exp.Min: min, exp.Max: max}.get(type(call), MOMENTS.get(type(call)))
    assert chosen is not None, call.sql()
    return chosen(frame) if frame else None
