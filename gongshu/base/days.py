"""Periods and working days. China's holidays and make-up days are data, imported per year (parameters §22)."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "UTC+8")
"""Legal days are days of China Standard Time; instants are stored in UTC."""


def local_day(moment: datetime) -> date:
    """Return the calendar day in China on which ``moment`` (aware, UTC) falls."""
    return moment.astimezone(CHINA).date()


def start_of_day(day: date) -> datetime:
    """Return the first instant of ``day`` in China, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=CHINA).astimezone(UTC)


@dataclass(frozen=True)
class Period:
    """From ``start`` (inclusive) to ``end`` (exclusive), both aware and in UTC."""

    start: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in the period."""
        return self.start <= moment < self.end

    def lies_in(self, outer: "Period") -> bool:
        """Whether the whole of this period lies in ``outer``."""
        return outer.start <= self.start and self.end <= outer.end


def add_years(day: date, years: int) -> date:
    """Return the same day ``years`` later; 29 February becomes 28 February where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


@dataclass(frozen=True)
class DueDay:
    """The last day of a deadline. ``is_provisional``: it reaches into a year whose holidays are not announced."""

    day: date
    is_provisional: bool = False


@dataclass(frozen=True)
class WorkingCalendar:
    """Weekdays off and weekend days worked, for the years announced by the State Council."""

    years: frozenset[int]
    days_off: frozenset[date] = field(default_factory=frozenset)
    days_worked: frozenset[date] = field(default_factory=frozenset)

    def is_working_day(self, day: date) -> bool:
        """Whether public offices work on ``day``. Years without a calendar count Monday to Friday."""
        if day in self.days_worked:
            return True
        return day.weekday() < 5 and day not in self.days_off

    def due(self, event: date, working_days: int) -> DueDay:
        """Return the day on which a deadline of ``working_days`` ends. The day of the event is not counted."""
        day, left = event, working_days
        while left > 0:
            day += timedelta(days=1)
            left -= self.is_working_day(day)
        return DueDay(day, is_provisional=not set(range(event.year, day.year + 1)) <= self.years)
