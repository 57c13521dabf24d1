"""What a statement means, over Python lists, thresholds included: the simple reference that engines are compared with.

Only the parser is shared with the gate. Nothing is rewritten or optimised: FROM makes rows, WHERE drops some, GROUP BY makes
groups, thresholds withhold some, the rest follows on those shown.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from typing import Any, cast

import sqlglot
from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.policies.types import Thresholds
from tests.reference.aggregates import aggregates_in, asked_of, reckoning
from tests.reference.relations import Result, Table, add_window, base, beside, cut, joined, nothing, order_keys
from tests.reference.values import Column, Row, Scope, mark, read
from tests.reference.withholding import Part, Record, argument, is_shown, units

Tables = dict[str, Result]
GROUPINGS = (exp.Grouping, exp.GroupingId)
Outer = tuple[Scope, Row] | None


@dataclass
class Reference:
    """Tables and thresholds; ``withheld`` counts the groups that were not shown."""

    tables: dict[str, Table]
    thresholds: Thresholds
    withheld: int = 0

    def answer(self, sql: str) -> list[Row]:
        """Return the rows of a statement. Their order counts only where the statement has one."""
        made = self.query(sqlglot.parse_one(sql, dialect="duckdb"), {}, None)
        return [record.values[: len(made.columns)] for record in made.rows]

    def query(self, node: exp.Expression, ctes: Tables, outer: Outer) -> Result:
        """Return the relation that a query makes."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this, ctes, outer)
        given = node.args.get("with_")
        for cte in given.expressions if given is not None else []:
            ctes = {**ctes, cte.alias.lower(): self.query(cte.this, ctes, outer)}
        if isinstance(node, exp.SetOperation):
            return self._united(node, ctes, outer)
        return Selecting(self, ctes, outer).read(cast(exp.Select, node))

    def _united(self, node: exp.SetOperation, ctes: Tables, outer: Outer) -> Result:
        left, right = (self.query(side, ctes, outer) for side in (node.this, node.expression))
        is_protected = left.is_protected or right.is_protected
        columns = [Column("", c.name, c.kind, c.unit, sources=c.sources) for c in left.columns]
        if isinstance(node, exp.Union):
            rows = [_from_side(r, side, left, right) for side, made in enumerate((left, right)) for r in made.rows]
            sides = 2 + left.sides + right.sides if is_protected else 0
            made = Result(columns, rows, left.kinds, sides, is_protected)
        else:
            theirs = {r.values for r in right.rows}
            made = Result(columns, [r for r in left.rows if (r.values in theirs) is isinstance(node, exp.Intersect)])
        if node.args.get("distinct"):
            made = self.distinct(made)
        for key in reversed(order_keys(node, Scope(made.columns, lambda *_: []))):
            made.rows.sort(key=lambda r: key.of_row(r.values))
        made.rows = cut(node, made.rows)
        return made

    def distinct(self, made: Result) -> Result:
        """Group by all columns; thresholds where rows are still rows."""
        groups: dict[Row, list[Record]] = defaultdict(list)
        for record in made.rows:
            groups[record.values[: len(made.columns)]].append(record)
        shown = [
            Record(values)
            for values, members in groups.items()
            if not made.is_protected
            or (
                all(any(t.values[: len(made.columns)] == values for t in takers) for takers in made.takers)
                and is_shown([], members, made.kinds, made.sides, self.thresholds)
            )
        ]
        self.withheld += len(groups) - len(shown)
        return Result([Column(c.alias, c.name, c.kind) for c in made.columns], shown)


def _from_side(record: Record, side: int, left: Result, right: Result) -> Record:
    below = [False] * (left.sides + right.sides)
    start = 0 if side == 0 else left.sides
    below[start : start + len(record.sides)] = record.sides
    return Record(record.values, record.units, (side == 0, side == 1, *below))


@dataclass
class Selecting:
    """Reads one SELECT."""

    reference: Reference
    ctes: Tables
    outer: Outer

    def subquery(self, node: exp.Expression, scope: Scope, row: Row) -> list[Row]:
        """Return the rows of a subquery for one row of the query around it."""
        return [r.values for r in self.reference.query(node, self.ctes, (scope, row)).rows]

    def scope(self, made: Result) -> Scope:
        """Return the scope of expressions over a relation."""
        return Scope(made.columns, self.subquery, outer=self.outer)

    def read(self, node: exp.Select) -> Result:
        """Return the relation of a SELECT."""
        made = self._from(node)
        self._keep_where(made, node.args.get("where"), self.scope(made))
        items, scope = _items(node, made), self.scope(made)
        scope.aliases = {name.lower(): part for name, part in items}
        parts = [*(part for _, part in items), *_after(node)]
        group = node.args.get("group")
        if group is not None or any(aggregates_in(part) for part in parts):
            made = self._grouped(group, parts, made, scope)
        self._keep(made, node.args.get("having"), scope)
        windows = {mark(w, scope): w for part in parts for w in part.find_all(exp.Window)}
        for window in windows.values():
            add_window(window, made, scope, self.reference.thresholds)
        self._keep(made, node.args.get("qualify"), scope)
        return self._shown(node, items, made, scope)

    def _keep(self, made: Result, clause: exp.Expression | None, scope: Scope) -> None:
        if clause is not None:
            test = read(clause.this, scope)
            made.rows = [r for r in made.rows if test(r.values) is True]

    def _keep_where(self, made: Result, clause: exp.Expression | None, scope: Scope) -> None:
        """Drop rows, and remember those that a NOT EXISTS or NOT IN alone took away, with the units that took them."""
        if clause is None:
            return
        whole, test = clause.this, read(clause.this, scope)
        made.takers = [[t for t in takers if test(t.values) is True] for takers in made.takers]
        atoms = list(whole.flatten()) if isinstance(whole, exp.And) else [whole]
        missing = [atom for atom in atoms if isinstance(atom, exp.Not) and _linked_query(atom.this) is not None]
        for atom in missing:
            others = [read(other, scope) for other in atoms if other is not atom]
            candidates = [r for r in made.rows if all(other(r.values) is True for other in others)]
            if self._is_protected(atom.this, scope):
                made.takers.append([taker for r in candidates for taker in self._who_takes(atom.this, scope, r)])
        self._keep(made, clause, scope)

    def _is_protected(self, node: exp.Expression, scope: Scope) -> bool:
        """Whether units decide in a linked query by something that may not be seen."""
        inner = self._relation(cast(exp.Expression, _linked_query(node)).args["from_"].this)
        return inner.kinds > 0 and _is_hidden(node, [scope, self.scope(inner)])

    def _who_takes(self, node: exp.Expression, scope: Scope, record: Record) -> list[Record]:
        """Return the row once for each row of the linked query that it meets."""
        query = _linked_query(node)
        assert query is not None
        inner = self.reference.query(query, self.ctes, (scope, record.values))
        wanted = read(node.this, scope)(record.values) if isinstance(node, exp.In) else None
        met = [r for r in inner.rows if isinstance(node, exp.Exists) or (wanted is not None and r.values[0] == wanted)]
        return [Record(record.values, r.units) for r in met]

    def _shown(
        self, node: exp.Select, items: list[tuple[str, exp.Expression]], made: Result, scope: Scope
    ) -> Result:  # fmt: skip
        rows = list(made.rows)
        for key in reversed(order_keys(node, scope)):
            rows.sort(key=lambda r: key.of_row(r.values))
        columns, behind = _columns(items, made, scope)
        meanings = [*(read(part, scope) for _, part in items), *(part.of for part in behind)]
        shown = [Record(tuple(m(r.values) for m in meanings), r.units, r.sides) for r in rows]
        taken = [[Record(tuple(m(r.values) for m in meanings), r.units) for r in takers] for takers in made.takers]
        result = Result(columns, shown, made.kinds, made.sides, made.is_protected, taken)
        if node.args.get("distinct") is not None:
            result = self.reference.distinct(result)
        result.rows = cut(node, result.rows)
        return result

    # ------------------------------------------------------------------------------------------------------- FROM

    def _from(self, node: exp.Select) -> Result:
        first = node.args.get("from_")
        if first is None:
            return Result([], [Record(())])
        made = self._relation(first.this)
        for join in node.args.get("joins") or []:
            made = self._joined(made, self._relation(join.this), join)
        return made

    def _relation(self, node: exp.Expression) -> Result:
        if isinstance(node, exp.Subquery):
            return self.reference.query(node.this, self.ctes, self.outer).named(node.alias)
        known = self.ctes.get(node.name.lower())
        return (known or base(self.reference.tables[node.name.lower()])).named(node.alias_or_name)

    def _joined(self, left: Result, right: Result, join: exp.Expression) -> Result:
        if join.args.get("kind") in {"SEMI", "ANTI"}:
            return self._linked(left, right, join)
        made = beside(left, right)
        on, side = join.args.get("on"), str(join.args.get("side") or "")
        test = read(on, self.scope(made)) if on is not None else lambda _: True
        kept_left, kept_right = set[int](), set[int]()
        for (i, a), (j, b) in _candidates(left, right, on):
            record = joined(left, a, right, b)
            if test(record.values) is True:
                made.rows.append(record)
                kept_left.add(i)
                kept_right.add(j)
        if side in {"LEFT", "FULL"}:
            lonely = [a for i, a in enumerate(left.rows) if i not in kept_left]
            made.rows += [joined(left, a, right, nothing(right)) for a in lonely]
        if side in {"RIGHT", "FULL"}:
            lonely = [b for j, b in enumerate(right.rows) if j not in kept_right]
            made.rows += [joined(left, nothing(left), right, b) for b in lonely]
        return made

    def _linked(self, left: Result, right: Result, join: exp.Expression) -> Result:
        """Return the rows of ``left`` that meet a row of ``right``, or those that meet none."""
        on = join.args["on"]
        test = read(on, self.scope(beside(left, right)))
        met = {i for (i, a), (_, b) in _candidates(left, right, on) if test(joined(left, a, right, b).values) is True}
        is_semi = join.args["kind"] == "SEMI"
        kept = [a for i, a in enumerate(left.rows) if (i in met) is is_semi]
        taken = [a for i, a in enumerate(left.rows) if i in met]
        is_guarded = right.kinds and not is_semi and _is_hidden(on, [self.scope(left), self.scope(right)])
        return replace(left, rows=kept, takers=[taken] if is_guarded else [])

    # --------------------------------------------------------------------------------------------------- GROUP BY

    def _hide_one_more(self, groups: dict[Row, list[Record]], passing: dict[Row, list[Record]], kinds: int) -> None:
        """Withhold the smallest group too where what is withheld could be found by subtracting from a total."""
        lost = [members for values, members in groups.items() if values not in passing]
        many = sum(min(units(members, kind) for kind in range(kinds)) for members in lost)
        if passing and lost and (len(lost) == 1 or many < self.reference.thresholds.units_min):
            del passing[min(passing, key=lambda values: _smallness(values, passing[values], kinds))]

    def _grouped(
        self, group: exp.Expression | None, parts: list[exp.Expression], made: Result, scope: Scope
    ) -> Result:  # fmt: skip
        sets = [[_key(part, scope) for part in own] for own in _sets(group)]
        keys = {mark(key, scope): read(key, scope) for own in sets for key in own}
        wanted = {mark(a, scope): a for part in parts for a in aggregates_in(part)}
        bits = {
            mark(g, scope): [mark(k, scope) for k in _listed(g)] for part in parts for g in part.find_all(*GROUPINGS)
        }
        asked = [asked_of(node, scope) for node in wanted.values()] if made.is_protected else []
        reckoned = [reckoning(node, scope, exact=not made.is_protected) for node in wanted.values()]
        rows, totals = [], list[tuple[set[Any], set[Row]]]()
        for here in sorted(({mark(key, scope) for key in own} for own in sets), key=len):
            wholes = [total for total in totals if total[0] < here]
            totals.append((here, set()))
            groups: dict[Row, list[Record]] = {} if here else {(None,) * len(keys): []}
            for record in made.rows:
                values = tuple(key(record.values) if known in here else None for known, key in keys.items())
                groups.setdefault(values, []).append(record)
            absent = [sum((k not in here) << i for i, k in enumerate(reversed(given))) for given in bits.values()]
            passing = {
                values: members
                for values, members in groups.items()
                if not made.is_protected
                or (
                    all(not here or _among(takers, values, here, keys) for takers in made.takers)
                    and is_shown(asked, members, made.kinds, made.sides, self.reference.thresholds, is_keyed=bool(here))
                )
            }
            if len(sets) > 1 and here and made.kinds:
                self._hide_one_more(groups, passing, made.kinds)
            for values, members in passing.items():
                if all(_part_of(values, keys, whole) in held for whole, held in wholes):
                    totals[-1][1].add(values)
                    found = (reckon([m.values for m in members]) for reckon in reckoned)
                    rows.append(Record((*values, *found, *absent)))
            self.reference.withheld += len(groups) - len(totals[-1][1])
        known = [*keys, *wanted, *bits]
        scope.known = {found: position for position, found in reversed(list(enumerate(known)))}
        return Result([Column("", "")] * len(known), rows)


def _part_of(values: Row, keys: dict[Any, Any], here: set[Any]) -> Row:
    """Return which group of a coarser set a group belongs to: parts are shown below totals that are shown."""
    return tuple(value if key in here else None for key, value in zip(keys, values, strict=True))


def _among(takers: list[Record], values: Row, here: set[Any], keys: dict[Any, Any]) -> bool:
    """Whether somebody took a row out of this group."""
    return any(
        tuple(key(record.values) if known in here else None for known, key in keys.items()) == values
        for record in takers
    )


def _is_hidden(node: exp.Expression, scopes: list[Scope]) -> bool:
    found = [(scope, scope.find(c)) for c in node.find_all(exp.Column) for scope in scopes]
    return any(position is not None and not scope.columns[position].is_seen for scope, position in found)


def _linked_query(node: exp.Expression) -> exp.Expression | None:
    """Return the query of an EXISTS, or of an IN."""
    if isinstance(node, exp.Exists):
        return node.this
    query = node.args.get("query") if isinstance(node, exp.In) else None
    return query.this if query is not None else None


def _smallness(values: Row, members: list[Record], kinds: int) -> Any:
    """Return by what the smallest group is found: units, then keys, those that are missing last."""
    fewest = min(units(members, kind) for kind in range(kinds))
    return (fewest, *((value is None, 0 if value is None else value) for value in values))


def _sets(group: exp.Expression | None) -> list[list[exp.Expression]]:
    """Return the sets of keys that a GROUP BY asks for."""
    made: list[list[exp.Expression]] = [[]]
    for part in group.expressions if group is not None else []:
        made = [[*one, *other] for one in made for other in _alternatives(part)]
    return made


def _alternatives(part: exp.Expression) -> list[list[exp.Expression]]:
    lists = [_listed(inner) for inner in part.expressions]
    if isinstance(part, exp.Rollup):
        return [list(chain.from_iterable(lists[:n])) for n in range(len(lists) + 1)]
    if isinstance(part, exp.Cube):
        chosen = (c for n in range(len(lists) + 1) for c in combinations(lists, n))
        return [list(chain.from_iterable(c)) for c in chosen]
    if isinstance(part, exp.GroupingSets):
        return [one for inner in part.expressions for one in _alternatives(inner)]
    return [_listed(part)]


def _listed(node: exp.Expression) -> list[exp.Expression]:
    """Return what stands between the brackets of a tuple or a GROUPING, or the one thing itself."""
    if isinstance(node, exp.Tuple | exp.Grouping | exp.GroupingId):
        return list(node.expressions)
    return [node.this if isinstance(node, exp.Paren) else node]


def _columns(
    items: list[tuple[str, exp.Expression]], made: Result, scope: Scope
) -> tuple[list[Column], list[Part]]:  # fmt: skip
    """Return the columns of a SELECT list, and what stands behind them while rows are still rows."""
    columns: list[Column] = []
    behind: list[Part] = []
    for name, part in items:
        position = scope.find(part) if isinstance(part, exp.Column) else None
        if not made.is_protected or (position is not None and scope.columns[position].is_base):
            known = scope.columns[position] if position is not None and not scope.known else Column("", name)
            columns.append(Column("", name, known.kind, known.unit, sources=known.sources))
            continue
        if part.find(exp.Window) is not None:  # what is shown beside a row is no part of it
            columns.append(Column("", name, DataType.DECIMAL, is_base=False))
            continue
        looked_at = argument(part, scope)
        places = {}
        for kind in ("cells", "blanks", "parts"):
            start = len(items) + len(behind)
            behind += getattr(looked_at, kind)
            places[kind] = tuple(range(start, len(items) + len(behind)))
        is_affine = not looked_at.may_be_null
        columns.append(
            Column("", name, DataType.DECIMAL, is_base=False, is_affine=is_affine, sources=looked_at.columns, **places)
        )
    return columns, behind


def _candidates(left: Result, right: Result, on: exp.Expression | None) -> Any:
    """Return the pairs of rows that may belong together: by the first equality of two columns, or all of them."""
    for atom in on.flatten() if isinstance(on, exp.And) else [on]:
        sides = [atom.this, atom.expression] if isinstance(atom, exp.EQ) else []
        if len(sides) != 2 or not all(isinstance(c, exp.Column) for c in sides):
            continue
        mine, theirs = ([Scope(made.columns, lambda *_: []).find(c) for c in sides] for made in (left, right))
        for i, j in ((0, 1), (1, 0)):
            a, b = mine[i], theirs[j]
            if a is not None and b is not None and mine[j] is None and theirs[i] is None:
                by_value = defaultdict(list)
                for number, record in enumerate(right.rows):
                    by_value[record.values[b]].append((number, record))
                return ((one, other) for one in enumerate(left.rows) for other in by_value.get(one[1].values[a], []))
    return product(enumerate(left.rows), enumerate(right.rows))


def _items(node: exp.Select, made: Result) -> list[tuple[str, exp.Expression]]:
    found: list[tuple[str, exp.Expression]] = []
    for part in node.expressions:
        if isinstance(part, exp.Star):
            found += [(c.name, exp.column(c.name, table=c.alias or None)) for c in made.columns]
        else:
            found.append((part.alias_or_name, part.this if isinstance(part, exp.Alias) else part))
    return found


def _after(node: exp.Expression) -> list[exp.Expression]:
    having, qualify, order = (node.args.get(key) for key in ("having", "qualify", "order"))
    found = [part.this for part in (having, qualify) if part is not None]
    return found + [o.this for o in (order.expressions if order is not None else [])]


def _key(part: exp.Expression, scope: Scope) -> exp.Expression:
    is_alias = isinstance(part, exp.Column) and not part.text("table") and scope.find(part) is None
    return scope.aliases[part.name.lower()] if is_alias else part
