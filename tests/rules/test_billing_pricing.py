"""Prices: fees, packs, stages, caps, and both ways of reading tiers."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongshu.base.ids import ContractId, PartyId
from gongshu.base.money import Tier, price_units_minor
from gongshu.billing.rules.packs import months_later
from gongshu.billing.rules.pricing import StageUnits, draw_packs, price_month, stage_bounds
from gongshu.billing.types import LineKind, PackUse
from gongshu.products.rules import stages_fault
from gongshu.products.types import PLAIN, PriceStage, Pricing, TierMethod

TIERS = (Tier(10, "5.00"), Tier(100, "4.00"), Tier(None, "3.00"))
MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)


def pack(number: int, units: int, *, bought: date = MARCH, ends: date = MAY) -> PackUse:
    """Return a pack of whole units."""
    return PackUse(
        f"pack-{number}", ContractId("c"), PartyId("bank"), PartyId("op"), units, units, 10_000, bought, ends
    )


@pytest.mark.parametrize(
    ("pricing", "units", "prepaid", "lines", "fen"),
    [
        (PLAIN, 0, 0, [], 0),
        (PLAIN, 120, 0, [(LineKind.USAGE, 10), (LineKind.USAGE, 90), (LineKind.USAGE, 20)], 47_000),
        (Pricing(method=TierMethod.VOLUME), 120, 0, [(LineKind.USAGE, 120)], 36_000),
        (Pricing(method=TierMethod.VOLUME), 100, 0, [(LineKind.USAGE, 100)], 40_000),
        (Pricing(period_fee_minor=9_900, period_units=50), 40, 0, [(LineKind.PERIOD_FEE, 1), (LineKind.INCLUDED, 40)], 9_900),
        (
            Pricing(period_fee_minor=9_900, period_units=50), 65, 0,
            [(LineKind.PERIOD_FEE, 1), (LineKind.INCLUDED, 50), (LineKind.USAGE, 10), (LineKind.USAGE, 5)], 16_900,
        ),
        (PLAIN, 15, 12, [(LineKind.PREPAID, 12), (LineKind.USAGE, 3)], 1_500),
        (PLAIN, 5, 12, [(LineKind.PREPAID, 5)], 0),
        (
            Pricing(cap_minor=20_000), 120, 0,
            [(LineKind.USAGE, 10), (LineKind.USAGE, 90), (LineKind.USAGE, 20), (LineKind.CAP, 1)], 20_000,
        ),
        (Pricing(cap_minor=90_000), 10, 0, [(LineKind.USAGE, 10)], 5_000),
    ],
)  # fmt: skip
def test_a_month_is_priced_line_by_line(
    pricing: Pricing, units: int, prepaid: int, lines: list[tuple[LineKind, int]], fen: int
) -> None:
    found, cost = price_month([StageUnits(units, 100)], TIERS, pricing, is_performed=True, pack_units=prepaid)
    assert [(line.kind, line.consumed_quantity) for line in found] == lines
    assert cost == fen


def test_stages_change_the_rate_within_a_month_while_tiers_run_on() -> None:
    spans = [StageUnits(8, 0), StageUnits(4, 50), StageUnits(3, 100)]
    found, cost = price_month(spans, TIERS, PLAIN, is_performed=True)
    assert [(line.consumed_quantity, line.list_unit_price, line.percent) for line in found] == [
        (8, "5.00", 0), (2, "5.00", 50), (2, "4.00", 50), (3, "4.00", 100),
    ]  # fmt: skip
    assert cost == 500 + 400 + 1_200


def test_a_pack_is_billed_when_it_is_bought_and_stands_outside_the_cap() -> None:
    found, cost = price_month(
        [StageUnits(120, 100)], TIERS, Pricing(cap_minor=20_000), is_performed=True, bought=[pack(1, 50)]
    )
    assert found[-1].kind is LineKind.PACK
    assert cost == 30_000


def test_no_fee_is_owed_for_a_month_without_the_contract() -> None:
    pricing = Pricing(period_fee_minor=9_900, period_units=50)
    assert price_month([StageUnits(0, 100)], TIERS, pricing, is_performed=False) == ((), 0)


def test_the_pack_that_ends_first_is_used_first_and_none_outside_its_time() -> None:
    packs = (pack(1, 10, ends=date(2026, 6, 1)), pack(2, 10), pack(3, 10, bought=APRIL), pack(4, 10, ends=MARCH))
    kept, left = draw_packs(packs, MARCH, 15)
    assert ([p.units_left for p in kept], left) == ([5, 0, 10, 10], 0)
    kept, left = draw_packs(kept, APRIL, 18)
    assert ([p.units_left for p in kept], left) == ([0, 0, 0, 10], 3)


def test_a_month_is_cut_where_a_stage_begins() -> None:
    pricing = Pricing(stages=(PriceStage("初创期", date(2026, 2, 10), 0), PriceStage("成熟期", date(2026, 3, 15), 80)))
    assert stage_bounds(pricing, date(2026, 1, 1), date(2026, 2, 1)) == ((date(2026, 1, 1), 100),)
    assert stage_bounds(pricing, date(2026, 2, 1), MARCH) == ((date(2026, 2, 1), 100), (date(2026, 2, 10), 0))
    assert stage_bounds(pricing, MARCH, APRIL) == ((MARCH, 0), (date(2026, 3, 15), 80))
    assert stage_bounds(pricing, APRIL, MAY) == ((APRIL, 80),)


@pytest.mark.parametrize(
    ("stages", "fault"),
    [
        ((), ""),
        ((PriceStage("a", MARCH, 0), PriceStage("b", APRIL, 100)), ""),
        ((PriceStage("a", APRIL, 0), PriceStage("b", MARCH, 100)), "rise"),
        ((PriceStage("a", MARCH, 101),), "between"),
        ((PriceStage(" ", MARCH, 50),), "name"),
    ],
)
def test_stages_rise_in_time_and_are_shares_of_the_rate(stages: tuple[PriceStage, ...], fault: str) -> None:
    assert fault in stages_fault(stages)
    assert bool(stages_fault(stages)) == bool(fault)


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 100)), min_size=1, max_size=5), st.integers(0, 300),
    st.sampled_from(TierMethod), st.none() | st.integers(1, 100_000),
)  # fmt: skip
def test_every_call_stands_on_exactly_one_line_and_the_sum_is_that_of_the_lines(
    parts: list[tuple[int, int]], prepaid: int, method: TierMethod, cap: int | None
) -> None:
    spans = [StageUnits(units, percent) for units, percent in parts]
    pricing = Pricing(method=method, period_fee_minor=100, period_units=20, cap_minor=cap)
    lines, cost = price_month(spans, TIERS, pricing, is_performed=True, pack_units=prepaid)
    counted = [line for line in lines if line.consumed_unit == "call"]
    assert sum(line.consumed_quantity for line in counted) == sum(span.units for span in spans)
    exact = 100 + sum(
        Fraction(line.consumed_quantity) * Fraction(line.list_unit_price) * line.percent
        for line in counted
        if line.kind is LineKind.USAGE
    )
    assert cost == int(min(exact, Fraction(cap) if cap is not None else exact) + Fraction(1, 2))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_cutting_a_month_into_stretches_at_the_full_rate_changes_nothing(first: int, second: int, third: int) -> None:
    spans = [StageUnits(units, 100) for units in (first, second, third)]
    _, cost = price_month(spans, TIERS, PLAIN, is_performed=True)
    assert cost == price_units_minor(first + second + third, TIERS)


@given(st.lists(st.integers(0, 40), max_size=6))
def test_packs_never_give_more_than_they_hold(months: list[int]) -> None:
    packs = (pack(1, 30, ends=date(2026, 12, 1)), pack(2, 25, ends=date(2026, 7, 1)))
    given_out = 0
    for place, units in enumerate(months):
        before = sum(p.units_left for p in packs)
        packs, left = draw_packs(packs, months_later(MARCH, place), units)
        assert before - sum(p.units_left for p in packs) == units - left
        given_out += units - left
    assert given_out <= 55
    assert all(p.units_left >= 0 for p in packs)
