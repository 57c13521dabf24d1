"""Money: marginal tiers and splits, on the vectors of the reference (prices and splits of 65号 practice)."""

from fractions import Fraction

import pytest

from gongshu.base.money import Tier, price_units_minor, share_by_weights, split_by_tiers, tier_faults, tier_parts, yuan

PRICES = (Tier(10_000, "1.00"), Tier(100_000, "0.60"), Tier(None, "0.30"))
SHARES = (Tier(20_000_000, "0.5"), Tier(None, "0.6"))  # 5:5 up to 200 000 yuan, 6:4 above


@pytest.mark.parametrize(
    ("units", "minor"),
    [
        (0, 0), (1, 100), (10_000, 1_000_000), (10_001, 1_000_060), (60_000, 4_000_000), (100_000, 6_400_000),
        (100_001, 6_400_030), (150_000, 7_900_000),
    ],
)  # fmt: skip
def test_prices_are_marginal_by_tier(units, minor):
    assert price_units_minor(units, PRICES) == minor


@pytest.mark.parametrize(
    ("units", "rate", "minor"),
    [(1, "0.005", 1), (1, "0.0049", 0), (3, "0.005", 2), (2, "0.0049", 1), (1000, "0.0001", 10), (1, "0", 0)],
)
def test_a_price_is_rounded_half_up_once_at_the_end(units, rate, minor):
    assert price_units_minor(units, (Tier(None, rate),)) == minor


def test_fractions_of_a_fen_in_several_tiers_are_added_before_rounding():
    assert price_units_minor(2, (Tier(1, "0.004"), Tier(None, "0.004"))) == 1


@pytest.mark.parametrize(
    ("total", "supplier", "operator"),
    [
        (0, 0, 0), (1, 1, 0), (12_000_000, 6_000_000, 6_000_000), (20_000_000, 10_000_000, 10_000_000),
        (20_000_001, 10_000_001, 10_000_000), (35_000_000, 19_000_000, 16_000_000), (47_000_000, 26_200_000, 20_800_000),
    ],
)  # fmt: skip
def test_income_is_split_marginally_to_the_fen(total, supplier, operator):
    assert split_by_tiers(total, SHARES) == (supplier, operator)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (100, (1, 1, 1), (34, 33, 33)), (101, (1, 1, 1), (34, 34, 33)), (2, (1, 1, 1), (1, 1, 0)),
        (10, (0, 1), (0, 10)), (5, (1, 2, 2), (1, 2, 2)), (1, (1, 3), (0, 1)), (0, (2, 3), (0, 0)),
    ],
)  # fmt: skip
def test_missing_fen_go_to_the_largest_remainders_and_ties_in_order(total, weights, parts):
    assert share_by_weights(total, tuple(Fraction(weight) for weight in weights)) == parts


def test_a_part_names_its_tier():
    assert tier_parts(10_001, PRICES) == [(10_000, PRICES[0]), (1, PRICES[1])]
    assert tier_parts(0, PRICES) == []
    assert tier_parts(500_000, PRICES)[-1] == (400_000, PRICES[2])


@pytest.mark.parametrize(
    ("tiers", "fault"),
    [
        ((), "the last tier must have no upper bound"),
        ((Tier(5, "1"),), "the last tier must have no upper bound"),
        ((Tier(None, "1"), Tier(None, "1")), "only the last tier may have no upper bound"),
        ((Tier(0, "1"), Tier(None, "1")), "upper bounds must be positive and rise"),
        ((Tier(-1, "1"), Tier(None, "1")), "upper bounds must be positive and rise"),
        ((Tier(5, "1"), Tier(5, "1"), Tier(None, "1")), "upper bounds must be positive and rise"),
        ((Tier(9, "1"), Tier(5, "1"), Tier(None, "1")), "upper bounds must be positive and rise"),
        ((Tier(5, "-0.1"), Tier(None, "1")), "a rate is negative"),
    ],
)
def test_tiers_with_gaps_or_overlaps_have_faults(tiers, fault):
    assert tier_faults(tiers) == [fault]


@pytest.mark.parametrize("tiers", [PRICES, SHARES, (Tier(None, "0"),)])
def test_proper_tiers_have_no_faults(tiers):
    assert tier_faults(tiers) == []


@pytest.mark.parametrize(
    ("minor", "text"),
    [(0, "0.00"), (5, "0.05"), (123_405, "1,234.05"), (-123_405, "-1,234.05"), (-5, "-0.05"), (100_000_000_00, "100,000,000.00")],
)  # fmt: skip
def test_fen_are_shown_as_yuan(minor, text):
    assert yuan(minor) == text
