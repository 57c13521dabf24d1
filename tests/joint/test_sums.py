"""Count and sum equal those of plain Python; thresholds hold on shares, and nobody learns which keys matched."""

import random

import pytest

from gongshu.compute.types import JointKind
from gongshu.policies.types import Thresholds
from tests.joint.conftest import BANK, GOVERNMENT


def rows_of(pair, agreed, ours, theirs):
    return (
        pair.bring(0, agreed, ((key, None) for key in ours)),
        pair.bring(1, agreed, theirs.items()),
    )


def test_sum_and_count_equal_plain_python_for_both_sides(pair, agreed):
    draw = random.Random(11)
    ours = {f"91{draw.randrange(2_000):016d}" for _ in range(700)}
    theirs = {f"91{draw.randrange(2_000):016d}": draw.randrange(-(10**9), 10**12) for _ in range(900)}
    both = agreed(JointKind.SUMS, (BANK, GOVERNMENT))
    told = pair.meet(*rows_of(pair, both, ours, theirs))
    parts = [theirs[key] for key in ours & theirs.keys()]
    for one in told:
        assert (one.code, one.passes, one.count, one.total) == ("", True, len(parts), sum(parts))
        assert one.is_signed is any(part < 0 for part in parts)
    assert [one.percent for one in pair.progress[0]][-1] >= 95
    pair.assert_nothing_is_left()  # a sum writes no file: no key of either side left the node


def test_a_sum_below_the_units_is_withheld_and_the_other_side_learns_nothing(pair, agreed):
    ours = {f"K{number}" for number in range(60)}
    theirs = {f"K{number}": 10 for number in range(51, 150)}  # 9 in both
    told = pair.meet(*rows_of(pair, agreed(JointKind.SUMS), ours, theirs))
    assert [(one.code, one.passes, one.count, one.total) for one in told] == [
        ("", False, None, None),
        ("", None, None, None),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "thresholds", "passes"),
    [
        ([100] * 40, Thresholds(10, 10, 2, 90), True),
        ([10_000, 10_000, *[10] * 38], Thresholds(10, 10, 2, 90), False),  # two have more than 90 %
        ([10_000, *[50] * 38], Thresholds(10, 10, 2, 90), True),
        ([10_000, 1, *[20] * 38], Thresholds(10, 10, 1, 100), False),  # the rest is less than 10 % of the largest
        ([10_000, 1, *[40] * 38], Thresholds(10, 10, 1, 100), True),
        ([10_000, 1, *[40] * 38], Thresholds(10, 10, 1, 80), False),  # one alone has more than 80 %
        ([-10_000, 10, *[-10] * 38], Thresholds(10, 10, 2, 90), False),  # by size, whatever the sign
        ([0] * 40, Thresholds(10, 10, 2, 90), True),
    ],
)
def test_dominated_sums_are_withheld(pair, agreed, parts, thresholds, passes):
    theirs = {f"K{number}": part for number, part in enumerate(parts)} | {f"L{number}": 10**9 for number in range(5)}
    told = pair.meet(
        *rows_of(pair, agreed(JointKind.SUMS, thresholds=thresholds), {f"K{n}" for n in range(60)}, theirs)
    )
    assert told[0].passes is passes
    assert told[0].total == (sum(parts) if passes else None)


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs"), [(20_000, 9_000), (40, 9_000), (9_000, 40)])
def test_sides_of_different_sizes_in_many_slices(pair, agreed, ours, theirs):
    draw = random.Random(ours)
    mine = {f"{draw.randrange(20_000)}" for _ in range(ours)} | {f"s{number}" for number in range(20)}
    valued = {f"{draw.randrange(20_000)}": draw.randrange(1000) for _ in range(theirs)}
    valued |= {f"s{number}": number for number in range(20)}
    told = pair.meet(*rows_of(pair, agreed(JointKind.SUMS), mine, valued))
    parts = [valued[key] for key in mine & valued.keys()]
    assert (told[0].code, told[0].count, told[0].total) == ("", len(parts), sum(parts))
