"""The governed answer equals the same query with the same thresholds, reckoned over Python lists."""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use
from tests.governed import run

Row = dict[str, Any]
THRESHOLDS = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
COLUMNS = {
    "who": DataType.TEXT, "place": DataType.TEXT, "size": DataType.INTEGER, "amount": DataType.DECIMAL, "flag": DataType.BOOLEAN,
}  # fmt: skip
ALL = Relation(
    "t", ResourceId("r"), tuple(RelationColumn(name, kind) for name, kind in COLUMNS.items()),
    ResourcePolicy(tuple(ColumnPolicy(name, frozenset(Use)) for name in COLUMNS), ("who",)),
)  # fmt: skip

few_rows = st.lists(
    st.fixed_dictionaries({
        "who": st.none() | st.integers(0, 12).map(str),
        "place": st.none() | st.sampled_from("abc"),
        "size": st.none() | st.integers(-20, 60),
        "amount": st.none() | st.decimals(-50, 500, places=2),
        "flag": st.none() | st.booleans(),
    }),
    max_size=60,
)  # fmt: skip


def many_rows(draw: random.Random) -> list[Row]:
    """Return enough rows that groups pass, most of them alike, so that little is left where they are told apart."""

    def mostly(usual: Any, other: Any) -> Any:
        return usual if draw.random() < 0.9 else other

    return [
        {
            "who": mostly(str(draw.randrange(20)), None), "place": draw.choice("ab"),
            "size": mostly(draw.randrange(11, 60), draw.choice([None, 3])),
            "amount": mostly(Decimal(draw.randrange(100, 50_000)) / 100, None), "flag": mostly(True, draw.choice([None, False])),
        }
        for _ in range(draw.randrange(20, 60))
    ]  # fmt: skip


rows_of_t = few_rows | st.randoms(use_true_random=False).map(many_rows)


def size_over_ten(row: Row) -> bool:
    return row["size"] is not None and row["size"] > 10


def is_flagged(row: Row) -> bool:
    return row["flag"] is True


# Each aggregate: its SQL, the argument of a row (None: not there), which rows it looks at, whether dominance applies.
Reach = Callable[[Row], bool]
AGGREGATES: dict[str, tuple[str, Callable[[Row], Any], Reach, bool]] = {
    "rows": ("count(*)", lambda _: 1, lambda _: True, False),
    "sizes": ("count(size)", lambda r: r["size"], lambda r: r["size"] is not None, False),
    "total": ("sum(size)", lambda r: r["size"], lambda r: r["size"] is not None, True),
    "money": ("sum(amount)", lambda r: r["amount"], lambda r: r["amount"] is not None, True),
    "mean": ("avg(amount)", lambda r: r["amount"], lambda r: r["amount"] is not None, True),
    "flagged": ("count(*) FILTER (WHERE flag)", lambda _: 1, is_flagged, False),
    "large": (
        "sum(CASE WHEN size > 10 THEN amount ELSE 0 END)",
        lambda r: r["amount"] if size_over_ten(r) else Decimal(0),
        lambda r: size_over_ten(r) and r["amount"] is not None,
        True,
    ),
    "shifted": ("sum(size * 2 + 100)", lambda r: None if r["size"] is None else r["size"] * 2 + 100, lambda r: r["size"] is not None, True),
    "people": ("count(DISTINCT who)", lambda r: r["who"], lambda _: True, False),
}  # fmt: skip
PARTS: dict[str, Callable[[Row], Any]] = {
    "large": lambda r: r["amount"] if size_over_ten(r) else None,
    "shifted": lambda r: r["size"],
}
"""What dominance looks at, where it is not the argument itself: constants added to a column hide nothing."""

Cell = tuple[str, str]
CELLS: dict[str, tuple[str, list[Cell]]] = {
    "rows": ("#", [("", "")]), "people": ("#", [("", "")]), "sizes": ("#", [("", "size")]), "flagged": ("#", [("flag", "")]),
    "total": ("size", [("", "size")]), "shifted": ("size", [("", "shifted")]),
    "money": ("amount", [("", "amount")]), "mean": ("amount", [("", "amount")]), "large": ("amount", [("", "large"), ("big", "large")]),
}  # fmt: skip
"""Of what an aggregate tells something, and its cells: a condition and an argument that is not NULL."""
TESTS: dict[str, Reach] = {"": lambda _: True, "flag": is_flagged, "big": size_over_ten}
PRESENT: dict[str, Reach] = {
    "": lambda _: True, "size": lambda r: r["size"] is not None, "shifted": lambda r: r["size"] is not None,
    "amount": lambda r: r["amount"] is not None, "large": lambda r: not size_over_ten(r) or r["amount"] is not None,
}  # fmt: skip


def is_in(cell: Cell, row: Row) -> bool:
    return TESTS[cell[0]](row) and PRESENT[cell[1]](row)


def left_by_subtraction(first: Cell, second: Cell, quantity: str, rows: list[Row]) -> list[Row]:
    """Return the rows that two aggregates of one quantity do not share, as far as their difference tells of them."""
    if first[1] == second[1]:
        return [row for row in rows if is_in(first, row) != is_in(second, row)]
    if first[0] != second[0]:
        return [row for row in rows if TESTS[first[0]](row) != TESTS[second[0]](row)]
    return [row for row in rows if is_in(first, row) != is_in(second, row)] if quantity != "#" else []


def differences_are_large(asked: list[str], rows: list[Row]) -> bool:
    for one, other in itertools.combinations(asked, 2):
        (quantity, mine), (their_quantity, theirs) = CELLS[one], CELLS[other]
        for first, second in itertools.product(mine, theirs):
            left = left_by_subtraction(first, second, quantity, rows) if quantity == their_quantity else []
            if any(row["who"] is not None for row in left) and not enough_units(left):
                return False
    return True


CONDITIONS: dict[str, Reach] = {
    "": lambda _: True,
    "flag": is_flagged,
    "size > 10": size_over_ten,
    "size BETWEEN 0 AND 30 AND amount IS NOT NULL": lambda r: r["size"] is not None and 0 <= r["size"] <= 30 and r["amount"] is not None,
    "NOT flag OR place = 'a'": lambda r: r["flag"] is False or r["place"] == "a",
    "place IN ('a', 'b')": lambda r: r["place"] in ("a", "b"),
}  # fmt: skip


def enough_units(rows: Iterable[Row]) -> bool:
    return len({row["who"] for row in rows if row["who"] is not None}) >= THRESHOLDS.units_min


def is_safe_from_dominance(rows: list[Row], part: Callable[[Row], Any]) -> bool:
    by_unit: dict[str, Any] = defaultdict(lambda: None)
    for row in rows:
        value = part(row)
        if row["who"] is not None and value is not None:
            by_unit[row["who"]] = value + (by_unit[row["who"]] or 0)
    sizes = sorted((abs(float(size)) for size in by_unit.values()), reverse=True)
    total = sum(sizes)
    if total == 0:
        return True
    first, second = [*sizes, 0.0, 0.0][:2]
    p, k = THRESHOLDS.dominance_p_percent / 100, THRESHOLDS.dominance_top_percent / 100
    return total - first - second >= p * first and sum(sizes[: THRESHOLDS.dominance_top_n]) <= k * total


def answer(rows: list[Row], asked: list[str], key: str, condition: str) -> list[tuple[Any, ...]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        if CONDITIONS[condition](row):
            groups[row[key] if key else None].append(row)
    released = []
    for value, members in groups.items():
        if not enough_units(members) or not differences_are_large(asked, members):
            continue
        cells = []
        for name in asked:
            _, argument, reach, is_moment = AGGREGATES[name]
            reached = [row for row in members if reach(row)]
            part = PARTS.get(name, argument)
            if not enough_units(reached) or (is_moment and not is_safe_from_dominance(reached, part)):
                break
            cells.append(reckon(name, members, argument))
        else:
            released.append((value, *cells) if key else tuple(cells))
    return released


def reckon(name: str, members: list[Row], argument: Callable[[Row], Any]) -> Any:
    values = [value for value in map(argument, members) if value is not None]
    if name == "flagged":
        return sum(is_flagged(row) for row in members)
    if name == "people":
        return len(set(values))
    if name in {"rows", "sizes"}:
        return len(values)
    return sum(values) / len(values) if name == "mean" else sum(values)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return abs(float(one) - float(other)) < 1e-6
    return bool(one == other)


def fill(engine: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    kinds = {"who": "VARCHAR", "place": "VARCHAR", "size": "BIGINT", "amount": "DECIMAL(18, 4)", "flag": "BOOLEAN"}
    engine.execute(f"CREATE TABLE given ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
    if rows:
        lists = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in kinds.values())
        engine.execute(f"INSERT INTO given SELECT {lists}", [[row[name] for row in rows] for name in kinds])
    engine.execute('CREATE TABLE t AS SELECT *, CASE WHEN who IS NOT NULL THEN hash(who) END AS "unit:" FROM given')


@settings(max_examples=300)
@given(
    rows_of_t, st.lists(st.sampled_from(sorted(AGGREGATES)), min_size=1, max_size=3, unique=True), st.sampled_from(["", "place"]),
    st.sampled_from(sorted(CONDITIONS)),
)  # fmt: skip
def test_the_governed_answer_equals_the_reference(rows: list[Row], asked: list[str], key: str, condition: str) -> None:
    items = ([key] if key else []) + [f"{AGGREGATES[name][0]} AS {name}_" for name in asked]
    sql = f"SELECT {', '.join(items)} FROM t" + (f" WHERE {condition}" if condition else "")
    sql += f" GROUP BY {key}" if key else ""
    decision = decide_query((ALL,), THRESHOLDS, sql)
    assert isinstance(decision, Permitted)
    with duckdb.connect() as engine:
        fill(engine, rows)
        found = run(engine, decision.value)
    wanted = answer(rows, asked, key, condition)
    by_key = lambda row: str(row[0])  # noqa: E731
    assert len(found) == len(wanted)
    for one, other in zip(sorted(found, key=by_key), sorted(wanted, key=by_key), strict=True):
        assert all(same(a, b) for a, b in zip(one, other, strict=True)), (sql, one, other)


@settings(max_examples=60)
@given(rows_of_t)
def test_a_group_withheld_alone_takes_one_more_along_when_a_total_stands_beside(rows: list[Row]) -> None:
    sql = "SELECT place, count(*) AS n, (SELECT count(*) FROM t) AS total FROM t GROUP BY place"
    decision = decide_query((ALL,), THRESHOLDS, sql)
    assert isinstance(decision, Permitted)
    with duckdb.connect() as engine:
        fill(engine, rows)
        found = run(engine, decision.value)
    shown = {row[0] for row in found}
    withheld: dict[Any, set[str]] = defaultdict(set)
    for row in rows:
        if row["place"] not in shown:
            withheld[row["place"]].update({row["who"]} - {None})
    if found and withheld:
        assert len(withheld) >= 2
        assert sum(len(units) for units in withheld.values()) >= THRESHOLDS.units_min
