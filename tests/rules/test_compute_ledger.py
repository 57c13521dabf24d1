"""Which sets of units may be shown beside each other: what is left of one must be spread over ten units at least."""

import random

import numpy as np
import pytest

from gongshu.compute.rules import ledger
from gongshu.compute.types import GovernedQuery, Stage, Trace

UNITS_MIN = 10


def decide(
    known: list[set[int]],
    new: list[set[int]],
    units_min: int = UNITS_MIN,
    leverage_max: float = 0.15,
    family: str = "boxes",
) -> list[bool]:
    """Decide over plain sets, every unit a kind of its own, all sets of one family."""
    every = [*known, *new]
    units = sorted(set().union(*every))
    weights = np.array([[float(unit in one) for one in every] for unit in units])
    return ledger.decide_sets(
        weights, np.ones(len(units)), len(known), units_min, leverage_max, [frozenset([family])] * len(every)
    )


ALL = set(range(100))
CASES = [
    ("the first set of enough units", [], [set(range(10))], [True]),
    ("a set of too few units", [], [set(range(9))], [False]),
    ("the same set again tells nothing new", [ALL], [set(ALL)], [True]),
    ("all but one", [ALL], [ALL - {7}], [False]),
    ("all but nine", [ALL], [ALL - set(range(9))], [False]),
    ("all but ten", [ALL], [ALL - set(range(10))], [True]),
    ("one more than before", [set(range(50))], [set(range(51))], [False]),
    ("parts of a total", [ALL], [set(range(50)), set(range(50, 100))], [True, True]),
    ("a total after its parts is known already", [set(range(50)), set(range(50, 100))], [ALL], [True]),
    ("parts that leave five of a total", [ALL], [set(range(50)), set(range(50, 95))], [True, False]),
    ("a total after parts that leave five of it", [set(range(50)), set(range(50, 95))], [ALL], [False]),
    ("four parts of a total that leave five", [ALL], [set(range(i, i + 25)) for i in (0, 25)] + [set(range(50, 75)), set(range(75, 95))], [True, True, True, False]),
    ("two sets that share all but three, both ways", [set(range(50))], [set(range(3, 53))], [False]),
    ("halves that cross", [set(range(50))], [set(range(25, 75))], [True]),
    ("a set that has nothing to do with the others", [ALL], [set(range(200, 210))], [True]),
    ("a refused set does not count against the next", [ALL], [ALL - {7}, ALL - {8}], [False, False]),
    ("the tracker: half and one, the other half and one, all", [ALL], [set(range(50)) | {60}, set(range(50, 100))], [True, False]),
]  # fmt: skip


@pytest.mark.parametrize(("known", "new", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_left_must_be_spread(known, new, expected):
    assert decide(known, new) == expected


def test_with_two_units_at_least_a_difference_of_two_passes():
    assert decide([ALL], [ALL - {1, 2}, ALL - {1}], units_min=2, leverage_max=0.6) == [True, False]


@pytest.mark.parametrize("seed", range(20))
def test_no_combination_of_what_was_shown_is_about_one_unit(seed):
    """Random subsets of forty people: however many are asked for, nobody's value can be solved for."""
    draw = random.Random(seed)
    crowd = range(40)
    sets = [set(draw.sample(crowd, draw.randrange(10, 40))) for _ in range(60)]
    shown = [one for one, passes in zip(sets, decide([], sets), strict=True) if passes]
    table = np.array([[float(unit in one) for unit in crowd] for one in shown])
    project = np.linalg.pinv(table) @ table
    assert shown, f"seed {seed}"
    assert float(np.max(np.diag(project))) < 0.151, f"seed {seed}"


def test_many_accounts_get_no_more_than_one():
    """Each asks for something harmless; together they would have all but one."""
    asked = [set(range(100)), set(range(60)), set(range(61, 100))]
    assert decide(asked[:1], asked[1:]) == [True, False]


def test_withheld_groups_are_taken_out_of_their_stage_alone():
    stages = (Stage("stage:1", "SELECT a"), Stage("stage:2", "SELECT b"))
    traces = (Trace("stage:1", 2, "t1"), Trace("stage:2", 0, "t2"))
    query = GovernedQuery("SELECT", ("x",), (), (), is_aggregate=True, stages=stages, traces=traces)
    made = ledger.without(query, {"stage:1": (5, 7)})
    assert made.stages[1] == stages[1]
    assert made.stages[0].sql == "SELECT * REPLACE (passes AND hash(c0, c1) NOT IN (5, 7) AS passes) FROM (SELECT a)"
    assert "CAST(0 AS UBIGINT) NOT IN (0)" in ledger.without(query, {"stage:2": (0,)}).stages[1].sql
    assert ledger.trace_sql(traces) == "SELECT 0 AS s, * FROM (t1) UNION ALL SELECT 1 AS s, * FROM (t2)"
