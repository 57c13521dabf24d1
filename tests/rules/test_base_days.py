"""Days: working-day deadlines on the vectors of the reference, periods, days in China."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gongshu.base.days import DueDay, Period, WorkingCalendar, add_years, local_day, start_of_day
from gongshu.server.wiring import load_calendar

CALENDAR = load_calendar()


@pytest.mark.parametrize(
    ("event", "working_days", "due"),
    [
        ("2025-03-01", 30, "2025-04-14"), ("2025-03-03", 20, "2025-03-31"),
        ("2025-09-29", 3, "2025-10-10"), ("2025-09-29", 10, "2025-10-20"), ("2025-09-29", 20, "2025-11-03"),
        ("2026-02-10", 3, "2026-02-13"), ("2026-02-10", 10, "2026-03-02"), ("2026-02-10", 20, "2026-03-16"),
        ("2026-02-13", 3, "2026-02-25"), ("2026-04-28", 3, "2026-05-06"),
        ("2026-09-21", 3, "2026-09-24"), ("2026-09-21", 10, "2026-10-12"), ("2026-09-21", 20, "2026-10-26"),
    ],
)  # fmt: skip
def test_deadlines_follow_the_calendar_of_the_state_council(event, working_days, due):
    assert CALENDAR.due(date.fromisoformat(event), working_days) == DueDay(date.fromisoformat(due))


def test_a_deadline_of_no_days_ends_on_the_day_of_the_event():
    assert CALENDAR.due(date(2026, 5, 1), 0) == DueDay(date(2026, 5, 1))


@pytest.mark.parametrize(
    ("event", "working_days", "is_provisional"),
    [("2026-12-31", 0, False), ("2026-12-30", 1, False), ("2026-12-31", 1, True), ("2024-12-31", 1, True), ("2027-03-01", 1, True)],
)  # fmt: skip
def test_a_deadline_that_touches_a_year_without_calendar_is_provisional(event, working_days, is_provisional):
    assert CALENDAR.due(date.fromisoformat(event), working_days).is_provisional is is_provisional


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-02-14", True), ("2026-02-16", False), ("2026-02-15", False), ("2026-02-24", True), ("2025-01-26", True),
        ("2027-01-01", True), ("2027-01-02", False),
    ],
)  # fmt: skip
def test_offices_work_on_weekdays_and_make_up_days_but_not_on_days_off(day, works):
    assert CALENDAR.is_working_day(date.fromisoformat(day)) is works


def test_the_calendar_holds_weekdays_off_and_weekend_days_worked_of_its_years_only():
    assert CALENDAR.years == {2025, 2026}
    assert {day.year for day in CALENDAR.days_off | CALENDAR.days_worked} == CALENDAR.years
    assert all(day.weekday() < 5 for day in CALENDAR.days_off)
    assert all(day.weekday() >= 5 for day in CALENDAR.days_worked)


def test_an_empty_calendar_counts_monday_to_friday():
    assert WorkingCalendar(frozenset()).due(date(2026, 2, 13), 1) == DueDay(date(2026, 2, 16), is_provisional=True)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 2, 28, 15, 59, 59, tzinfo=UTC), date(2026, 2, 28)),
        (datetime(2026, 2, 28, 16, 0, tzinfo=UTC), date(2026, 3, 1)),
    ],
)
def test_the_day_is_that_of_china(moment, day):
    assert local_day(moment) == day


def test_a_day_begins_at_midnight_in_china():
    assert start_of_day(date(2026, 3, 1)) == datetime(2026, 2, 28, 16, 0, tzinfo=UTC)
    assert local_day(start_of_day(date(2026, 3, 1)) - timedelta(microseconds=1)) == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("day", "years", "expected"),
    [("2025-03-01", 5, "2030-03-01"), ("2024-02-29", 1, "2025-02-28"), ("2024-02-29", 4, "2028-02-29"), ("2025-03-01", 0, "2025-03-01")],
)  # fmt: skip
def test_years_are_added_on_the_same_day(day, years, expected):
    assert add_years(date.fromisoformat(day), years) == date.fromisoformat(expected)


NOON = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [(NOON - HOUR, False), (NOON, True), (NOON + HOUR, True), (NOON + 2 * HOUR, False), (NOON + 3 * HOUR, False)],
)
def test_a_period_holds_its_start_but_not_its_end(moment, holds):
    assert Period(NOON, NOON + 2 * HOUR).holds(moment) is holds


@pytest.mark.parametrize(
    ("start", "end", "lies"), [(0, 2, True), (1, 2, True), (0, 1, True), (-1, 1, False), (1, 3, False), (-1, 3, False)]
)
def test_a_period_lies_in_another_with_both_ends(start, end, lies):
    assert Period(NOON + start * HOUR, NOON + end * HOUR).lies_in(Period(NOON, NOON + 2 * HOUR)) is lies
