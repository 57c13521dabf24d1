"""Splits always add up, and deadlines are what counting day by day gives."""

from datetime import date, timedelta
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from gongshu.base.money import (
    Tier,
    price_units_minor,
    share_by_weights,
    split_by_tiers,
    tier_faults,
    tier_parts,
    yuan,
)
from gongshu.server.wiring import load_calendar

CALENDAR = load_calendar()
amounts = st.integers(0, 10**13)
shares = st.decimals(0, 1, places=3).map(str)
prices = st.decimals(0, 1000, places=4).map(str)


@st.composite
def tiers(draw, rates):
    bounds = sorted(draw(st.sets(st.integers(1, 10**12), max_size=5)))
    return tuple(Tier(bound, draw(rates)) for bound in [*bounds, None])


@given(amounts, tiers(shares))
def test_a_split_by_tiers_adds_up_and_no_part_is_negative(total, table):
    assert tier_faults(table) == []
    first, second = split_by_tiers(total, table)
    assert first + second == total
    assert min(first, second) >= 0
    exact = sum((part * Fraction(tier.rate) for part, tier in tier_parts(total, table)), Fraction(0))
    assert abs(first - exact) < 1


@given(amounts, st.lists(st.fractions(0, 1000), min_size=1, max_size=8))
def test_a_split_by_weights_adds_up_and_is_off_by_less_than_a_fen(total, weights):
    assume(sum(weights) > 0)
    parts = share_by_weights(total, tuple(weights))
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        exact = total * weight / sum(weights)
        assert part in {int(exact), int(exact) + 1}
        assert exact != int(exact) or part == exact or exact < total


@given(amounts, st.permutations(range(4)), st.lists(st.integers(1, 99), min_size=4, max_size=4, unique=True))
def test_without_ties_the_order_of_the_parties_does_not_matter(total, order, weights):
    exact = [total * Fraction(weight) / sum(weights) for weight in weights]
    assume(len({part - int(part) for part in exact}) == len(exact))
    parts = share_by_weights(total, tuple(map(Fraction, weights)))
    shuffled = share_by_weights(total, tuple(Fraction(weights[place]) for place in order))
    assert shuffled == tuple(parts[place] for place in order)


@given(st.integers(0, 10**9), tiers(prices))
def test_the_parts_of_the_tiers_add_up_to_the_units(units, table):
    assert sum(part for part, _ in tier_parts(units, table)) == units
    assert all(part > 0 for part, _ in tier_parts(units, table))


@given(st.integers(0, 10**9), st.integers(0, 10**6), tiers(prices))
def test_more_units_never_cost_less(units, more, table):
    assert price_units_minor(units, table) <= price_units_minor(units + more, table)


@given(st.integers(-(10**15), 10**15))
def test_yuan_read_back_as_fen(minor):
    assert int(yuan(minor).replace(",", "").replace(".", "")) == minor


days = st.dates(date(2025, 1, 1), date(2026, 11, 1))


@given(days, st.integers(0, 40))
def test_a_deadline_is_found_by_counting_day_by_day(event, working_days):
    due = CALENDAR.due(event, working_days).day
    between = [event + timedelta(days=ahead) for ahead in range(1, (due - event).days + 1)]
    assert sum(map(CALENDAR.is_working_day, between)) == working_days
    assert working_days == 0 or CALENDAR.is_working_day(due)


@given(days, st.integers(1, 20), st.integers(1, 20))
def test_two_deadlines_one_after_the_other_are_one_of_their_sum(event, first, second):
    assert CALENDAR.due(CALENDAR.due(event, first).day, second).day == CALENDAR.due(event, first + second).day


@given(days, days, st.integers(0, 40))
def test_a_later_event_never_falls_due_earlier(one, other, working_days):
    early, late = sorted((one, other))
    assert CALENDAR.due(early, working_days).day <= CALENDAR.due(late, working_days).day
