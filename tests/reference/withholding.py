"""Which groups are shown (controls §3), over Python lists: units behind each cell, differences of aggregates, dominance.

A group is a list of ``Record``; an aggregate is looked at as ``Asked``: which rows reach it and of what it tells something.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from gongshu.catalog.types import DataType
from gongshu.policies.types import Thresholds
from tests.reference.values import Column, Mark, Meaning, Row, Scope, branches, mark, read

UNKNOWN = "a row whose unit is not known"
"""Such rows are one unit when it comes to dominance, and none when units are counted."""
NUMBERS = frozenset({DataType.INTEGER, DataType.DECIMAL})
AFFINE = (exp.Add, exp.Sub, exp.Neg, exp.Cast, exp.Paren)
ROWS = "#"
ORDER_SHARE = 10
CLASSES_MAX = 20
CLOSE = 1e-9
WHOLE_EXACT = 1 << 40


class OnTheEdgeError(Exception):
    """A share lies so near a threshold that the order of adding floating-point numbers decides: no answer is given."""


@dataclass(frozen=True)
class Record:
    """A row with its privacy units (``None``: there is none, as on the empty side of an outer join) and where it comes from."""

    values: Row
    units: tuple[Any, ...] = ()
    sides: tuple[bool, ...] = ()


Test = tuple[Mark, Meaning]


@dataclass(frozen=True)
class Part:
    """What is looked at for itself in an argument: its mark, its meaning."""

    mark: Mark
    of: Meaning = field(compare=False)


@dataclass(frozen=True)
class Cell:
    """The rows where all ``tests`` are true and no ``argument`` is NULL."""

    tests: tuple[Part, ...] = ()
    arguments: tuple[Part, ...] = ()

    def holds(self, record: Record) -> bool:
        """Whether a row belongs to it."""
        return all(t.of(record.values) is True for t in self.tests) and all(
            a.of(record.values) is not None for a in self.arguments
        )


@dataclass(frozen=True)
class Argument:
    """An argument of an aggregate: when it counts and when it is 0 on a condition, parts of a sum, columns it tells of.

    ``may_cancel``: a unit's parts may cancel, so that enough units must have a part that does not.
    """

    itself: Part
    cells: tuple[Part, ...]
    blanks: tuple[Part, ...]
    parts: tuple[Part, ...]
    columns: frozenset[Any]
    may_be_null: bool
    may_cancel: bool


@dataclass(frozen=True)
class Asked:
    """One aggregate of a group: ``kind`` is count, moment or order; ``is_unit`` a COUNT(DISTINCT) of the privacy unit."""

    kind: str
    arguments: tuple[Argument, ...]
    test: Part | None = None
    is_unit: bool = False

    @property
    def reach(self) -> Cell:
        """The rows that reach it."""
        return Cell(self._tests, () if self.is_unit else tuple(a.itself for a in self.arguments))

    @property
    def _tests(self) -> tuple[Part, ...]:
        return (self.test,) if self.test is not None else ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its cells: the rows that reach it, and of these each condition under which it counts."""
        inner = dict.fromkeys(c for a in self.arguments for c in a.cells)
        return (self.reach, *(Cell((*self._tests, c), self.reach.arguments) for c in inner))

    @property
    def blanks(self) -> tuple[Cell, ...]:
        """The rows that a condition keeps out of it, or adds as 0."""
        inner = dict.fromkeys(b for a in self.arguments for b in a.blanks)
        without = [Cell((_not(self.test),))] if self.test is not None else []
        return (*(Cell((*self._tests, b), self.reach.arguments) for b in inner), *without)

    @property
    def quantities(self) -> frozenset[Any]:
        """Of what it tells something: the columns summed, or numbers of rows."""
        if self.kind == "order":
            return frozenset()
        columns = frozenset(c for a in self.arguments for c in a.columns)
        return columns if self.kind == "moment" and columns else frozenset({ROWS})


# ---------------------------------------------------------------------------------------------- reading an argument


def argument(node: exp.Expression, scope: Scope) -> Argument:
    """Look at an argument of an aggregate."""
    columns = frozenset(source for c in _direct(node) for source in _known(c, scope).sources)
    may_be_null = bool(columns) and not is_affine(node, scope)
    itself, made, summed = _part(node, scope), cells(node, scope), parts(node, scope)
    others = [part for part in summed if part.mark != itself.mark]
    is_one_branch = is_condition(node) or (isinstance(_bare(node), exp.Case | exp.If | exp.Coalesce) and len(made) == 1)
    is_moved = any(_is_number(part) and float(part.this) for part in _added(node))
    may_cancel = len(others) > 1 or (bool(made) and (not is_one_branch or is_moved)) or _is_mixed(node, scope)
    return Argument(itself, made, blanks(node, scope), summed, columns, may_be_null, may_cancel)


def _bare(node: exp.Expression) -> exp.Expression:
    return _bare(node.this) if isinstance(node, exp.Paren) else node


def _is_number(node: exp.Expression) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string


def _added(node: exp.Expression) -> list[exp.Expression]:
    """Return what is added to columns anywhere in ``node``, and what fills up missing values."""
    if is_condition(node) or isinstance(node, exp.Column | exp.Literal):
        return []
    own = [node.this, node.expression] if isinstance(node, exp.Add | exp.Sub) else []
    own += node.expressions if isinstance(node, exp.Coalesce) else []
    if isinstance(node, exp.Case | exp.If):
        whens, default = branches(node)
        return [part for then in (*(then for _, then in whens), default) for part in _added(then)]
    return own + [part for child in node.iter_expressions() for part in _added(child)]


def _is_mixed(node: exp.Expression, scope: Scope) -> bool:
    return any(_known(c, scope).is_mixed for c in _direct(node))


def _part(node: exp.Expression, scope: Scope) -> Part:
    return Part(mark(node, scope), read(node, scope))


def _known(node: exp.Column, scope: Scope) -> Column:
    position = scope.find(node)
    assert position is not None, f"{node.sql()} is no column of these rows"
    return scope.columns[position]


def _behind(positions: tuple[int, ...]) -> tuple[Part, ...]:
    return tuple(Part(("column", position), lambda row, position=position: row[position]) for position in positions)


def _direct(node: exp.Expression) -> list[exp.Column]:
    """Return the columns whose values come out, not those that only decide a branch."""
    if isinstance(node, exp.Column):
        return [node]
    if isinstance(node, exp.Case | exp.If):
        whens, default = branches(node)
        return [c for part in (*(then for _, then in whens), default) for c in _direct(part)]
    if is_condition(node):
        return []
    return [c for part in node.iter_expressions() for c in _direct(part)]


def is_condition(node: exp.Expression) -> bool:
    """Whether ``node`` is true or false."""
    inner = node.this if isinstance(node, exp.Paren) else node
    return isinstance(inner, exp.Predicate | exp.Connector | exp.Not)


def is_affine(node: exp.Expression, scope: Scope) -> bool:
    """Whether ``node`` is made of columns by adding, by constant factors and by choosing only."""
    if isinstance(node, exp.Column):
        return _known(node, scope).is_affine
    if isinstance(node, exp.Case | exp.If) or not _direct(node):
        return True
    if isinstance(node, exp.Coalesce):
        return not any(_direct(part) for part in node.expressions)
    if isinstance(node, exp.Mul | exp.Div):
        sides = [bool(_direct(part)) for part in (node.this, node.expression)]
        return sides[1] + sides[0] < 2 and not (isinstance(node, exp.Div) and sides[1])
    return isinstance(node, AFFINE)


def cells(node: exp.Expression, scope: Scope) -> tuple[Part, ...]:
    """Return the conditions under which ``node`` counts: each must have enough units behind it."""
    if isinstance(node, exp.Column):
        return _behind(_known(node, scope).cells)
    if is_condition(node):
        return (_part(node, scope),)
    if isinstance(node, exp.Coalesce) and not any(_direct(part) for part in node.expressions):
        present = exp.Not(this=exp.Is(this=node.this, expression=exp.Null()))
        here = () if _is_constant(node.this) else (_part(present, scope),)
        return (*cells(node.this, scope), *here)
    if isinstance(node, exp.Case | exp.If):
        found: list[Part] = []
        for path, then in paths(node, scope):
            if not _is_nothing(then):
                found += [path, *(_and(path, cell) for cell in cells(then, scope))]
        return tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys(c for part in node.iter_expressions() for c in cells(part, scope)))


def blanks(node: exp.Expression, scope: Scope) -> tuple[Part, ...]:
    """Return the conditions under which ``node`` is 0 or filled up: nobody there is told as well as one."""
    if isinstance(node, exp.Column):
        return _behind(_known(node, scope).blanks)
    if is_condition(node):
        return (_not(_part(node, scope)),)
    if isinstance(node, exp.Coalesce) and not any(_direct(part) for part in node.expressions):
        here = () if _is_constant(node.this) else (_part(exp.Is(this=node.this, expression=exp.Null()), scope),)
        return (*blanks(node.this, scope), *here)
    if isinstance(node, exp.Case | exp.If):
        found: list[Part] = []
        for path, then in paths(node, scope):
            is_zero = _is_number(then) and float(then.this) == 0
            found += [path] if is_zero else [_and(path, blank) for blank in blanks(then, scope)]
        return tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys(b for part in node.iter_expressions() for b in blanks(part, scope)))


def _not(part: Part) -> Part:
    return Part(("not", part.mark), lambda row: part.of(row) is not True)


def paths(node: exp.Expression, scope: Scope) -> list[tuple[Part, exp.Expression]]:
    """Return the branches of a CASE, each with the condition that it is taken."""
    whens, default = branches(node)
    tests = [_part(test, scope) for test, _ in whens]
    found = []
    for i, then in enumerate([*(then for _, then in whens), default]):
        before, here = tests[:i], tests[i : i + 1]
        found.append((_path(before, here), then))
    return found


def _path(before: list[Part], here: list[Part]) -> Part:
    if not before and here:
        return here[0]

    def of(row: Row) -> bool:
        return all(t.of(row) is not True for t in before) and all(t.of(row) is True for t in here)

    return Part(("path", tuple(t.mark for t in before), tuple(t.mark for t in here)), of)


def _and(first: Part, second: Part) -> Part:
    return Part(("and", first.mark, second.mark), lambda row: first.of(row) is True and second.of(row) is True)


def _is_constant(node: exp.Expression) -> bool:
    return not list(node.find_all(exp.Column))


def _is_nothing(node: exp.Expression) -> bool:
    return isinstance(node, exp.Null) or (
        isinstance(node, exp.Literal) and not node.is_string and float(node.this) == 0
    )


def parts(node: exp.Expression, scope: Scope) -> tuple[Part, ...]:
    """Return what a sum of ``node`` consists of: numeric columns without the constants added, products for themselves."""
    if is_condition(node) or not _direct(node):
        return ()
    if isinstance(node, exp.Column):
        column = _known(node, scope)
        return _behind(column.parts) if not column.is_base else (_part(node, scope),) if column.kind in NUMBERS else ()
    if isinstance(node, exp.Case | exp.If):
        return tuple(
            Part(("within", path.mark, part.mark), _within(path, part))
            for path, then in paths(node, scope)
            for part in parts(then, scope)
        )
    inner = dict.fromkeys(p for child in node.iter_expressions() for p in parts(child, scope))
    return (*inner,) if is_affine(node, scope) else (_part(node, scope), *inner)


def _within(path: Part, part: Part) -> Meaning:
    return lambda row: part.of(row) if path.of(row) else None


# ------------------------------------------------------------------------------------------------- deciding a group


def is_shown(
    asked: list[Asked], members: list[Record], kinds: int, sides: int, thresholds: Thresholds, *, is_keyed: bool = True
) -> bool:  # fmt: skip
    """Whether a group may be shown. Raises ``OnTheEdgeError`` where floating-point numbers leave it open."""
    every = list(dict.fromkeys([Cell(), *(cell for one in asked for cell in one.cells)]))
    enough = [cell.holds for cell in every] + [left for left, is_strict in apart(asked) if is_strict]
    enough += [blank.holds for one in asked for blank in one.blanks]
    left = [left for left, is_strict in apart(asked) if not is_strict] + rest(asked)
    left += [_side(cell, side) for side in range(sides) for cell in every]
    fewest = thresholds.units_min
    for kind in range(kinds):
        if is_keyed and all(m.units[kind] is None for m in members):
            return False  # nobody of a kind that belongs to these rows
        counts = [units(filter(holds, members), kind) for holds in left]
        if any(units(filter(holds, members), kind) < fewest for holds in enough) or any(0 < c < fewest for c in counts):
            return False
        if not all(_is_spread(one.reach, members, kind) for one in asked if one.kind == "order"):
            return False
    pairs = [(argument.itself, one.reach) for one in asked if len(one.arguments) > 1 for argument in one.arguments]
    if not all(_has_no_small_class(part, filter(reach.holds, members), kinds, fewest) for part, reach in pairs):
        return False
    moments = [(argument, one.reach) for one in asked if one.kind == "moment" for argument in one.arguments]
    return all(
        _is_free(argument, [m for m in members if reach.holds(m)], kind, thresholds)
        for kind in range(kinds)
        for argument, reach in moments
    )


def _has_no_small_class(part: Part, members: Iterable[Record], kinds: int, fewest: int) -> bool:
    """Whether enough units have each value of an argument that is correlated with another, if it has few values."""
    classes: dict[Any, list[Record]] = defaultdict(list)
    for member in members:
        classes[part.of(member.values)].append(member)
    smallest = min((units(those, kind) for those in classes.values() for kind in range(kinds)), default=fewest)
    return len(classes) > CLASSES_MAX or smallest >= fewest


def _is_free(argument: Argument, members: list[Record], kind: int, thresholds: Thresholds) -> bool:
    """Whether no unit's part of a sum dominates, and enough units have one where parts may cancel."""
    summed = dict.fromkeys((*argument.parts, argument.itself) if argument.may_cancel else argument.parts)
    given = {part: [(m.units[kind], part.of(m.values)) for m in members] for part in summed}
    if argument.may_cancel and _moved(given[argument.itself]) < thresholds.units_min:
        return False
    return all(is_safe(pairs, thresholds) for pairs in given.values())


def _moved(given: list[tuple[Any, Any]]) -> int:
    """Return how many known units have a part that is more than what is left of numbers that cancel."""
    nets: dict[Any, float] = defaultdict(float)
    sizes: dict[Any, float] = defaultdict(float)
    for unit, part in given:
        if unit not in {None, UNKNOWN} and part is not None:
            nets[unit] += float(part)
            sizes[unit] += abs(float(part))
    return sum(abs(nets[unit]) > CLOSE * sizes[unit] for unit in nets)


def units(records: Iterable[Record], kind: int) -> int:
    """Return how many known units are behind ``records``."""
    return len({r.units[kind] for r in records} - {None, UNKNOWN})


def _is_spread(reach: Cell, members: list[Record], kind: int) -> bool:
    by_unit: dict[Any, int] = defaultdict(int)
    for record in members:
        if record.units[kind] is not None:
            by_unit[record.units[kind]] += reach.holds(record)
    return bool(by_unit) and max(by_unit.values()) * ORDER_SHARE <= sum(by_unit.values())


def is_safe(given: list[tuple[Any, Any]], thresholds: Thresholds) -> bool:
    """Whether no one or two units' parts dominate. ``given``: unit and part of each row."""
    by_unit: dict[Any, float] = {}
    for unit, part in given:
        if unit is not None and part is not None:
            by_unit[unit] = by_unit.get(unit, 0.0) + float(part)
    sizes = sorted((abs(size) for size in by_unit.values()), reverse=True)
    total = sum(sizes)
    if total == 0:
        return True
    first, second = [*sizes, 0.0, 0.0][:2]
    p, k = thresholds.dominance_p_percent / 100, thresholds.dominance_top_percent / 100
    pairs = [(total - first - second, p * first), (k * total, sum(sizes[: thresholds.dominance_top_n]))]
    asks = [thresholds.dominance_p_percent > 0, thresholds.dominance_top_percent < 100]
    is_exact = all(part is None or (part == int(part) and abs(part) < WHOLE_EXACT) for _, part in given)
    if not is_exact and any(asked and abs(a - b) <= CLOSE * total for asked, (a, b) in zip(asks, pairs, strict=True)):
        raise OnTheEdgeError
    return all(not asked or a >= b for asked, (a, b) in zip(asks, pairs, strict=True))


def apart(asked: list[Asked]) -> list[tuple[Callable[[Record], bool], bool]]:
    """Return, for each two aggregates of one quantity, which rows are left when they are subtracted.

    Where a condition keeps them apart, nobody between them tells as much as one: the second value is true.
    """
    found: list[tuple[Callable[[Record], bool], bool]] = []
    for one, other in itertools.combinations(asked, 2):
        shared = one.quantities & other.quantities
        for first, second in itertools.product(one.cells, other.cells):
            if not shared or first == second:
                continue
            if first.arguments == second.arguments:
                found.append((_differ(first, second), True))
            elif first.tests != second.tests:
                found.append((_differ(Cell(first.tests), Cell(second.tests)), True))
            elif shared - {ROWS} or any(a.may_be_null for a in (*one.arguments, *other.arguments)):
                found.append((_differ(first, second), False))
    return found


def _differ(first: Cell, second: Cell) -> Callable[[Record], bool]:
    return lambda record: first.holds(record) != second.holds(record)


def rest(asked: list[Asked]) -> list[Callable[[Record], bool]]:
    """Return which rows of a total belong to none of the parts beside it."""
    found: list[Callable[[Record], bool]] = []
    for whole, its_cell in ((one, cell) for one in asked for cell in one.cells if not cell.tests):
        beside = dict.fromkeys(
            Cell(cell.tests) for one in asked if one.quantities & whole.quantities for cell in one.cells if cell.tests
        )
        assert not its_cell.tests
        if len(beside) > 1:
            found.append(_none_of(tuple(beside)))
    return found


def _none_of(those: tuple[Cell, ...]) -> Callable[[Record], bool]:
    return lambda record: not any(cell.holds(record) for cell in those)


def _side(cell: Cell, side: int) -> Callable[[Record], bool]:
    return lambda record: cell.holds(record) and record.sides[side]
