"""Bounds and rounding equal those of plain Python; noise is as large as OpenDP says, and no larger."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.adapters import noise
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn, Stage
from gongshu.policies.types import (
    Clamp,
    ColumnPolicy,
    ContributionBounds,
    Noise,
    NoiseMechanism,
    Protection,
    ResourcePolicy,
    Rounding,
    RoundingMethod,
    Thresholds,
    Use,
)
from tests.governed import run

Row = dict[str, Any]
THRESHOLDS = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
COLUMNS = {
    "who": DataType.TEXT, "place": DataType.TEXT, "size": DataType.INTEGER, "amount": DataType.DECIMAL, "flag": DataType.BOOLEAN,
}  # fmt: skip
KINDS = {"who": "VARCHAR", "place": "VARCHAR", "size": "BIGINT", "amount": "DECIMAL(18, 4)", "flag": "BOOLEAN"}
ALL = Relation(
    "t", ResourceId("r"), tuple(RelationColumn(name, kind) for name, kind in COLUMNS.items()),
    ResourcePolicy(tuple(ColumnPolicy(name, frozenset(Use)) for name in COLUMNS), ("who",)),
)  # fmt: skip
AGGREGATES = {
    "rows": "count(*)", "sizes": "count(size)", "total": "sum(size)", "money": "sum(amount)", "mean": "avg(amount)",
    "flagged": "count(*) FILTER (WHERE flag)", "large": "sum(CASE WHEN size > 10 THEN amount ELSE 0 END)",
    "shifted": "sum(size * 2 + 100)", "people": "count(DISTINCT who)",
}  # fmt: skip
CONDITIONS: dict[str, Callable[[Row], bool]] = {
    "": lambda _: True, "flag": lambda r: r["flag"] is True, "size > 10": lambda r: r["size"] is not None and r["size"] > 10,
}  # fmt: skip


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


few_rows = st.lists(
    st.fixed_dictionaries({
        "who": st.none() | st.integers(0, 12).map(str), "place": st.none() | st.sampled_from("abc"),
        "size": st.none() | st.integers(-20, 60), "amount": st.none() | st.decimals(-50, 500, places=2),
        "flag": st.none() | st.booleans(),
    }),
    max_size=40,
)  # fmt: skip
rows_of_t = few_rows | st.randoms(use_true_random=False).map(many_rows)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return abs(float(one) - float(other)) < 1e-6
    return bool(one == other)


def fill(engine: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    engine.execute(f"CREATE TABLE given ({', '.join(f'{name} {kind}' for name, kind in KINDS.items())})")
    if rows:
        lists = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in KINDS.values())
        engine.execute(f"INSERT INTO given SELECT {lists}", [[row[name] for row in rows] for name in KINDS])
    engine.execute('CREATE TABLE t AS SELECT *, CASE WHEN who IS NOT NULL THEN hash(who) END AS "unit:" FROM given')


P_VALUE = 1e-9  # of a false alarm; each bound below is at the quantile of a known distribution
SCRAMBLE, PRIME = 7_919, 1_000_003


def order_of(index: int) -> int:
    """Stand in for the keyed hash of a row's place: different for each row, in no order that a statement could know."""
    return (index * SCRAMBLE + 17) % PRIME


def fill_ordered(engine: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    fill(engine, rows)
    engine.execute('ALTER TABLE t ADD COLUMN "order:" UBIGINT')
    engine.execute('ALTER TABLE t ADD COLUMN "key:who" VARCHAR')
    engine.execute('UPDATE t SET "key:who" = who')
    engine.execute(f'UPDATE t SET "order:" = (rowid * {SCRAMBLE} + 17) % {PRIME}')


def bounded(rows: list[Row], key: str, condition: str, bounds: ContributionBounds) -> list[Row]:
    """Return the rows that stay: of each unit the first so many of a group, in the first so many groups."""
    reached = [(order_of(i), row) for i, row in enumerate(rows) if CONDITIONS[condition](row)]
    by_unit: dict[Any, dict[Any, list[tuple[int, Row]]]] = defaultdict(lambda: defaultdict(list))
    stay = [row for _, row in reached if row["who"] is None]
    for order, row in reached:
        if row["who"] is not None:
            by_unit[row["who"]][row[key] if key else None].append((order, row))
    for groups in by_unit.values():
        ranked = sorted(groups.values(), key=lambda members: min(order for order, _ in members))
        for members in ranked[: bounds.groups_per_unit_max or None] if key else ranked:
            stay += [row for _, row in sorted(members, key=lambda pair: pair[0])[: bounds.rows_per_group_max]]
    return stay


def governed(
    rows: list[Row], protection: Protection, asked: list[str], key: str, condition: str
) -> list[tuple[Any, ...]]:
    items = ([key] if key else []) + [f"{AGGREGATES[name]} AS {name}_" for name in asked]
    sql = f"SELECT {', '.join(items)} FROM t" + (f" WHERE {condition}" if condition else "")
    sql += f" GROUP BY {key}" if key else ""
    decision = decide_query((ALL,), replace(THRESHOLDS, protection=protection), sql)
    assert isinstance(decision, Permitted), [reason.code for reason in decision.reasons]
    with duckdb.connect() as engine:
        fill_ordered(engine, rows)
        return run(engine, decision.value)


def agree(found: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> bool:
    pairs = zip(*(sorted(rows, key=lambda row: str(row[0])) for rows in (found, wanted)), strict=True)
    return len(found) == len(wanted) and all(
        same(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)
    )


some_aggregates = st.lists(st.sampled_from(sorted(AGGREGATES)), min_size=1, max_size=2, unique=True)
some_key, some_condition = st.sampled_from(["", "place"]), st.sampled_from(["", "flag", "size > 10"])


@settings(max_examples=20)
@given(rows_of_t, some_aggregates, some_key, some_condition, st.integers(1, 3), st.integers(0, 2))
def test_bounded_answers_equal_the_reference(  # noqa: PLR0917 - drawn
    rows: list[Row], asked: list[str], key: str, condition: str, most: int, groups: int
) -> None:
    bounds = ContributionBounds(most, groups)
    found = governed(rows, Protection(bounds), asked, key, condition)
    assert agree(found, governed(bounded(rows, key, condition, bounds), Protection(), asked, key, condition))


def rounded(count: int, rounding: Rounding) -> int | None:
    if count <= rounding.redact_max and rounding.redact_max:
        return None
    if rounding.method is RoundingMethod.MIDPOINT:
        return count and math.ceil(count / rounding.base) * rounding.base - rounding.base // 2
    return int(math.copysign(math.floor(abs(count) / rounding.base + 0.5), count)) * rounding.base


ROUNDED = ["rows", "sizes", "total", "money", "mean", "flagged", "people"]
some_rounding = st.builds(Rounding, st.sampled_from([2, 5, 10]), redact_max=st.sampled_from([0, 4])) | st.just(
    Rounding(6, RoundingMethod.MIDPOINT)
)


@settings(max_examples=20)
@given(rows_of_t, st.lists(st.sampled_from(ROUNDED), min_size=1, max_size=2, unique=True), some_key, some_rounding)
def test_rounded_answers_equal_the_reference(rows: list[Row], asked: list[str], key: str, rounding: Rounding) -> None:
    asked = [*(name for name in asked if name != "mean"), "mean"]
    exact = governed(rows, Protection(), asked, key, "")
    found = governed(rows, Protection(rounding=rounding), asked, key, "")
    names = ([key] if key else []) + asked
    wanted = []
    for row in exact:
        made = []
        for name, value in zip(names, row, strict=True):
            if name in {"rows", "sizes", "flagged", "people"}:
                made.append(rounded(value, rounding))
            elif name == "total":
                made.append(rounded(value, Rounding(rounding.base)))
            elif name == "mean":
                members = [r for r in rows if (not key or r[key] == row[0]) and r["amount"] is not None]
                whole = rounded(len(members), Rounding(rounding.base, rounding.method))
                made.append(float(sum(r["amount"] for r in members)) / whole if whole else None)
            else:
                made.append(value)
        wanted.append(tuple(made))
    assert agree(found, wanted)


FILLED = replace(ALL, columns=tuple(replace(column, is_filled=True) for column in ALL.columns))
MORE = """SELECT place, count(*) AS n, count(size) AS c, sum(size) AS s, avg(amount) AS a, sum(amount * 2 + 3) AS m,
    sum(CASE WHEN flag THEN amount ELSE 0 END) AS f, count(*) FILTER (WHERE size > 10) AS l FROM t GROUP BY place"""


@settings(max_examples=20)
@given(rows_of_t)
def test_knowing_that_no_field_is_empty_changes_no_answer(rows: list[Row]) -> None:
    whole = [row for row in rows if None not in row.values()]
    answers, lengths = [], []
    for relation in (ALL, FILLED):
        query = decide_query((relation,), THRESHOLDS, MORE).value_or_raise()
        lengths.append(len(query.stages[0].sql))
        with duckdb.connect() as engine:
            fill(engine, whole)
            answers.append(run(engine, query))
    assert agree(*answers)
    assert lengths[1] < lengths[0]


OUTER = "SELECT count(b.size) AS n, sum(b.amount) AS s FROM t AS a LEFT JOIN t AS b ON a.who = b.place"


def test_on_the_optional_side_of_a_join_every_field_may_be_empty() -> None:
    one, other = (decide_query((relation,), THRESHOLDS, OUTER).value_or_raise() for relation in (ALL, FILLED))
    assert one.stages == other.stages


# ----------------------------------------------------------------------------------------------------------- noise

DRAWS = 4_000


def tail(p_value: float, draws: int, share: float) -> tuple[float, float]:
    """Return between which numbers a binomial count lies but for ``p_value`` (Chernoff, both sides)."""
    width = math.sqrt(3 * draws * share * math.log(2 / p_value))
    return draws * share - width, draws * share + width


@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
@pytest.mark.parametrize(("groups", "sensitivity", "epsilon"), [(1, 1, 0.5), (3, 2, 1.0), (1, 10**9, 0.3)])
def test_noise_is_as_large_as_opendp_says(mechanism: str, groups: int, sensitivity: int, epsilon: float) -> None:
    measurement = noise.calibrate(mechanism, groups=groups, sensitivity=sensitivity, epsilon=epsilon, delta=1e-9)
    drawn = measurement([0] * DRAWS)
    scale = scale_of(mechanism, groups, sensitivity, epsilon)
    for alpha in (0.5, 0.1):
        accuracy = accuracy_of(mechanism, scale, alpha)
        beyond = sum(abs(value) >= accuracy for value in drawn)
        # A whole number of the distribution lies on the bound: its mass belongs to neither side surely.
        mass = sum(abs(abs(value) - accuracy) < 1 for value in drawn) if sensitivity < 100 else 0
        low, high = tail(P_VALUE, DRAWS, alpha)
        assert low - mass <= beyond <= high + mass, (mechanism, alpha, beyond)
    # OpenDP's own reckoning of what that noise costs: exactly the price, not a hair more.
    if mechanism == "laplace":
        assert epsilon * 0.99 <= measurement.map(groups * sensitivity) <= epsilon
    else:
        spent = measurement.map(math.nextafter(math.sqrt(groups) * sensitivity, math.inf))
        assert epsilon * 0.99 <= spent[0] <= epsilon
        assert spent[1] <= 1e-9


def scale_of(mechanism: str, groups: int, sensitivity: int, epsilon: float) -> float:
    if mechanism == "laplace":
        return groups * sensitivity / epsilon
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    distance = math.sqrt(groups) * sensitivity
    return float(
        dp.binary_search_param(
            lambda s: dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*space, scale=s)), 1e-9),
            d_in=distance, d_out=(epsilon, 1e-9), bounds=(distance / 20, distance * 1e6),
        )
    )  # fmt: skip


def accuracy_of(mechanism: str, scale: float, alpha: float) -> float:
    if mechanism == "laplace":
        return float(dp.discrete_laplacian_scale_to_accuracy(scale=scale, alpha=alpha))
    # OpenDP walks over whole numbers here; far from them the continuous distribution is the same.
    is_fine = scale > 1e6
    to = dp.gaussian_scale_to_accuracy if is_fine else dp.discrete_gaussian_scale_to_accuracy
    return float(to(scale=scale, alpha=alpha))


def test_a_group_of_one_unit_is_all_but_never_chosen() -> None:
    chosen = noise.choose(groups=3, epsilon=0.5, delta=1e-9)
    counts = dict.fromkeys(range(DRAWS), 1) | {DRAWS + i: 100_000 for i in range(50)}
    found = chosen(counts)
    assert set(found) == {DRAWS + i for i in range(50)}  # one single unit among them: probability below 4 000 · 1e-9
    assert chosen.map((3, 3, 1))[0] <= 0.5
    assert 0 < chosen.map((3, 3, 1))[1] <= 1e-9


def test_answers_of_neighbouring_data_are_told_apart_no_better_than_the_price_says() -> None:
    """Whoever sees one count tells two worlds apart with odds of at most e^ε: looked at over many draws."""
    epsilon = 1.0
    measurement = noise.calibrate("laplace", groups=1, sensitivity=1, epsilon=epsilon, delta=0)
    worlds = [Counter(measurement([count] * DRAWS)) for count in (10, 11)]
    for threshold in range(7, 15):
        seen = [sum(n for value, n in world.items() if value >= threshold) for world in worlds]
        _, most = tail(P_VALUE, DRAWS, min(1.0, math.exp(epsilon) * max(seen[0], 1) / DRAWS))
        assert seen[1] <= most + 4 * math.sqrt(DRAWS * 25)


def moved_at_most(stage: Stage, rows: list[Row], without: list[Row]) -> None:
    """Compare the exact measurements of two worlds that differ by one unit with the sensitivity that is claimed."""
    assert stage.noise is not None
    exact = []
    for world in (rows, without):
        with duckdb.connect() as engine:
            fill_ordered(engine, world)
            made = engine.execute(stage.sql)
            names = [column[0] for column in made.description or ()]
            exact.append({row[0]: dict(zip(names, row, strict=True)) for row in made.fetchall()})
    columns = [("units", 1), *((one.column, one.sensitivity) for one in stage.noise.measurements)]
    for column, sensitivity in columns:
        moved = [abs(exact[0].get(g, {}).get(column, 0) - exact[1].get(g, {}).get(column, 0)) for g in (*"abc", None)]
        assert max(moved) <= sensitivity
        assert sum(m > 0 for m in moved) <= 2


@given(st.integers(0, 2**32))
@settings(max_examples=8)
def test_sums_stay_within_their_bounds_before_noise(seed: int) -> None:
    """One unit moves the exact measurement by no more than the sensitivity, whatever its rows hold."""
    draw = random.Random(seed)
    clamp = Clamp(ResourceId("r"), "size", -20, 60)
    given_noise = Noise(NoiseMechanism.LAPLACE, 500, 1000, 10**6, 10**6, (clamp,))
    protection = Protection(ContributionBounds(2, 2), noise=given_noise)
    sql = "SELECT place, count(*) AS n, sum(size) AS s, avg(size) AS a, var_pop(size) AS v FROM t GROUP BY place"
    decision = decide_query((ALL,), replace(THRESHOLDS, protection=protection), sql)
    assert isinstance(decision, Permitted)
    stage = decision.value.stages[0]
    rows = [
        {"who": str(draw.randrange(6)), "place": draw.choice("abc"), "size": draw.choice([None, -9_999, 9_999, 7]), "amount": None, "flag": None}
        for _ in range(40)
    ]  # fmt: skip
    without = [row if row["who"] != "0" else {**row, "who": None} for row in rows]
    moved_at_most(stage, rows, without)


JOINED = """SELECT a.place, count(*) AS n, sum(b.size) AS s, count(DISTINCT b.who) AS w FROM t AS a {side} JOIN t AS b ON a.who = b.who
    GROUP BY a.place"""


@given(st.integers(0, 2**32), st.sampled_from(["INNER", "LEFT", "RIGHT"]))
@settings(max_examples=8)
def test_relations_joined_by_their_units_move_no_more_than_one_unit_can(seed: int, side: str) -> None:
    draw = random.Random(seed)
    given_noise = Noise(NoiseMechanism.LAPLACE, 500, 1000, 10**6, 10**6, (Clamp(ResourceId("r"), "size", -20, 60),))
    protection = Protection(ContributionBounds(2, 2), noise=given_noise)
    decision = decide_query((ALL,), replace(THRESHOLDS, protection=protection), JOINED.format(side=side))
    assert isinstance(decision, Permitted), decision.reasons
    stage = decision.value.stages[0]
    rows = [
        {"who": draw.choice(["0", "1", "2", "3", None]), "place": draw.choice("abc"), "size": draw.randrange(-99, 99), "amount": None, "flag": None}
        for _ in range(30)
    ]  # fmt: skip
    moved_at_most(stage, rows, [row if row["who"] != "0" else {**row, "who": None} for row in rows])
